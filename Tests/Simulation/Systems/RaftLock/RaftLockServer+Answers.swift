import QQGRPC
import QQRaftLock
import Support
import SwiftProtobuf

// The answers of a node.
extension RaftLockServer {
    typealias Answer = Result<any SwiftProtobuf.Message, GRPCFailure>

    /// Answers a call at a node, at once, later or never.
    func serve(_ request: any SwiftProtobuf.Message, on node: Int, by caller: SimProcess, _ reply: @escaping (Answer) -> Void) {
        advance()
        guard !nodes[node].isHung else { return }
        let address = SimulatedRaftLock.address(of: node)
        guard let command = Self.command(request) else { return reply(read(request, on: node, address)) }
        write(command, on: node) { [weak self] written in
            guard let self else { return }
            reply(answer(written, request, on: node, address, caller))
        }
    }

    /// The command of a write; nil for a read.
    private static func command(_ request: any SwiftProtobuf.Message) -> LockTable.Command? {
        switch request {
        case let request as Raftlock_AcquireRequest: .acquire(request.lockID, by: request.clientID, ttl: request.ttl.logged)
        case let request as Raftlock_RenewRequest:
            .renew(request.lockID, by: request.clientID, version: request.version, ttl: request.newTtl.logged)
        case let request as Raftlock_ReleaseRequest: .release(request.lockID, by: request.clientID, version: request.version)
        case let request as Raftlock_EnqueueWaiterRequest:
            .enqueue(request.lockID, by: request.clientID, priority: request.priority, timeout: request.timeout.nanoseconds)
        case let request as Raftlock_CancelWaitRequest: .cancel(request.lockID, by: request.clientID)
        default: nil
        }
    }

    private func answer(
        _ written: Written, _ request: any SwiftProtobuf.Message, on node: Int, _ address: String, _ caller: SimProcess
    ) -> Answer {
        switch written {
        case .failed(let refusal): return .failure(refusal.failure(at: address))
        case .refused(let failure):
            guard let request = request as? Raftlock_AcquireRequest else {
                return .failure(RaftLockRefusal.lockManager(failure.text).failure(at: address))
            }
            return .success(
                Raftlock_AcquireResponse.with { response in
                    response.backoffAdvice = Raftlock_BackoffAdvice(table.locks[request.lockID], time)
                    response.error = Raftlock_ErrorDetail(.lockHeld, failure)
                })
        case .done(let outcome): return done(outcome, request, on: node, address, caller)
        }
    }

    private func done(
        _ outcome: LockTable.Outcome, _ request: any SwiftProtobuf.Message, on node: Int, _ address: String, _ caller: SimProcess
    ) -> Answer {
        switch request {
        case let request as Raftlock_AcquireRequest:
            world.note("acquires version #1", caller, outcome.lock.version)
            return .success(
                Raftlock_AcquireResponse.with { response in
                    response.acquired = true
                    response.lock = Raftlock_Lock(request.lockID, shown(outcome.lock, by: node))
                })
        case let request as Raftlock_RenewRequest:
            world.note("renews version #1", caller, request.version)
            guard isMended else { return .failure(RaftLockRefusal.unexpected.failure(at: address)) }
            return .success(
                Raftlock_RenewResponse.with { response in
                    response.renewed = true
                    response.lock = Raftlock_Lock(request.lockID, shown(outcome.lock, by: node))
                })
        case let request as Raftlock_ReleaseRequest:
            world.note("releases version #1", caller, request.version)
            return .success(Raftlock_ReleaseResponse.with { ($0.released, $0.waiterPromoted) = (true, true) })
        case is Raftlock_EnqueueWaiterRequest:
            world.note("is in the queue", caller)
            return .success(Raftlock_EnqueueWaiterResponse.with { ($0.enqueued, $0.position) = (true, Int32(outcome.position)) })
        default:
            world.note("has left the queue", caller)
            return .success(Raftlock_CancelWaitResponse.with { $0.cancelled = true })
        }
    }

    // MARK: Reads

    private func read(_ request: any SwiftProtobuf.Message, on node: Int, _ address: String) -> Answer {
        let seen = nodes[node].outdated ?? table
        switch request {
        case let request as Raftlock_GetLockInfoRequest:
            // Without a redirect.
            guard leads(node) else { return .failure(RaftLockRefusal.unexpected.failure(at: address)) }
            return .success(
                Raftlock_GetLockInfoResponse.with { response in
                    if let lock = seen.locks[request.lockID] {
                        response.lockInfo = Raftlock_LockInfo(request.lockID, shown(lock, by: node))
                    } else {
                        response.error = Raftlock_ErrorDetail(.lockNotFound, .notFound)
                    }
                })
        case let request as Raftlock_BackoffAdviceRequest:
            return .success(Raftlock_BackoffAdviceResponse.with { $0.advice = Raftlock_BackoffAdvice(seen.locks[request.lockID], time) })
        case is Raftlock_GetStatusRequest:
            return .success(
                Raftlock_GetStatusResponse.with { response in
                    response.raftStatus.nodeID = nodes[node].id
                    response.raftStatus.leaderID = leader(namedBy: node)?.id ?? ""
                    response.raftStatus.term = raftTerm
                })
        case is Raftlock_HealthRequest:
            return .success(
                Raftlock_HealthResponse.with { response in
                    response.status = .serving
                    response.healthInfo.status = .serving
                    response.healthInfo.lastHealthCheckAt = Google_Protobuf_Timestamp(nanoseconds: time + nodes[node].skew)
                })
        default: return .failure(GRPCFailure(.unimplemented, "not simulated", at: address, wasSent: true))
        }
    }

    /// The lock with the times that the node has written into it.
    private func shown(_ lock: LockTable.Lock, by node: Int) -> LockTable.Lock {
        var lock = lock
        let skew = nodes[node].skew
        lock.acquired = lock.acquired.map { $0 + skew }
        lock.expires = lock.expires.map { $0 + skew }
        lock.modified = lock.modified.map { $0 + skew }
        return lock
    }
}
