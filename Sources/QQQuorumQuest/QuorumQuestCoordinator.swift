import QQCore
import QQGRPC
import Synchronization

/// Elections on Quorum Quest, which only has leases by id and time: no read, no fencing token and no watch. A no of the server can also
/// mean that its store has failed.
public final class QuorumQuestCoordinator: Coordinator {
    public let server: ServerURL
    public static let capabilities = Capabilities(lacking: [
        .fencingToken: "Quorum Quest gives out no tokens",
        .readLeader: "Quorum Quest does not show who leads",
        .listElections: "Quorum Quest has no list of elections",
        .stepDownOthers: "Quorum Quest lets only the holder release a lease",
        .askNodeToStepDown: "Quorum Quest has no nodes to ask",
        .priority: "Quorum Quest has no queue",
        .cancelWait: "Quorum Quest has no queue",
        .backoffAdvice: "Quorum Quest gives no advice",
        .members: "Quorum Quest does not know members",
        .waiterCount: "Quorum Quest has no queue",
        .note: "Quorum Quest carries no note",
    ])
    public var capabilities: Capabilities { Self.capabilities }

    let service: QuorumQuestService
    let clock: any LeaseClock
    let requestTimeout: Duration
    private let timeToLeave: Duration
    let random: @Sendable () -> Double
    private let wallTime: @Sendable () -> WallTime
    private let otherIdentity: @Sendable (String) -> String?
    private let saved: @Sendable (String) -> Grant?
    /// Leases that this process holds or might hold, by election.
    private let own = Mutex<[String: Own]>([:])
    /// Requests that end a lease and might be carried out late, by election.
    private let lateEndings = Mutex<[String: LateEndings]>([:])
    let waits = Mutex(Waits())

    private struct Own: Sendable {
        var grant: Grant
        /// The identity that was asked for; the grant can have one made of it.
        var asked: String
        /// Whether the request got no answer that can be trusted: the lease might be granted, or be granted later.
        var isUncertain = false
        /// Whether a renewal was sent and not granted: it might still be granted when the lease is long over.
        var mayComeLate = false
    }

    /// The waits of this process.
    struct Waits: Sendable {
        /// The time of the first refusal, by election.
        var since: [String: BootInstant] = [:]
        /// The time that the server took for its last refusal.
        var answerTook: Duration = .zero
    }

    private struct LateEndings: Sendable {
        /// Whether a request under the present identity might be carried out late.
        var isInDoubt = false
        /// The identity in place of the one that is asked for.
        var replacement: (asked: String, identity: String)?
    }

    /// - Parameters:
    ///   - timeToLeave: the limit for the last release of a session, which an operator waits for.
    ///   - saved: returns the grant that an earlier command saved for an election.
    public convenience init(
        server: ServerURL, settings: GRPCSettings, clock: any LeaseClock, requestTimeout: Duration,
        timeToLeave: Duration = .seconds(1), saved: @escaping @Sendable (String) -> Grant?
    ) {
        self.init(
            server: server,
            endpoints: server.hosts.map { host in
                GRPCEndpoint(.init(name: host.name, port: server.port(of: host)), settings, clock: clock)
            }, clock: clock, requestTimeout: requestTimeout, timeToLeave: timeToLeave, saved: saved)
    }

    /// - Parameters:
    ///   - endpoints: at least one.
    ///   - random: a random number in 0..<1, for the pauses of a waiter.
    ///   - wallTime: for the times that grants show.
    ///   - otherIdentity: returns a new identity in place of one that nobody else knows; nil for one that was given to the process, and that others might name.
    init(
        server: ServerURL, endpoints: [any QuorumQuestCalling], clock: any LeaseClock, requestTimeout: Duration,
        timeToLeave: Duration = .seconds(1), random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) },
        wallTime: @escaping @Sendable () -> WallTime = { .now() },
        otherIdentity: @escaping @Sendable (String) -> String? = { Identity.isOurAlone($0) ? Identity.uuid() : nil },
        saved: @escaping @Sendable (String) -> Grant?
    ) {
        self.server = server
        self.clock = clock
        self.requestTimeout = requestTimeout
        self.timeToLeave = timeToLeave
        self.random = random
        self.wallTime = wallTime
        self.otherIdentity = otherIdentity
        self.saved = saved
        service = QuorumQuestService(endpoints, clock: clock)
    }

    public func prepare() { service.prepare() }

    // MARK: Checks

    public func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        _ = try ElectionName(name)
        guard ttl >= .seconds(1), ttl.nanoseconds % 1_000_000_000 == 0, ttl <= .seconds(Int64(Int32.max)) else {
            throw CoordinationError(
                .usage, "cannot use a TTL of \(DurationText.format(ttl))", because: "Quorum Quest counts in whole seconds, from 1 on",
                at: server.description, hint: "choose a --ttl such as 15s")
        }
    }

    /// A TTL as it is sent: whole seconds, and never zero, which would mean the server's own default.
    private static func seconds(_ duration: Duration) -> Int32 {
        let (seconds, rest) = duration.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return Int32(clamping: max(seconds + (rest > 0 ? 1 : 0), 1))
    }

    // MARK: Acquire, renew, release

    /// An answer that takes longer than this does not come from a working store: the request might still be carried out.
    static let slow: Duration = .seconds(1)

    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        let name = try ElectionName(request.name)
        let sentAt = clock.now()
        let what = "cannot acquire \(request.name)"
        // A term that has expired cannot be resumed.
        let continued = request.continuing.flatMap { sentAt < $0.deadline ? $0 : nil }
        var request = request
        let asked = request.identity
        if continued == nil { request.identity = freshIdentity(asked, for: request.name) }
        do throws(GRPCFailure) {
            let isOurs = try await service.tryAcquire(
                name, request.identity, ttl: Self.seconds(request.ttl), timeout: requestTimeout)
            if isOurs {
                let grant = grant(request.name, request.identity, request.ttl, from: sentAt, began: continued?.acquiredAt)
                own.withLock { $0[request.name] = Own(grant: grant, asked: asked) }
                waits.withLock { $0.since[request.name] = nil }
                return .granted(grant, nil)
            }
        } catch {
            let told = error.told(what, isChange: true)
            if told.isUncertain { try await undo(request, asked, name, told, continued) }
            throw told
        }
        let took = clock.now().duration(since: sentAt)
        waits.withLock { $0.answerTook = took }
        if took > Self.slow {
            // Either a no, or a store that hangs: it might grant the lease later, to a process that does not renew it.
            try await undo(
                request, asked, name,
                CoordinationError(.unavailable, what, because: "the server's store does not answer", at: server.description),
                continued)
        }
        return .refused(unknown(request.name))
    }

    /// The identity to ask under: `identity`, unless a request under it that ends a lease might be carried out late. That request would end the lease that
    /// is asked for now: the store knows an identity, not a term. Another identity is out of its reach. One that was given stays: it is how others name the
    /// lease.
    private func freshIdentity(_ identity: String, for name: String) -> String {
        lateEndings.withLock { endings in
            guard var found = endings[name] else { return identity }
            if found.isInDoubt, let other = otherIdentity(identity) {
                found = LateEndings(replacement: (identity, other))
                endings[name] = found
            }
            guard let replacement = found.replacement, replacement.asked == identity else { return identity }
            return replacement.identity
        }
    }

    /// Makes a request that ends a lease, or cuts it short. The server says yes to a release that its hung store carries out when it continues.
    private func ending<Answer: Sendable>(
        _ name: String, _ request: () async throws(GRPCFailure) -> Answer
    ) async throws(GRPCFailure) -> Answer {
        let sentAt = clock.now()
        do throws(GRPCFailure) {
            let answer = try await request()
            if clock.now().duration(since: sentAt) > Self.slow { lateEndings.withLock { $0[name, default: .init()].isInDoubt = true } }
            return answer
        } catch {
            if error.wasSent { lateEndings.withLock { $0[name, default: .init()].isInDoubt = true } }
            throw error
        }
    }

    /// Releases a lease that might have been granted without our knowledge.
    /// - Throws: always `failure`, as uncertain if the release fails as well.
    private func undo(
        _ request: AcquireRequest, _ asked: String, _ name: ElectionName, _ failure: CoordinationError, _ continued: Grant?
    ) async throws(CoordinationError) {
        var resolved = failure
        do throws(GRPCFailure) {
            // A lease from before is not released because its renewal is uncertain.
            if continued == nil {
                try await ending(request.name) { () async throws(GRPCFailure) in
                    try await service.release(name, request.identity, timeout: requestTimeout)
                }
            }
            resolved.isUncertain = false
        } catch {
            resolved.isUncertain = true
            let grant = grant(request.name, request.identity, request.ttl, from: clock.now())
            own.withLock { $0[request.name] = Own(grant: grant, asked: asked, isUncertain: true) }
        }
        throw resolved
    }

    public func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        let name = try ElectionName(grant.name)
        let what = "cannot renew \(grant.name)"
        let ttl = Self.seconds(grant.ttl)
        do throws(GRPCFailure) {
            var sentAt = clock.now()
            if let length = try await service.keepAlive(name, grant.identity, ttl: ttl, timeout: timeout(of: grant)) {
                return .renewed(extended(grant, by: length, from: sentAt))
            }
            // Either the lease is not ours, or the store failed. A store that lost the lease grants it again; one that fails says no again.
            sentAt = clock.now()
            if clock.now() < grant.deadline, try await service.tryAcquire(name, grant.identity, ttl: ttl, timeout: timeout(of: grant)) {
                return .renewed(extended(grant, by: .seconds(Int64(ttl)), from: sentAt))
            }
        } catch {
            if error.wasSent { own.withLock { $0[grant.name, default: Own(grant: grant, asked: grant.identity)].mayComeLate = true } }
            throw error.told(what, isChange: false)
        }
        // A store that hangs might grant the lease when it continues.
        own.withLock { $0[grant.name, default: Own(grant: grant, asked: grant.identity)].mayComeLate = true }
        guard clock.now() < grant.deadline else { return .lost(unknown(grant.name)) }
        throw CoordinationError(
            .unavailable, what, because: Self.alike, at: server.description)
    }

    private static let alike = "the server gives the same answer for a lease that is not ours and for a failed store"

    /// A request for a held lease must leave time for the next one. Nothing is lost by waiting once it has expired.
    private func timeout(of grant: Grant) -> Duration {
        let left = grant.deadline.duration(since: clock.now())
        return left > .zero ? min(requestTimeout, max(left / 2, .milliseconds(100))) : requestTimeout
    }

    private func extended(_ grant: Grant, by length: Duration, from sentAt: BootInstant) -> Grant {
        // Never longer than requested, whatever the server answers.
        let extended = self.grant(grant.name, grant.identity, min(length, grant.ttl), from: sentAt, began: grant.acquiredAt)
        own.withLock { $0[grant.name] = Own(grant: extended, asked: $0[grant.name]?.asked ?? grant.identity) }
        return extended
    }

    private func grant(
        _ name: String, _ identity: String, _ ttl: Duration, from sentAt: BootInstant, began: WallTime? = nil
    ) -> Grant {
        let now = wallTime()
        return Grant(
            name: name, identity: identity, token: nil, ttl: ttl, deadline: sentAt + ttl, acquiredAt: began ?? now,
            expiresAt: now + (ttl - clock.now().duration(since: sentAt)))
    }

    /// The server answers yes to every release, whoever leads and whether or not its store works. Only a yes to `keepAlive` can be trusted.
    /// The lease is therefore first shortened to one second with `keepAlive`; it then ends soon even if the release fails.
    public func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        let name = try ElectionName(grant.name)
        let what = "cannot release \(grant.name)"
        let isOver = clock.now() >= grant.deadline
        let uncertain = own.withLock { $0[grant.name].flatMap { $0.isUncertain && $0.asked == grant.identity ? $0.grant : nil } }
        let isUncertain = uncertain != nil
        let isCut: Bool
        do throws(GRPCFailure) {
            isCut = try await service.inARow { () async throws(GRPCFailure) in
                try await giveUp(name, grant.name, uncertain?.identity ?? grant.identity, isUncertain: isUncertain)
            }
        } catch { throw error.told(what, isChange: false) }
        guard isCut || isUncertain || isOver else {
            throw CoordinationError(.unavailable, what, because: Self.alike, at: server.description)
        }
        own.withLock { $0[grant.name] = nil }
        return isCut || isUncertain ? .released : .notHeld(unknown(grant.name))
    }

    /// - Returns: whether the lease was ours, and ends soon in any case.
    private func giveUp(
        _ name: ElectionName, _ election: String, _ identity: String, isUncertain: Bool
    ) async throws(GRPCFailure) -> Bool {
        var isCut = false
        do throws(GRPCFailure) {
            if !isUncertain { isCut = try await cutDown(name, election, identity) }
            let limit = isCut ? min(requestTimeout, .seconds(1)) : requestTimeout
            try await ending(election) { () async throws(GRPCFailure) in try await service.release(name, identity, timeout: limit) }
        } catch {
            guard isCut else { throw error }
        }
        return isCut
    }

    /// - Returns: whether the lease was ours, and now lasts for at most a second.
    private func cutDown(_ name: ElectionName, _ election: String, _ identity: String) async throws(GRPCFailure) -> Bool {
        do throws(GRPCFailure) {
            return try await ending(election) { () async throws(GRPCFailure) in
                try await service.keepAlive(name, identity, ttl: 1, timeout: requestTimeout) != nil
            }
        } catch {
            // A store that hangs might still accept a release, and carry it out when it continues.
            if error.wasSent { return false }
            throw error
        }
    }

    // MARK: Reading

    /// End of the lease that this process holds, as far as it knows; nil if it holds none.
    func endOfLeaseHere(_ name: String) -> BootInstant? {
        own.withLock { $0[name]?.grant.deadline }.flatMap { clock.now() < $0 ? $0 : nil }
    }

    /// Releases the lease that an unanswered renewal might still be granted, once the previous lease is over and no process works under it.
    func giveUpLate(_ request: AcquireRequest) async {
        let late = own.withLock { own -> Grant? in
            guard let found = own[request.name], found.mayComeLate, clock.now() >= found.grant.deadline else { return nil }
            own[request.name] = nil
            return found.grant
        }
        guard let late, let name = try? ElectionName(request.name) else { return }
        // A failure does not matter: the lease expires.
        do throws(GRPCFailure) {
            try await ending(request.name) { () async throws(GRPCFailure) in
                try await service.release(name, late.identity, timeout: min(requestTimeout, timeToLeave))
            }
        } catch {}
    }

    private func unknown(_ name: String) -> ElectionState { ElectionState(name: name, phase: .unknown) }

    /// Returns whether the election is ours, only by a grant of this process or a saved one. The server is not asked, because the one
    /// request that it answers restarts the lease. With a whole TTL, reading a lease would keep it from expiring. With the rest of a saved
    /// grant, reading would cut short a lease that its holder, another process, has renewed since and works under.
    public func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        _ = try ElectionName(name)
        let found = own.withLock { $0[name] }
        guard let grant = found?.grant ?? saved(name), clock.now() < grant.deadline else { return unknown(name) }
        var state = ElectionState(name: name, phase: .held)
        // An uncertain grant is not known under the identity that was made for it.
        state.leader = found.flatMap { $0.isUncertain ? $0.asked : nil } ?? grant.identity
        state.isOwn = true
        state.acquiredAt = grant.acquiredAt
        state.ttl = grant.ttl
        state.remaining = max(grant.deadline.duration(since: clock.now()), .zero)
        return state
    }

    public func askToStepDown(
        _ state: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer {
        let found = own.withLock { $0[state.name] }
        let isUncertain = found.map { $0.isUncertain && state.leader == $0.asked } ?? false
        guard let grant = found?.grant ?? saved(state.name), isUncertain || state.isTerm(of: grant) else {
            try capabilities.require(.stepDownOthers, for: "make somebody else step down", at: server)
            return .done
        }
        _ = try await release(grant)
        return .done
    }
}
