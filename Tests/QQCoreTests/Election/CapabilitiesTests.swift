import QQCore
import Testing

@Suite("What a system cannot do") struct CapabilitiesTests {
    /// A system that can do as little as possible.
    private struct Smallest: Coordinator {
        let server: ServerURL
        let capabilities = Capabilities(lacking: [.listElections: "it lists nothing", .cancelWait: "it has no queue"])

        init() throws { server = try ServerURL.parse("test://", as: [.init(name: "test", schemes: [.init("test")], authority: .none)]) }

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

    @Test("a missing capability is an error of kind unsupported with its reason and hint, and exit code 80") func unsupported() throws {
        let system: any Coordinator = try Smallest()
        let failure = CoordinationError(
            .unsupported, "cannot list elections", because: "it lists nothing", at: system.server.description,
            hint: "name the elections instead")
        #expect(throws: failure) { _ = try system.require(system.lister, .listElections, for: "list elections") }
        #expect(throws: failure) { try system.capabilities.require(.listElections, for: "list elections", at: system.server) }
        #expect(failure.exitCode == 80)
    }

    @Test("a part that a system lacks without a reason is an error as well") func withoutReason() throws {
        let system: any Coordinator = try Smallest()
        #expect(throws: CoordinationError.self) { _ = try system.require(system.membership, .members, for: "join") }
    }
}
