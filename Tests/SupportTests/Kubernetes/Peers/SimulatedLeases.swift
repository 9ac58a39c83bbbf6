import QQCore
import Synchronization

@testable import Support

/// A pure API server whose clock is a simulation's.
final class SimulatedLeases: Sendable {
    private final class Clock: Sendable {
        let now = Mutex(WallTime.goZero)
    }

    private let clock = Clock()
    private let api: LeaseAPI

    init() { api = LeaseAPI(store: LeaseStore(clock: { [clock] in clock.now.withLock { $0 } })) }

    func answer(_ call: PeerCall, at time: PeerTime) -> PeerOutcome {
        clock.now.withLock { $0 = time.wall }
        let parts = call.target.split(separator: "?", maxSplits: 1).map(String.init)
        let answer = api.answer(
            call.method.rawValue, parts[0], query: parts.count > 1 ? [("timeout", String(parts[1].dropFirst("timeout=".count)))] : [],
            headers: [("Content-Type", "application/json")], body: call.body)
        guard let answer else { return .failed }
        return .answer(status: answer.status, body: answer.json ?? .null)
    }

    func stored(_ lease: PeerLease) -> JSONObject? { api.store.lease(lease.name, in: lease.namespace)?.objectValue }

    /// Changes the lease, or makes it, past all checks.
    func edit(_ lease: PeerLease, at time: PeerTime, _ change: (inout JSONObject) -> Void) throws {
        clock.now.withLock { $0 = time.wall }
        var object = stored(lease) ?? lease.new([:]).objectValue ?? [:]
        change(&object)
        try api.store.put(.object(object), in: lease.namespace)
    }

    func delete(_ lease: PeerLease, at time: PeerTime) {
        clock.now.withLock { $0 = time.wall }
        api.store.remove(lease.name, in: lease.namespace)
    }
}
