/// What applies where neither flag, environment nor context says otherwise; help quotes these values.
enum Defaults {
    static let ttl: Duration = .seconds(15)
    /// The shortest that are taken. A lease or a pause below that would keep a processor busy, or a server, and protect nothing.
    static let shortestTTL: Duration = .milliseconds(50)
    static let shortestRenewal: Duration = .milliseconds(10)
    static let shortestBackoff: Duration = .milliseconds(1)
    static let shortestTimeout: Duration = .milliseconds(1)
    static let hookTimeout: Duration = .seconds(30)
    static let requestTimeout: Duration = .seconds(5)
    static let retries = 3
    static let backoff = BackoffRange(initial: .milliseconds(200), maximum: .seconds(5))
    static let backoffFactor = 2.0
    static let jitter = 0.2
    /// In MiB: gRPC's own.
    static let maximumMessage = 4
    static let metricsEvery: Duration = .seconds(5)
    static let conflictExitCode: Int32 = 1
    /// Renewal and SIGKILL come after the TTL divided by this, unless told otherwise.
    static let ttlDivisor = 3
    /// The longest `--kill-after` that is derived from a TTL.
    static let killAfterAtMost: Duration = .seconds(10)
}
