import GRPCCore
import QQRaftLock
import SwiftProtobuf

/// Reads of a node, from the part of the log that it has seen.
extension RaftLockNode {
    func getLockInfo(request: Raftlock_GetLockInfoRequest, context: ServerContext) async throws -> Raftlock_GetLockInfoResponse {
        try await cluster.serve("GetLockInfo", by: "", on: node, context) {
            try RaftLockLimits.check(lock: request.lockID)
            // Without a redirect.
            guard cluster.leader == node else { throw RPCError.unexpected }
            var response = Raftlock_GetLockInfoResponse()
            if let lock = lock(request.lockID) {
                response.lockInfo = Raftlock_LockInfo(request.lockID, lock)
            } else {
                response.error = Raftlock_ErrorDetail(.lockNotFound, .notFound)
            }
            return response
        }
    }

    func getLocks(request: Raftlock_GetLocksRequest, context: ServerContext) async throws -> Raftlock_GetLocksResponse {
        try await cluster.serve("GetLocks", by: "", on: node, context) {
            try RaftLockLimits.check(request)
            var all = cluster.state.withLock { $0.raft.nodes[node].table.locks }.sorted { $0.key < $1.key }
            if cluster.settings.shufflesLists, let start = all.indices.randomElement() {
                // In the order of a small Go map: from a random start, wrapping around.
                all = Array(all[start...] + all[..<start])
            }
            let matching = all.filter { request.filter.matches($0.key, $0.value) }
            // The default limit was not recorded.
            let page = matching.dropFirst(Int(request.offset)).prefix(request.limit > 0 ? Int(request.limit) : 100)
            var response = Raftlock_GetLocksResponse()
            response.locks = page.map { Raftlock_LockInfo($0.key, $0.value) }
            response.totalMatchingFilter = Int32(matching.count)
            response.hasMore_p = page.endIndex < matching.count
            return response
        }
    }

    func getBackoffAdvice(
        request: Raftlock_BackoffAdviceRequest, context: ServerContext
    ) async throws -> Raftlock_BackoffAdviceResponse {
        try await cluster.serve("GetBackoffAdvice", by: "", on: node, context) {
            try RaftLockLimits.check(lock: request.lockID)
            var response = Raftlock_BackoffAdviceResponse()
            response.advice = Raftlock_BackoffAdvice(lock(request.lockID), cluster.clock.now)
            return response
        }
    }

    /// Most fields are never filled.
    func getStatus(request: Raftlock_GetStatusRequest, context: ServerContext) async throws -> Raftlock_GetStatusResponse {
        try await cluster.serve("GetStatus", by: "", on: node, context) {
            var response = Raftlock_GetStatusResponse()
            cluster.state.withLock { state in
                let own = state.raft.nodes[node]
                response.raftStatus.nodeID = own.id
                response.raftStatus.leaderID = own.statusLeader
                response.raftStatus.term = state.raft.term
                response.raftStatus.commitIndex = UInt64(own.applied)
                response.raftStatus.lastApplied = UInt64(own.applied)
            }
            return response
        }
    }

    /// Reports that the node serves, even without a majority or a leader.
    func health(request: Raftlock_HealthRequest, context: ServerContext) async throws -> Raftlock_HealthResponse {
        try await cluster.serve("Health", by: "", on: node, context) {
            let now = cluster.clock.now
            var response = Raftlock_HealthResponse()
            (response.status, response.message) = (.serving, "Server is healthy and ready to serve requests.")
            cluster.state.withLock { state in
                let own = state.raft.nodes[node]
                response.healthInfo.status = .serving
                response.healthInfo.message = "Server is healthy"
                response.healthInfo.isRaftLeader = state.raft.leader == node && own.servedTerm == state.raft.term
                response.healthInfo.raftLastApplied = UInt64(own.applied)
                response.healthInfo.currentActiveLocks = Int32(own.table.locks.values.count(where: \.isHeld))
                response.healthInfo.currentTotalWaiters = Int32(own.table.locks.values.reduce(0) { $0 + $1.waiters.count })
                response.healthInfo.uptime = Google_Protobuf_Duration(nanoseconds: now - own.started)
                response.healthInfo.lastHealthCheckAt = Google_Protobuf_Timestamp(nanoseconds: now)
            }
            return response
        }
    }
}
