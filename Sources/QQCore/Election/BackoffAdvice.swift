/// The pauses between requests that a system advises contenders to make.
public struct BackoffAdvice: Sendable, Hashable {
    /// The first pause.
    public var initial: Duration
    /// The longest one.
    public var maximum: Duration
    /// Factor by which each pause is longer than the previous one.
    public var multiplier: Double
    /// Fraction of itself by which each pause should be varied.
    public var jitter: Double

    public init(initial: Duration, maximum: Duration, multiplier: Double, jitter: Double) {
        self.initial = initial
        self.maximum = maximum
        self.multiplier = multiplier
        self.jitter = jitter
    }
}
