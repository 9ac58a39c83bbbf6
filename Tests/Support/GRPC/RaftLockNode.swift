import GRPCCore
import QQCore
import QQRaftLock
import SwiftProtobuf

/// Writes of a node. Its reads are in a file of their own.
struct RaftLockNode: Raftlock_RaftLock.SimpleServiceProtocol {
    let cluster: RaftLockCluster
    /// Number of the node, from 0.
    let node: Int

    func acquire(request: Raftlock_AcquireRequest, context: ServerContext) async throws -> Raftlock_AcquireResponse {
        try await cluster.serve("Acquire", by: request.clientID, on: node, context) {
            try RaftLockLimits.check(request)
            let ttl = request.hasTtl ? request.ttl.logged : cluster.settings.defaultTTL.nanoseconds
            let answer = try await cluster.write(
                .acquire(request.lockID, by: request.clientID, ttl: ttl), by: request.clientID, on: node, context)
            var response = Raftlock_AcquireResponse()
            switch answer.result {
            case .success(let outcome):
                response.acquired = true
                response.lock = Raftlock_Lock(request.lockID, outcome.lock)
            case .failure(let failure):
                // `wait` does not put the client into the queue.
                if request.wait { throw RPCError(code: .resourceExhausted, message: failure.text) }
                response.backoffAdvice = Raftlock_BackoffAdvice(lock(request.lockID), answer.now)
                response.error = Raftlock_ErrorDetail(.lockHeld, failure)
            }
            return response
        }
    }

    func release(request: Raftlock_ReleaseRequest, context: ServerContext) async throws -> Raftlock_ReleaseResponse {
        try await cluster.serve("Release", by: request.clientID, on: node, context) {
            try RaftLockLimits.check(request)
            _ = try await done(.release(request.lockID, by: request.clientID, version: request.version), request.clientID, context)
            var response = Raftlock_ReleaseResponse()
            // The same whether or not a client waited.
            (response.released, response.waiterPromoted) = (true, true)
            return response
        }
    }

    func renew(request: Raftlock_RenewRequest, context: ServerContext) async throws -> Raftlock_RenewResponse {
        try await cluster.serve("Renew", by: request.clientID, on: node, context) {
            try RaftLockLimits.check(request)
            let outcome = try await done(
                .renew(request.lockID, by: request.clientID, version: request.version, ttl: request.newTtl.logged),
                request.clientID, context)
            guard cluster.state.withLock({ $0.faults.isMended }) else { throw RPCError.unexpected }
            var response = Raftlock_RenewResponse()
            response.renewed = true
            response.lock = Raftlock_Lock(request.lockID, outcome.lock)
            return response
        }
    }

    func enqueueWaiter(
        request: Raftlock_EnqueueWaiterRequest, context: ServerContext
    ) async throws -> Raftlock_EnqueueWaiterResponse {
        try await cluster.serve("EnqueueWaiter", by: request.clientID, on: node, context) {
            try RaftLockLimits.check(request)
            let outcome = try await done(
                .enqueue(request.lockID, by: request.clientID, priority: request.priority, timeout: request.timeout.nanoseconds),
                request.clientID, context)
            var response = Raftlock_EnqueueWaiterResponse()
            response.enqueued = true
            response.position = Int32(outcome.position)
            response.estimatedWaitDuration = Google_Protobuf_Duration(nanoseconds: outcome.lock.wait(cluster.clock.now))
            return response
        }
    }

    func cancelWait(request: Raftlock_CancelWaitRequest, context: ServerContext) async throws -> Raftlock_CancelWaitResponse {
        try await cluster.serve("CancelWait", by: request.clientID, on: node, context) {
            try RaftLockLimits.check(request)
            _ = try await done(.cancel(request.lockID, by: request.clientID), request.clientID, context)
            var response = Raftlock_CancelWaitResponse()
            response.cancelled = true
            return response
        }
    }

    private func done(_ command: LockTable.Command, _ id: String, _ context: ServerContext) async throws -> LockTable.Outcome {
        switch try await cluster.write(command, by: id, on: node, context).result {
        case .success(let outcome): return outcome
        // The code of this failure was not recorded.
        case .failure(.queueFull): throw RPCError(code: .resourceExhausted, message: LockTable.Failure.queueFull.text)
        case .failure(let failure): throw RPCError.lockManager(failure)
        }
    }

    /// The lock as this node knows it.
    func lock(_ id: String) -> LockTable.Lock? { cluster.state.withLock { $0.raft.nodes[node].table.locks[id] } }
}
