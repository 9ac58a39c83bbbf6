import Glibc
import QQCore
import QQGRPC

// The servers take all who have one identity for one: they extend a lease for whoever has its holder's name, and the queue brings it to whoever of that
// name waits. Two processes that were given one name would both lead. So where a name may be another's too, the lock is looked at before it is asked for:
//
// - What was free and is granted is ours alone. Whoever of the name asks later extends it, and its answer shows that.
// - What the queue brings may be anybody's of the name who waits. They see that nobody has touched it, ask for it within a second of that or give way,
//   wait for the others, and the last one's version stays. Who gave way cannot tell whether another works, and waits until that lease has ended.
extension RaftLockCoordinator {
    /// Whether an identity is this process's alone: its own default, and not one that was given to it.
    static func isUnique(_ identity: String) -> Bool { identity.hasPrefix("\(Identity.hostName())/\(getpid())/") }

    /// How a lock stood before it was asked for.
    enum Look: Sendable, Hashable {
        /// Nobody else has our identity.
        case notNeeded
        case free
        /// Ours: a lease that goes on, or that the queue or an earlier request brought.
        case own
        case others(ElectionState)
        /// Nobody could tell.
        case unknown
    }

    func look(_ request: AcquireRequest, _ what: String, until deadline: BootInstant) async throws(CoordinationError) -> Look {
        guard !Self.isUnique(request.identity) || request.continuing != nil else { return .notNeeded }
        let claim = Claim(name: request.name, identity: request.identity)
        do throws(GRPCFailure) {
            let (reading, endpoint) = try await service.lockInfo(request.name, until: deadline)
            guard let owner = reading.owner else { return .free }
            if owner == request.identity {
                if let token = request.continuing?.token, UInt64(exactly: reading.version) == token.value { return .own }
                if isOwn(reading) == true { return .own }
                state.withLock { _ = $0.rivals.insert(claim) }
            }
            return .others(await electionState(reading, from: endpoint))
        } catch {
            // Asking for it tells why nobody leads, and where else the leader may be.
            if error.isAnswer, error.code == .unavailable { return .unknown }
            throw told(error, what, isChange: false)
        }
    }

    /// For so long at the most may it take from the look at a lock to the answer to acquire, and so long is waited for others who took as long.
    private static let settling: Duration = .seconds(1)

    /// So old at the most is a look upon which the lock is asked for: there has to be time for the answer.
    static let lookLasts = settling / 2

    /// Settles whether a lease is ours that our request has extended: whether no other process of our identity has done the same.
    /// - Parameter lookedAt: when it was last ours or the queue's; nil where that is not known.
    func isAlone(_ claim: Claim, _ version: Int64, lookedAt: BootInstant?) async -> Bool {
        let answeredAt = clock.now()
        let wasQuick = lookedAt.map { answeredAt < $0 + Self.settling } ?? false
        state.withLock { $0.extended[claim] = Extended(version: version, wasQuick: wasQuick) }
        guard wasQuick, (try? await clock.sleep(until: answeredAt + Self.settling)) != nil,
            let (reading, _) = try? await service.lockInfo(claim.name, until: requestDeadline)
        else { return false }
        return reading.owner == claim.identity && reading.version == version
    }

    /// For how long to ask for a lease: a little more or less than is wanted, so that its length tells whether one that began without our being told is
    /// ours, another's of our identity or the queue's, which lasts whole seconds. In milliseconds, since the servers keep no less.
    ///
    /// A request that follows one in doubt asks for less, down to three quarters: should both be carried out, the first one's end stands.
    func lengthToAsk(_ request: AcquireRequest) -> Duration {
        guard !Self.isUnique(request.identity) else { return request.ttl }
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
