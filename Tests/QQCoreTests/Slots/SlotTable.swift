import Glibc
import QQCore
import Synchronization

/// A server in memory, with a queue for each election from which it grants leases by itself, as RaftLock does.
final class SlotTable: Sendable {
    struct Holder: Hashable {
        var process: Int
        var identity: String
        var token: UInt64
    }

    private struct State {
        var holders: [String: Holder] = [:]
        var queues: [String: [(process: Int, identity: String)]] = [:]
        var tokens: UInt64 = 0
    }

    private let state = Mutex(State())

    func holder(_ name: String) -> Holder? { state.withLock { $0.holders[name] } }
    var holders: [String: Holder] { state.withLock { $0.holders } }
    func isWaiting(_ process: Int, for name: String) -> Bool {
        state.withLock { $0.queues[name, default: []].contains { $0.process == process } }
    }
    var waiters: Int { state.withLock { $0.queues.values.reduce(0) { $0 + $1.count } } }

    /// Grants the election, also again to the process that holds it.
    func acquire(_ name: String, _ process: Int, _ identity: String) -> Holder? {
        state.withLock { state in
            if let holder = state.holders[name] { return holder.process == process ? holder : nil }
            // Those who wait come first.
            guard state.queues[name, default: []].first.map({ $0.process == process }) ?? true else { return nil }
            return Self.grant(name, process, identity, &state)
        }
    }

    private static func grant(_ name: String, _ process: Int, _ identity: String, _ state: inout State) -> Holder {
        state.tokens += 1
        let holder = Holder(process: process, identity: identity, token: state.tokens)
        state.holders[name] = holder
        state.queues[name, default: []].removeAll { $0.process == process }
        return holder
    }

    func enter(_ name: String, _ process: Int, _ identity: String) {
        state.withLock { state in
            guard state.holders[name]?.process != process, !state.queues[name, default: []].contains(where: { $0.process == process })
            else { return }
            state.queues[name, default: []].append((process, identity))
        }
    }

    func leave(_ name: String, _ process: Int) { state.withLock { $0.queues[name]?.removeAll { $0.process == process } } }

    /// Ends a term; the first waiter has the election from then on.
    /// - Returns: whether it was that term.
    func release(_ name: String, token: UInt64?) -> Bool {
        state.withLock { state in
            guard let holder = state.holders[name], holder.token == token else { return false }
            state.holders[name] = nil
            if let next = state.queues[name]?.first { _ = Self.grant(name, next.process, next.identity, &state) }
            return true
        }
    }
}

/// A process that uses the table.
final class TableCoordinator: Coordinator, ElectionLister {
    enum Call: Sendable, Hashable {
        case acquire(String)
        case release(String)
        case read(String)
        case list
        case wait(String)
        case leave(String)
    }

    enum Fault: Sendable {
        /// The call fails, and was not carried out.
        case before(CoordinationError)
        /// The call was carried out, but its answer is lost.
        case after(CoordinationError)
    }

    let table: SlotTable
    let process: Int
    let server: ServerURL
    let capabilities: Capabilities
    /// Whether it is told of a term whose it is.
    private let knowsOwn: Bool
    /// What a list shows besides the table.
    private let remains: [ElectionState]
    private let clock: any LeaseClock
    private let fault: @Sendable (Call) async -> Fault?
    private let seen = Mutex<[Call]>([])
    private let watched = Mutex<[String]>([])

    init(
        _ table: SlotTable, _ process: Int, clock: any LeaseClock = BootClock(), lacking: [Capability: String] = [:],
        knowsOwn: Bool = true, remains: [ElectionState] = [], fault: @escaping @Sendable (Call) async -> Fault? = { _ in nil }
    ) throws {
        self.table = table
        self.knowsOwn = knowsOwn
        self.remains = remains
        self.process = process
        self.clock = clock
        self.fault = fault
        capabilities = Capabilities(lacking: lacking)
        server = try ServerURL.parse(
            "table://", as: [ServerURL.System(name: "table", schemes: [.init("table")], authority: .none, path: .prefix)])
    }

    /// The calls so far.
    var calls: [Call] { seen.withLock { $0 } }
    /// The elections that were watched.
    var watches: [String] { watched.withLock { $0 } }

    private func calling<Answer>(_ call: Call, _ body: () -> Answer) async throws(CoordinationError) -> Answer {
        seen.withLock { $0.append(call) }
        let fault = await fault(call)
        if case .before(let error) = fault { throw error }
        let answer = body()
        if case .after(let error) = fault { throw error }
        return answer
    }

    private func state(_ name: String, _ holder: SlotTable.Holder?) -> ElectionState {
        var state = ElectionState(name: name, phase: holder == nil ? .free : .held)
        state.leader = holder?.identity
        state.token = holder.map { FencingToken($0.token) }
        state.isOwn = knowsOwn ? holder.map { $0.process == process } : nil
        return state
    }

    func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        guard name.utf8.count <= 30 else { throw CoordinationError(.usage, "'\(name)' cannot be a name", because: "it is too long") }
    }

    func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        let sentAt = clock.now()
        let holder = try await calling(.acquire(request.name)) { table.acquire(request.name, process, request.identity) }
        guard let holder else { return .refused(state(request.name, table.holder(request.name))) }
        return .granted(
            Grant(
                name: request.name, identity: request.identity, token: FencingToken(holder.token), ttl: request.ttl,
                deadline: sentAt + request.ttl, acquiredAt: someTime, expiresAt: someTime), nil)
    }

    func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        guard let holder = table.holder(grant.name), holder.token == grant.token?.value else {
            return .lost(state(grant.name, table.holder(grant.name)))
        }
        return .renewed(grant.extended(to: clock.now() + grant.ttl))
    }

    func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        let wasHeld = try await calling(.release(grant.name)) { table.release(grant.name, token: grant.token?.value) }
        return wasHeld ? .released : .notHeld(state(grant.name, table.holder(grant.name)))
    }

    func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        let holder = try await calling(.read(name)) { table.holder(name) }
        return state(name, holder)
    }

    func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState] {
        try await calling(.list) { (table.holders.map { state($0.key, $0.value) } + remains).filter { filter.admits($0) } }
    }

    func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        try await calling(.wait(request.name)) { table.enter(request.name, process, request.identity) }
        while !Task.isCancelled, clock.now() < deadline {
            if table.holder(request.name)?.process == process || (table.holder(request.name) == nil) { return }
            try? await Task.sleep(for: .microseconds(500))
        }
    }

    func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        seen.withLock { $0.append(.leave(request.name)) }
        table.leave(request.name, process)
        // A lease that the queue has granted since.
        if let holder = table.holder(request.name), holder.process == process { _ = table.release(request.name, token: holder.token) }
        return nil
    }

    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        watched.withLock { $0 += names }
        return AsyncThrowingStream { _ in }
    }

    func askToStepDown(_ state: ElectionState, by identity: String, byForce: Bool) async throws(CoordinationError) -> StepDownAnswer {
        .done
    }

    func clusterStatus() async -> ClusterReport { ClusterReport(endpoints: []) }
}

/// The kernel's clock.
struct BootClock: LeaseClock {
    func now() -> BootInstant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return BootInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    func sleep(until deadline: BootInstant) async throws {
        let left = deadline.duration(since: now())
        if left > .zero { try await Task.sleep(for: min(left, .seconds(600))) }
        try Task.checkCancellation()
    }
}
