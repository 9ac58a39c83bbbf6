import QQCore
import Synchronization

/// Follows one lease for a waiter or an observer: by a watch if there is one, else by reading it at client-go's pace.
final class LeaseFollower: Sendable {
    let name: String
    let bell: Bell
    private let coordinator: KubernetesCoordinator
    private let state: Mutex<State>

    private struct State {
        /// The opening of the watch since which the lease was read.
        var syncedWith: Int?
        var readAgainAt: BootInstant
    }

    /// - Parameters:
    ///   - bell: rings when something might have changed.
    ///   - readsFirst: whether the lease is read even if it is known: an observer must not be shown what was true before an outage.
    init(_ name: String, _ coordinator: KubernetesCoordinator, bell: Bell = Bell(), readsFirst: Bool = false) {
        self.name = name
        self.bell = bell
        self.coordinator = coordinator
        let known = readsFirst ? nil : coordinator.state.withLock { $0.histories[name] }
        let now = coordinator.clock.now()
        state = Mutex(State(readAgainAt: known.map { now + Self.pace(of: $0.object?.record.ttl, coordinator.random) } ?? now))
        coordinator.listen(name, bell)
        coordinator.watcher.add(name)
    }

    deinit {
        coordinator.watcher.remove(name)
        coordinator.stopListening(name, bell)
    }

    /// What is known of the lease, read if necessary.
    /// - Returns: the moment at which to look again if nothing is told until then.
    func current() async throws(APIFailure) -> (history: LeaseHistory, lookAgainAt: BootInstant) {
        let status = coordinator.watcher.status(of: name)
        let now = coordinator.clock.now()
        let (known, ttl) = coordinator.state.withLock { ($0.histories[name], $0.histories[name]?.object?.record.ttl) }
        let (synced, readAgainAt) = state.withLock { ($0.syncedWith, $0.readAgainAt) }
        switch status {
        case .open(let opening) where opening == synced && known != nil:
            // A watch that lags behind what was read is begun anew, and its opening rings.
            if let lateAt = coordinator.watcher.lateAt(name), now >= lateAt, let version = known?.object?.version {
                coordinator.watcher.expect(name, version)
            }
        case .open(let opening):
            try await read(ttl)
            state.withLock { $0.syncedWith = opening }
        case .closed where now >= readAgainAt || known == nil: try await read(ttl)
        case .closed: break
        }
        guard let history = coordinator.state.withLock({ $0.histories[name] }) else {
            throw APIFailure(message: "the lease is not known", endpoint: coordinator.api.endpoint, credential: "")
        }
        if case .open = coordinator.watcher.status(of: name) { return (history, coordinator.watcher.lateAt(name) ?? .distantFuture) }
        return (history, state.withLock { $0.readAgainAt })
    }

    /// Reads the lease now, whatever the watch has told.
    func read() async throws(APIFailure) { try await read(coordinator.state.withLock { $0.histories[name]?.object?.record.ttl }) }

    private func read(_ ttl: Duration?) async throws(APIFailure) {
        defer {
            let again = coordinator.clock.now() + Self.pace(of: ttl, coordinator.random)
            state.withLock { $0.readAgainAt = again }
        }
        _ = try await coordinator.readLease(name, within: coordinator.requestTimeout)
    }

    /// The pause between two reads, as client-go pauses: its retry period, 2 of 15 seconds of the lease, times 1 to 2.2 at random.
    static func pace(of ttl: Duration?, _ random: () -> UInt64) -> Duration {
        let period = max(min((ttl ?? .seconds(15)) * 2 / 15, .seconds(2)), .milliseconds(100))
        return .seconds(saturating: period.seconds * (1 + 1.2 * RandomNumber.fraction(random())))
    }
}
