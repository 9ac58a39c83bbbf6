import QQCore

extension RaftLockCoordinator {
    public func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        let watch = LockWatch(names, self, withRenewals: withRenewals)
        return AsyncThrowingStream { try await watch.next() }
    }

    /// The pause between reads of a lock that this process holds. Renewals show a loss as well, and thousands of locks must not be read every second.
    func holdersPause(of name: String) -> Duration? {
        let (isHeld, count) = state.withLock { state in (state.held.keys.contains { $0.name == name }, state.held.count) }
        return isHeld ? max(PollPace.longest, .milliseconds(20) * count) : nil
    }
}

/// Several locks as they change, for one reader. Polls: the servers send no notifications.
actor LockWatch {
    private let coordinator: RaftLockCoordinator
    private let clock: any LeaseClock
    private var changes: ChangeDetector
    private var watched: [Watched]
    private var pending: [ElectionState] = []

    private struct Watched {
        let name: String
        var pace = PollPace()
        var readAt: BootInstant
        var advisedAt: BootInstant?
        var failingSince: BootInstant?
    }

    /// How long advice is followed before it is requested again.
    private static let adviceLasts: Duration = .seconds(5)

    init(_ names: [String], _ coordinator: RaftLockCoordinator, withRenewals: Bool) {
        self.coordinator = coordinator
        changes = ChangeDetector(withRenewals: withRenewals)
        clock = coordinator.clock
        let now = coordinator.clock.now()
        watched = names.map { Watched(name: $0, readAt: now) }
    }

    /// The next state that differs from the previous one, starting with the present states.
    func next() async throws -> ElectionState? {
        while pending.isEmpty {
            try Task.checkCancellation()
            guard let first = watched.map(\.readAt).min() else { return nil }
            if first > clock.now() { try await clock.sleep(until: first) }
            let now = clock.now()
            for index in watched.indices where watched[index].readAt <= now { try await readLock(index) }
        }
        return pending.removeFirst()
    }

    private func readLock(_ index: Int) async throws {
        let name = watched[index].name
        let found: ElectionState
        do throws(CoordinationError) { found = try await coordinator.read(name) } catch {
            let now = clock.now()
            let since = watched[index].failingSince ?? now
            watched[index].failingSince = since
            // Raft leaders change. A reader that already got a state gets the failure immediately, unless this process holds the lock: renewals show that
            // failure.
            let isPatient = changes.last[name] == nil || coordinator.holdersPause(of: name) != nil
            guard isPatient, error.isTransient, now < since + RaftLockCoordinator.patience, !Task.isCancelled else { throw error }
            watched[index].readAt = now + watched[index].pace.pause(random: coordinator.random(), remaining: nil)
            return
        }
        watched[index].failingSince = nil
        // A renewal leaves the pace as it is.
        if changes.last[name].map({ !$0.isAlike(found) }) ?? true { watched[index].pace.reset() }
        if changes.isChange(found, at: clock.now()) { pending.append(found) }
        if let pause = coordinator.holdersPause(of: name) {
            watched[index].readAt = clock.now() + pause
            return
        }
        if watched[index].advisedAt.map({ clock.now() >= $0 + Self.adviceLasts }) ?? true {
            watched[index].advisedAt = clock.now()
            if let advice = try? await coordinator.backoffAdvice(name) { watched[index].pace.advice = advice }
        }
        let remaining = found.phase == .held ? found.remaining : nil
        watched[index].readAt = clock.now() + watched[index].pace.pause(random: coordinator.random(), remaining: remaining)
    }
}
