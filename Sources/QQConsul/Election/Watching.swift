import QQCore

// Following elections.
extension ConsulCoordinator {
    /// The most blocking queries at a time. Newer agents refuse more than 200 connections of one client.
    private static let mostWatches = 100
    /// The time between two reads of an election that has no blocking query.
    static let pollPace: Duration = .seconds(5)
    /// States that a reader has not taken.
    private static let mostUnread = 4_096

    public func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        let (stream, post) = AsyncThrowingStream.makeStream(
            of: ElectionState.self, throwing: (any Error).self, bufferingPolicy: .bufferingNewest(Self.mostUnread))
        let task = Task(executorPreference: executor) { [self] in
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for name in names {
                        group.addTask { try await self.follow(name, withRenewals: withRenewals) { post.yield($0) } }
                    }
                    try await group.waitForAll()
                }
                post.finish()
            } catch { post.finish(throwing: error) }
        }
        post.onTermination = { _ in task.cancel() }
        return stream
    }

    /// - Returns: whether there is room for another blocking query.
    func enterWatches() -> Bool {
        state.withLock { state in
            guard state.watches < Self.mostWatches else { return false }
            state.watches += 1
            return true
        }
    }

    func leaveWatches() { state.withLock { $0.watches -= 1 } }

    private func follow(
        _ name: String, withRenewals: Bool, _ take: (ElectionState) -> Void
    ) async throws(CoordinationError) {
        do throws(ConsulFailure) {
            let isBlocking = enterWatches()
            defer { if isBlocking { leaveWatches() } }
            try await follow(name, isBlocking: isBlocking, withRenewals: withRenewals, take)
        } catch { throw told(error, "cannot watch \(Printable.text(name))", isChange: false) }
    }

    private func follow(
        _ name: String, isBlocking: Bool, withRenewals: Bool, _ take: (ElectionState) -> Void
    ) async throws(ConsulFailure) {
        let key = naming.key(name)
        var changes = ChangeDetector(withRenewals: withRenewals) { $0.isAlike($1) && $0.stepDownAskedBy == $1.stepDownAskedBy }
        var index: UInt64?
        while !Task.isCancelled {
            var (place, next) = try await sight(name, hasRequest: naming.hasRequests, after: index, wait: Self.queryTime)
            index = isBlocking ? next : nil
            // A list leaves out what the token must not see, and shows it as absent.
            if place.entry == nil, place.semaphore == nil { place.entry = try await calls.entry(key, within: settings.requestTimeout) }
            if let session = holder(name, place) { await learn(session) }
            await noteAsked(name, place.request)
            let found = electionState(name, place)
            if changes.isChange(found, at: clock.now()) { take(found) }
            guard index == nil else { continue }
            try? await clock.sleep(for: isBlocking ? .milliseconds(200) : Self.pollPace)
        }
    }

    /// Waits until the election can have changed, or `wait` is over.
    /// - Parameter index: that of the last sight; nil to return immediately.
    /// - Returns: the election, and the index for the next query.
    func sight(
        _ name: String, hasRequest: Bool, after index: UInt64?, wait: Duration
    ) async throws(ConsulFailure) -> (Place, UInt64?) {
        let prefix = naming.slot(name).map { naming.semaphore($0.election) }
        let found = try await calls.sight(
            of: prefix ?? naming.key(name), isPrefix: prefix != nil || hasRequest, after: index, wait: wait)
        return (Place(name, naming, entries: found.entries), found.index)
    }

    /// Notes that the holder is asked to step down, so that its release deletes the request. One that an earlier holder has left behind is deleted now.
    private func noteAsked(_ name: String, _ entry: KeyEntry?) async {
        guard let entry, let request = StepDownRequest(entry) else { return }
        let isLeftover = state.withLock { state in
            guard let held = state.held[name] else { return false }
            if held.session == request.session { state.held[name]?.wasAsked = true }
            return held.session != request.session
        }
        guard isLeftover else { return }
        // It asks nobody, and does no harm if this fails.
        _ = try? await calls.transact([.deleteVersion(key: entry.key, entry.modifyIndex)], within: settings.requestTimeout)
    }
}
