import Foundation
import QQCore
import QQEtcd

/// An etcd cluster without a network: requests in, answers out. It keeps no clock of its own; time passes by ``advance(to:)`` only. It answers as the
/// recordings of etcd 3.4, 3.5 and 3.6 do (`Tests/SupportTests/Etcd`), and plays the faults that real servers do not show on demand.
package struct EtcdStore: Sendable {
    /// How a call reached the store.
    package struct Caller: Sendable {
        /// The index of the member that was called.
        package var member: Int
        /// The value of the metadata `token` or `authorization`.
        package var token: String?
        /// Whether the metadata has `hasleader: true`.
        package var hasLeader: Bool

        package init(member: Int = 0, token: String? = nil, hasLeader: Bool = false) {
            (self.member, self.token, self.hasLeader) = (member, token, hasLeader)
        }
    }

    /// A member's isolation from the majority.
    struct Isolation: Sendable {
        var since: Int64
        /// The keys as the member knew them.
        var keys: EtcdKeySpace
        var term: UInt64
        var raftIndex: UInt64
        var wasLeader: Bool
    }

    package let version: EtcdVersion
    package var members: [Etcdserverpb_Member]
    package var clusterID: UInt64 = 193
    /// Nanoseconds.
    package private(set) var now: Int64
    /// The index of the leading member; nil while the members elect one, or if no majority of them is connected.
    package internal(set) var leader: Int?
    package internal(set) var term: UInt64 = 2
    package internal(set) var raftIndex: UInt64 = 8
    package internal(set) var alarms: [Etcdserverpb_AlarmMember] = []
    package var faults = EtcdFaults()
    package var auth = EtcdAuth()
    /// Sizes of the database in bytes, for Status.
    package var databaseSize: (total: Int64, used: Int64, quota: Int64) = (24_576, 16_384, 2_147_483_648)

    var keys = EtcdKeySpace()
    var leases = EtcdLeases()
    /// Members that are cut off from the others.
    var cut: Set<Int> = []
    /// Members without a connection to a majority: those that are cut off, or all.
    var isolated: [Int: Isolation] = [:]
    /// When the members elect the next leader.
    var election: Int64?
    /// The member that is to win the next election.
    package var candidate: Int?
    var streams: [Int: EtcdStream] = [:]
    var nextStream = 1
    /// Writes that timed out and have yet to take effect.
    var late: [@Sendable (inout EtcdStore) -> Void] = []
    private var nextLook: Int64

    /// - Parameters:
    ///   - members: number of members, named node1, node2 and so on.
    ///   - leader: the index of the member that leads.
    ///   - now: the time in nanoseconds.
    package init(_ version: EtcdVersion = .v36, members: Int = 3, leader: Int = 0, now: Int64 = 0) {
        self.version = version
        self.members = (0..<members).map { index in
            var member = Etcdserverpb_Member()
            (member.id, member.name) = (UInt64(161 + index), "node\(index + 1)")
            member.peerUrls = ["http://node\(index + 1):2380"]
            member.clientUrls = ["http://node\(index + 1):2379"]
            return member
        }
        self.now = now
        self.leader = (0..<members).contains(leader) ? leader : 0
        nextLook = now + EtcdLeases.interval
    }

    package var revision: Int64 { keys.revision }

    // MARK: Time

    /// The time at which something will happen by the passing of time alone: an expiry, an election, the end of streams.
    package var nextEvent: Int64 {
        let ends = isolated.values.map { $0.since + EtcdStream.patience }.filter { $0 > now }
        return min(nextLook, election ?? .max, ends.min() ?? .max)
    }

    /// Lets time pass: elections end and leases expire, in their order.
    package mutating func advance(to time: Int64) {
        while nextEvent <= time {
            now = max(now, nextEvent)
            if let election, election <= now { elect() }
            if nextLook <= now {
                nextLook += ((now - nextLook) / EtcdLeases.interval + 1) * EtcdLeases.interval
                expireLeases()
            }
            endStreams()
        }
        now = max(now, time)
        endStreams()
    }

    /// The leader's look for expired leases.
    private mutating func expireLeases() {
        guard leader != nil, !faults.keepsExpiredLeases else { return }
        for id in leases.expired(at: now) { end(id) }
    }

    /// Ends a lease; its keys are deleted in one transaction.
    mutating func end(_ id: Int64) {
        let owned = (leases[id]?.keys ?? []).sorted { $0.lexicographicallyPrecedes($1) }
        leases.remove(id)
        for key in owned { keys.delete(EtcdKeyRange(key, Data())) }
        commit()
    }

    /// Ends the transaction under way and sends its changes to the watchers.
    mutating func commit() {
        raftIndex += 1
        keys.commit()
        deliver()
    }

    // MARK: Members

    /// Whether a member knows a leader.
    package func seesLeader(_ member: Int) -> Bool { leader != nil && isolated[member] == nil && !faults.noLeader }

    func view(_ member: Int) -> EtcdKeySpace { isolated[member]?.keys ?? keys }

    /// - Parameter revision: nil for a header without a revision.
    func header(_ member: Int, _ revision: Int64?) -> Etcdserverpb_ResponseHeader {
        var header = Etcdserverpb_ResponseHeader()
        (header.clusterID, header.raftTerm) = (clusterID, isolated[member]?.term ?? term)
        header.memberID = members.indices.contains(member) ? members[member].id : 0
        header.revision = revision ?? 0
        return header
    }

    /// The header that an answer to the caller has now.
    package func header(of caller: Caller) -> Etcdserverpb_ResponseHeader { header(caller.member) }

    func header(_ member: Int) -> Etcdserverpb_ResponseHeader { header(member, view(member).revision) }

    // MARK: Admission

    /// Counts the call, and refuses it where `hasleader` or a fault demands it.
    mutating func admit(_ method: String, _ caller: Caller) throws(EtcdServerError) {
        faults.calls[method, default: 0] += 1
        if caller.hasLeader, !seesLeader(caller.member) { throw .noLeader }
    }

    /// The caller's user.
    /// - Returns: nil if authentication is disabled.
    /// - Throws: a failure also if there is no token.
    mutating func login(_ caller: Caller) throws(EtcdServerError) -> String? {
        guard auth.isEnabled else { return nil }
        guard let user = try auth.user(caller.token, at: now) else { throw .noUser }
        return user
    }

    func check(_ user: String?, _ access: EtcdAuth.Access, _ keys: EtcdKeyRange) throws(EtcdServerError) {
        guard let user else { return }
        if !auth.allows(user, access, keys) { throw .denied }
    }

    func checkRoot(_ user: String?) throws(EtcdServerError) {
        if let user, !auth.isRoot(user) { throw .denied }
    }

    /// Sends a write through the Raft log.
    /// - Parameters:
    ///   - timeout: the failure if there is no leader.
    ///   - body: carries the write out.
    mutating func propose<Answer>(
        _ method: String, _ caller: Caller, timeout: EtcdServerError,
        _ body: @escaping @Sendable (inout EtcdStore) throws(EtcdServerError) -> Answer
    ) throws(EtcdServerError) -> Answer {
        if let fault = faults.take(method) {
            switch fault.effect {
            case .none: break
            case .now: _ = try? body(&self)
            case .later: late.append { store in _ = try? body(&store) }
            }
            throw fault.failure
        }
        guard seesLeader(caller.member) else {
            if faults.keepsProposals { late.append { store in _ = try? body(&store) } }
            throw timeout
        }
        return try body(&self)
    }

    /// Fails a linearizable read if the member cannot ask the leader.
    mutating func confirm(_ method: String, _ caller: Caller) throws(EtcdServerError) {
        if let fault = faults.take(method) { throw fault.failure }
        if !seesLeader(caller.member) { throw .timedOut }
    }
}
