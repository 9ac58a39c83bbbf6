import QQCore
import QQGRPC

// The servers take all who have one identity for one: they extend a lease for whoever has its holder's name, and the queue brings it to whoever of that
// name waits. Two processes that were given one name would both lead. So where a name may be another's too, the lock is looked at before it is asked for:
//
// - What was free and is granted is ours alone. Whoever of the name asks later extends it, and its answer shows that.
// - What the queue brings may be anybody's of the name who waits. They see that nobody has touched it, ask for it within a second of that or give way,
//   wait for the others, and the last one's version stays. All of that is about one term: whoever extends another than it saw gives way, too. Who gave
//   way cannot tell whether another works, and waits until that lease has ended.
extension RaftLockCoordinator {
    /// How a lock stood before it was asked for.
    enum Look: Sendable, Hashable {
        /// Nobody else has our identity.
        case notNeeded
        case free
        /// Ours: a lease that goes on, or that the queue or an earlier request brought, with the beginning of its term.
        case own(WallTime?)
        case others(ElectionState)
        /// Nobody could tell.
        case unknown
    }

    func look(_ request: AcquireRequest, _ what: String, until deadline: BootInstant) async throws(CoordinationError) -> Look {
        guard !Identity.isOurAlone(request.identity) || request.continuing != nil else { return .notNeeded }
        let claim = Claim(name: request.name, identity: request.identity)
        do throws(GRPCFailure) {
            let (reading, endpoint) = try await service.lockInfo(request.name, until: deadline)
            guard let owner = reading.owner else { return .free }
            if owner == request.identity {
                if let token = request.continuing?.token, UInt64(exactly: reading.version) == token.value {
                    return .own(reading.acquiredAt)
                }
                if isOwn(reading) == true { return .own(reading.acquiredAt) }
                state.withLock { _ = $0.rivals.insert(claim) }
            }
            return .others(await electionState(reading, from: endpoint))
        } catch {
            // Asking for it tells why nobody leads, and where else the leader may be. Who stands in the queue has heard of that, and may own it by now.
            if error.isAnswer, error.code == .unavailable, state.withLock({ $0.places[claim] == nil }) { return .unknown }
            throw told(error, what, isChange: false)
        }
    }

    /// For so long at the most may it take from the look at a lock to the answer to acquire, and so long is waited for others who took as long.
    private static let settling: Duration = .seconds(1)

    /// How long a look is worth something upon which the lock is asked for: there has to be time for the answer.
    /// - Parameter tries: how many looks there were before this one that took too long. After some, it is better to risk that than to go on looking.
    func worth(of look: Look, since lookedAt: BootInstant, after tries: Int) -> BootInstant? {
        switch look {
        case .notNeeded, .unknown, .others: nil
        case .own: lookedAt + (tries < 3 ? Self.settling / 2 : Self.settling * 9 / 10)
        // Whoever finds it taken has extended a namesake's lease, and changed its version.
        case .free: clock.now() + Self.settling / 2
        }
    }

    /// Settles whether a lease is ours that our request has extended.
    /// - Parameters:
    ///   - look: how it stood before, at `lookedAt`.
    ///   - lock: as it was granted.
    func isOurs(_ lock: Raftlock_Lock, _ claim: Claim, after look: Look, at lookedAt: BootInstant) async -> Bool {
        let answeredAt = clock.now()
        var wasQuick = false
        switch look {
        case .notNeeded: return true
        case .free, .others: return false
        case .unknown: break
        case .own(let began): wasQuick = lock.began == began && answeredAt < lookedAt + Self.settling
        }
        let extended = Extended(version: lock.version, began: lock.began, wasQuick: wasQuick)
        state.withLock { $0.extended[claim] = extended }
        guard wasQuick, (try? await clock.sleep(until: answeredAt + Self.settling)) != nil,
            let (reading, _) = try? await service.lockInfo(claim.name, until: requestDeadline)
        else { return false }
        return reading.owner == claim.identity && extended.isOurs(reading)
    }

    /// The lock with the version that we know, where another of our identity has asked for it and given way, or a request of ours was carried out late, which
    /// changed that. Nobody else can work under a term that is private; but what another's client was granted without a mark, it takes for its own.
    func asHeld(_ reading: LockReading) -> LockReading {
        guard let owner = reading.owner else { return reading }
        let held = state.withLock { $0.held[Claim(name: reading.name, identity: owner)] }
        guard let held, held.began != nil, held.began == reading.acquiredAt else { return reading }
        guard Identity.isOurAlone(owner) || (held.isPrivate && reading.isMarked) else { return reading }
        var found = reading
        found.version = held.version
        return found
    }

    /// Whether a lease that we have extended may be another's of our identity, and is to be waited for: standing in the queue, it would come to us again in
    /// the same way.
    func mayBeNamesakes(_ present: ElectionState, _ claim: Claim) -> Bool {
        guard present.leader == claim.identity, let token = present.token else { return false }
        return state.withLock { state in
            state.extended[claim].map { !$0.wasQuick && UInt64(exactly: $0.version) == token.value } ?? false
        }
    }

    /// For how long to ask for a lease: a little more or less than is wanted, so that its length tells whether one that began without our being told is
    /// ours, another's of our identity or the queue's, which lasts whole seconds. In milliseconds, since the servers keep no less.
    ///
    /// Two processes have the same mark once in a hundred times; then one of them may take a lease of the other for what its own lost request brought.
    ///
    /// A request that follows one in doubt asks for less, down to three quarters: should both be carried out, the first one's end stands.
    func lengthToAsk(_ request: AcquireRequest) -> Duration {
        guard !Identity.isOurAlone(request.identity) else { return request.ttl }
        let ttl = Duration.milliseconds(Int64(request.ttl / .milliseconds(1)))
        let before = doubt(of: Claim(name: request.name, identity: request.identity))?.asked.last
        var length = before.map { $0 - .milliseconds(100) } ?? ttl + mark
        if let before, length < max(ttl * 3 / 4, LockRules.ttls.lowerBound) { length = before }
        if length.components.attoseconds == 0 { length += .milliseconds(1) }
        return length <= LockRules.ttls.upperBound ? length : ttl - mark
    }

    /// The requests of which it is not known what became, while that may still be seen.
    func doubt(of claim: Claim) -> Doubt? {
        let now = clock.now()
        return state.withLock { $0.doubts[claim] }.flatMap { $0.isOver(at: now) ? nil : $0 }
    }
}
