import QQCore
import Support
import Testing

@testable import QQKubernetes

/// A store with a clock, and coordinators on it.
struct Bench {
    let clock = StoreClock()
    let store: LeaseStore
    let api: LeaseAPI

    init(_ change: (inout LeaseAPI.Settings) -> Void = { _ in }) {
        let clock = clock
        store = LeaseStore(clock: { clock.wall })
        var settings = LeaseAPI.Settings()
        change(&settings)
        api = LeaseAPI(store: store, settings: settings)
    }

    struct Node {
        let qq: KubernetesCoordinator
        let client: StoreClient
    }

    /// - Parameters:
    ///   - skew: how far this process's wall clock is ahead.
    ///   - hasDate: whether the server's time is known.
    func node(as user: LeaseAPI.User = .admin, skew: Duration = .zero, hasDate: Bool = true) throws -> Node {
        let client = StoreClient(api, as: user, clock: clock, hasDate: hasDate)
        let clock = clock
        let qq = KubernetesCoordinator(
            server: try ServerURL.parse("k8s://test/team", as: [testSystem]), api: client, namespace: "team", clock: clock,
            executor: globalConcurrentExecutor, requestTimeout: .seconds(5), wall: { clock.wall + skew })
        return Node(qq: qq, client: client)
    }

    func lease(_ name: String = "web") throws -> LeaseObject { try #require(store.lease(name).flatMap { LeaseObject($0) }) }

    /// Puts a lease there as another program would have.
    func put(
        _ holder: String?, duration: Int64? = 15, renewed: Duration = .zero, name: String = "web", transitions: Int64 = 3
    ) throws {
        var spec: JSONObject = ["leaseTransitions": .integer(transitions)]
        if let holder { spec["holderIdentity"] = .string(holder) }
        if let duration { spec["leaseDurationSeconds"] = .integer(duration) }
        let time = LeaseRecord.text(clock.wall - renewed)
        (spec["acquireTime"], spec["renewTime"]) = (.string(time), .string(time))
        try store.put([
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": ["name": .string(name), "namespace": "team", "labels": ["app": "x"], "annotations": ["other": "kept"]],
            "spec": .object(spec),
        ])
    }
}

let testSystem = ServerURL.System(
    name: "kubernetes", schemes: [.init("k8s")], authority: .name("the context's name"),
    path: .part(.init("the namespace", tooMany: .init(reason: "several", hint: "one")) { _ in nil }))

func request(
    _ identity: String, _ name: String = "web", ttl: Duration = .seconds(15), continuing: Grant? = nil, attended: Bool = true
) -> AcquireRequest {
    AcquireRequest(name: name, identity: identity, ttl: ttl, continuing: continuing, wantsLivenessLock: attended)
}

func granted(_ answer: AcquireAnswer, _ location: SourceLocation = #_sourceLocation) throws -> Grant {
    guard case .granted(let grant, _) = answer else {
        Issue.record("not granted: \(answer)", sourceLocation: location)
        throw CancellationError()
    }
    return grant
}

func refused(_ answer: AcquireAnswer, _ location: SourceLocation = #_sourceLocation) throws -> ElectionState {
    guard case .refused(let state) = answer else {
        Issue.record("granted: \(answer)", sourceLocation: location)
        throw CancellationError()
    }
    return state
}

func renewed(_ answer: RenewAnswer, _ location: SourceLocation = #_sourceLocation) throws -> Grant {
    guard case .renewed(let grant) = answer else {
        Issue.record("lost: \(answer)", sourceLocation: location)
        throw CancellationError()
    }
    return grant
}
