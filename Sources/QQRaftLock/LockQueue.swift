import QQCore
import QQGRPC

// Waiting in the server's queue. The server grants the lock to the next waiter without asking whether it still lives. Places are therefore short-lived
// and refreshed.
extension RaftLockCoordinator {
    /// The lifetime of a place without a refresh.
    static let placeLasts: Duration = .seconds(15)
    private static let refreshEvery: Duration = .seconds(5)
    /// How long the cluster can be unavailable or without a Raft leader before that counts as an outage. An election of a Raft leader takes 3 to 11 s.
    static let patience: Duration = .seconds(15)
    /// How long after the end of a lease it is requested, if the server has not granted it to a waiter by then.
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
            // A server that hangs must not make the wait much longer.
            let limit = min(requestDeadline, max(deadline, clock.now() + .seconds(1)))
            do throws(CoordinationError) {
                var queueFailure: CoordinationError?
                do throws(CoordinationError) {
                    // The lock might have become free before this process entered the queue, and is then granted to no one: request it.
                    if !mightBelongToSameIdentity(present, claim), try await joinQueue(claim, behind: blocker, until: limit) { return }
                } catch { queueFailure = error }
                // Read even without a place: the lock might be free, and whether it can be read narrows down the fault.
                let readAt = clock.now()
                guard let state = try await readWaiting(claim, until: limit) else { return }
                let readTook = clock.now().duration(since: readAt)
                present = state
                if let queueFailure { throw queueFailure }
                failingSince = nil
                self.state.withLock { $0.places[claim]?.awaySince = nil }
                let now = clock.now()
                expiredSince = state.phase == .expired ? expiredSince ?? now : nil
                // If another process might have this identity, a lock that has an owner is never requested.
                if let expiredSince, now >= expiredSince + Self.overdue, isOurAlone(claim.identity) { return }
                if advisedAt.map({ now >= $0 + Self.refreshEvery }) ?? true {
                    advisedAt = now
                    pace.advice = (try? await backoffAdvice(request.name)) ?? pace.advice
                }
                let queue = queue(of: claim, after: state, readTook: readTook)
                await pause(pace.pause(random: random(), remaining: state.remaining, in: queue), until: deadline)
            } catch {
                let now = clock.now()
                let since = failingSince ?? now
                failingSince = since
                guard error.isTransient, now < since + Self.patience, !Task.isCancelled else {
                    // The next request for the lock continues this outage, and must not be patient again.
                    let isAway = state.withLock { $0.places[claim]?.awaySince != nil }
                    if !isAway { state.withLock { $0.places[claim]?.awaySince = since } }
                    throw error
                }
                await pause(pace.pause(random: random(), remaining: nil), until: deadline)
            }
        }
    }

    private func interrupted(_ name: String) -> CoordinationError {
        CoordinationError(.unavailable, "gave up on \(Printable.text(name))", because: "interrupted", at: server.description)
    }

    private func pause(_ length: Duration, until deadline: BootInstant) async {
        try? await clock.sleep(until: min(clock.now() + length, deadline))
    }

    private func queue(of claim: Claim, after read: ElectionState, readTook: Duration) -> PollPace.Queue {
        state.withLock { state in
            state.places[claim]?.standing.saw(read)
            let ahead = state.places[claim].flatMap { $0.isTaken ? $0.standing.ahead : nil }
            return .init(ahead: ahead, waiters: read.waiters ?? 0, locks: state.places.count, readTook: readTook)
        }
    }

    /// - Returns: the state of the election; nil if it is worth requesting.
    private func readWaiting(_ claim: Claim, until deadline: BootInstant) async throws(CoordinationError) -> ElectionState? {
        do throws(GRPCFailure) {
            let (snapshot, endpoint) = try await service.lockInfo(claim.name, until: deadline)
            guard let owner = snapshot.owner else { return nil }
            if owner == claim.identity, isOwn(snapshot) == true { return nil }
            return await electionState(snapshot, from: endpoint)
        } catch { throw told(error, "cannot wait for \(Printable.text(claim.name))", isChange: false) }
    }

    /// Takes a place in the queue, or refreshes the present one.
    /// - Returns: whether the place is new.
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
        // Noted before the request is sent: from then on this process might be in the queue.
        state.withLock { $0.places[claim] = place }
        do throws(GRPCFailure) {
            let response = try await service.write(
                LockCalls.enqueue(claim.name, claim.identity, timeout: Self.placeLasts, priority: priority), until: deadline)
            if response.hasError, !response.enqueued { throw GRPCFailure(response.error, at: server.description) }
            state.withLock { state in
                state.places[claim]?.isTaken = true
                state.places[claim]?.standing.placed(at: response.position)
            }
            return known?.isTaken != true
        } catch {
            // Without a place, getting the lock is a matter of luck; the place is requested again later.
            if LockRefusal(error) == .queueFull { return false }
            state.withLock { $0.places[claim]?.refreshedAt = nil }
            throw told(error, "cannot wait for \(Printable.text(claim.name))", isChange: true)
        }
    }
}
