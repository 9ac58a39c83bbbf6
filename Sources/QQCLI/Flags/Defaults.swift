import struct LeaderElection.SystemConnector

/// Values that apply unless a flag, the environment or a context sets another. Help quotes them.
enum Defaults {
    static let ttl = SystemConnector.usualTTL
    /// The shortest durations that flags accept. A shorter lease or pause would keep a processor or a server busy, and protect nothing.
    static let shortestTTL: Duration = .milliseconds(50)
    static let shortestRenewal: Duration = .milliseconds(10)
    static let shortestBackoff: Duration = .milliseconds(1)
    static let shortestTimeout: Duration = .milliseconds(1)
    static let hookTimeout: Duration = .seconds(30)
    static let requestTimeout: Duration = .seconds(5)
    static let retries = 3
    static let backoff = SystemConnector.usualBackoff
    static let backoffFactor = 2.0
    static let jitter = SystemConnector.usualJitter
    /// In MiB.
    static let maximumMessage = SystemConnector.usualMaximumMessage >> 20
    static let metricsEvery: Duration = .seconds(5)
    static let lastMetricsLimit: Duration = .seconds(2)
    static let conflictExitCode: Int32 = 1
    static let notifier = Notifier.qq
    /// By default a lease is renewed after its TTL divided by this, and SIGKILL follows SIGTERM after the same time.
    static let ttlDivisor = 3
    /// The longest `--kill-after` that is derived from a TTL.
    static let killAfterAtMost: Duration = .seconds(10)
}
