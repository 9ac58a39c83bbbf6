import GRPCCore
import QQEtcd

struct EtcdKVService: Etcdserverpb_KV.ServiceProtocol {
    let cluster: SimulatedEtcd
    /// The index of the member that serves.
    let member: Int

    func range(
        request: ServerRequest<Etcdserverpb_RangeRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_RangeResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in try store.range(request, caller) }
    }

    func put(
        request: ServerRequest<Etcdserverpb_PutRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_PutResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in try store.put(request, caller) }
    }

    func deleteRange(
        request: ServerRequest<Etcdserverpb_DeleteRangeRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_DeleteRangeResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in
            try store.deleteRange(request, caller)
        }
    }

    func txn(
        request: ServerRequest<Etcdserverpb_TxnRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_TxnResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in
            try store.transact(request, caller)
        }
    }
}

struct EtcdLeaseService: Etcdserverpb_Lease.ServiceProtocol {
    let cluster: SimulatedEtcd
    let member: Int

    func leaseGrant(
        request: ServerRequest<Etcdserverpb_LeaseGrantRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_LeaseGrantResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in try store.grant(request, caller) }
    }

    func leaseRevoke(
        request: ServerRequest<Etcdserverpb_LeaseRevokeRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_LeaseRevokeResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in try store.revoke(request, caller) }
    }

    func leaseTimeToLive(
        request: ServerRequest<Etcdserverpb_LeaseTimeToLiveRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_LeaseTimeToLiveResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in
            try store.timeToLive(request, caller)
        }
    }

    func leaseLeases(
        request: ServerRequest<Etcdserverpb_LeaseLeasesRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_LeaseLeasesResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in
            try store.leaseList(request, caller)
        }
    }

    func leaseKeepAlive(
        request: StreamingServerRequest<Etcdserverpb_LeaseKeepAliveRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Etcdserverpb_LeaseKeepAliveResponse> {
        let caller = cluster.caller(member, request.metadata)
        return StreamingServerResponse { writer in
            for try await message in request.messages {
                let answer: Etcdserverpb_LeaseKeepAliveResponse?
                do throws(EtcdServerError) {
                    answer = try cluster.withStore { store throws(EtcdServerError) in try store.keepAlive(message, caller) }
                } catch {
                    throw try await cluster.failure(error)
                }
                if let answer { try await writer.write(answer) }
            }
            return [:]
        }
    }
}

struct EtcdWatchService: Etcdserverpb_Watch.ServiceProtocol {
    let cluster: SimulatedEtcd
    let member: Int

    func watch(
        request: StreamingServerRequest<Etcdserverpb_WatchRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Etcdserverpb_WatchResponse> {
        let caller = cluster.caller(member, request.metadata)
        let (number, bell): (Int, AsyncStream<Void>)
        do throws(EtcdServerError) { (number, bell) = try cluster.openWatches(caller) } catch { throw try await cluster.failure(error) }
        return StreamingServerResponse { [cluster] writer in
            defer { cluster.closeWatches(number) }
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await message in request.messages { cluster.withStore { $0.watch(message, on: number) } }
                    // A stream that is half closed does not end.
                }
                group.addTask {
                    for await _ in bell {
                        let answers: [Etcdserverpb_WatchResponse]
                        do throws(EtcdServerError) {
                            answers = try cluster.withStore { store throws(EtcdServerError) in try store.takeAnswers(number) }
                        } catch {
                            throw try await cluster.failure(error)
                        }
                        for answer in answers { try await writer.write(answer) }
                    }
                }
                group.addTask {
                    try await context.cancellation.cancelled
                    throw RPCError(code: .cancelled, message: "the caller does not watch any more")
                }
                defer { group.cancelAll() }
                // An error ends the call.
                while try await group.next() != nil {}
                return [:]
            }
        }
    }
}

struct EtcdClusterService: Etcdserverpb_Cluster.ServiceProtocol {
    let cluster: SimulatedEtcd
    let member: Int

    func memberList(
        request: ServerRequest<Etcdserverpb_MemberListRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_MemberListResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in
            try store.memberList(request, caller)
        }
    }
}

struct EtcdMaintenanceService: Etcdserverpb_Maintenance.ServiceProtocol {
    let cluster: SimulatedEtcd
    let member: Int

    func alarm(
        request: ServerRequest<Etcdserverpb_AlarmRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_AlarmResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in try store.alarm(request, caller) }
    }

    func status(
        request: ServerRequest<Etcdserverpb_StatusRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_StatusResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in try store.status(request, caller) }
    }
}

struct EtcdAuthService: Etcdserverpb_Auth.ServiceProtocol {
    let cluster: SimulatedEtcd
    let member: Int

    func authenticate(
        request: ServerRequest<Etcdserverpb_AuthenticateRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_AuthenticateResponse> {
        try await cluster.answer(request, member) { store, request, caller throws(EtcdServerError) in
            try store.authenticate(request, caller)
        }
    }
}
