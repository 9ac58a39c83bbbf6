import QQCore

/// Numbers and names that Consul's servers and its own `consul lock` dictate (protocols/consul.md).
public enum ConsulRules {
    /// The shortest TTL of a session. Servers refuse shorter ones.
    public static let minimumTTL: Duration = .seconds(10)
    /// The longest TTL of a session. Servers refuse longer ones.
    public static let maximumTTL: Duration = .seconds(86_400)
    /// The longest lock-delay. Servers accept longer ones, and cut them to this when the session ends.
    public static let maximumLockDelay: Duration = .seconds(60)
    /// The time that a connected holder has to notice that its session was ended, in the worst case by its next renewal.
    public static let noticing: Duration = .seconds(5)

    /// Flags of the key of `consul lock` (LockFlagValue of its source).
    static let lockFlags: UInt64 = 0x2ddc_cbc0_58a5_0c18
    /// Flags of the keys of `consul lock -n` (SemaphoreFlagValue of its source).
    static let semaphoreFlags: UInt64 = 0xe0f6_9a2b_aa41_4de0

    /// The lock-delay of a session.
    ///
    /// The work of a holder that is cut off is dead when its TTL is over; that of a connected holder, `killAfter` after it has noticed. Whatever ends the
    /// session early, no other process can lead before that.
    /// - Parameter killAfter: the time from SIGTERM to SIGKILL.
    /// - Returns: nil if `killAfter` is too long for any lock-delay.
    static func lockDelay(ttl: Duration, killAfter: Duration) -> Duration? {
        let needed = noticing + max(killAfter, .zero)
        guard needed <= maximumLockDelay else { return nil }
        return min(max(needed, ttl), maximumLockDelay)
    }

    /// A duration in the form of Go's time.ParseDuration, rounded up to milliseconds.
    static func text(_ duration: Duration) -> String {
        let (quotient, rest) = max(duration.nanoseconds, 0).quotientAndRemainder(dividingBy: 1_000_000)
        let milliseconds = quotient + (rest > 0 ? 1 : 0)
        return milliseconds % 1_000 == 0 ? "\(milliseconds / 1_000)s" : "\(milliseconds)ms"
    }
}
