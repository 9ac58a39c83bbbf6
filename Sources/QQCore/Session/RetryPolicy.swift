/// How often, and how long apart, a request is tried again after a passing failure.
public struct RetryPolicy: Sendable, Hashable {
    /// Retries after the first attempt; nil: without end.
    public var maximumRetries: Int?
    /// Before the first retry.
    public var initial: Duration
    /// Never longer than this.
    public var maximum: Duration
    /// By which each pause is longer than the one before.
    public var multiplier: Double
    /// Each pause is varied by up to this fraction of it, in both directions, so that many clients do not come back at once.
    public var jitter: Double

    public init(
        maximumRetries: Int? = 3, initial: Duration = .milliseconds(200), maximum: Duration = .seconds(5), multiplier: Double = 2,
        jitter: Double = 0.2
    ) {
        self.maximumRetries = maximumRetries
        self.initial = initial
        self.maximum = maximum
        self.multiplier = multiplier
        self.jitter = jitter
    }

    /// Whether retry number `retry` (from 1) is allowed.
    public func allows(retry: Int) -> Bool { maximumRetries.map { retry <= $0 } ?? true }

    /// The pause before retry number `retry` (from 1). `random` is in 0..<1.
    public func pause(before retry: Int, random: Double) -> Duration {
        var seconds = initial.seconds
        for _ in 1..<max(retry, 1) {
            seconds *= multiplier
            if seconds >= maximum.seconds { break }
        }
        seconds = min(seconds, maximum.seconds)
        return Self.spread(.seconds(seconds), by: jitter, random: random)
    }

    /// `duration` varied by up to `fraction` of it in both directions.
    static func spread(_ duration: Duration, by fraction: Double, random: Double) -> Duration {
        let seconds = duration.seconds * (1 + fraction * (2 * random - 1))
        return .nanoseconds(Int64(max(0, seconds * 1e9)))
    }
}
