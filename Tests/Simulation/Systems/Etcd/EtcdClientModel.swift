import QQCore
import QQEtcd
import QQGRPC
import Support

/// The client of the cluster's model: `EtcdClient` without gRPC. Which member is asked, for how long, and what an answer or its absence means is decided by
/// the real `CallAttempts` and `EtcdFailure`; what is mirrored here is `Members.attempt` and `Members.ask`, and `KeepAlives` with a call for each keep-alive.
final class EtcdClientModel: EtcdCalling, @unchecked Sendable {
    // Used on the world's thread only.
    private static let tryTime: Duration = .milliseconds(1_500)
    private static let shortestTry: Duration = .milliseconds(500)

    // The world's, which outlives its processes, and knows them.
    unowned let cluster: EtcdClusterModel
    let process: SimProcess
    private(set) var preferred: Int
    private var watches: EtcdWatchesModel!

    init(_ cluster: EtcdClusterModel, _ process: SimProcess) {
        self.cluster = cluster
        self.process = process
        // Where the endpoints are in another order.
        preferred = Int(process.random.below(Int64(cluster.hosts.count)))
        watches = EtcdWatchesModel(self)
    }

    var clock: ProcessClock { process.clock }
    var count: Int { cluster.hosts.count }

    // MARK: Members

    func answered(_ index: Int) { preferred = index }

    func failed(_ index: Int, since began: BootInstant) {
        if preferred == index { preferred = (index + 1) % count }
        guard clock.now().duration(since: began) >= .seconds(1) else { return }
        watches.isSilent(index, since: began)
    }

    func attempt<Value: Sendable>(
        isChange: Bool, first: Int? = nil, by deadline: BootInstant,
        _ body: (_ index: Int, _ until: BootInstant) async throws(EtcdFailure) -> Value
    ) async throws(EtcdFailure) -> Value {
        var attempts = CallAttempts(first: first ?? preferred, count: count, isChange: isChange)
        var last: EtcdFailure?
        while true {
            guard clock.now() < deadline, !process.isDead else {
                throw attempts.final(last ?? EtcdFailure(.unavailable, "no answer in time"))
            }
            let tryDeadline = endOfTry(patience: attempts.patience, by: deadline)
            do throws(EtcdFailure) { return try await body(attempts.endpoint, tryDeadline) } catch {
                last = error
                switch attempts.failed(error, canLogIn: false, wasLate: clock.now() >= tryDeadline) {
                case .logIn: throw error
                case .giveUp(let failure): throw failure
                case .ask(_, let pause):
                    guard pause > .zero else { continue }
                    guard (try? await clock.sleep(until: min(deadline, clock.now() + pause))) != nil else {
                        throw attempts.final(EtcdFailure(.cancelled, "interrupted", at: error.endpoint))
                    }
                }
            }
        }
    }

    private func endOfTry(patience: Int, by deadline: BootInstant) -> BootInstant {
        let now = clock.now()
        let time = Self.tryTime * patience
        guard count > 1 else { return min(deadline, now + time) }
        let half = max(deadline.duration(since: now) / 2, Self.shortestTry)
        return min(deadline, now + min(time, half))
    }

    /// One try at one member.
    func ask<Answer: Sendable>(
        _ kind: RequestKind, at index: Int, until deadline: BootInstant,
        _ serve: @escaping @Sendable (EtcdClusterModel, Reply<Result<Answer, EtcdServerError>>) -> Void
    ) async throws(EtcdFailure) -> Answer {
        let began = clock.now()
        let endpoint = cluster.hosts[index].name
        let result: Result<Answer, EtcdServerError>
        do throws(CallFailure) {
            result = try await process.call(kind, at: cluster.hosts[index], patience: deadline.duration(since: began)) { [cluster] reply in
                serve(cluster, reply)
            }
        } catch {
            if error.kind != .cancelled { failed(index, since: began) }
            throw EtcdFailure(GRPCFailure(error, at: endpoint))
        }
        do throws(EtcdServerError) {
            let answer = try result.get()
            answered(index)
            return answer
        } catch { throw EtcdFailure(GRPCFailure(error, at: endpoint)) }
    }

    private func call<Answer: Sendable>(
        _ kind: RequestKind, by deadline: BootInstant,
        _ serve: @escaping @Sendable (EtcdClusterModel, Int, Reply<Result<Answer, EtcdServerError>>) -> Void
    ) async throws(EtcdFailure) -> Answer {
        try await attempt(isChange: kind.writes, by: deadline) { (index, end) throws(EtcdFailure) in
            try await ask(kind, at: index, until: end) { serve($0, index, $1) }
        }
    }

    // MARK: Calls

    private static let reads = RequestKind("Range", writes: false)
    private static let looks = RequestKind("Txn that reads", writes: false)
    private static let writes = RequestKind("Txn", writes: true)
    private static let grants = RequestKind("LeaseGrant", writes: true)
    private static let revokes = RequestKind("LeaseRevoke", writes: true)
    private static let leases = RequestKind("LeaseTimeToLive", writes: false)
    /// It writes nothing; but nobody who only reads sends one.
    private static let renews = RequestKind("LeaseKeepAlive", writes: true)

    func range(_ request: EtcdRange, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRangeAnswer {
        let message = Etcdserverpb_RangeRequest(request)
        return try await call(Self.reads, by: deadline) { cluster, member, reply in
            cluster.serve(member, reply, isWrite: false, needsLeader: !request.isSerializable) { store, caller throws(EtcdServerError) in
                EtcdRangeAnswer(try store.range(message, caller))
            }
        }
    }

    func transact(_ transaction: EtcdTransaction, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdTransactionAnswer {
        let message = Etcdserverpb_TxnRequest(transaction)
        let isChange = transaction.isChange
        let answer: EtcdTransactionAnswer? = try await call(isChange ? Self.writes : Self.looks, by: deadline) { cluster, member, reply in
            cluster.serve(member, reply, isWrite: isChange, words: isChange ? ("carries out a Txn of process #2", 0) : nil) {
                store, caller throws(EtcdServerError) in
                .some(EtcdTransactionAnswer(try store.transact(message, caller), to: transaction))
            }
        }
        guard let answer else { throw EtcdFailure(.unsupported, "the server's answer does not fit the request", wasSent: true) }
        return answer
    }

    func grantLease(_ id: Int64, seconds: Int64, by deadline: BootInstant) async throws(EtcdFailure) -> Int64 {
        do throws(EtcdFailure) {
            return try await call(Self.grants, by: deadline) { cluster, member, reply in
                cluster.terms.makes(id, self)
                cluster.serve(member, reply, isWrite: true, words: ("grants a lease to process #2", 0)) {
                    store, caller throws(EtcdServerError) in
                    try store.grant(.with { ($0.id, $0.ttl) = (id, seconds) }, caller).ttl
                }
            }
        } catch {
            guard error.meaning == .mayHaveBeenApplied else { throw error }
            var made: EtcdLease?
            do throws(EtcdFailure) { made = try await lease(id, withKeys: false, by: deadline) } catch {}
            guard let made else { throw error }
            return made.grantedSeconds
        }
    }

    func revokeLease(_ id: Int64, by deadline: BootInstant) async throws(EtcdFailure) {
        do throws(EtcdFailure) {
            let _: Bool = try await call(Self.revokes, by: deadline) { cluster, member, reply in
                cluster.serve(member, reply, isWrite: true, words: ("revokes a lease of process #2", 0)) {
                    store, caller throws(EtcdServerError) in
                    _ = try store.revoke(.with { $0.id = id }, caller)
                    return true
                }
            }
        } catch { if error.meaning != .leaseGone { throw error } }
    }

    func lease(_ id: Int64, withKeys: Bool, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdLease? {
        do throws(EtcdFailure) {
            let answer: EtcdLease? = try await call(Self.leases, by: deadline) { cluster, member, reply in
                cluster.serve(member, reply, isWrite: false) { store, caller throws(EtcdServerError) in
                    .some(EtcdLease(try store.timeToLive(.with { ($0.id, $0.keys) = (id, withKeys) }, caller), of: id))
                }
            }
            return answer
        } catch {
            if error.meaning == .leaseGone { return nil }
            throw error
        }
    }

    func keepAlive(_ id: Int64, atLeast term: UInt64, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRenewal {
        try await attempt(isChange: false, by: deadline) { (index, end) throws(EtcdFailure) in
            let renewal: EtcdRenewal = try await ask(Self.renews, at: index, until: end) { cluster, reply in
                // The member passes it on to the leader.
                cluster.serve(index, reply, isWrite: true) { store, caller throws(EtcdServerError) in
                    try store.keepAlive(.with { $0.id = id }, caller).map { EtcdRenewal($0) }
                }
            }
            guard case .renewed(_, let answered) = renewal, answered < term else { return renewal }
            failed(index, since: clock.now())
            throw EtcdFailure(.notApplied(retry: .immediately), "the member does not know of the cluster's new leader", wasSent: true)
        }
    }

    func watch(_ keys: [EtcdKeys], from revision: Int64) -> EtcdWatch { watches.watch(keys, from: revision) }

    // MARK: Reports, for which no contender asks

    func members(by deadline: BootInstant) async throws(EtcdFailure) -> [EtcdMember] { throw Self.unmade }
    var endpoints: [ServerURL.Host] { cluster.hosts.map { ServerURL.Host(name: $0.name, port: 2379) } }
    func status(of endpoint: ServerURL.Host, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdStatus { throw Self.unmade }
    func alarms(at endpoint: ServerURL.Host, by deadline: BootInstant) async throws(EtcdFailure) -> [EtcdAlarm] { throw Self.unmade }

    private static var unmade: EtcdFailure { EtcdFailure(.unsupported, "not in the model") }
}

extension GRPCFailure {
    /// No answer came, as gRPC tells of it.
    init(_ failure: CallFailure, at endpoint: String) {
        switch failure.kind {
        case .cancelled: self.init(.cancelled, "interrupted", at: endpoint, wasSent: failure.wasSent, isAnswer: false)
        case .timedOut: self.init(.deadlineExceeded, failure.kind.rawValue, at: endpoint, wasSent: failure.wasSent, isAnswer: false)
        case .refused, .unreachable, .broken:
            self.init(.unavailable, failure.kind.rawValue, at: endpoint, wasSent: failure.wasSent, isAnswer: false)
        }
    }

    init(_ error: EtcdServerError, at endpoint: String) { self.init(error.code, error.message, at: endpoint, wasSent: true) }
}
