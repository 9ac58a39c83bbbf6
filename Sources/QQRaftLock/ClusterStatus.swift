import QQCore
import QQGRPC

// The status of the nodes. It is found without any write, which could harm a cluster that is already in trouble.
extension RaftLockCoordinator {
    /// The answers of one endpoint about itself.
    struct NodeSnapshot: Sendable {
        var status: Raftlock_RaftStatus?
        var health: Raftlock_HealthResponse?
        /// Whether it reads locks, as only the Raft leader does; nil if unknown.
        var readsAsLeader: Bool?
        /// Whether it lists locks; a node that hangs still does.
        var listsLocks = false
        var roundTrip: Duration?
        var failure: GRPCFailure?
    }

    /// Each call has its own limit: a node that hangs answers some calls and not others.
    private static let nodeTimeout: Duration = .seconds(2)

    public func clusterStatus() async -> ClusterReport {
        let limit = min(requestTimeout, Self.nodeTimeout)
        let snapshots = await withTaskGroup(of: (Int, NodeSnapshot).self) { group in
            for index in service.endpoints.indices { group.addTask { (index, await self.snapshot(index, limit)) } }
            var snapshots: [Int: NodeSnapshot] = [:]
            for await (index, snapshot) in group { snapshots[index] = snapshot }
            return snapshots
        }
        let ordered = service.endpoints.indices.map { snapshots[$0] ?? NodeSnapshot() }
        return ClusterReport(
            endpoints: zip(service.endpoints, ordered).map { Self.status(of: $1, at: $0.host.description, among: ordered) })
    }

    private func snapshot(_ index: Int, _ limit: Duration) async -> NodeSnapshot {
        let endpoint = service.endpoints[index]
        var snapshot = NodeSnapshot()
        // The first call pays for the connection.
        do throws(GRPCFailure) {
            snapshot.status = try await service.ask(LockCalls.status(), at: endpoint, timeout: limit).raftStatus
        } catch {
            snapshot.failure = error
            if !error.isAnswer, !error.wasSent { return snapshot }
        }
        if let status = snapshot.status { service.identified(status.nodeID, at: index) }
        await withTaskGroup(of: NodeSnapshot.self) { group in
            group.addTask {
                var part = NodeSnapshot()
                let began = self.clock.now()
                do throws(GRPCFailure) {
                    part.health = try await self.service.ask(LockCalls.health(), at: endpoint, timeout: limit)
                    part.roundTrip = self.clock.now().duration(since: began)
                } catch { part.failure = error }
                return part
            }
            group.addTask {
                var part = NodeSnapshot()
                do throws(GRPCFailure) {
                    let response = try await self.service.ask(LockCalls.lockInfo(Self.probeLock), at: endpoint, timeout: limit)
                    part.readsAsLeader = !response.hasError || LockRefusal(response.error) == .notFound
                } catch {
                    switch LockRefusal(error) {
                    case .unexpected, .notLeader, .noLeader: part.readsAsLeader = false
                    default: break
                    }
                }
                return part
            }
            group.addTask {
                var part = NodeSnapshot()
                part.listsLocks = (try? await self.service.ask(LockCalls.locks(limit: 1, offset: 0), at: endpoint, timeout: limit)) != nil
                return part
            }
            for await part in group {
                snapshot.listsLocks = snapshot.listsLocks || part.listsLocks
                snapshot.health = part.health ?? snapshot.health
                snapshot.readsAsLeader = part.readsAsLeader ?? snapshot.readsAsLeader
                snapshot.roundTrip = part.roundTrip ?? snapshot.roundTrip
                snapshot.failure = snapshot.failure ?? part.failure
            }
        }
        return snapshot
    }

    /// The lock that is read to find out which nodes read locks. It does not need to exist.
    private static let probeLock = "qq/cluster-status"

    /// One endpoint's part of the report. Pure.
    static func status(of snapshot: NodeSnapshot, at endpoint: String, among all: [NodeSnapshot]) -> EndpointStatus {
        let isReachable = snapshot.status != nil || snapshot.health != nil || snapshot.readsAsLeader != nil || snapshot.listsLocks
        let isLeader = isLeader(snapshot, among: all)
        let isServing = snapshot.health?.status == .serving
        // Only the Raft leader grants. If none is visible, there can be one if a majority of the nodes answers.
        let answering = all.filter { $0.status != nil && $0.health?.status == .serving }.count
        let canGrant = isReachable && isServing && (isLeader ?? (answering * 2 > all.count))
        var status = EndpointStatus(
            endpoint: endpoint, isReachable: isReachable, canGrant: canGrant, problem: snapshot.failure?.reason,
            roundTrip: snapshot.roundTrip)
        guard isReachable else { return status }
        func add(_ key: String, _ value: JSONValue?) { status.details.append(.init(key, value ?? .null)) }
        func count(_ number: UInt64?) -> JSONValue? { number.map { .integer(Int64(clamping: $0)) } }
        let info = snapshot.health?.healthInfo
        add("node_id", snapshot.status.flatMap { $0.nodeID.isEmpty ? nil : .string($0.nodeID) })
        add("role", .string(isLeader.map { $0 ? "leader" : "follower" } ?? "unknown"))
        add("leader_id", leaderID(snapshot, among: all).map { .string($0) })
        add("term", count(snapshot.status?.term))
        add("commit_index", count(snapshot.status?.commitIndex))
        add("last_applied", count(snapshot.status?.lastApplied))
        add("lag", lag(snapshot, among: all))
        add("serving", snapshot.health.map { .bool($0.status == .serving) })
        add("uptime", info.flatMap { $0.hasUptime ? .double($0.uptime.length.seconds) : nil })
        add("active_locks", info.map { .integer(Int64($0.currentActiveLocks)) })
        add("total_waiters", info.map { .integer(Int64($0.currentTotalWaiters)) })
        return status
    }

    /// Whether a node is the Raft leader; nil if unknown. A node that is cut off can still claim it: of two, the one with the later Raft term counts.
    static func isLeader(_ snapshot: NodeSnapshot, among all: [NodeSnapshot]) -> Bool? {
        let terms = all.filter { $0.readsAsLeader == true }.map { $0.status?.term ?? 0 }
        if let latest = terms.max() { return snapshot.readsAsLeader == true && (snapshot.status?.term ?? 0) == latest }
        // True means that the node has been the leader and served a write. False means nothing.
        return snapshot.health?.healthInfo.isRaftLeader == true ? true : nil
    }

    /// The Raft leader: the node whose reads show it, otherwise the one that this node names, which can be outdated.
    private static func leaderID(_ snapshot: NodeSnapshot, among all: [NodeSnapshot]) -> String? {
        let leader = all.first { isLeader($0, among: all) == true }?.status?.nodeID ?? snapshot.status?.leaderID
        return leader.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The number of commands by which the node is behind the most advanced one.
    private static func lag(_ snapshot: NodeSnapshot, among all: [NodeSnapshot]) -> JSONValue? {
        guard let own = snapshot.status?.commitIndex, let most = all.compactMap({ $0.status?.commitIndex }).max() else { return nil }
        return .integer(Int64(clamping: most - own))
    }
}
