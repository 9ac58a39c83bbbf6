import QQCore

/// What `qq` requests of a system. The raw value is the label.
enum RequestOperation: String, CaseIterable, Sendable {
    case acquire, renew, release, read, list, wait, join
    case stepDown = "step_down"
    case cancelWait = "cancel_wait"
    case backoffAdvice = "backoff_advice"

    /// Whether the time until the answer shows how quickly the system answers. A wait lasts until the election is free.
    var isTimed: Bool { self != .wait }
}

/// The requests of one kind to one system: their number, outcomes and durations. Pure.
struct RequestMetrics: Sendable, Equatable {
    private(set) var successes: UInt64 = 0
    private(set) var failures: UInt64 = 0
    private(set) var retries: UInt64 = 0
    private(set) var durations = DurationHistogram()

    var requests: UInt64 { successes + failures }

    /// - Parameter isRetry: whether the same request had failed the last time that it was sent.
    mutating func add(isSuccess: Bool, isRetry: Bool, took time: Duration) {
        if isSuccess { successes += 1 } else { failures += 1 }
        if isRetry { retries += 1 }
        durations.add(time)
    }
}

/// A histogram of durations, with the buckets that Prometheus expects: each counts all durations up to its bound.
struct DurationHistogram: Sendable, Equatable {
    /// Upper bounds of the buckets, in seconds: from an answer on the same machine to the longest request that a lease survives.
    static let bounds: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

    /// The count of each bucket of `bounds`.
    private(set) var buckets = [UInt64](repeating: 0, count: bounds.count)
    private(set) var count: UInt64 = 0
    private(set) var sum: Duration = .zero

    /// Adds a duration; a negative one counts as zero.
    mutating func add(_ time: Duration) {
        let time = max(time, .zero)
        count += 1
        sum += time
        for (index, bound) in Self.bounds.enumerated() where time.seconds <= bound { buckets[index] += 1 }
    }
}
