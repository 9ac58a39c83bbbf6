import QQCore
import QQGRPC

// The servers know a client by its identity alone: they extend a lease for any process with the holder's identity, and the queue grants it to any waiter
// with that identity. Two processes given one identity would both lead. If another process might have this identity, the lock is therefore read before it
// is requested. `acquire` then decides by that read (`PriorState`) and by the term that the server's answer shows:
//
//   before the request                    the answer shows            decision
//   ------------------------------------  --------------------------  -----------------------------------------------------------------------
//   not read: this process generated its  any term                    ours: no other process can have this identity
//   identity
//   free, own or unreadable               a term begun by a request   ours: another process with the same identity that asks later extends it,
//                                         of ours                     and its answer shows that
//   free or unreadable                    an older term               theirs: our request extended it
//   own: our saved grant, or granted by   the term that was read,     ours, if owner and version are unchanged one second after the answer
//   the queue or an uncertain request     within one second           (at once if an earlier request of ours has shown that already)
//   own                                   another term, or an answer  theirs
//                                         after more than one second
//   held by another identity or another   (not requested)             refused
//   process with the same identity
//
// A process that finds a lease to be theirs backs off. It cannot tell whether the other process works under it, and waits until it has ended.
//
// The second of waiting decides between several waiters with one identity to which the queue granted the lock: each of them sees an untouched lock,
// extends it within a second or backs off, and waits for the others. The version of the last one stays.
extension RaftLockCoordinator {
    /// A lock before it was requested.
    enum PriorState: Sendable, Hashable {
        /// Not read: no other process has this identity.
        case notNeeded
        case free
        /// This process's own, with the start of its term: a lease to resume, or one that the queue or an earlier request brought.
        /// - Parameter isSettled: whether all other processes with the same identity have backed off.
        case own(WallTime?, isSettled: Bool)
        case others(ElectionState)
        /// No node could answer.
        case unknown
    }

    func priorState(_ request: AcquireRequest, _ what: String, until deadline: BootInstant) async throws(CoordinationError) -> PriorState {
        guard !isOurAlone(request.identity) || request.continuing != nil else { return .notNeeded }
        let claim = Claim(name: request.name, identity: request.identity)
        do throws(GRPCFailure) {
            let (snapshot, endpoint) = try await service.lockInfo(request.name, until: deadline)
            guard let owner = snapshot.owner else { return .free }
            if owner == request.identity {
                if let token = request.continuing?.token, UInt64(exactly: snapshot.version) == token.value {
                    return .own(snapshot.acquiredAt, isSettled: false)
                }
                if isOwn(snapshot) == true {
                    let isSettled = state.withLock { $0.extended[claim].map { $0.isSettled && $0.isOurs(snapshot) } ?? false }
                    return .own(snapshot.acquiredAt, isSettled: isSettled)
                }
                state.withLock { _ = $0.heldBySameIdentity.insert(claim) }
            }
            return .others(await electionState(snapshot, from: endpoint))
        } catch {
            // The request itself reports why no node leads and where the Raft leader might be. A process in the queue already knows, and might own the
            // lock by now.
            if error.isAnswer, error.code == .unavailable, state.withLock({ $0.places[claim] == nil }) { return .unknown }
            throw told(error, what, isChange: false)
        }
    }

    /// The longest time from reading a lock to the answer to `acquire`, and the time to wait for other processes that took this long.
    private static let resolutionTime: Duration = .seconds(1)

    /// Until when a request can be sent on the strength of `priorState`: there must be time for the answer.
    /// - Parameter tries: the reads before this one that took too long. After some of them, risking a late answer is better than reading again.
    func validity(of priorState: PriorState, since readAt: BootInstant, after tries: Int) -> BootInstant? {
        switch priorState {
        case .notNeeded, .unknown, .others: nil
        case .own: readAt + (tries < 3 ? Self.resolutionTime / 2 : Self.resolutionTime * 9 / 10)
        // If the lock is taken by then, the request extends the lease of another process with the same identity and changes its version.
        case .free: clock.now() + Self.resolutionTime / 2
        }
    }

    /// Resolves whether a lease that a request of this process has extended is its own.
    /// - Parameters:
    ///   - lock: the lock as it was granted.
    ///   - priorState: the lock before the request, as read at `readAt`.
    func isOurs(_ lock: Raftlock_Lock, _ claim: Claim, after priorState: PriorState, at readAt: BootInstant) async -> Bool {
        let answeredAt = clock.now()
        var (wasQuick, isSettled) = (false, false)
        switch priorState {
        case .notNeeded: return true
        case .free, .others: return false
        case .unknown: break
        case .own(let began, let wasSettled):
            wasQuick = lock.began == began && answeredAt < readAt + Self.resolutionTime
            isSettled = wasQuick && wasSettled
        }
        let extended = Extended(version: lock.version, began: lock.began, wasQuick: wasQuick, isSettled: isSettled)
        state.withLock { $0.extended[claim] = extended }
        if isSettled { return true }
        guard wasQuick, (try? await clock.sleep(until: answeredAt + Self.resolutionTime)) != nil,
            let (snapshot, _) = try? await service.lockInfo(claim.name, until: requestDeadline)
        else { return false }
        guard snapshot.owner == claim.identity, extended.isOurs(snapshot) else { return false }
        state.withLock { $0.extended[claim]?.isSettled = true }
        return true
    }

    /// Whether a waiter that has just found a lease to be its own has to request it once more: a lease counts from the request, and resolving whose it is took
    /// most of a short one. The next request needs no resolving.
    func isMostlyOver(_ claim: Claim, after priorState: PriorState, ttl: Duration, from sentAt: BootInstant) -> Bool {
        guard case .own(_, isSettled: false) = priorState, clock.now() > sentAt + ttl / 2 else { return false }
        return state.withLock { $0.places[claim] != nil && $0.extended[claim]?.isSettled == true }
    }

    /// The lock with the version that this process knows, if another process with the same identity that backed off, or a late request of this process, has
    /// changed the version. No other process can work under a private term. A lease that was requested without a TTL offset, however, counts as its client's
    /// own.
    func asHeld(_ snapshot: LockSnapshot) -> LockSnapshot {
        guard let owner = snapshot.owner else { return snapshot }
        let held = state.withLock { $0.held[Claim(name: snapshot.name, identity: owner)] }
        guard let held, held.began != nil, held.began == snapshot.acquiredAt else { return snapshot }
        guard isOurAlone(owner) || (held.isPrivate && snapshot.hasTTLOffset) else { return snapshot }
        var found = snapshot
        found.version = held.version
        return found
    }

    /// Whether a lease that this process has extended might belong to another process with the same identity, so that its end must be awaited. The queue would
    /// only grant it to this process again in the same way.
    func mightBelongToSameIdentity(_ present: ElectionState, _ claim: Claim) -> Bool {
        guard present.leader == claim.identity, let token = present.token else { return false }
        return state.withLock { state in
            state.extended[claim].map { !$0.wasQuick && UInt64(exactly: $0.version) == token.value } ?? false
        }
    }

    /// The TTL to request: slightly more or less than the one wanted (`ttlOffset`). If the answer was lost, the length of a lease shows whether it belongs to
    /// this process, to another process with the same identity, or comes from the queue, whose leases last whole seconds. The offset is in milliseconds,
    /// because the servers keep nothing smaller.
    ///
    /// Two processes have the same offset once in a hundred times. One of them can then take a lease of the other for the result of its own lost request.
    ///
    /// A request after an uncertain one asks for less, down to three quarters of the TTL: if both are carried out, the end of the first one stays.
    func lengthToAsk(_ request: AcquireRequest) -> Duration {
        guard !isOurAlone(request.identity) else { return request.ttl }
        let ttl = Duration.milliseconds(Int64(request.ttl / .milliseconds(1)))
        let before = uncertainRequests(of: Claim(name: request.name, identity: request.identity))?.asked.last
        var length = before.map { $0 - .milliseconds(100) } ?? ttl + ttlOffset
        if let before, length < max(ttl * 3 / 4, LockRules.ttls.lowerBound) { length = before }
        if length.components.attoseconds == 0 { length += .milliseconds(1) }
        return length <= LockRules.ttls.upperBound ? length : ttl - ttlOffset
    }

    /// The requests whose outcome is unknown, as long as it can still be resolved.
    func uncertainRequests(of claim: Claim) -> UncertainRequests? {
        let now = clock.now()
        return state.withLock { $0.uncertain[claim] }.flatMap { $0.isOver(at: now) ? nil : $0 }
    }
}
