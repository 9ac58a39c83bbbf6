import QQCore
import QQGRPC

// Waiting in the server's queue. A waiter is promoted without being asked, and whether it lives or not, so places are short and refreshed.
extension RaftLockCoordinator {
    /// How long a place lasts that is not refreshed.
    static let placeLasts: Duration = .seconds(15)
    private static let refreshEvery: Duration = .seconds(5)
    /// For so long the cluster may be without a leader, or away, before a wait fails. A new leader takes 3 to 11 s.
    static let patience: Duration = .seconds(15)
    /// A server that has not given a lease on so long after its end is asked.
    private static let overdue: Duration = .seconds(3)

    public func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        let claim = Claim(name: request.name, identity: request.identity)
        var pace = PollPace()
        var advisedAt: BootInstant?
        var failingSince: BootInstant?
        var expiredSince: BootInstant?
        var present = blocker
        while clock.now() < deadline {
            if Task.isCancelled { throw interrupted(request.name) }
            // A server that hangs does not make the wait much longer.
            let limit = min(requestDeadline, max(deadline, clock.now() + .seconds(1)))
            do throws(CoordinationError) {
                var queueFailure: CoordinationError?
                do throws(CoordinationError) {
                    // It may have come free before we stood in the queue, and then nobody is promoted: ask again.
                    if !mightBelongToSameIdentity(present, claim), try await joinQueue(claim, behind: blocker, until: limit) { return }
                } catch { queueFailure = error }
                // Without a place, too: it may be free, and that it can be read at all tells what is wrong.
                guard let state = try await look(claim, until: limit) else { return }
                present = state
                if let queueFailure { throw queueFailure }
                failingSince = nil
                let now = clock.now()
                expiredSince = state.phase == .expired ? expiredSince ?? now : nil
                // With an identity that may be another's nothing is asked for that somebody has.
                if let expiredSince, now >= expiredSince + Self.overdue, Identity.isOurAlone(claim.identity) { return }
                if advisedAt.map({ now >= $0 + Self.refreshEvery }) ?? true {
                    advisedAt = now
                    pace.advice = (try? await backoffAdvice(request.name)) ?? pace.advice
                }
                await pause(pace.pause(random: .random(in: 0..<1), remaining: state.remaining), until: deadline)
            } catch {
                let now = clock.now()
                let since = failingSince ?? now
                failingSince = since
                guard error.isTransient, now < since + Self.patience, !Task.isCancelled else { throw error }
                await pause(pace.pause(random: .random(in: 0..<1), remaining: nil), until: deadline)
            }
        }
    }

    private func interrupted(_ name: String) -> CoordinationError {
        CoordinationError(.unavailable, "gave up on \(Printable.text(name))", because: "interrupted", at: server.description)
    }

    private func pause(_ length: Duration, until deadline: BootInstant) async {
        try? await clock.sleep(until: min(clock.now() + length, deadline))
    }

    /// - Returns: how it stands; nil where it is worth asking for the lock.
    private func look(_ claim: Claim, until deadline: BootInstant) async throws(CoordinationError) -> ElectionState? {
        do throws(GRPCFailure) {
            let (snapshot, endpoint) = try await service.lockInfo(claim.name, until: deadline)
            guard let owner = snapshot.owner else { return nil }
            if owner == claim.identity, isOwn(snapshot) == true { return nil }
            return await electionState(snapshot, from: endpoint)
        } catch { throw told(error, "cannot wait for \(Printable.text(claim.name))", isChange: false) }
    }

    /// Takes a place in the queue, or keeps the one that we have.
    /// - Returns: whether it is a new one.
    private func joinQueue(
        _ claim: Claim, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) -> Bool {
        let now = clock.now()
        let known = state.withLock { $0.places[claim] }
        if let known, let refreshedAt = known.refreshedAt, now < refreshedAt + Self.refreshEvery { return false }
        var place = known ?? QueuePlace(refreshedAt: now)
        place.refreshedAt = now
        if known == nil, blocker.leader == claim.identity, let token = blocker.token {
            place.sameIdentityTerm = Term(version: Int64(clamping: token.value), acquiredAt: blocker.acquiredAt)
        }
        // Before it is sent: from then on we may stand there.
        state.withLock { $0.places[claim] = place }
        do throws(GRPCFailure) {
            let response = try await service.write(
                LockCalls.enqueue(claim.name, claim.identity, timeout: Self.placeLasts, priority: priority), until: deadline)
            if response.hasError, !response.enqueued { throw GRPCFailure(response.error, at: server.description) }
            state.withLock { $0.places[claim]?.isTaken = true }
            return known?.isTaken != true
        } catch {
            // Without a place it is only a matter of luck; but it is tried again.
            if LockRefusal(error) == .queueFull { return false }
            state.withLock { $0.places[claim]?.refreshedAt = nil }
            throw told(error, "cannot wait for \(Printable.text(claim.name))", isChange: true)
        }
    }
}
