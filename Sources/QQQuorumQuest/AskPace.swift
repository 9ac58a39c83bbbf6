import QQCore

/// The pause before a waiter asks for an election again. Pure.
///
/// A refusal does not show who leads, until when, or how many others wait. The time waited is the best guess of the time still to wait: an election that was
/// held for a second might be free in the next one, and one that was held for a minute is hardly missed for a second. The pause is therefore a share of the
/// time waited.
struct AskPace: Sendable, Hashable {
    static let shortest: Duration = .milliseconds(80)
    static let longest: Duration = .seconds(2)
    private static let jitter = 0.2

    /// The time since the first refusal.
    var waited: Duration
    /// The time that the server took for its last refusal.
    var answerTook: Duration = .zero
    /// The elections that this process waits for.
    var elections = 1

    /// - Parameter random: in 0..<1.
    func pause(random: Double) -> Duration {
        // A server that gets slow is asked less often. However many waiters there are, each has a request under way for at most a fifth of the time.
        let wanted = max(Self.shortest, waited / 30, answerTook * 5, .milliseconds(20) * elections)
        return RetryPolicy(maximumRetries: nil, initial: wanted, maximum: Self.longest, jitter: Self.jitter).pause(
            before: 1, random: random)
    }
}
