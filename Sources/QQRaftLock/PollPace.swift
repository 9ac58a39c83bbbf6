import QQCore

extension BackoffAdvice {
    /// What the servers advise for a lock that is free.
    static let usual = BackoffAdvice(initial: .milliseconds(50), maximum: .seconds(1), multiplier: 1.5, jitter: 0.2)

    init(_ advice: Raftlock_BackoffAdvice) {
        self.init(
            initial: advice.initialBackoff.length, maximum: advice.maxBackoff.length, multiplier: advice.multiplier,
            jitter: advice.jitterFactor)
    }
}

/// The pauses between looks at a lock. Pure.
///
/// The advice is a quarter of the remaining lease and up to all of it, which would leave a lock free for long when its holder gives it up; so it is
/// obeyed within limits, and a lease that runs out is looked at as soon as the server can have noticed.
struct PollPace: Sendable, Hashable {
    static let shortest: Duration = .milliseconds(50)
    static let longest: Duration = .seconds(1)
    /// How long after a lease has run out it is looked at, at the latest.
    static let afterExpiry: Duration = .milliseconds(200)

    var advice: BackoffAdvice
    private var looks = 0

    init(_ advice: BackoffAdvice = .usual) { self.advice = advice }

    /// Something has changed: begin anew.
    mutating func reset() { looks = 0 }

    /// - Parameters:
    ///   - random: in 0..<1.
    ///   - remaining: of the lease that stands in the way, where it is known.
    mutating func pause(random: Double, remaining: Duration?) -> Duration {
        looks = min(looks + 1, 64)
        // What a peer sends is not always sensible.
        let multiplier = advice.multiplier >= 1 && advice.multiplier <= 10 ? advice.multiplier : BackoffAdvice.usual.multiplier
        let jitter = advice.jitter >= 0 && advice.jitter <= 1 ? advice.jitter : BackoffAdvice.usual.jitter
        let policy = RetryPolicy(
            maximumRetries: nil, initial: max(advice.initial, Self.shortest),
            maximum: min(max(advice.maximum, Self.shortest), Self.longest), multiplier: multiplier, jitter: jitter)
        var pause = max(policy.pause(before: looks, random: random), Self.shortest)
        if let remaining { pause = min(pause, max(remaining, .zero) + Self.afterExpiry) }
        return pause
    }
}
