import QQCore

// Waiting for a turn, and watching elections.
extension KubernetesCoordinator {
    public func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        let name = request.name
        let follower = follower(name)
        while true {
            if Task.isCancelled {
                throw CoordinationError(.unavailable, "gave up on \(Printable.text(name))", because: "interrupted", at: server.description)
            }
            let now = clock.now()
            if now >= deadline { return }
            let awaySince = state.withLock { $0.awaySince[name] }
            if let awaySince {
                let pause = min(max(now.duration(since: awaySince) / 2, .milliseconds(100)), .seconds(2))
                try? await clock.sleep(until: min(now + pause, deadline))
                if Task.isCancelled || clock.now() >= deadline { continue }
            }
            do throws(APIFailure) {
                // After a failure only an answer shows that the server can be asked again. By what is known, the lease can be free all the time.
                if awaySince != nil { try await follower.read() }
                let (history, lookAgainAt) = try await follower.current()
                let own = state.withLock { $0.own[name] ?? OwnTerms() }
                guard case .refused(_, let end) = history.verdict(at: clock.now(), wall: wall(), server: serverNow, own: own) else {
                    return
                }
                // If writes alone fail, the pauses grow from one request for the lease to the next.
                state.withLock { $0.awaySince[name] = nil }
                let found = electionState(name)
                if found.isLed, blocker.isLed, !found.isSameTerm(as: blocker) { return }
                await follower.bell.wait(until: min(deadline, lookAgainAt, end ?? .distantFuture), clock)
            } catch {
                let told = told(error, "cannot wait for \(Printable.text(name))", .get, name)
                let now = clock.now()
                let since = state.withLock { state in
                    let since = state.awaySince[name] ?? now
                    state.awaySince[name] = since
                    return since
                }
                guard told.isTransient, now < since + Self.patience, !Task.isCancelled else { throw told }
            }
        }
    }

    private func follower(_ name: String) -> LeaseFollower {
        if let follower = state.withLock({ $0.followers[name] }) { return follower }
        let made = LeaseFollower(name, self)
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

    // MARK: Bells

    func listen(_ name: String, _ bell: Bell) { state.withLock { $0.bells[name, default: []].append(bell) } }

    func stopListening(_ name: String, _ bell: Bell) {
        state.withLock { state in
            state.bells[name]?.removeAll { $0 === bell }
            if state.bells[name]?.isEmpty == true { state.bells[name] = nil }
        }
    }

    private func ring(_ name: String) {
        let bells = state.withLock { $0.bells[name] ?? [] }
        for bell in bells { bell.ring() }
    }

    /// Rings those who follow a lease, or any of them for nil. Holders rely on no watch, and are not woken.
    func ringAll(_ name: String?) {
        let bells = state.withLock { state in
            state.bells.filter { (name == nil || $0.key == name) && state.held[$0.key] == nil }.flatMap(\.value)
        }
        for bell in bells { bell.ring() }
    }

    // MARK: Events

    /// Takes in an event of a watch.
    func received(_ event: WatchEvent) {
        switch event {
        case .changed(let object): received(object.name, object, version: object.version)
        case .deleted(let object): received(object.name, nil, version: object.version, last: object)
        case .bookmark, .failed: break
        }
    }

    private func received(_ name: String, _ object: LeaseObject?, version: UInt64?, last: LeaseObject? = nil) {
        let (now, wall) = (clock.now(), wall())
        let isNew = state.withLock { state in
            guard state.bells[name] != nil else { return false }
            if let held = state.held[name] {
                // An event can be of a time before this process's last write.
                if let version, let known = held.object.version, version < known { return false }
                if let object, object.mark?.id == held.mark.id {
                    guard let by = object.stepDownAskedBy else { return false }
                    return Self.report(stepDown: by, name, held, &state, at: now, wall: wall)
                }
            } else if let seen = object ?? last, state.histories[name]?.isOutdated(seen) == true {
                return false
            }
            let own = state.ownIDs(of: name)
            if state.histories[name] == nil { state.histories[name] = LeaseHistory(object, at: now) }
            state.histories[name]?.note(object, own: own, at: now)
            if state.held[name] != nil, let history = state.histories[name] {
                state.news[name] = Self.electionState(name, history, state, at: now, wall: wall)
            }
            return true
        }
        if isNew { ring(name) }
    }

    /// Tells the holder that it is asked to step down, once.
    func tellStepDown(_ name: String, _ held: HeldLease) {
        guard let by = held.object.stepDownAskedBy else { return }
        let (now, wall) = (clock.now(), wall())
        if state.withLock({ Self.report(stepDown: by, name, held, &$0, at: now, wall: wall) }) { ring(name) }
    }

    private static func report(
        stepDown by: String, _ name: String, _ held: HeldLease, _ state: inout State, at now: BootInstant, wall: WallTime
    ) -> Bool {
        var found = held.object.state(wall: wall)
        found.isOwn = true
        found.phase = .held
        found.remaining = held.deadline.map { max($0.duration(since: now), .zero) }
        found.stepDownAskedBy = by
        state.news[name] = found
        return true
    }

    /// The newest change of a held lease, once.
    func takeNews(_ name: String) -> ElectionState? { state.withLock { $0.news.removeValue(forKey: name) } }
}

/// Tells the holder of a lease sooner than its next renewal that it has lost the lease or is asked to step down. Costs no request: all leases of this process
/// share one watch, and without the right to watch the renewals alone tell.
final class HolderWatch: Sendable {
    private let name: String
    private let coordinator: KubernetesCoordinator
    private let bell = Bell()

    init(_ name: String, _ coordinator: KubernetesCoordinator) {
        self.name = name
        self.coordinator = coordinator
        coordinator.listen(name, bell)
        coordinator.watcher.add(name)
    }

    deinit {
        coordinator.watcher.remove(name)
        coordinator.stopListening(name, bell)
    }

    func next() async throws -> ElectionState? {
        while true {
            if let news = coordinator.takeNews(name) { return news }
            await bell.wait(until: .distantFuture, coordinator.clock)
            try Task.checkCancellation()
        }
    }
}

/// Several elections as they change, for one reader.
actor ElectionWatch {
    private let followers: [LeaseFollower]
    private let coordinator: KubernetesCoordinator
    private let bell = Bell()
    private var changes: ChangeDetector
    private var pending: [ElectionState] = []

    init(_ names: [String], _ coordinator: KubernetesCoordinator, withRenewals: Bool) {
        changes = ChangeDetector(withRenewals: withRenewals)
        self.coordinator = coordinator
        let bell = bell
        followers = names.map { LeaseFollower($0, coordinator, bell: bell, readsFirst: true) }
    }

    /// The next state that differs from the previous one, starting with the present states.
    func next() async throws -> ElectionState? {
        while pending.isEmpty {
            var lookAgainAt = BootInstant.distantFuture
            for follower in followers { lookAgainAt = min(lookAgainAt, try await look(follower)) }
            if pending.isEmpty { await bell.wait(until: lookAgainAt, coordinator.clock) }
            try Task.checkCancellation()
        }
        return pending.removeFirst()
    }

    private func look(_ follower: LeaseFollower) async throws -> BootInstant {
        let name = follower.name
        do throws(APIFailure) {
            var (_, lookAgainAt) = try await follower.current()
            var found = coordinator.electionState(name)
            // A watch that is silent shows a lease that is renewed as one that has ended.
            if found.phase == .expired, changes.last[name]?.phase == .held {
                try await follower.read()
                found = coordinator.electionState(name)
            }
            let now = coordinator.clock.now()
            if changes.isChange(found, at: now) { pending.append(found) }
            if let remaining = found.remaining { lookAgainAt = min(lookAgainAt, now + remaining + .milliseconds(1)) }
            return lookAgainAt
        } catch { throw coordinator.told(error, "cannot watch \(Printable.text(name))", .get, name) }
    }
}
