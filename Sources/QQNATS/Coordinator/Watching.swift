import QQCore
import Synchronization

// Waiting for a turn, and watching elections.
extension NATSCoordinator {
    public func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        let follower = follower(request.name)
        // A cooldown ends by the clock alone.
        let cooledDown = blocker.cooldown.map { clock.now() + $0 }
        var behindSince: BootInstant?
        while true {
            let (found, changesAt) = try await follower.current()
            let now = clock.now()
            if now >= deadline { return }
            // Otherwise an outdated watch would make the caller request the same lease repeatedly.
            if let revision = blocker.revision, follower.isBehind(revision) {
                let limit = (behindSince ?? now) + Self.timeToCatchUp
                behindSince = behindSince ?? now
                if now >= limit {
                    follower.stop()
                    behindSince = nil
                } else {
                    await follower.bell.wait(until: min(deadline, limit), clock)
                    if Task.isCancelled { throw CoordinationError(.unavailable, "gave up on \(request.name)", because: "interrupted") }
                }
                continue
            }
            let isFree = !found.isLed && cooledDown.map { now >= $0 } ?? true
            if isFree || (found.isLed && blocker.isLed && !found.isSameTerm(as: blocker)) { return }
            await follower.bell.wait(until: min(deadline, changesAt, found.isLed ? .distantFuture : cooledDown ?? .distantFuture), clock)
            if Task.isCancelled { throw CoordinationError(.unavailable, "gave up on \(request.name)", because: "interrupted") }
        }
    }

    /// How long a watch can lag behind a known revision before it is restarted.
    private static let timeToCatchUp: Duration = .seconds(1)

    public func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        state.withLock { $0.followers.removeValue(forKey: request.name) }?.stop()
        return nil
    }

    private func follower(_ name: String) -> ElectionFollower {
        let made = ElectionFollower(name, self)
        return state.withLock { state in
            if let follower = state.followers[name] { return follower }
            state.followers[name] = made
            return made
        }
    }

    public func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        if !withRenewals, names.count == 1, let name = names.first, state.withLock({ $0.held[name] }) != nil {
            let watch = HolderWatch(name, self)
            return AsyncThrowingStream { try await watch.next() }
        }
        let watch = ElectionWatch(names, self, withRenewals: withRenewals)
        return AsyncThrowingStream { try await watch.next() }
    }
}

/// Several elections as they change, for one reader.
actor ElectionWatch {
    private let followers: [ElectionFollower]
    private let clock: any LeaseClock
    private var changes: ChangeDetector
    private var pending: [ElectionState] = []

    init(_ names: [String], _ coordinator: NATSCoordinator, withRenewals: Bool) {
        changes = ChangeDetector(withRenewals: withRenewals)
        followers = names.map { ElectionFollower($0, coordinator) }
        clock = coordinator.clock
    }

    /// The next state that differs from the previous one, starting with the present states.
    func next() async throws -> ElectionState? {
        while pending.isEmpty {
            var changesAt = BootInstant.distantFuture
            for follower in followers {
                var (found, at) = try await follower.current()
                while found.phase == .expired, changes.last[found.name]?.phase == .held, await !follower.isNewest(found) {
                    (found, at) = try await follower.current()
                }
                changesAt = min(changesAt, at)
                if changes.isChange(found, at: clock.now()) { pending.append(found) }
            }
            if pending.isEmpty { await waitForSomething(until: changesAt) }
            try Task.checkCancellation()
        }
        return pending.removeFirst()
    }

    private func waitForSomething(until deadline: BootInstant) async {
        let clock = clock
        await withTaskGroup(of: Void.self) { group in
            for follower in followers { group.addTask { await follower.bell.wait(until: deadline, clock) } }
            await group.next()
            group.cancelAll()
        }
    }
}
