/// How a system advises contenders to pace themselves: the pauses between one look at an election and the next.
public struct BackoffAdvice: Sendable, Hashable {
    /// The first pause.
    public var initial: Duration
    /// The longest one.
    public var maximum: Duration
    /// By which each pause is longer than the one before.
    public var multiplier: Double
    /// By which fraction of it each pause is to be varied.
    public var jitter: Double

    public init(initial: Duration, maximum: Duration, multiplier: Double, jitter: Double) {
        self.initial = initial
        self.maximum = maximum
        self.multiplier = multiplier
        self.jitter = jitter
    }
}
