import QQCore
import Synchronization
import Testing

@testable import QQCLI

/// A system whose every answer differs from the default implementations, and which answers requests with an error if the test wants one.
private final class OddSystem: Coordinator, ElectionLister, ServerQueue, Membership {
    let server: ServerURL
    let capabilities = Capabilities(lacking: [.priority: "odd"])
    let mayPrompt = true
    private let clock: StillClock
    private let failure = Mutex<CoordinationError?>(nil)
    private let called = Mutex<[String]>([])

    init(_ clock: StillClock) throws {
        self.clock = clock
        server = try ServerURL.parse("odd://", as: [ServerURL.System(name: "odd", schemes: [.init("odd")], authority: .none)])
    }

    /// The calls without an answer.
    var calls: [String] { called.withLock { $0 } }

    func fail(with error: CoordinationError?) { failure.withLock { $0 = error } }

    private func call<Answer>(_ answer: Answer) throws(CoordinationError) -> Answer {
        clock.advance(by: .milliseconds(3))
        if let error = failure.withLock({ $0 }) { throw error }
        return answer
    }

    private var state: ElectionState { ElectionState(name: "odd", phase: .free) }

    func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) { try call(()) }
    func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer { try call(.refused(state)) }
    func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer { try call(.lost(state)) }
    func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer { try call(.notHeld(state)) }
    func read(_ name: String) async throws(CoordinationError) -> ElectionState { try call(state) }
    func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState] { try call([state]) }
    func electionNames() async throws(CoordinationError) -> [String] { try call(["odd name"]) }
    func join(_ name: String, as identity: String) async throws(CoordinationError) { try call(()) }
    func cancelWait(name: String, identity: String) async throws(CoordinationError) -> Bool { try call(true) }
    func clusterStatus() async -> ClusterReport { ClusterReport(endpoints: [], members: [MemberStatus(election: "odd", id: "odd")]) }
    func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? { failure.withLock { $0 } }

    func backoffAdvice(_ name: String) async throws(CoordinationError) -> BackoffAdvice {
        try call(BackoffAdvice(initial: .seconds(1), maximum: .seconds(2), multiplier: 3, jitter: 0))
    }

    func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) { try call(()) }

    func askToStepDown(
        _ state: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer { try call(.changed(state)) }

    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        AsyncThrowingStream { stream in
            stream.yield(ElectionState(name: "odd \(withRenewals)", phase: .free))
            stream.finish()
        }
    }

    func electionKeys(_ name: String) -> [String] { ["odd key \(name)"] }
    func electionKind(_ name: String) -> String { "odd kind \(name)" }
    func name(of slot: Slot) -> String { "odd-\(slot.number)" }
    func slot(named name: String) -> Slot? { Slot(7, of: 9, election: name) }
    func prepare() { called.withLock { $0.append("prepare") } }
    func close() async { called.withLock { $0.append("close") } }

    var connectionEvents: AsyncStream<ConnectionEvent> {
        AsyncStream { stream in
            stream.yield(ConnectionEvent(.notice, "odd"))
            stream.finish()
        }
    }
}

@Suite("Counting requests") struct CountingCoordinatorTests {
    private let clock = StillClock()
    private let metrics: Metrics
    private let base: OddSystem
    private let counting: CountingCoordinator
    private let error = CoordinationError(.unavailable, "cannot ask", because: "no answer in time", isUncertain: true)

    init() throws {
        metrics = Metrics(clock: clock)
        base = try OddSystem(clock)
        counting = CountingCoordinator(base, metrics)
    }

    private let request = AcquireRequest(name: "x", identity: "me", ttl: .seconds(15))
    private let state = ElectionState(name: "x", phase: .held)

    private var grant: Grant {
        Grant(
            name: "x", identity: "me", token: nil, ttl: .seconds(15), deadline: clock.now(), acquiredAt: WallTime(seconds: 0),
            expiresAt: WallTime(seconds: 0))
    }

    private func has(_ sample: String) -> Bool { metrics.prometheus().split(separator: "\n").contains { $0 == sample } }

    /// Makes each request once.
    /// - Returns: the errors.
    private func askAll() async throws -> [CoordinationError] {
        let (lister, queue) = (try #require(counting.lister), try #require(counting.serverQueue))
        let membership = try #require(counting.membership)
        var errors: [CoordinationError] = []
        func ask(_ body: () async throws(CoordinationError) -> Void) async {
            do throws(CoordinationError) { try await body() } catch { errors.append(error) }
        }
        let (request, state, grant) = (request, state, grant)
        await ask { () throws(CoordinationError) in _ = try await counting.acquire(request) }
        await ask { () throws(CoordinationError) in _ = try await counting.renew(grant) }
        await ask { () throws(CoordinationError) in _ = try await counting.release(grant) }
        await ask { () throws(CoordinationError) in _ = try await counting.read("x") }
        await ask { () throws(CoordinationError) in _ = try await counting.askToStepDown(state, by: "me", byForce: false) }
        await ask { () throws(CoordinationError) in try await counting.waitForTurn(request, behind: state, until: .distantFuture) }
        await ask { () throws(CoordinationError) in _ = try await lister.list(ElectionFilter()) }
        await ask { () throws(CoordinationError) in _ = try await queue.cancelWait(name: "x", identity: "me") }
        await ask { () throws(CoordinationError) in _ = try await queue.backoffAdvice("x") }
        await ask { () throws(CoordinationError) in try await membership.join("x", as: "me") }
        return errors
    }

    @Test("every request is counted and timed, whatever the answer") func counts() async throws {
        #expect(try await askAll().isEmpty)
        for operation in RequestOperation.allCases {
            let labels = "{operation=\"\(operation.rawValue)\",system=\"odd\"}"
            for (name, count) in [("requests", 1), ("successes", 1), ("failures", 0), ("retries", 0)] {
                #expect(has("qq_\(name)_total\(labels) \(count)"), "\(name) \(labels)")
            }
            #expect(has("qq_request_duration_seconds_sum\(labels) 0.003") == operation.isTimed, "\(labels)")
        }
    }

    @Test("reading the names of elections is the system's own, and counts as a list") func names() async throws {
        let lister = try #require(counting.lister)
        #expect(try await lister.electionNames() == ["odd name"])
        #expect(has("qq_requests_total{operation=\"list\",system=\"odd\"} 1"))
    }

    @Test("an error is counted as a failure, and thrown as it was; the next request is a retry") func failures() async throws {
        base.fail(with: error)
        #expect(try await askAll() == Array(repeating: error, count: RequestOperation.allCases.count))
        base.fail(with: nil)
        #expect(try await askAll().isEmpty)
        for operation in RequestOperation.allCases {
            let labels = "{operation=\"\(operation.rawValue)\",system=\"odd\"}"
            for (name, count) in [("requests", 2), ("successes", 1), ("failures", 1), ("retries", 1)] {
                #expect(has("qq_\(name)_total\(labels) \(count)"), "\(name) \(labels)")
            }
        }
    }

    @Test("a request that was called off is no failure of the system") func calledOff() async throws {
        base.fail(with: error)
        let counting = counting
        let task = Task {
            // Waits for its own end.
            while !Task.isCancelled { await Task.yield() }
            _ = try await counting.read("x")
        }
        task.cancel()
        await #expect(throws: CoordinationError.self) { try await task.value }
        #expect(!metrics.prometheus().contains(#"operation="read""#))
    }

    @Test("everything else is the system's own") func passesOn() async throws {
        #expect(counting.server == base.server && counting.mayPrompt && !counting.capabilities.has(.priority))
        #expect(counting.electionKeys("x") == ["odd key x"] && counting.electionKind("x") == "odd kind x")
        #expect(counting.name(of: Slot(1, of: 2, election: "x")) == "odd-1" && counting.slot(named: "x")?.number == 7)
        counting.prepare()
        await counting.close()
        #expect(base.calls == ["prepare", "close"])
        for await event in counting.connectionEvents { #expect(event.text == "odd") }
        for try await state in counting.changes(of: ["x"], withRenewals: true) { #expect(state.name == "odd true") }
        #expect(await counting.clusterStatus().members.map(\.id) == ["odd"])
        base.fail(with: error)
        #expect(await counting.leaveQueue(request) == error)
        #expect(throws: error) { try counting.validate(name: "x", identity: "me", ttl: .seconds(1)) }
        #expect(!metrics.prometheus().contains("odd"))
    }
}
