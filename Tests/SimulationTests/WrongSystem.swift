import QQCore
import Simulation

/// The reference system with one mistake in its coordinator.
enum Mistake: String, CaseIterable, Sendable {
    /// A refusal is taken for a grant.
    case takesRefusalForGrant
    /// A renewal is not sent, and counts as answered.
    case renewsNothing
    /// The lease is taken to last twice as long as it was granted.
    case countsDouble
    /// Every term has the same token.
    case repeatsToken
    /// A waiter is not told that the election is free.
    case waitsForever
    /// The queue is never left.
    case leavesNever
    /// A reading command asks for the lease.
    case readsByAsking
    /// A request is sent twice at a time.
    case asksTwice
    /// A task runs where no world is.
    case escapes
    /// A task goes on and on.
    case spins
    /// The lease is taken to last from the answer on.
    case countsFromAnswer
    /// A renewal that found the lease lost counts.
    case renewsAnyTerm
    /// A renewal without an answer is taken for a loss.
    case losesForNothing
    /// A release is not sent, and counts as answered.
    case releasesNothing

    /// Whether the servers say who leads.
    fileprivate var asksServers: Bool {
        switch self {
        case .countsFromAnswer, .renewsAnyTerm, .losesForNothing, .releasesNothing: true
        default: false
        }
    }

    /// The rules that worlds with this mistake break.
    var rules: Set<Failure.Rule> {
        switch self {
        case .takesRefusalForGrant, .renewsNothing, .countsDouble: [.twoAtWork]
        case .repeatsToken: [.tokenShrank]
        case .waitsForever: [.noLeader]
        case .leavesNever: [.notStopped, .noLeader]
        case .readsByAsking: [.readerWrote]
        case .asksTwice: [.doubledRequest]
        case .escapes: [.escaped]
        case .spins: [.spins]
        case .countsFromAnswer, .renewsAnyTerm: [.leadsWithoutLease]
        case .losesForNothing: [.lostForNothing]
        case .releasesNothing: [.leftBehind]
        }
    }

    var system: SimulatedSystem {
        var system = SimulatedSystem.reference
        let make = system.makeServer
        system.makeServer = { WrongServer(make($0, $1), self) }
        system.name = rawValue
        // Otherwise two that both take the lease for their own are a failure before they are at work.
        system.checksHolders = false
        system.tokensGrow = self == .repeatsToken
        return system
    }
}

private final class WrongServer: SimulatedServer {
    private let base: any SimulatedServer
    private let mistake: Mistake

    init(_ base: any SimulatedServer, _ mistake: Mistake) {
        self.base = base
        self.mistake = mistake
    }

    var hosts: [Host] { base.hosts }

    func coordinator(for process: SimProcess, identity: String) -> any Campaigning {
        WrongCoordinator(base: base.coordinator(for: process, identity: identity), mistake: mistake, process: process, identity: identity)
    }

    func isHeld(_ term: Term) -> Bool? { mistake.asksServers ? base.isHeld(term) : nil }

    func restarts(_ host: Host) { base.restarts(host) }
}

private struct WrongCoordinator: Campaigning {
    let base: any Campaigning
    let mistake: Mistake
    let process: SimProcess
    let identity: String

    func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {}

    func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        switch mistake {
        case .escapes: await Task { try? await process.clock.sleep(for: .milliseconds(1)) }.value
        case .spins: while !process.isDead { await Task.yield() }
        case .asksTwice:
            let (base, request) = (base, request)
            await withTaskGroup(of: Void.self) { group in
                for _ in 1...2 { group.addTask { _ = try? await base.acquire(request) } }
            }
        default: break
        }
        let sentAt = process.clock.now()
        let answer = try await base.acquire(request)
        switch (answer, mistake) {
        case (.refused(let state), .takesRefusalForGrant):
            return .granted(grant(request, token: (state.token?.value ?? 0) + 1_000_000), nil)
        case (.granted(var grant, let lock), .countsDouble):
            grant.ttl = grant.ttl * 2
            return .granted(grant, lock)
        case (.granted(var grant, let lock), .countsFromAnswer):
            grant.ttl += process.clock.now().duration(since: sentAt)
            return .granted(grant, lock)
        case (.granted(var grant, let lock), .repeatsToken):
            grant.token = FencingToken(7)
            return .granted(grant, lock)
        default: return answer
        }
    }

    private func grant(_ request: AcquireRequest, token: UInt64) -> Grant {
        Grant(
            name: request.name, identity: request.identity, token: FencingToken(token), ttl: request.ttl,
            deadline: process.clock.now() + request.ttl, acquiredAt: WallTime(seconds: 0), expiresAt: WallTime(seconds: 0))
    }

    func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        if mistake == .renewsNothing { return .renewed(grant) }
        if mistake == .losesForNothing {
            do throws(CoordinationError) { return try await base.renew(grant) } catch {
                return .lost(ElectionState(name: grant.name, phase: .free))
            }
        }
        if mistake == .renewsAnyTerm {
            _ = try await base.renew(grant)
            return .renewed(grant)
        }
        var asked = grant
        if mistake == .countsDouble { asked.ttl = grant.ttl / 2 }
        let answer = try await base.renew(asked)
        guard mistake == .countsDouble, case .renewed(var renewed) = answer else { return answer }
        renewed.ttl = grant.ttl
        return .renewed(renewed)
    }

    func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        if mistake == .releasesNothing { return .released }
        return try await base.release(grant)
    }

    func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        if mistake == .readsByAsking {
            _ = try await base.acquire(AcquireRequest(name: name, identity: identity, ttl: .seconds(1)))
        }
        return try await base.read(name)
    }

    func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        if mistake == .waitsForever {
            try? await process.clock.sleep(until: .distantFuture)
        } else {
            try await base.waitForTurn(request, behind: blocker, until: deadline)
        }
    }

    func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        if mistake == .leavesNever { try? await process.clock.sleep(until: .distantFuture) }
        return nil
    }

    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        base.changes(of: names, withRenewals: withRenewals)
    }
}
