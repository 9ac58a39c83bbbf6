/// Waits for an election that another holder has.
public protocol WaitingQueue: Sendable {
    /// Returns when it is worth requesting an election again that was refused with `blocker`: it might be free, it might be our turn, or `deadline` has
    /// come. Waits in the kernel or at the server if the system can. The place in the queue is kept until `leaveQueue`.
    func waitForTurn(_ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant) async throws(CoordinationError)

    /// Leaves the queue, if `waitForTurn` took a place, and releases a lease that was granted after the wait was called off.
    /// - Returns: an error if something could not be given up and has to expire.
    func leaveQueue(_ request: AcquireRequest) async -> CoordinationError?
}

/// A queue that the servers keep, for all waiters of an election.
public protocol ServerQueue: Sendable {
    /// Gives up a place in the queue that another process took under this identity.
    /// - Returns: whether there was one.
    func cancelWait(name: String, identity: String) async throws(CoordinationError) -> Bool

    /// How long the servers advise waiters to pause between requests. Changes nothing.
    func backoffAdvice(_ name: String) async throws(CoordinationError) -> BackoffAdvice
}
