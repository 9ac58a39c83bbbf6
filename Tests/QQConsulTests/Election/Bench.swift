import QQCore
import Testing

@testable import QQConsul

/// A store with a clock, and coordinators on it.
struct Bench {
    let clock = StoreClock()
    let store: KeyStore

    init() { store = KeyStore(clock: clock) }

    struct Node {
        let qq: ConsulCoordinator
        let agent: StoreAgent
    }

    func node(_ url: String = "consul://store", killAfter: Duration = .seconds(5), letsTimePass: Bool = false) throws -> Node {
        let agent = StoreAgent(store, clock, letsTimePass: letsTimePass)
        let server = try ServerURL.parse(url, as: [.consul])
        let access = try ConsulAccess.resolve(url: server, options: .init()) { _ in nil }
        let qq = ConsulCoordinator(
            server: server, api: agent, naming: access.naming, settings: .init(requestTimeout: .seconds(5), killAfter: killAfter),
            clock: clock, executor: globalConcurrentExecutor)
        return Node(qq: qq, agent: agent)
    }
}

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

func lost(_ answer: RenewAnswer, _ location: SourceLocation = #_sourceLocation) throws -> ElectionState {
    guard case .lost(let state) = answer else {
        Issue.record("renewed: \(answer)", sourceLocation: location)
        throw CancellationError()
    }
    return state
}

extension ReleaseAnswer {
    /// Whether the lease was not ours to release.
    var isNotHeld: Bool { if case .notHeld = self { true } else { false } }
}

extension StepDownAnswer {
    /// Whether the election had changed hands.
    var isChanged: Bool { if case .changed = self { true } else { false } }
}
