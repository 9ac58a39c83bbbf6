import QQCore
import QQGRPC
import Synchronization

/// Elections on Quorum Quest: leases by id and time, and nothing else. There is no read, no fencing token and no watch, and an answer of no can be a store
/// that failed.
public final class QuorumQuestCoordinator: Coordinator {
    public let server: ServerURL
    public let capabilities = Capabilities(lacking: [
        .fencingToken: "Quorum Quest gives out no tokens",
        .readLeader: "Quorum Quest tells nobody who leads",
        .listElections: "Quorum Quest lists nothing",
        .stepDownOthers: "Quorum Quest lets nobody but the holder give a lease up",
        .askNodeToStepDown: "Quorum Quest knows no nodes",
        .priority: "Quorum Quest has no queue",
        .cancelWait: "Quorum Quest has no queue",
        .backoffAdvice: "Quorum Quest gives no advice",
        .members: "Quorum Quest knows no members",
        .waiterCount: "Quorum Quest has no queue",
    ])

    let service: QuorumQuestService
    let clock: any LeaseClock
    let requestTimeout: Duration
    private let saved: @Sendable (String) -> Grant?
    /// The grants of this process, and what was asked for in doubt, by election.
    private let own = Mutex<[String: Grant]>([:])
    /// How often a waiter has asked.
    let turns = Mutex<[String: Int]>([:])

    /// - Parameters:
    ///   - saved: the grant that an earlier command kept for an election.
    ///   - executor: what carries the tasks of the connections.
    public init(
        server: ServerURL, settings: GRPCSettings, clock: any LeaseClock, executor: any TaskExecutor, requestTimeout: Duration,
        saved: @escaping @Sendable (String) -> Grant?
    ) {
        self.server = server
        self.clock = clock
        self.requestTimeout = requestTimeout
        self.saved = saved
        service = QuorumQuestService(
            server.hosts.map { host in
                GRPCEndpoint(.init(name: host.name, port: host.port ?? Self.defaultPort), settings, clock: clock, executor: executor)
            }, clock: clock)
    }

    public static let defaultPort = 5050

    // MARK: Checks

    public func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        _ = try ElectionName(name)
        guard ttl >= .seconds(1), ttl.nanoseconds % 1_000_000_000 == 0, ttl <= .seconds(Int64(Int32.max)) else {
            throw CoordinationError(
                .usage, "cannot use a TTL of \(DurationText.format(ttl))", because: "Quorum Quest counts in whole seconds, from 1 on",
                at: server.description, hint: "choose a --ttl such as 15s")
        }
    }

    /// A TTL as it is sent: whole seconds, and never none, which would mean the server's own default.
    private static func seconds(_ duration: Duration) -> Int32 {
        let (seconds, rest) = duration.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return Int32(clamping: max(seconds + (rest > 0 ? 1 : 0), 1))
    }

    // MARK: Acquire, renew, release

    /// An answer that takes so long does not come from a store that works: what was asked may still be carried out.
    static let slow: Duration = .seconds(1)

    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        let name = try ElectionName(request.name)
        let sentAt = clock.now()
        let what = "cannot acquire \(request.name)"
        do throws(GRPCFailure) {
            let isOurs = try await service.tryAcquire(
                name, request.identity, ttl: Self.seconds(request.ttl), timeout: requestTimeout)
            if isOurs {
                let grant = grant(request.name, request.identity, request.ttl, from: sentAt, began: request.continuing?.acquiredAt)
                own.withLock { $0[request.name] = grant }
                return .granted(grant, nil)
            }
        } catch {
            let told = error.told(what, isChange: true)
            if told.isUncertain { try await undo(request, name, told) }
            throw told
        }
        if clock.now().duration(since: sentAt) > Self.slow {
            // No, or a store that hangs and grants it when it goes on, for a time that nobody keeps.
            try await undo(
                request, name, CoordinationError(.unavailable, what, because: "the server's store does not answer", at: server.description))
        }
        return .refused(unknown(request.name))
    }

    /// Gives up what may have been granted without our knowing.
    /// - Throws: `doubt`, where that is not possible either.
    private func undo(_ request: AcquireRequest, _ name: ElectionName, _ doubt: CoordinationError) async throws(CoordinationError) {
        var settled = doubt
        do throws(GRPCFailure) {
            // Ours from before is not given up for a doubt about extending it.
            if request.continuing == nil { try await service.release(name, request.identity, timeout: requestTimeout) }
            settled.isUncertain = false
        } catch {
            settled.isUncertain = true
            own.withLock { $0[request.name] = grant(request.name, request.identity, request.ttl, from: clock.now()) }
        }
        throw settled
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
            // Not ours, or the store failed. A store that lost the lease gives it to us again; one that fails says no to this, too.
            sentAt = clock.now()
            if clock.now() < grant.deadline, try await service.tryAcquire(name, grant.identity, ttl: ttl, timeout: timeout(of: grant)) {
                return .renewed(extended(grant, by: .seconds(Int64(ttl)), from: sentAt))
            }
        } catch { throw error.told(what, isChange: false) }
        guard clock.now() < grant.deadline else {
            own.withLock { $0[grant.name] = nil }
            return .lost(unknown(grant.name))
        }
        throw CoordinationError(
            .unavailable, what, because: "the server says that it is not ours, or its store has failed: it answers alike",
            at: server.description)
    }

    /// A request for a lease that we hold must leave time for the next one.
    private func timeout(of grant: Grant) -> Duration {
        min(requestTimeout, max(grant.deadline.duration(since: clock.now()) / 2, .milliseconds(100)))
    }

    private func extended(_ grant: Grant, by length: Duration, from sentAt: BootInstant) -> Grant {
        // Never longer than was asked for, whatever the server says.
        let length = min(length, grant.ttl)
        let extended = self.grant(grant.name, grant.identity, grant.ttl, lasting: length, from: sentAt, began: grant.acquiredAt)
        own.withLock { $0[grant.name] = extended }
        return extended
    }

    private func grant(
        _ name: String, _ identity: String, _ ttl: Duration, lasting: Duration? = nil, from sentAt: BootInstant, began: WallTime? = nil
    ) -> Grant {
        let now = WallTime.now()
        let left = (lasting ?? ttl) - clock.now().duration(since: sentAt)
        return Grant(
            name: name, identity: identity, token: nil, ttl: ttl, deadline: sentAt + (lasting ?? ttl), acquiredAt: began ?? now,
            expiresAt: now + left)
    }

    public func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        let name = try ElectionName(grant.name)
        let what = "cannot release \(grant.name)"
        let sentAt = clock.now()
        do throws(GRPCFailure) {
            if sentAt >= grant.deadline {
                // It should have run out. The server would say yes to giving up what is not ours.
                guard try await service.keepAlive(name, grant.identity, ttl: 1, timeout: requestTimeout) != nil else {
                    own.withLock { $0[grant.name] = nil }
                    return .notHeld(unknown(grant.name))
                }
            }
            try await service.release(name, grant.identity, timeout: requestTimeout)
            if clock.now().duration(since: sentAt) > Self.slow,
                try await service.keepAlive(name, grant.identity, ttl: 1, timeout: requestTimeout) != nil
            {
                // The server says yes to this, too, when its store has failed: then it takes as long as that.
                throw GRPCFailure(
                    .unavailable, "the server's store did not take it", at: server.description, wasSent: true)
            }
        } catch { throw error.told(what, isChange: false) }
        own.withLock { $0[grant.name] = nil }
        return .released
    }

    // MARK: Reading

    /// When the lease ends that this process holds, as far as it knows; nil where it holds none.
    func endOfLeaseHere(_ name: String) -> BootInstant? {
        own.withLock { $0[name]?.deadline }.flatMap { clock.now() < $0 ? $0 : nil }
    }

    private func unknown(_ name: String) -> ElectionState { ElectionState(name: name, phase: .unknown) }

    /// Tells whether the election is ours, and no more. There is nothing to read with: the one question that can be asked under our own id restarts the
    /// lease. So it is asked for what is left of it, in whole seconds, and the lease ends at most a second later than it would have, however often it is asked.
    public func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        let election = try ElectionName(name)
        guard let grant = own.withLock({ $0[name] }) ?? saved(name), clock.now() < grant.deadline else { return unknown(name) }
        let left = grant.deadline.duration(since: clock.now())
        do throws(GRPCFailure) {
            guard
                try await service.keepAlive(election, grant.identity, ttl: Self.seconds(left), timeout: requestTimeout) != nil
            else { return unknown(name) }
        } catch { throw error.told("cannot read \(name)", isChange: false) }
        var state = ElectionState(name: name, phase: .held)
        state.leader = grant.identity
        state.isOwn = true
        state.acquiredAt = grant.acquiredAt
        state.ttl = grant.ttl
        state.remaining = max(grant.deadline.duration(since: clock.now()), .zero)
        return state
    }

    public func list() async throws(CoordinationError) -> [ElectionState] {
        try capabilities.require(.listElections, for: "list elections", at: server)
        return []
    }

    public func askToStepDown(
        _ state: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer {
        guard let grant = own.withLock({ $0[state.name] }) ?? saved(state.name), state.isTerm(of: grant) else {
            try capabilities.require(.stepDownOthers, for: "make somebody else step down", at: server)
            return .done
        }
        _ = try await release(grant)
        return .done
    }
}
