/// An event that a test waited for did not happen in time.
public struct TimedOut: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// Waits until `condition` returns a value. It is called every two milliseconds.
/// - Throws: `TimedOut`, which names the event that was waited for.
@discardableResult
public func waitFor<Value>(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(20), _ condition: () throws -> Value?
) async throws -> Value {
    let end = ContinuousClock.now + limit
    while true {
        if let value = try condition() { return value }
        if ContinuousClock.now >= end { throw TimedOut("waited \(limit) in vain: \(what())") }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// Waits until `condition` is true.
public func waitUntil(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(20), _ condition: () throws -> Bool
) async throws {
    try await waitFor(what(), within: limit) { try condition() ? true : nil }
}

/// Limits how many tests run at a time. Each starts its own processes, and time limits must not be missed because the machine is busy.
public actor Gate {
    public enum Load: Sendable {
        /// A test that waits most of the time.
        case light
        /// A test that does much work, or that has short time limits.
        case heavy
    }

    public static let shared = Gate(permits: 6)

    private let permits: Int
    private var free: Int
    private var waiting: [(Int, CheckedContinuation<Void, Never>)] = []

    init(permits: Int) {
        self.permits = permits
        free = permits
    }

    private func weight(_ load: Load) -> Int { load == .heavy ? permits / 2 : 1 }

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
