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
///
/// The servers do not notify a waiter that its turn has come. The nearer the turn, the more often the waiter reads, whatever the advice is.
struct PollPace: Sendable, Hashable {
    static let shortest: Duration = .milliseconds(50)
    static let longest: Duration = .seconds(1)
    /// The longest time from the end of a lease to the next read.
    static let afterExpiry: Duration = .milliseconds(200)
    /// The longest pause of the first waiter in the queue. Each waiter before another one makes the pauses of that one longer by as much.
    static let ofFirst: Duration = .milliseconds(120)

    /// What limits the reads of a waiter.
    struct Queue: Sendable, Hashable {
        /// The estimated number of waiters before this one; nil without a place in the queue.
        var ahead: Int?
        /// All waiters for the lock.
        var waiters = 0
        /// The locks that this process waits for.
        var locks = 1
        /// The time that the servers took for the last read.
        var readTook: Duration = .zero

        /// The shortest pause, however near the turn is: all waiters for a lock make at most 500 reads a second, a process at most 100, and a waiter has a
        /// read under way for at most a quarter of the time. A pause of `longest` is always allowed.
        var shortest: Duration {
            let pause = max(.milliseconds(2) * waiters, .milliseconds(10) * locks, readTook * 3)
            return min(max(pause, PollPace.shortest), PollPace.longest)
        }
    }

    var advice: BackoffAdvice
    private var reads = 0

    init(_ advice: BackoffAdvice = .usual) { self.advice = advice }

    /// Starts again with the first pause, after a change.
    mutating func reset() { reads = 0 }

    /// - Parameters:
    ///   - random: in 0..<1.
    ///   - remaining: the rest of the other holder's lease; nil if unknown.
    ///   - queue: nil for a reader that does not wait.
    mutating func pause(random: Double, remaining: Duration?, in queue: Queue? = nil) -> Duration {
        reads = min(reads + 1, 64)
        // A peer can send unreasonable values.
        let multiplier = advice.multiplier >= 1 && advice.multiplier <= 10 ? advice.multiplier : BackoffAdvice.usual.multiplier
        let jitter = advice.jitter >= 0 && advice.jitter <= 1 ? advice.jitter : BackoffAdvice.usual.jitter
        let policy = RetryPolicy(
            maximumRetries: nil, initial: max(advice.initial, Self.shortest),
            maximum: min(max(advice.maximum, Self.shortest), Self.longest), multiplier: multiplier, jitter: jitter)
        var pause = max(policy.pause(before: reads, random: random), Self.shortest)
        let shortest = queue?.shortest ?? .zero
        if let ahead = queue?.ahead {
            // Jitter takes a third of it at most.
            let longest = max(Self.ofFirst * (min(max(ahead, 0), 9) + 1), shortest * 3 / 2)
            let near = RetryPolicy(maximumRetries: nil, initial: longest, maximum: longest, jitter: BackoffAdvice.usual.jitter)
            pause = min(pause, near.pause(before: 1, random: random))
        }
        // An expired lease goes to the first waiter: the others need not hurry.
        if let remaining, queue?.ahead ?? 0 <= 0 { pause = min(pause, max(remaining, .zero) + Self.afterExpiry) }
        return max(pause, shortest)
    }
}
