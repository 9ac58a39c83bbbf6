import QQCore

/// The client of `ReferenceServer`, as a coordinator has to be: one attempt for a request, and an uncertain error if it might have been
/// carried out.
struct ReferenceCoordinator: Campaigning {
    static let patience: Duration = .seconds(5)
    private static let longPoll: Duration = .seconds(10)

    let server: ReferenceServer
    let process: SimProcess
    let identity: String

    private static let asks = RequestKind("acquire", writes: true, alone: true, canRepeat: true)
    private static let renews = RequestKind("renew", writes: true, alone: true, canRepeat: true)
    private static let gives = RequestKind("release", writes: true, alone: true, canRepeat: true)
    private static let reads = RequestKind("read", writes: false, canRepeat: true)
    private static let waits = RequestKind("wait", writes: false)

    func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {}

    private func call(
        _ kind: RequestKind, _ what: String, patience: Duration = Self.patience,
        _ serve: @escaping @Sendable (Reply<ReferenceServer.Record>) -> Void
    ) async throws(CoordinationError) -> ReferenceServer.Record {
        do throws(CallFailure) { return try await process.call(kind, at: server.machine, patience: patience, serve) } catch {
            throw CoordinationError(.unavailable, what, because: error.kind.rawValue, isUncertain: error.wasSent && kind.writes)
        }
    }

    func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        let sentAt = process.clock.now()
        let found = try await call(Self.asks, "cannot acquire") { [server] in server.acquire(request.identity, request.ttl, $0) }
        guard found.holder == request.identity else { return .refused(state(found, request.name)) }
        return .granted(grant(found, request.name, request.ttl, sentAt), nil)
    }

    func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        let sentAt = process.clock.now()
        let token = grant.token?.value ?? 0
        let found = try await call(Self.renews, "cannot renew") { [server] in server.renew(grant.identity, token, $0) }
        guard found.holder == grant.identity, found.token == token else { return .lost(state(found, grant.name)) }
        return .renewed(grant.extended(to: sentAt + grant.ttl))
    }

    func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        let token = grant.token?.value ?? 0
        let found = try await call(Self.gives, "cannot release") { [server] in server.release(grant.identity, token, $0) }
        return found.holder == grant.identity && found.token == token ? .released : .notHeld(state(found, grant.name))
    }

    func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        state(try await call(Self.reads, "cannot read") { [server] in server.read($0) }, name)
    }

    func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        var version: UInt64 = 0
        while process.clock.now() < deadline, !Task.isCancelled {
            let left = min(deadline.duration(since: process.clock.now()), Self.longPoll)
            let above = version
            do throws(CoordinationError) {
                let found = try await call(Self.waits, "cannot wait", patience: left) { [server] in server.wait(above: above, $0) }
                if found.holder == nil { return }
                version = found.version
            } catch { if left == Self.longPoll { throw error } }
        }
    }

    func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? { nil }

    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        AsyncThrowingStream { continuation in
            let task = Task(executorPreference: process.executor) {
                var version: UInt64 = 0
                var shown: ElectionState?
                do throws(CoordinationError) {
                    while !Task.isCancelled {
                        let above = version
                        let found = try await call(Self.waits, "cannot watch", patience: Self.longPoll) { [server] in
                            server.wait(above: above, $0)
                        }
                        version = found.version
                        let state = state(found, names.first ?? "")
                        if shown?.isAlike(state) != true { continuation.yield(state) }
                        shown = state
                    }
                    continuation.finish()
                } catch { continuation.finish(throwing: error) }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    private func state(_ found: ReferenceServer.Record, _ name: String) -> ElectionState {
        var state = ElectionState(name: name, phase: found.holder == nil ? .free : .held)
        state.leader = found.holder
        if found.holder != nil { state.token = FencingToken(found.token) }
        state.ttl = found.ttl
        return state
    }

    private func grant(_ found: ReferenceServer.Record, _ name: String, _ ttl: Duration, _ sentAt: BootInstant) -> Grant {
        Grant(
            name: name, identity: identity, token: FencingToken(found.token), ttl: ttl, deadline: sentAt + ttl,
            acquiredAt: WallTime(seconds: 0), expiresAt: WallTime(seconds: 0))
    }
}
