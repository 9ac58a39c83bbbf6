import QQCore

/// A coordinator whose requests are counted and timed, whatever the system.
///
/// Each requirement of `Coordinator` is passed on here, also those with a default implementation: the default is not that of the system.
/// Watches are not counted, because they last as long as their reader wants.
struct CountingCoordinator: Coordinator {
    private let base: any Coordinator
    private let requests: CountedRequests

    init(_ base: any Coordinator, _ metrics: Metrics) {
        self.base = base
        requests = CountedRequests(metrics: metrics, system: base.server.system.name)
    }

    var capabilities: Capabilities { base.capabilities }
    var lister: (any ElectionLister)? { base.lister.map { CountingLister(base: $0, requests: requests) } }
    var serverQueue: (any ServerQueue)? { base.serverQueue.map { CountingQueue(base: $0, requests: requests) } }
    var membership: (any Membership)? { base.membership.map { CountingMembership(base: $0, requests: requests) } }

    // MARK: Leases

    func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        try base.validate(name: name, identity: identity, ttl: ttl)
    }

    func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        try await requests.count(.acquire, of: request.name) { () throws(CoordinationError) in try await base.acquire(request) }
    }

    func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        try await requests.count(.renew, of: grant.name) { () throws(CoordinationError) in try await base.renew(grant) }
    }

    func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        try await requests.count(.release, of: grant.name) { () throws(CoordinationError) in try await base.release(grant) }
    }

    func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        try await requests.count(.wait, of: request.name) { () throws(CoordinationError) in
            try await base.waitForTurn(request, behind: blocker, until: deadline)
        }
    }

    func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? { await base.leaveQueue(request) }

    func askToStepDown(
        _ state: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer {
        try await requests.count(.stepDown, of: state.name) { () throws(CoordinationError) in
            try await base.askToStepDown(state, by: identity, byForce: byForce)
        }
    }

    // MARK: Reading

    func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        try await requests.count(.read, of: name) { () throws(CoordinationError) in try await base.read(name) }
    }

    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        base.changes(of: names, withRenewals: withRenewals)
    }

    func clusterStatus() async -> ClusterReport { await base.clusterStatus() }

    // MARK: Names

    var server: ServerURL { base.server }
    func electionKeys(_ name: String) -> [String] { base.electionKeys(name) }
    func electionKind(_ name: String) -> String { base.electionKind(name) }
    func name(of slot: Slot) -> String { base.name(of: slot) }
    func slot(named name: String) -> Slot? { base.slot(named: name) }

    // MARK: Connection

    func prepare() { base.prepare() }
    var mayPrompt: Bool { base.mayPrompt }
    var connectionEvents: AsyncStream<ConnectionEvent> { base.connectionEvents }
    func close() async { await base.close() }
}

/// Counts the requests to one system.
private struct CountedRequests: Sendable {
    let metrics: Metrics
    let system: String

    func count<Answer: Sendable>(
        _ operation: RequestOperation, of subject: String = "", _ request: () async throws(CoordinationError) -> Answer
    ) async throws(CoordinationError) -> Answer {
        try await metrics.counting(operation, of: subject, at: system, request)
    }
}

private struct CountingLister: ElectionLister {
    let base: any ElectionLister
    let requests: CountedRequests

    func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState] {
        try await requests.count(.list) { () throws(CoordinationError) in try await base.list(filter) }
    }

    func electionNames() async throws(CoordinationError) -> [String] {
        try await requests.count(.list) { () throws(CoordinationError) in try await base.electionNames() }
    }
}

private struct CountingQueue: ServerQueue {
    let base: any ServerQueue
    let requests: CountedRequests

    func cancelWait(name: String, identity: String) async throws(CoordinationError) -> Bool {
        try await requests.count(.cancelWait, of: name) { () throws(CoordinationError) in
            try await base.cancelWait(name: name, identity: identity)
        }
    }

    func backoffAdvice(_ name: String) async throws(CoordinationError) -> BackoffAdvice {
        try await requests.count(.backoffAdvice, of: name) { () throws(CoordinationError) in try await base.backoffAdvice(name) }
    }
}

private struct CountingMembership: Membership {
    let base: any Membership
    let requests: CountedRequests

    func join(_ name: String, as identity: String) async throws(CoordinationError) {
        try await requests.count(.join, of: name) { () throws(CoordinationError) in try await base.join(name, as: identity) }
    }
}
