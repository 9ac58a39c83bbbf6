import QQCore

/// All that is decided before a world begins: who contends, what goes wrong and when, and how long it lasts. Together with the seed it
/// makes one history.
public struct Schedule: Sendable, Hashable {
    public var seed: UInt64
    public var times: LeaseTimes
    public var contenders: [ContenderPlan]
    /// The number of machines that contenders run on.
    public var hostCount: Int
    /// The number of slots that the election has; nil if it has none.
    public var slots: Int?
    public var faults: [Fault]
    /// World time at which it is over.
    public var end: Nanoseconds

    /// The longest that nobody may lead once nothing goes wrong.
    func liveness(of system: SimulatedSystem) -> Nanoseconds {
        // A lease that was prolonged, the pause of a contender before it starts again, its patience with a request that hangs, and its next
        // pause.
        times.ttl.nanoseconds * 2 + times.retry.maximum.nanoseconds + system.patience.nanoseconds * 2 + system.slack.nanoseconds
    }

    func stopping(of system: SimulatedSystem) -> Nanoseconds {
        let tries = Int64(times.retry.maximumRetries ?? 3) + 3
        return tries * (system.patience.nanoseconds + times.retry.maximum.nanoseconds) + system.slack.nanoseconds
    }
}
