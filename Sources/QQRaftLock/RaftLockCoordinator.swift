import QQCore
import QQGRPC
import Synchronization

/// Elections on a RaftLock cluster: an election is a lock, its leader the lock's owner, and the fencing token the lock's version.
///
/// Most failures leave the outcome unknown: the servers answer INTERNAL to a renewal that they carry out, and can carry out a request that timed out once
/// the nodes reach each other again. An uncertain outcome is resolved by reading.
public final class RaftLockCoordinator: Coordinator, ElectionLister, ServerQueue {
    public let server: ServerURL
    public static let capabilities = Capabilities(lacking: [
        .askNodeToStepDown: "RaftLock's nodes are its servers, not the holders of locks",
        .members: "RaftLock does not know the contenders",
        .note: "RaftLock carries no note",
    ])
    public var capabilities: Capabilities { Self.capabilities }

    let service: RaftLockService
    let clock: any LeaseClock
    let executor: any TaskExecutor
    let requestTimeout: Duration
    let priority: Int32
    let timeToLeave: Duration
    let state = Mutex(State())
    /// Added to the requested TTL if another process might have the same identity, to tell the leases of the two apart.
    let ttlOffset: Duration
    private let surroundings: Surroundings

    /// What a coordinator takes from its process and its machine, besides the clock of leases.
    package struct Surroundings: Sendable {
        /// Makes the server at an address.
        package var connect: @Sendable (ServerURL.Host) -> any LockServer
        /// The queue that all writes of this process to the cluster go through.
        package var writeQueue: WriteQueue
        package var wallClock: @Sendable () -> WallTime = { .now() }
        /// A number in 0..<1.
        package var random: @Sendable () -> Double = { .random(in: 0..<1) }
        /// Whether this process generated the identity, so that no other process has it.
        package var isOurAlone: @Sendable (String) -> Bool = { Identity.isOurAlone($0) }

        package init(connect: @escaping @Sendable (ServerURL.Host) -> any LockServer, writeQueue: WriteQueue) {
            self.connect = connect
            self.writeQueue = writeQueue
        }
    }

    /// One lock, requested under one identity.
    struct Claim: Sendable, Hashable {
        var name: String
        var identity: String
    }

    /// The memory of this process, by claim.
    struct State {
        var held: [Claim: Held] = [:]
        /// Requests whose outcome is unknown.
        var uncertain: [Claim: UncertainRequests] = [:]
        var places: [Claim: QueuePlace] = [:]
        /// Leases granted to this process that might belong to another process with the same identity, or might have ended.
        var extended: [Claim: Extended] = [:]
        /// Locks that other processes with the same identity hold.
        var heldBySameIdentity: Set<Claim> = []
    }

    /// A lease of this process.
    struct Held: Sendable {
        var version: Int64
        /// When the term began; nil if unknown.
        var began: WallTime?
        /// Whether no other process can resume the term: it guards a command, and its token is saved nowhere.
        var isPrivate = false
        /// The TTL of each renewal.
        var ttl: Duration
        /// The end of the lease as the server reported it last; nil if unknown.
        var expiresAt: WallTime?
        /// Whether an earlier request can still be carried out at any time. A later end of the lease can then be the result of that request instead of the one
        /// just sent.
        var isUncertain: Bool
    }

    /// Requests for one lease whose outcome is unknown.
    struct UncertainRequests: Sendable {
        /// Time at which the last request was sent.
        var since: BootInstant
        /// The TTLs that were requested.
        var asked: [Duration]
        /// Whether a request got no answer at all and can therefore still be carried out.
        var isPending: Bool

        /// How long after the end of its lease an uncertain request can still be carried out.
        private static let lasts: Duration = .seconds(60)

        func isOver(at now: BootInstant) -> Bool { now >= since + (asked.max() ?? .zero) + Self.lasts }
    }

    /// A lease that this process held, or that one of its requests extended.
    struct Extended: Sendable {
        /// The lock's version after the request.
        var version: Int64
        /// Start of the term.
        var began: WallTime?
        /// Whether the request was so quick that no other process with the same identity can have begun to work before its answer. Then the lease is this
        /// process's as long as the lock has this version. Otherwise the lease might be the other process's until it ends.
        var wasQuick: Bool
        /// Whether the lock had this version for so long that every other process with the same identity has backed off.
        var isSettled = false

        func isOurs(_ snapshot: LockSnapshot) -> Bool { wasQuick && version == snapshot.version && began == snapshot.acquiredAt }
    }

    /// A place in a lock's queue.
    struct QueuePlace: Sendable {
        /// Time of the last refresh; nil if the server did not confirm it, so that the place has to be requested again.
        var refreshedAt: BootInstant?
        /// Time since which no server could be asked for the lock.
        var awaySince: BootInstant?
        /// Whether the server is known to have accepted the place.
        var isTaken = false
        var standing = QueueStanding()
        /// The present term, if another process with the same identity holds it. Then the owner's identity proves nothing.
        var sameIdentityTerm: Term?

        /// Whether the queue has granted the lock to this place: a promotion is a new term with its own version and start, and unchanged since. Another waiter
        /// with the same identity shares the place and might have been quicker. A `qq` that does not wait requests a lease that does not last whole seconds, if
        /// another process might have its identity.
        func isPromotion(_ snapshot: LockSnapshot) -> Bool {
            guard snapshot.owner != nil, snapshot.isUntouched else { return false }
            if let length = snapshot.length, length.components.attoseconds != 0 { return false }
            guard let sameIdentityTerm else { return true }
            return snapshot.version != sameIdentityTerm.version && snapshot.acquiredAt != sameIdentityTerm.acquiredAt
        }
    }

    struct Term: Sendable, Hashable {
        var version: Int64
        var acquiredAt: WallTime?
    }

    /// - Parameters:
    ///   - executor: runs writes, which continue when the caller's task is cancelled.
    ///   - requestTimeout: the limit for one request and for resolving its outcome; within a lease it is shorter.
    ///   - priority: priority in the queue, -1000 to 1000, higher first.
    ///   - followsRedirects: whether a Raft leader outside the URL's endpoints is asked at the address that other nodes name.
    ///   - timeToLeave: the limit for leaving the queue, which an operator waits for after Ctrl-C.
    ///   - redirected: called each time that a node names another one as the Raft leader.
    public convenience init(
        server: ServerURL, settings: GRPCSettings, clock: any LeaseClock, executor: any TaskExecutor, requestTimeout: Duration,
        priority: Int32, followsRedirects: Bool, timeToLeave: Duration = .seconds(3), redirected: (@Sendable () -> Void)? = nil
    ) {
        self.init(
            server: server,
            surroundings: Surroundings(
                connect: { GRPCEndpoint($0, settings, clock: clock) },
                writeQueue: .to(Self.hosts(server).map(\.description))),
            clock: clock, executor: executor, requestTimeout: requestTimeout, priority: priority, followsRedirects: followsRedirects,
            timeToLeave: timeToLeave, redirected: redirected)
    }

    package init(
        server: ServerURL, surroundings: Surroundings, clock: any LeaseClock, executor: any TaskExecutor, requestTimeout: Duration,
        priority: Int32, followsRedirects: Bool, timeToLeave: Duration = .seconds(3), redirected: (@Sendable () -> Void)? = nil
    ) {
        self.server = server
        self.surroundings = surroundings
        ttlOffset = .milliseconds(1 + Int(surroundings.random() * 99))
        self.clock = clock
        self.executor = executor
        self.requestTimeout = requestTimeout
        self.priority = priority
        self.timeToLeave = timeToLeave
        service = RaftLockService(
            Self.hosts(server), connect: surroundings.connect, writeQueue: surroundings.writeQueue, clock: clock, executor: executor,
            followsRedirects: followsRedirects, redirected: redirected)
    }

    private static func hosts(_ server: ServerURL) -> [ServerURL.Host] {
        server.hosts.map { .init(name: $0.name, port: server.port(of: $0)) }
    }

    /// Prepares the endpoint that is asked first while no Raft leader is known.
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
            "choose another with --id")
        try refuse(
            "cannot use a TTL of \(DurationText.format(ttl))", LockRules.problem(withTTL: ttl), "choose a --ttl such as 15s")
        try refuse("cannot use a priority of \(priority)", LockRules.problem(withPriority: priority), nil)
    }

    // MARK: Failures, time and chance

    func told(_ failure: GRPCFailure, _ what: String, isChange: Bool) -> CoordinationError {
        guard isChange, let (node, sign) = service.wedged(failure) else { return failure.told(what, isChange: isChange, wedged: nil) }
        return failure.told(what, isChange: true, wedged: node, sign)
    }

    func isOurAlone(_ identity: String) -> Bool { surroundings.isOurAlone(identity) }

    /// A number in 0..<1.
    func random() -> Double { surroundings.random() }

    var wallTime: WallTime { surroundings.wallClock() }

    /// Deadline of a request that is made now.
    var requestDeadline: BootInstant { clock.now() + requestTimeout }

    /// Deadline of a request for a lease that ends at `end`, which leaves time for another request.
    func requestDeadline(within end: BootInstant) -> BootInstant {
        let now = clock.now()
        let left = end.duration(since: now)
        return now + (left > .zero ? min(requestTimeout, max(left / 2, .milliseconds(100))) : requestTimeout)
    }

    // MARK: State for readers

    /// - Parameter endpoint: the endpoint that was read; times count by its clock.
    func electionState(_ snapshot: LockSnapshot, from endpoint: Int?) async -> ElectionState {
        let snapshot = asHeld(snapshot)
        let serverClock = snapshot.owner == nil ? nil : await service.serverClock(at: endpoint)
        var found = snapshot.state(at: clock.now(), wall: wallTime, clock: serverClock)
        found.isOwn = isOwn(snapshot)
        return found
    }

    /// Whether the present term was granted to this process; nil if unknown.
    func isOwn(_ snapshot: LockSnapshot) -> Bool? {
        guard let owner = snapshot.owner else { return nil }
        let claim = Claim(name: snapshot.name, identity: owner)
        let (uncertain, isOurAlone) = (uncertainRequests(of: claim), self.isOurAlone(owner))
        return state.withLock { state in
            if state.held[claim]?.version == snapshot.version { return true }
            // No other process can have been granted the lock.
            if isOurAlone, uncertain != nil || state.held[claim] == nil { return true }
            if let uncertain, let length = snapshot.length, uncertain.asked.contains(length) { return true }
            if let extended = state.extended[claim], extended.isOurs(snapshot) { return true }
            if let place = state.places[claim] { return place.isPromotion(snapshot) }
            if state.held[claim] != nil || uncertain != nil || state.heldBySameIdentity.contains(claim) { return false }
            // Only a process that has requested the lock can tell whether the lock is its own.
            let asked = [state.held.keys.map(\.name), state.places.keys.map(\.name), state.uncertain.keys.map(\.name)].joined()
            return asked.contains(snapshot.name) ? false : nil
        }
    }

    /// The present state of the election, after an answer that another holder has it; `phase` alone if the lock cannot be read.
    func present(_ name: String, otherwise phase: ElectionState.Phase, until deadline: BootInstant) async -> ElectionState {
        do throws(GRPCFailure) {
            let (snapshot, endpoint) = try await service.lockInfo(name, until: deadline)
            return await electionState(snapshot, from: endpoint)
        } catch { return ElectionState(name: name, phase: phase) }
    }
}
