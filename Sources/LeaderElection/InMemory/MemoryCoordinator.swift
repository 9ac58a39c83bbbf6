internal import QQCore

/// The way of one election object to the elections in memory.
struct MemoryCoordinator: Coordinator {
    let store: MemoryStore
    let owner: Int
    let identity: String

    static let system = ServerURL.System(name: "memory", schemes: [.init("memory")], authority: .none, path: .folder)
    let server: ServerURL
    let capabilities = Capabilities(lacking: [
        .listElections: "elections in memory are not listed", .askNodeToStepDown: "memory has no nodes",
        .priority: "memory has no priorities",
        .cancelWait: "a waiter in memory leaves with its task", .backoffAdvice: "memory gives no advice", .members: "memory has no members",
    ])

    init(store: MemoryStore, owner: Int, identity: String) throws(ServerURL.Invalid) {
        self.store = store
        self.owner = owner
        self.identity = identity
        server = try ServerURL.folder("/", of: Self.system)
    }

    func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        guard !name.isEmpty else {
            throw CoordinationError(
                .usage, "cannot use an empty name", because: "an election needs one", at: "memory", hint: "give it a name")
        }
    }

    func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        let record = try store.request("cannot acquire \(request.name)", identity) { store.grant(request.name, to: owner, request) }
        guard let record else { return .refused(store.state(of: request.name, for: owner)) }
        return .granted(
            Grant(
                name: request.name, identity: request.identity, token: QQCore.FencingToken(record.token), termID: "term-\(record.token)",
                ttl: record.ttl, deadline: record.deadline, acquiredAt: .now(), expiresAt: .now() + record.ttl), nil)
    }

    func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        let deadline = store.clock.now() + grant.ttl
        let isOurs = try store.request("cannot renew \(grant.name)", identity) { store.change(grant) { $0.deadline = deadline } }
        return isOurs ? .renewed(grant.extended(to: deadline)) : .lost(store.state(of: grant.name, for: owner))
    }

    func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        let isOurs = try store.request("cannot release \(grant.name)", identity) { store.change(grant) { $0.holder = nil } }
        return isOurs ? .released : .notHeld(store.state(of: grant.name, for: owner))
    }

    func read(_ name: String) async throws(CoordinationError) -> QQCore.ElectionState {
        try store.reach("cannot read \(name)", identity)
        return store.state(of: name, for: owner)
    }

    func waitForTurn(
        _ request: AcquireRequest, behind blocker: QQCore.ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        store.enqueue(owner, for: request.name)
        let failure: CoordinationError? = await store.withBell { bell in
            while !Task.isCancelled {
                do throws(CoordinationError) { try store.reach("cannot wait for \(request.name)", identity) } catch { return error }
                guard store.clock.now() < deadline, let end = store.turn(of: owner, for: request.name) else { return nil }
                await bell.wait(until: min(end, deadline), store.clock)
            }
            return nil
        }
        if let failure { throw failure }
    }

    func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        store.leaveQueue(owner, of: request.name)
        return nil
    }

    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<QQCore.ElectionState, any Error> {
        AsyncThrowingStream { continuation in
            let task = Task(executorPreference: store.clock.clock.executor) { [self] in
                await store.withBell { bell in
                    var shown: [String: QQCore.ElectionState] = [:]
                    while !Task.isCancelled {
                        do throws(CoordinationError) { try store.reach("cannot watch elections", identity) } catch {
                            return continuation.finish(throwing: error)
                        }
                        for name in names {
                            let state = store.state(of: name, for: owner)
                            let before = shown.updateValue(state, forKey: name)
                            let isNews = before.map { !$0.isAlike(state) || $0.stepDownAskedBy != state.stepDownAskedBy } ?? true
                            if isNews || (withRenewals && before != state) { continuation.yield(state) }
                        }
                        await bell.wait(until: .distantFuture, store.clock)
                    }
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    func askToStepDown(_ state: QQCore.ElectionState, by asker: String, byForce: Bool) async throws(CoordinationError) -> StepDownAnswer {
        try store.request("cannot step \(state.name) down", identity) { store.askToStepDown(state.name, by: asker) }
        return .asked
    }

    func clusterStatus() async -> ClusterReport { ClusterReport(endpoints: []) }
}
