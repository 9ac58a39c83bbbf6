import GRPCCore

extension RaftLockCluster {
    /// The result of a write by the lock manager, and the time of that.
    struct Answer: Sendable {
        var result: RaftState.Result
        var now: Int64
    }

    private enum Fate { case usual, unavailable, limited, hung }

    /// Counts a call and carries it out, with the present faults.
    func serve<Response: Sendable>(
        _ method: String, by id: String, on node: Int, _ context: ServerContext, _ body: () async throws -> Response
    ) async throws -> Response {
        let fate = state.withLock { state -> Fate in
            state.calls[node].count(method, by: id)
            if GRPCCallFaults.take(&state.faults.calls.unavailable, method) { return .unavailable }
            if state.faults.rateLimited > 0 {
                state.faults.rateLimited -= 1
                return .limited
            }
            return state.raft.nodes[node].isHung && method != "GetLocks" ? .hung : .usual
        }
        switch fate {
        case .unavailable: throw RPCError(code: .unavailable, message: "the node is out of service")
        case .limited: throw RPCError.rateLimited
        case .hung: try await context.neverAnswer()
        case .usual: break
        }
        while state.withLock({ $0.faults.calls.held.contains(method) }) { try await Task.sleep(for: .milliseconds(2)) }
        let result: Result<Response, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        let (isLost, delay) = state.withLock { state in
            (GRPCCallFaults.take(&state.faults.calls.lost, method), state.faults.calls.takeDelay(method))
        }
        if isLost { try await context.neverAnswer() }
        if delay > .zero { try await Task.sleep(for: delay) }
        return try result.get()
    }

    private enum Step {
        case done(Answer)
        /// Waiting for a majority.
        case waiting(ticket: Int)
        case hung
    }

    /// Has the nodes agree on a command, if the leader received it.
    func write(_ command: LockTable.Command, by id: String, on node: Int, _ context: ServerContext) async throws -> Answer {
        try checkLeader(node)
        switch try await agree(command, by: id, on: node) {
        case .done(let answer): return answer
        case .hung: try await context.neverAnswer()
        case .waiting(let ticket):
            let end = ContinuousClock.now + settings.majorityTimeout
            while ContinuousClock.now < end, !context.cancellation.isCancelled {
                try await Task.sleep(for: .milliseconds(5))
                if let result = state.withLock({ $0.raft.outcome(ticket) }) { return Answer(result: result, now: clock.now) }
            }
            // The command stays in the log and is carried out later. The code of the real server in this case was not recorded.
            throw RPCError(code: .deadlineExceeded, message: "context deadline exceeded")
        }
    }

    /// Throws unless the node is the Raft leader. The error names the leader, if it is known.
    private func checkLeader(_ node: Int) throws {
        let named = state.withLock { state in state.raft.leader == node ? node : state.raft.namedLeader }
        guard let named else { throw RPCError.noLeader }
        if named != node { throw RPCError.notLeader(id(of: named), at: address(of: named)) }
    }

    private func agree(_ command: LockTable.Command, by id: String, on node: Int) async throws -> Step {
        let isMeeting = state.withLock { state in
            state.running += 1
            state.runningBy[id, default: 0] += 1
            state.mostRunning = max(state.mostRunning, state.running)
            state.mostRunningBy[id] = max(state.mostRunningBy[id] ?? 0, state.runningBy[id] ?? 0)
            return state.faults.wedgesOnOverlap && state.running > 1
        }
        defer {
            state.withLock { state in
                state.running -= 1
                state.runningBy[id, default: 1] -= 1
            }
        }
        switch state.withLock({ $0.raft.nodes[node].wedge }) {
        case .refuses: throw RPCError.unexpected
        case .hangs: return .hung
        case nil where isMeeting:
            // This write hangs, and later ones are refused.
            state.withLock { $0.raft.nodes[node].wedge = .refuses }
            return .hung
        case nil: break
        }
        if settings.writeTime > .zero { try await Task.sleep(for: settings.writeTime) }
        return try state.withLock { state throws(RPCError) -> Step in
            // Leadership was lost in the meantime, because this node died or another was elected.
            guard state.raft.leader == node else { throw RPCError.unexpected }
            guard state.raft.hasMajority else { return .waiting(ticket: state.raft.wait(command)) }
            let now = clock.now
            guard let result = state.raft.commit(command, now) else { throw RPCError.noLeader }
            return .done(Answer(result: result, now: now))
        }
    }
}
