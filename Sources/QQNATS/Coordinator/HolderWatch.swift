import QQCore
import Synchronization

/// Watches a lease for its holder, in addition to renewals: shows writes of other processes, and requests to step down.
///
/// A plain subscription to the key's subject is enough, and costs the server far less than a consumer for each lease: whatever it misses, the next
/// renewal shows.
final class HolderWatch: Sendable {
    private let name: String
    private let coordinator: NATSCoordinator
    private let bell: Bell
    private let state: Mutex<State>

    private struct State {
        var subscription: UInt64?
        var node: ClusterNode?
        /// Whether to read now; true at first, for writes before the subscription was active.
        var mustRead = true
        /// The times of further reads, the next one first.
        var reads: [BootInstant] = []
        /// Whether a request to step down has been reported: once is enough.
        var hasReportedStepDown = false
    }

    init(_ name: String, _ coordinator: NATSCoordinator) {
        self.name = name
        self.coordinator = coordinator
        let bell = Bell()
        self.bell = bell
        coordinator.state.withLock { $0.bells[name] = bell }
        state = Mutex(State())
        guard let held = coordinator.state.withLock({ $0.held[name] }) else { return }
        let format = held.term.format
        let subject = JetStreamAPI.keySubject(bucket: format.bucket(cluster: name), key: format.leaseKey)
        let subscription = coordinator.client.subscribe(subject) { [weak self] delivery in
            guard let self else { return false }
            if needsRead(delivery) {
                let now = coordinator.clock.now()
                state.withLock { state in
                    state.mustRead = true
                    if case .message = delivery { state.reads = Self.readsAfterMessage.map { now + $0 } }
                }
                bell.ring()
            }
            return true
        }
        // A leader can be asked to step down whether or not it is a member of the cluster.
        let node = coordinator.serveWhileHolding(name, held)
        state.withLock { state in
            state.subscription = subscription
            state.node = node
        }
    }

    deinit {
        let (subscription, node) = state.withLock { ($0.subscription, $0.node) }
        if let subscription { coordinator.client.unsubscribe(subscription) }
        node?.stop()
    }

    /// A server delivers a message before the stream has stored it, so an immediate read can return the previous value.
    private static let readsAfterMessage: [Duration] = [.milliseconds(50), .milliseconds(500), .seconds(2)]

    private func needsRead(_ delivery: NATSDelivery) -> Bool {
        switch delivery {
        case .message(let message):
            guard let messageID = message.headers["Nats-Msg-Id"].flatMap({ MessageID($0) }) else { return true }
            return messageID.termID != coordinator.state.withLock { $0.held[name]?.term.termID }
        case .reconnected: return true
        case .disconnected, .failed: return false
        }
    }

    func next() async throws -> ElectionState? {
        while true {
            if coordinator.isAskedToStepDown(name), var found = coordinator.ownState(name),
                state.withLock({ state in
                    defer { state.hasReportedStepDown = true }
                    return !state.hasReportedStepDown
                })
            {
                found.stepDownAskedBy = "a request to this node"
                return found
            }
            let now = coordinator.clock.now()
            let (mustRead, next) = state.withLock { state in
                let isDue = state.reads.first.map { now >= $0 } ?? false
                if isDue { state.reads.removeFirst() }
                defer { state.mustRead = false }
                return (state.mustRead || isDue, state.reads.first)
            }
            if mustRead { return try await readLease() }
            await bell.wait(until: next ?? .distantFuture, coordinator.clock)
            try Task.checkCancellation()
        }
    }

    /// Reads the lease behind the gate, because after a lost connection all holders read together. The read runs in its own task: a task keeps the memory of
    /// its frames as long as it lives, and the watching task lives long.
    private func readLease() async throws -> ElectionState {
        await coordinator.gate.enter()
        defer { coordinator.gate.leave() }
        async let found = coordinator.read(name)
        return try await found
    }
}
