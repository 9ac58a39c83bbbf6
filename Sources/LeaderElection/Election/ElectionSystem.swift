internal import QQCore

/// A connected system, with the clock and the executor that its elections run on.
struct ElectionSystem: Sendable {
    let coordinator: any Coordinator
    let clock: any LeaseClock
    /// Nil for Swift's own.
    let executor: (any TaskExecutor)?
    let retry: QQCore.RetryPolicy
    let link: ServerLink

    init(_ connected: Connected, clock: any LeaseClock, executor: (any TaskExecutor)?) {
        coordinator = connected.coordinator
        self.clock = clock
        self.executor = executor
        retry = connected.retry
        link = ServerLink(connected.coordinator, executor: executor)
    }
}
