import Foundation
import QQCore
import QQEtcd

/// Leases.
extension EtcdStore {
    /// How long a leader that was cut off goes on answering keep-alives as if it led.
    static let staleLead: Int64 = 1_300_000_000

    package mutating func grant(
        _ request: Etcdserverpb_LeaseGrantRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_LeaseGrantResponse {
        try admit("Lease/LeaseGrant", caller)
        let id = request.id == 0 ? leases.choose() : request.id
        return try propose("Lease/LeaseGrant", caller, timeout: .deadline(version)) { store throws(EtcdServerError) in
            try store.loginForRaft(caller)
            try store.checkSpace()
            var response = Etcdserverpb_LeaseGrantResponse()
            response.ttl = try store.leases.grant(id, ttl: request.ttl, at: store.now)
            response.id = id
            store.commit()
            response.header = store.header(caller.member)
            return response
        }
    }

    package mutating func revoke(
        _ request: Etcdserverpb_LeaseRevokeRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_LeaseRevokeResponse {
        try admit("Lease/LeaseRevoke", caller)
        return try propose("Lease/LeaseRevoke", caller, timeout: .deadline(version)) { store throws(EtcdServerError) in
            let user = try store.login(caller)
            guard let lease = store.leases[request.id] else { throw .leaseNotFound }
            try store.check(user, .write, of: lease)
            store.end(request.id)
            var response = Etcdserverpb_LeaseRevokeResponse()
            response.header = store.header(caller.member)
            return response
        }
    }

    /// - Returns: nil if the server does not answer.
    /// - Throws: a failure that ends the stream.
    package mutating func keepAlive(
        _ request: Etcdserverpb_LeaseKeepAliveRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_LeaseKeepAliveResponse? {
        faults.calls["Lease/LeaseKeepAlive", default: 0] += 1
        if faults.unansweredKeepAlives { return nil }
        if let fault = faults.take("Lease/LeaseKeepAlive") { throw fault.failure }
        var response = Etcdserverpb_LeaseKeepAliveResponse()
        response.id = request.id
        if let term = faults.formerLeaders[caller.member] {
            response.ttl = leases[request.id]?.ttl ?? 0
            response.header = header(caller.member)
            response.header.raftTerm = term
            return response
        }
        if let isolation = isolated[caller.member], isolation.wasLeader, now - isolation.since < Self.staleLead {
            // It believes that it leads, and does not know of an end of the lease.
            response.ttl = leases[request.id]?.ttl ?? 0
        } else {
            guard seesLeader(caller.member) else {
                if caller.hasLeader { throw .noLeader }
                throw EtcdServerError(EtcdServerError.noLeader.code, EtcdServerError.noLeader.message, after: EtcdServerError.patience)
            }
            if version != .v34 {
                let user = try login(caller)
                if let lease = leases[request.id] { try check(user, .write, of: lease) }
            }
            response.ttl = leases.renew(request.id, at: now) ?? 0
        }
        response.header = header(caller.member)
        return response
    }

    package mutating func timeToLive(
        _ request: Etcdserverpb_LeaseTimeToLiveRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_LeaseTimeToLiveResponse {
        try admit("Lease/LeaseTimeToLive", caller)
        if let fault = faults.take("Lease/LeaseTimeToLive") { throw fault.failure }
        guard seesLeader(caller.member) else {
            throw EtcdServerError(EtcdServerError.noLeader.code, EtcdServerError.noLeader.message, after: EtcdServerError.patience)
        }
        let user = version == .v34 ? nil : try login(caller)
        var response = Etcdserverpb_LeaseTimeToLiveResponse()
        (response.header, response.id, response.ttl) = (header(caller.member), request.id, -1)
        guard let lease = leases[request.id] else { return response }
        if request.keys, user != nil { for key in lease.keys { try check(user, .read, EtcdKeyRange(key, Data())) } }
        (response.ttl, response.grantedTtl) = (leases.remaining(lease, at: now), lease.ttl)
        if request.keys { response.keys = lease.keys.sorted { $0.lexicographicallyPrecedes($1) } }
        return response
    }

    /// Nanoseconds until a lease ends; not positive for one that has ended, and that the leader has not looked at since. Nil if there is none.
    package func timeLeft(ofLease id: Int64) -> Int64? { leases[id].map { $0.expires - now } }

    package mutating func leaseList(
        _ request: Etcdserverpb_LeaseLeasesRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_LeaseLeasesResponse {
        try admit("Lease/LeaseLeases", caller)
        if version != .v34 { _ = try login(caller) }
        var response = Etcdserverpb_LeaseLeasesResponse()
        response.header = header(caller.member)
        response.leases = leases.ids.map { id in
            var status = Etcdserverpb_LeaseStatus()
            status.id = id
            return status
        }
        return response
    }

    /// For writes that need no permission: a login, or in 3.4 a token only if one is given.
    mutating func loginForRaft(_ caller: Caller) throws(EtcdServerError) {
        guard auth.isEnabled else { return }
        let user = try auth.user(caller.token, at: now)
        if user == nil, version != .v34 { throw .noUser }
    }

    private func check(_ user: String?, _ access: EtcdAuth.Access, of lease: EtcdLeases.Lease) throws(EtcdServerError) {
        for key in lease.keys { try check(user, access, EtcdKeyRange(key, Data())) }
    }
}
