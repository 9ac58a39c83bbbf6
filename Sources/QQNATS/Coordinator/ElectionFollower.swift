import QQCore
import Synchronization

/// Follows one election: a watch of its key shows changes, and the clock shows leases that expire. Changes nothing, and does not need a bucket to exist.
final class ElectionFollower: Sendable {
    let name: String
    private let coordinator: NATSCoordinator
    /// Rings when something might have changed.
    let bell = Bell()
    private let state = Mutex(State())

    private struct State {
        var stage = Stage.unknown
        /// The entry of the lease key, as the watch shows it.
        var entry: KeyValueEntry?
        var isCurrent = false
        var failure: JetStreamFailure?
        var readAgainAt = BootInstant.distantFuture
    }

    private enum Stage {
        case unknown
        /// There is no bucket. A subscription to the subjects of its key rings when the key is written.
        case missing([UInt64])
        case watching(KeyValueWatch, BucketSnapshot)
    }

    /// The pause between additional checks for a missing bucket.
    private static let pauseWhileMissing: Duration = .seconds(5)

    init(_ name: String, _ coordinator: NATSCoordinator) {
        self.name = name
        self.coordinator = coordinator
    }

    deinit { stop() }

    func stop() {
        let stage = state.withLock { state in
            defer { state.stage = .unknown }
            return state.stage
        }
        switch stage {
        case .unknown: break
        case .missing(let subscriptions): for sid in subscriptions { coordinator.client.unsubscribe(sid) }
        case .watching(let watch, _): watch.stop()
        }
    }

    /// The present state of the election, as far as the watch has shown it. Starts to follow if necessary.
    func current() async throws(CoordinationError) -> (state: ElectionState, changesAt: BootInstant) {
        var limit: BootInstant?
        while true {
            if try await isReady() { break }
            // If the connection is lost before a new watch has shown its state, nothing else reports that.
            let end = limit ?? coordinator.clock.now() + coordinator.requestTimeout
            limit = end
            await bell.wait(until: end, coordinator.clock)
            if coordinator.clock.now() >= end, !state.withLock({ $0.isCurrent || $0.failure != nil }) {
                stop()
                throw coordinator.failure("cannot watch \(name)", .failed(NATSError(.timedOut, "no answer in time")))
            }
            if Task.isCancelled { throw CoordinationError(.unavailable, "gave up on \(name)", because: "interrupted") }
        }
        let (stage, entry) = state.withLock { ($0.stage, $0.entry) }
        guard case .watching(_, let snapshot) = stage else {
            return (ElectionState(name: name, phase: .free), state.withLock { $0.readAgainAt })
        }
        let lease = LeaseEntry(entry, format: snapshot.format)
        let rules = coordinator.rules(
            name, lease, stream: snapshot.stream, clock: snapshot.stream.timestamp.map { ServerClock(time: $0, readAt: snapshot.takenAt) })
        var found = coordinator.electionState(name, rules)
        let now = coordinator.moment
        let left = lease.content == .free ? nil : rules.remaining(age: rules.age(at: now), wall: now.wall)
        // Held until it is certain that the lease has ended: a state that is shown can be an estimate, one that is acted on cannot.
        if found.phase == .expired, let left, left > .zero {
            found.phase = .held
            found.remaining = left
        }
        let end = left.flatMap { $0 > .zero ? now.boot + $0 + .milliseconds(1) : nil }
        return (found, end ?? .distantFuture)
    }

    /// Whether the watch has not yet shown `revision`, which is known from another read: it is on its way, or the consumer is lost.
    func isBehind(_ revision: UInt64) -> Bool {
        state.withLock { state in
            guard case .watching(_, let snapshot) = state.stage else { return false }
            return max(state.entry?.revision ?? 0, snapshot.stream.state.lastSequence) < revision
        }
    }

    /// Whether a lease that seems to have expired is the server's newest. If not, the watch has missed something and is restarted.
    func isNewest(_ found: ElectionState) async -> Bool {
        let snapshot = try? await coordinator.snapshot(name, fresh: true, timeout: coordinator.requestTimeout)
        guard let snapshot, snapshot.lease.revision > found.revision ?? 0 else { return true }
        stop()
        return false
    }

    /// Whether a state is known; if not, the bell rings as soon as one is.
    private func isReady() async throws(CoordinationError) -> Bool {
        let failure = state.withLock { state in
            defer { state.failure = nil }
            return state.failure
        }
        if let failure {
            stop()
            // The bucket was deleted; any other failure is the caller's.
            guard failure.refusal?.isStreamNotFound == true else { throw coordinator.failure("cannot watch \(name)", failure) }
        }
        switch state.withLock({ $0.stage }) {
        case .watching: return state.withLock { $0.isCurrent }
        case .missing where coordinator.clock.now() < state.withLock({ $0.readAgainAt }): return true
        case .missing, .unknown: break
        }
        let snapshot: BucketSnapshot?
        do throws(JetStreamFailure) {
            snapshot = try await coordinator.snapshot(name, fresh: true, timeout: coordinator.requestTimeout)
        } catch { throw coordinator.failure("cannot watch \(name)", error) }
        if let snapshot {
            stop()
            watch(snapshot)
            return false
        }
        miss()
        return true
    }

    private func miss() {
        let again = coordinator.clock.now() + Self.pauseWhileMissing
        let isNew = state.withLock { state in
            state.readAgainAt = again
            if case .missing = state.stage { return false }
            return true
        }
        guard isNew else { return }
        let subjects = LeaseFormat.allCases.map { JetStreamAPI.keySubject(bucket: $0.bucket(cluster: name), key: $0.leaseKey) }
        let subscriptions = subjects.map { subject in
            coordinator.client.subscribe(subject) { [weak self] _ in
                guard let self else { return false }
                state.withLock { $0.readAgainAt = BootInstant(nanoseconds: 0) }
                bell.ring()
                return true
            }
        }
        state.withLock { $0.stage = .missing(subscriptions) }
    }

    private func watch(_ snapshot: BucketSnapshot) {
        let client = coordinator.client
        let configuration = OrderedConsumer.Configuration(
            bucket: snapshot.format.bucket(cluster: name), keys: snapshot.format.leaseKey, newName: { String(NUID.next().prefix(8)) },
            newInbox: { client.newInbox() })
        // Set before the watch begins, which reports on another thread.
        state.withLock { state in
            state.entry = snapshot.lease.entry
            state.isCurrent = false
        }
        let watch = KeyValueWatch(
            configuration, jetStream: coordinator.jetStream, timeout: coordinator.requestTimeout, clock: coordinator.clock
        ) { [weak self] in self?.update($0) }
        state.withLock { $0.stage = .watching(watch, snapshot) }
    }

    /// Called on the client's event loop.
    private func update(_ update: KeyValueUpdate) {
        switch update {
        case .entry(let entry):
            coordinator.firstSeen.note(name, revision: entry.revision)
            state.withLock { state in
                // The newest entry might have been read before the watch began.
                if entry.revision >= state.entry?.revision ?? 0 || state.isCurrent { state.entry = entry }
            }
        case .initialDone: state.withLock { $0.isCurrent = true }
        case .failed(let failure): state.withLock { $0.failure = failure }
        }
        bell.ring()
    }
}
