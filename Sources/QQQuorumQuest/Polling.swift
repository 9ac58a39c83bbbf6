import QQCore

// Waiting and watching. The server sends no notifications, so all that can be done is to ask again.
extension QuorumQuestCoordinator {
    /// Pause before a waiter asks again, from the first time to many times later.
    static let poll = RetryPolicy(initial: .milliseconds(250), maximum: .seconds(2), multiplier: 1.5)

    public func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        let turn = turns.withLock { turns in
            turns[request.name, default: 0] += 1
            return turns[request.name] ?? 1
        }
        let pause = Self.poll.pause(before: turn, random: random())
        do { try await clock.sleep(until: min(clock.now() + pause, deadline)) } catch {
            throw CoordinationError(.unavailable, "gave up on \(request.name)", because: "interrupted", at: server.description)
        }
    }

    public func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        turns.withLock { $0[request.name] = nil }
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
