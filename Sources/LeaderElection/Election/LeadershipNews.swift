internal import Synchronization

/// What an election knows of its leader over all its campaigns, and the tasks that wait for this process to lead.
final class LeadershipNews: Sendable {
    private struct State {
        var lease: Lease?
        /// The leader that was told last, by identity and token.
        var told: Leader?
        var nextID = 0
        var waiting: [Int: CheckedContinuation<Lease, any Error>] = [:]
        /// Why there is nothing to wait for; nil while there is.
        var closed: ElectionError?
    }

    private let state = Mutex(State())

    /// Takes note of a leader.
    /// - Returns: the leader, if it is another one than before; the inner nil for nobody.
    func change(to leader: Leader?) -> Leader?? {
        state.withLock { state in
            let isSame =
                state.told?.identity == leader?.identity && (state.told?.token ?? leader?.token) == (leader?.token ?? state.told?.token)
            state.told = leader
            return isSame ? nil : .some(leader)
        }
    }

    /// Nobody leads as far as this process knows: the next leader is a change, even if it is the same.
    func forget() { state.withLock { $0.told = nil } }

    /// This process leads from now on.
    func begin(_ lease: Lease) {
        let waiting = state.withLock { state in
            state.lease = lease
            defer { state.waiting = [:] }
            return state.waiting
        }
        for (_, continuation) in waiting.sorted(by: { $0.key < $1.key }) { continuation.resume(returning: lease) }
    }

    /// This process leads no more, or is about to give the lease up.
    func end() { state.withLock { $0.lease = nil } }

    func open() { state.withLock { $0.closed = nil } }

    /// Nothing is under way any more.
    func close(_ error: ElectionError) {
        let waiting = state.withLock { state in
            state.lease = nil
            state.closed = error
            defer { state.waiting = [:] }
            return state.waiting
        }
        for (_, continuation) in waiting.sorted(by: { $0.key < $1.key }) { continuation.resume(throwing: error) }
    }

    /// Waits until this process leads.
    /// - Throws: `CancellationError`, or the error of ``close(_:)``.
    func wait() async throws -> Lease {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let answer: Swift.Result<Lease, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if let lease = state.lease, lease.isHeld { return .success(lease) }
                    if let closed = state.closed { return .failure(closed) }
                    state.waiting[id] = continuation
                    return nil
                }
                if let answer { continuation.resume(with: answer) }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: id) }?.resume(throwing: CancellationError())
        }
    }
}
