/// What a test waited for did not come.
public struct TimedOut: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// Waits until `condition` gives a value, looking every few milliseconds.
/// - Throws: `TimedOut`, which says what was waited for.
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

/// Lets in so many tests at a time: each starts processes of its own, and what is timed must not wait for the machine.
public actor Gate {
    public enum Load: Sendable {
        /// Waits most of the time.
        case light
        /// Has much to do, or short times to keep.
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
