import QQCore

extension BackoffAdvice {
    /// The advice of the servers for a free lock.
    static let usual = BackoffAdvice(initial: .milliseconds(50), maximum: .seconds(1), multiplier: 1.5, jitter: 0.2)

    init(_ advice: Raftlock_BackoffAdvice) {
        self.init(
            initial: advice.initialBackoff.length, maximum: advice.maxBackoff.length, multiplier: advice.multiplier,
            jitter: advice.jitterFactor)
    }
}

/// The pauses between reads of a lock. Pure.
///
/// The servers advise from a quarter of the remaining lease up to all of it, which would leave a released lock free for long. The advice is therefore
/// followed within limits, and an expiring lease is read as soon as the server can have noticed.
struct PollPace: Sendable, Hashable {
    static let shortest: Duration = .milliseconds(50)
    static let longest: Duration = .seconds(1)
    /// The longest time from the end of a lease to the next read.
    static let afterExpiry: Duration = .milliseconds(200)

    var advice: BackoffAdvice
    private var reads = 0

    init(_ advice: BackoffAdvice = .usual) { self.advice = advice }

    /// Starts again with the first pause, after a change.
    mutating func reset() { reads = 0 }

    /// - Parameters:
    ///   - random: in 0..<1.
    ///   - remaining: the rest of the other holder's lease; nil if unknown.
    mutating func pause(random: Double, remaining: Duration?) -> Duration {
        reads = min(reads + 1, 64)
        // A peer can send unreasonable values.
        let multiplier = advice.multiplier >= 1 && advice.multiplier <= 10 ? advice.multiplier : BackoffAdvice.usual.multiplier
        let jitter = advice.jitter >= 0 && advice.jitter <= 1 ? advice.jitter : BackoffAdvice.usual.jitter
        let policy = RetryPolicy(
            maximumRetries: nil, initial: max(advice.initial, Self.shortest),
            maximum: min(max(advice.maximum, Self.shortest), Self.longest), multiplier: multiplier, jitter: jitter)
        var pause = max(policy.pause(before: reads, random: random), Self.shortest)
        if let remaining { pause = min(pause, max(remaining, .zero) + Self.afterExpiry) }
        return pause
    }
}
