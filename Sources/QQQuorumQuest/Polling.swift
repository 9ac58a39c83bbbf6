import QQCore

// Waiting and watching. The server sends no notifications, so all that can be done is to ask again.
extension QuorumQuestCoordinator {
    public func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        let now = clock.now()
        let pace = waits.withLock { waits in
            let since = waits.since[request.name] ?? now
            waits.since[request.name] = since
            return AskPace(waited: now.duration(since: since), answerTook: waits.answerTook, elections: waits.since.count)
        }
        do { try await clock.sleep(until: min(now + pace.pause(random: random()), deadline)) } catch {
            throw CoordinationError(.unavailable, "gave up on \(request.name)", because: "interrupted", at: server.description)
        }
    }

    public func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        waits.withLock { $0.since[request.name] = nil }
        await giveUpLate(request)
        return nil
    }

    /// Reports whether elections are held with a grant of this process or a saved one, as that changes.
    public func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        let watch = OwnershipWatch(names, self, tellsRenewals: withRenewals)
        return AsyncThrowingStream { try await watch.next() }
    }
}

/// Polls, for one reader, whether several elections are held with a grant of this process or a saved one.
private actor OwnershipWatch {
    private let coordinator: QuorumQuestCoordinator
    private let names: [String]
    private var changes: ChangeDetector
    private var pending: [ElectionState] = []

    init(_ names: [String], _ coordinator: QuorumQuestCoordinator, tellsRenewals: Bool) {
        self.names = names
        changes = ChangeDetector(withRenewals: tellsRenewals)
        self.coordinator = coordinator
    }

    func next() async throws -> ElectionState? {
        while pending.isEmpty {
            var again = BootInstant.distantFuture
            for name in names {
                // A holder is notified of its own lease with each renewal.
                if let end = coordinator.endOfLeaseHere(name) {
                    again = min(again, end)
                    continue
                }
                again = min(again, coordinator.clock.now() + .seconds(1))
                let found = try await coordinator.read(name)
                if changes.isChange(found, at: coordinator.clock.now()) { pending.append(found) }
            }
            if pending.isEmpty { try await coordinator.clock.sleep(until: again) }
            try Task.checkCancellation()
        }
        return pending.removeFirst()
    }
}
