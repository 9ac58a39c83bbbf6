import QQCore
import Testing

/// A system that can do as little as possible.
private protocol Minimal: Coordinator {}

extension Minimal {
    func validate(name: String, identity: String, ttl: Duration) {}
    func acquire(_ request: AcquireRequest) -> AcquireAnswer { .refused(ElectionState(name: request.name, phase: .unknown)) }
    func renew(_ grant: Grant) -> RenewAnswer { .lost(ElectionState(name: grant.name, phase: .unknown)) }
    func release(_ grant: Grant) -> ReleaseAnswer { .released }
    func read(_ name: String) -> ElectionState { ElectionState(name: name, phase: .unknown) }
    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> { .init { $0.finish() } }
    func waitForTurn(_ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant) {}
    func leaveQueue(_ request: AcquireRequest) -> CoordinationError? { nil }
    func askToStepDown(_ state: ElectionState, by identity: String, byForce: Bool) -> StepDownAnswer { .done }
    func clusterStatus() -> ClusterReport { ClusterReport(endpoints: []) }
}

@Suite("Capabilities of a system") struct CapabilitiesTests {
    private struct Smallest: Minimal {
        let server: ServerURL
        let capabilities = Capabilities(lacking: [.listElections: "it lists nothing", .cancelWait: "it has no queue"])
    }

    private struct Listing: Minimal, ElectionLister {
        let server: ServerURL
        let capabilities = Capabilities(lacking: [:])

        func list(_ filter: ElectionFilter) -> [ElectionState] { [ElectionState(name: "x", phase: .free)] }
    }

    private let server: ServerURL

    init() throws { server = try ServerURL.parse("test://", as: [.init(name: "test", schemes: [.init("test")], authority: .none)]) }

    @Test("a missing capability is an error of kind unsupported with its reason and hint, and exit code 80") func unsupported() {
        let system: any Coordinator = Smallest(server: server)
        let failure = CoordinationError(
            .unsupported, "cannot list elections", because: "it lists nothing", at: server.description,
            hint: "name the elections instead")
        #expect(throws: failure) { _ = try system.require(system.lister, .listElections, for: "list elections") }
        #expect(throws: failure) { try system.capabilities.require(.listElections, for: "list elections", at: server) }
        #expect(failure.exitCode == 80)
    }

    @Test("a part that a system lacks without a reason is an error as well") func withoutReason() {
        let system: any Coordinator = Smallest(server: server)
        #expect(throws: CoordinationError.self) { _ = try system.require(system.membership, .members, for: "join") }
    }

    @Test("a system that can list elections is its own lister") func lister() async throws {
        let system: any Coordinator = Listing(server: server)
        let lister = try system.require(system.lister, .listElections, for: "list elections")
        #expect(try await lister.list().map(\.name) == ["x"])
        #expect(system.serverQueue == nil && system.membership == nil)
    }
}
