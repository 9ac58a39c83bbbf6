import QQCore
import QQGRPC
import Synchronization

/// Elections on a RaftLock cluster: an election is a lock, its leader the lock's owner, and the fencing token the lock's version.
///
/// The servers answer in doubt more often than not: a renewal that was carried out ends in INTERNAL, a request that timed out may be carried out when
/// the nodes find each other again. What is in doubt is settled by reading.
public final class RaftLockCoordinator: Coordinator {
    public let server: ServerURL
    public let capabilities = Capabilities(lacking: [
        .askNodeToStepDown: "RaftLock's nodes are its servers, not those who hold locks",
        .members: "RaftLock does not know who asks for locks",
    ])

    let service: RaftLockService
    let clock: any LeaseClock
    let executor: any TaskExecutor
    let requestTimeout: Duration
    let priority: Int32
    let state = Mutex(State())
    /// By so much the leases that we ask for differ from others of our identity, where they may be confused.
    let mark = Duration.milliseconds(Int.random(in: 1...99))

    /// The port of a host that is given without one.
    public static let defaultPort = 5051

    /// One lock, asked for under one identity.
    struct Claim: Sendable, Hashable {
        var name: String
        var identity: String
    }

    /// What this process remembers.
    struct State {
        var held: [Claim: Held] = [:]
        /// What was asked for without our being told what became of it.
        var doubts: [Claim: Doubt] = [:]
        var places: [Claim: Place] = [:]
        /// What we were granted without being sure that it is ours alone, or that it still is.
        var extended: [Claim: Extended] = [:]
        /// Locks that others of the same identity hold.
        var rivals: Set<Claim> = []
    }

    /// A lease of this process.
    struct Held: Sendable {
        var version: Int64
        /// When its term began, as far as that is known.
        var began: WallTime?
        /// Whether no other process can go on with the term: it guards a command, and its token is saved nowhere.
        var isPrivate = false
        /// For how long it is to be renewed.
        var ttl: Duration
        /// When it ends, as the server had it last; nil where that is not known.
        var expiresAt: WallTime?
        /// Whether a request for it may still be carried out at any time: then what moves the end of the lease may be an old one, not the one just sent.
        var isDoubtful: Bool
        var isReleaseDoubtful = false
    }

    /// Requests for a lease without our being told what became of them.
    struct Doubt: Sendable {
        /// When the last one was made.
        var since: BootInstant
        /// For how long each asked.
        var asked: [Duration]
        /// Whether nothing was heard of one: then it may be carried out yet.
        var isPending: Bool

        /// A request in doubt may still be carried out for so long after its lease would have ended.
        private static let lasts: Duration = .seconds(60)

        func isOver(at now: BootInstant) -> Bool { now >= since + (asked.max() ?? .zero) + Self.lasts }
    }

    /// A lease that an acquire of ours has extended, or that we held.
    struct Extended: Sendable {
        /// What it got by that.
        var version: Int64
        /// When its term began.
        var began: WallTime?
        /// Whether that took so little time that nobody else of our identity can have begun to work before: then it is ours as long as it has this
        /// version. Else it may be theirs until it ends.
        var wasQuick: Bool

        func isOurs(_ reading: LockReading) -> Bool { wasQuick && version == reading.version && began == reading.acquiredAt }
    }

    /// A place in a lock's queue.
    struct Place: Sendable {
        /// nil where that was not confirmed: then it is asked for again.
        var refreshedAt: BootInstant?
        /// Since when nobody could be asked for the lock.
        var awaySince: BootInstant?
        /// Whether the server has taken it, as far as we know.
        var isTaken = false
        /// The term of another of our identity, where that is whom we wait for: seeing our own name is no sign then.
        var namesake: Term?

        /// Whether the lock has come to us by the queue: a promotion is a new term, with a version and a beginning of its own, and nobody has touched it
        /// since. Another of our identity that waits shares our place, and may have been quicker. A qq that does not wait asks for a lease that does not
        /// last whole seconds, if its identity may be another's.
        func isPromotion(_ reading: LockReading) -> Bool {
            guard reading.owner != nil, reading.isUntouched else { return false }
            if let length = reading.length, length.components.attoseconds != 0 { return false }
            guard let namesake else { return true }
            return reading.version != namesake.version && reading.acquiredAt != namesake.acquiredAt
        }
    }

    struct Term: Sendable, Hashable {
        var version: Int64
        var acquiredAt: WallTime?
    }

    /// - Parameters:
    ///   - executor: what carries writes that go on when their own task is cancelled.
    ///   - requestTimeout: for one request and what it takes to settle it; inside a lease it is shorter.
    ///   - priority: in the queue, -1000 to 1000, higher first.
    ///   - followsRedirects: whether a leader that is none of the server's endpoints is asked where the other nodes say it is.
    ///   - metrics: counts every call.
    public init(
        server: ServerURL, settings: GRPCSettings, clock: any LeaseClock, executor: any TaskExecutor, requestTimeout: Duration,
        priority: Int32, followsRedirects: Bool, metrics: CallMetrics? = nil
    ) {
        self.server = server
        self.clock = clock
        self.executor = executor
        self.requestTimeout = requestTimeout
        self.priority = priority
        service = RaftLockService(
            server.hosts.map { .init(name: $0.name, port: $0.port ?? Self.defaultPort) }, settings, clock: clock, executor: executor,
            followsRedirects: followsRedirects, metrics: metrics)
    }

    /// To the one that is asked first while nobody knows who leads.
    public func prepare() { service.endpoints.first?.prepare() }

    // MARK: Checks

    public func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        func refuse(_ what: String, _ problem: String?, _ hint: String?) throws(CoordinationError) {
            guard let problem else { return }
            throw CoordinationError(.usage, what, because: problem, at: server.description, hint: hint)
        }
        try refuse("'\(Printable.text(name))' cannot be the id of a lock", LockRules.problem(with: name, called: "lock_id"), nil)
        try refuse(
            "'\(Printable.text(identity))' cannot be an identity", LockRules.problem(with: identity, called: "client_id"),
            "give another with --id")
        try refuse(
            "cannot use a TTL of \(DurationText.format(ttl))", LockRules.problem(withTTL: ttl), "choose a --ttl such as 15s")
        try refuse("cannot use a priority of \(priority)", LockRules.problem(withPriority: priority), nil)
    }

    // MARK: Failures and time

    func told(_ failure: GRPCFailure, _ what: String, isChange: Bool) -> CoordinationError {
        guard isChange, let (node, sign) = service.wedged(failure) else { return failure.told(what, isChange: isChange, wedged: nil) }
        return failure.told(what, isChange: true, wedged: node, sign)
    }

    /// Until when a request may take that is made now.
    var requestDeadline: BootInstant { clock.now() + requestTimeout }

    /// Until when one may take for a lease that ends at `end`: there has to be time for another.
    func requestDeadline(within end: BootInstant) -> BootInstant {
        let now = clock.now()
        let left = end.duration(since: now)
        return now + (left > .zero ? min(requestTimeout, max(left / 2, .milliseconds(100))) : requestTimeout)
    }

    // MARK: What others see

    /// - Parameter endpoint: who was read, by whose clock times count.
    func electionState(_ reading: LockReading, from endpoint: Int?) async -> ElectionState {
        let reading = asHeld(reading)
        let serverClock = reading.owner == nil ? nil : await service.serverClock(at: endpoint)
        var found = reading.state(at: clock.now(), wall: .now(), clock: serverClock)
        found.isOwn = isOwn(reading)
        return found
    }

    /// Whether the present term was granted to this process; nil where that cannot be told.
    func isOwn(_ reading: LockReading) -> Bool? {
        guard let owner = reading.owner else { return nil }
        let claim = Claim(name: reading.name, identity: owner)
        let (doubt, isOurAlone) = (doubt(of: claim), Identity.isOurAlone(owner))
        return state.withLock { state in
            if state.held[claim]?.version == reading.version { return true }
            // Nobody else can have been granted it.
            if isOurAlone, doubt != nil || state.held[claim] == nil { return true }
            if let doubt, let length = reading.length, doubt.asked.contains(length) { return true }
            if let extended = state.extended[claim], extended.isOurs(reading) { return true }
            if let place = state.places[claim] { return place.isPromotion(reading) }
            if state.held[claim] != nil || doubt != nil || state.rivals.contains(claim) { return false }
            // Only who has asked can say what is its own.
            let asked = [state.held.keys.map(\.name), state.places.keys.map(\.name), state.doubts.keys.map(\.name)].joined()
            return asked.contains(reading.name) ? false : nil
        }
    }

    /// The election as it is, after an answer that it is another's; what is known anyway, where that cannot be read.
    func present(_ name: String, otherwise phase: ElectionState.Phase, until deadline: BootInstant) async -> ElectionState {
        do throws(GRPCFailure) {
            let (reading, endpoint) = try await service.lockInfo(name, until: deadline)
            return await electionState(reading, from: endpoint)
        } catch { return ElectionState(name: name, phase: phase) }
    }
}
