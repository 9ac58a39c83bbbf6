package import QQCore

/// What a coordinator is made from.
package struct ConnectorInput: Sendable {
    package var access: ServerAccess
    /// The value of an environment variable; nil if it is empty, not set, or not to be read.
    package var variable: @Sendable (String) -> String?
    package var clock: any LeaseClock
    /// Runs what goes on when the task of a caller is cancelled.
    package var executor: any TaskExecutor
    /// The limit for one request; within a lease it is shorter.
    package var requestTimeout: Duration
    /// The TTL that was asked for; nil for the default.
    package var ttl: Duration?
    /// The time that work under a lease has to stop in, before the lease ends.
    package var stopTime: Duration
    /// The priority in the servers' queue, -1000 to 1000, higher first. RaftLock only.
    package var priority: Int32 = 0
    /// The value of `User-Agent`, for systems on HTTP.
    package var userAgent = "qq/\(version)"
    /// The lease folders that this process has open; nil if they are not shared.
    package var folders: LeaseFolders?
    /// The grant that this process or an earlier one has saved for an election; nil if there is none. For Quorum Quest, which does not tell who leads.
    package var savedGrant: @Sendable (_ name: String) -> Grant? = { _ in nil }
    /// Whether a program that logs this process in can have the terminal to ask the user. Kubernetes only.
    package var lendsTerminal = false
    /// Told what the user should know, while the coordinator is made or by its own calls.
    package var note: @Sendable (String) -> Void = { _ in }
    /// Told what programs that log this process in print, safe to show. Called on any thread, so it must not block.
    package var report: @Sendable (String) -> Void = { _ in }
    /// Called each time that a server names another one to ask; nil if nothing counts this.
    package var redirected: (@Sendable () -> Void)?

    package init(
        _ access: ServerAccess, clock: any LeaseClock, executor: any TaskExecutor, requestTimeout: Duration, stopTime: Duration,
        variable: @escaping @Sendable (String) -> String?
    ) {
        self.access = access
        self.clock = clock
        self.executor = executor
        self.requestTimeout = requestTimeout
        self.stopTime = stopTime
        self.variable = variable
    }
}
