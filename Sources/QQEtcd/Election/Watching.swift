import QQCore

// Following elections, by watches that share a stream.
extension EtcdCoordinator {
    /// States that a reader has not taken.
    private static let mostUnread = 4_096

    public func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        let (stream, post) = AsyncThrowingStream.makeStream(
            of: ElectionState.self, throwing: (any Error).self, bufferingPolicy: .bufferingNewest(Self.mostUnread))
        let task = Task(executorPreference: executor) { [self] in
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for name in names { group.addTask { try await self.follow(name) { post.yield($0) } } }
                    try await group.waitForAll()
                }
                post.finish()
            } catch { post.finish(throwing: error) }
        }
        post.onTermination = { _ in task.cancel() }
        return stream
    }

    private func follow(_ name: String, _ take: (ElectionState) -> Void) async throws(CoordinationError) {
        do throws(EtcdFailure) {
            // Renewals are not in etcd's log. Waiters that come and go are changes for readers.
            var changes = ChangeDetector(withRenewals: false) {
                $0.isAlike($1) && $0.token == $1.token && $0.stepDownAskedBy == $1.stepDownAskedBy
                    && $0.details["contenders"] == $1.details["contenders"] && $0.details["lease"] == $1.details["lease"]
            }
            while !Task.isCancelled {
                let (found, revision) = try await seen(name)
                if changes.isChange(found, at: clock.now()) { take(found) }
                try await change(of: watched(name), from: EtcdRevision.after(revision))
            }
        } catch {
            if !Task.isCancelled { throw told(error, "cannot watch \(Printable.text(name))", isChange: false) }
        }
    }

    /// The state, after a request to step down was heeded.
    private func seen(_ name: String) async throws(EtcdFailure) -> (state: ElectionState, revision: Int64) {
        try await atOneRevision { () throws(EtcdFailure) in
            let sight = try await sight(name, by: clock.now() + requestTimeout)
            if let held = state.withLock({ $0.held[name] }) {
                if sight.contenders.all.contains(where: { $0.lease == held.lease && !$0.isBound }) {
                    await bindAgain(name, held.lease, held.identity, until: held.deadline)
                }
                try await heed(name, held)
            }
            return (try await state(name, sight, by: clock.now() + requestTimeout), sight.revision)
        }
    }

    /// A holder needs to hear of its own key, and of requests to step down.
    private func watched(_ name: String) -> [EtcdKeys] {
        let (held, wasHeld) = state.withLock { ($0.held[name], $0.wereHeld.contains(name)) }
        if let held { return [.one(naming.key(name, lease: held.lease)), .one(naming.request(name))] }
        // The key of the next term can be seen before its token is known here. Readers need no permission for requests.
        return wasHeld ? [naming.below(name), .one(naming.request(name))] : [naming.below(name)]
    }

    /// Returns when one of the keys has changed, or changes might have been missed.
    private func change(of keys: [EtcdKeys], from revision: Int64) async throws(EtcdFailure) {
        for await event in api.watch(keys, from: revision) {
            switch event {
            case .began: continue
            case .changed, .compacted: return
            case .lost(let failure): throw failure
            }
        }
        if !Task.isCancelled { throw EtcdFailure(.unavailable, "the watch has ended") }
    }

    /// Notes a request to step down, and deletes its key: the answer by which the process that asks sees that it was heard.
    private func heed(_ name: String, _ held: HeldKey) async throws(EtcdFailure) {
        let key = naming.request(name)
        var found: EtcdKeyValue?
        do throws(EtcdFailure) {
            found = try await api.range(EtcdRange(.one(key)), by: limit(until: held.deadline)).found.first
        } catch {
            // No request is that large.
            if error.meaning != .tooLarge { throw error }
        }
        guard let entry = found, let request = StepDownRequest(entry.value), request.lease == held.lease else { return }
        state.withLock { state in
            if state.held[name]?.lease == held.lease { state.held[name]?.askedBy = request.by }
        }
        // If this fails, the key ends with the lease of the process that asks.
        do throws(EtcdFailure) {
            _ = try await api.transact(
                EtcdTransaction(if: [.wasModified(key, at: entry.modRevision)], then: [.delete(.one(key))]),
                by: limit(until: held.deadline))
        } catch {}
    }
}
