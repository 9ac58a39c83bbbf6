/// An event that a test waited for did not happen in time.
public struct TimedOut: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// How long a test waits for what must happen. The machine can be busy with other tests, and then everything takes twenty times as long.
public let waitingTime = Duration.seconds(90)

/// Waits until `condition` returns a value. It is called every two milliseconds at first, and every ten
/// after a second: reading files that often takes time from the programs that are tested.
/// - Throws: `TimedOut`, which names the event that was waited for.
@discardableResult
public func waitFor<Value>(
    _ what: @autoclosure () -> String, within limit: Duration = waitingTime, _ condition: () throws -> Value?
) async throws -> Value {
    let began = ContinuousClock.now
    while true {
        if let value = try condition() { return value }
        let waited = ContinuousClock.now - began
        if waited >= limit { throw TimedOut("waited \(limit) in vain: \(what())") }
        try await Task.sleep(for: waited < .seconds(1) ? .milliseconds(2) : .milliseconds(10))
    }
}

/// Waits until `condition` is true.
public func waitUntil(
    _ what: @autoclosure () -> String, within limit: Duration = waitingTime, _ condition: () throws -> Bool
) async throws {
    try await waitFor(what(), within: limit) { try condition() ? true : nil }
}

/// Runs a test in which a time limit of the program strikes, but in which something else must happen before that. A busy machine needs longer for it,
/// which no limit can allow for without making the test slow everywhere.
/// - Parameters:
///   - first: the first limit to try; the next ones are six times as long.
///   - body: returns false if the limit struck too soon. It is then run again with a longer one.
/// - Throws: `TimedOut` if the fourth limit struck too soon.
public func withGrowingTime(from first: Duration, _ body: (Duration) async throws -> Bool) async throws {
    var time = first
    for _ in 1...4 {
        if try await body(time) { return }
        time *= 6
    }
    throw TimedOut("even a time limit of \(time / 6) struck too soon")
}

/// Limits how many tests run at a time. Each starts its own processes, and time limits must not be missed because the machine is busy.
public actor Gate {
    public enum Load: Sendable {
        /// A test that waits most of the time.
        case light
        /// A test that does much work, or that has short time limits.
        case heavy
    }

    /// Two heavy tests at a time, and beside them some that wait: with room for nothing else, half of the time passed with an idle processor.
    public static let shared = Gate(permits: 14, heavy: 5)

    private let heavy: Int
    private var free: Int
    private var waiting: [(Int, CheckedContinuation<Void, Never>)] = []

    init(permits: Int, heavy: Int) {
        self.heavy = heavy
        free = permits
    }

    private func weight(_ load: Load) -> Int { load == .heavy ? heavy : 1 }

    public func enter(_ load: Load) async {
        let weight = weight(load)
        if waiting.isEmpty, free >= weight {
            free -= weight
            return
        }
        await withCheckedContinuation { waiting.append((weight, $0)) }
    }

    public func leave(_ load: Load) {
        free += weight(load)
        while let (weight, next) = waiting.first, free >= weight {
            free -= weight
            waiting.removeFirst()
            next.resume()
        }
    }
}
