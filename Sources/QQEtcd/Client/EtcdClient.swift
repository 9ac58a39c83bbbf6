import QQCore
import QQGRPC

/// Calls to a cluster of etcd over gRPC. Nothing is connected, and no thread is started, before the first call.
///
/// Endpoints are asked in turn, beginning with the one that answered last. Keep-alives of all leases share a stream, and so do all watches.
public final class EtcdClient: EtcdCalling {
    private let members: Members
    private let keepAlives: KeepAlives
    private let watches: Watches

    public init(_ options: EtcdOptions, clock: any LeaseClock) {
        members = Members(options, clock: clock)
        keepAlives = KeepAlives(members)
        watches = Watches(members)
        members.onSilence.withLock { $0 = { [weak watches] in watches?.isSilent($0, since: $1) } }
    }

    deinit { close() }

    /// Ends all connections, and all watches.
    public func close() {
        keepAlives.close()
        watches.close()
        members.close()
    }

    public var endpoints: [ServerURL.Host] { members.options.endpoints }

    /// Begins to connect to the first endpoint, so that the first call finds a connection.
    public func prepare() { if !members.endpoints.isEmpty { members.endpoints[members.preferred].prepare() } }

    public func range(_ request: EtcdRange, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRangeAnswer {
        let response: Etcdserverpb_RangeResponse = try await members.call(
            .range, Etcdserverpb_RangeRequest(request), isChange: false, needsLeader: !request.isSerializable, by: deadline)
        return EtcdRangeAnswer(response)
    }

    public func transact(_ transaction: EtcdTransaction, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdTransactionAnswer {
        let response: Etcdserverpb_TxnResponse = try await members.call(
            .transact, Etcdserverpb_TxnRequest(transaction), isChange: transaction.isChange, needsLeader: true, by: deadline)
        guard let answer = EtcdTransactionAnswer(response, to: transaction) else {
            throw EtcdFailure(
                transaction.isChange ? .mayHaveBeenApplied : .unsupported, "the server's answer does not fit the request", wasSent: true)
        }
        return answer
    }

    public func grantLease(_ id: Int64, seconds: Int64, by deadline: BootInstant) async throws(EtcdFailure) -> Int64 {
        do throws(EtcdFailure) {
            let response: Etcdserverpb_LeaseGrantResponse = try await members.call(
                .grant, Etcdserverpb_LeaseGrantRequest.with { ($0.id, $0.ttl) = (id, seconds) }, isChange: true, needsLeader: true,
                by: deadline)
            return response.ttl
        } catch {
            // The id is this lease's alone: if it exists, a try without an answer made it.
            guard error.meaning == .mayHaveBeenApplied else { throw error }
            var made: EtcdLease?
            do throws(EtcdFailure) { made = try await lease(id, withKeys: false, by: deadline) } catch {}
            guard let made else { throw error }
            return made.grantedSeconds
        }
    }

    public func revokeLease(_ id: Int64, by deadline: BootInstant) async throws(EtcdFailure) {
        do throws(EtcdFailure) {
            let _: Etcdserverpb_LeaseRevokeResponse = try await members.call(
                .revoke, Etcdserverpb_LeaseRevokeRequest.with { $0.id = id }, isChange: true, needsLeader: true, by: deadline)
        } catch { if error.meaning != .leaseGone { throw error } }
    }

    public func lease(_ id: Int64, withKeys: Bool, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdLease? {
        do throws(EtcdFailure) {
            let response: Etcdserverpb_LeaseTimeToLiveResponse = try await members.call(
                .timeToLive, Etcdserverpb_LeaseTimeToLiveRequest.with { ($0.id, $0.keys) = (id, withKeys) }, isChange: false,
                needsLeader: true, by: deadline)
            return EtcdLease(response, of: id)
        } catch {
            if error.meaning == .leaseGone { return nil }
            throw error
        }
    }

    public func keepAlive(_ id: Int64, atLeast term: UInt64, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRenewal {
        try await keepAlives.renew(id, atLeast: term, by: deadline)
    }

    public func watch(_ keys: [EtcdKeys], from revision: Int64) -> EtcdWatch { watches.watch(keys, from: revision) }

    // MARK: The cluster

    public func members(by deadline: BootInstant) async throws(EtcdFailure) -> [EtcdMember] {
        // Not linearizable: this is asked most of all when there is no leader.
        let response: Etcdserverpb_MemberListResponse = try await members.call(
            .members, Etcdserverpb_MemberListRequest(), isChange: false, needsLeader: false, by: deadline)
        return response.members.map { EtcdMember($0) }
    }

    public func status(of endpoint: ServerURL.Host, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdStatus {
        let response: Etcdserverpb_StatusResponse = try await members.call(
            .status, Etcdserverpb_StatusRequest(), isChange: false, needsLeader: false, only: try index(of: endpoint), by: deadline)
        return EtcdStatus(response)
    }

    public func alarms(at endpoint: ServerURL.Host, by deadline: BootInstant) async throws(EtcdFailure) -> [EtcdAlarm] {
        let response: Etcdserverpb_AlarmResponse = try await members.call(
            .alarms, Etcdserverpb_AlarmRequest(), isChange: false, needsLeader: true, only: try index(of: endpoint), by: deadline)
        return response.alarms.map { EtcdAlarm($0) }
    }

    private func index(of endpoint: ServerURL.Host) throws(EtcdFailure) -> Int {
        guard let index = endpoints.firstIndex(of: endpoint) else {
            throw EtcdFailure(.ours, "this endpoint is not configured", at: endpoint.description)
        }
        return index
    }
}

extension EtcdTransaction {
    /// Whether it can change something.
    package var isChange: Bool {
        (success + failure).contains { operation in
            if case .range = operation { false } else { true }
        }
    }
}
