import Glibc

/// A system that grants leases: lease files, and later Quorum Quest, RaftLock, NATS and Kubernetes.
///
/// Every request is one attempt: retrying, resolving uncertain answers and deadlines are the lease session's. A request that may have been carried
/// out although it failed throws a `CoordinationError` that `isUncertain`.
public protocol Coordinator: Sendable {
    /// Where, without credentials.
    var server: ServerURL { get }
    var capabilities: Capabilities { get }

    /// Texts that name an election as every process of this machine does that takes part in it, the preferred one first: by them the processes of its
    /// earlier terms are found.
    func electionKeys(_ name: String) -> [String]

    /// Names the election alone, whatever its servers are called: by it processes are found that nobody guards any more, and whose servers were named in
    /// another way.
    func electionKind(_ name: String) -> String

    /// Begins what takes a while before the first request can be made, such as connecting. Asks nothing, and may start a thread.
    func prepare()

    /// Checks what can be checked before anything is sent.
    /// - Throws: `CoordinationError` of kind `.usage`.
    func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError)

    /// Asks for the lease once.
    func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer

    /// Extends a lease that we hold.
    func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer

    /// Gives a lease up.
    func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer

    /// Reads an election. Changes nothing.
    func read(_ name: String) async throws(CoordinationError) -> ElectionState

    /// Returns when it is worth asking again for an election that was refused with `blocker`: it may have become free, or it is our turn, or
    /// `deadline` has come. Waits in the kernel or at the server where the system can; the place in the queue is kept until `leaveQueue`.
    func waitForTurn(_ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant) async throws(CoordinationError)

    /// Gives up the place in the queue, if `waitForTurn` took one, and what was granted when nobody wanted it any more.
    /// - Returns: what cannot be given up, and ends by itself.
    func leaveQueue(_ request: AcquireRequest) async -> CoordinationError?

    /// Gives up a place in the queue that another process took under this identity.
    /// - Returns: whether there was one.
    /// - Throws: `.unsupported` where the system has no queue to leave.
    func cancelWait(name: String, identity: String) async throws(CoordinationError) -> Bool

    /// How long the system advises contenders to wait before they ask again. Changes nothing.
    /// - Throws: `.unsupported` where it gives no advice.
    func backoffAdvice(_ name: String) async throws(CoordinationError) -> BackoffAdvice

    /// The states of elections as they change, the present ones first; ends only with an error or when the task that reads is cancelled.
    /// - Parameter withRenewals: whether it counts as a change that a lease was renewed, where that can be seen.
    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error>

    /// The elections at the server, by name: at least those that `filter` lets through, where the system can leave others out. Changes nothing.
    func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState]

    /// Makes a holder let go: asks it, or where there is none to ask, ends its lease.
    /// - Parameter byForce: whether its lease may be ended where asking it is not possible or does not help: it is our own, or the operator says so.
    func askToStepDown(
        _ state: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer

    /// Becomes a member of the election, whom others can ask, until the process ends. Does nothing where a system has no members.
    func join(_ name: String, as identity: String) async throws(CoordinationError)

    /// What happens to the connection, for one reader; ends at once where there is none.
    var connectionEvents: AsyncStream<ConnectionEvent> { get }

    /// Every endpoint, and every member where the system knows them, and how they do. Changes nothing.
    func clusterStatus() async -> ClusterReport

    /// Gives up connections, for a process that goes on. Nothing is asked of it afterwards; leases stay as they are.
    func close() async
}

extension Coordinator {
    public func electionKeys(_ name: String) -> [String] { [networkElectionKey(name)] }

    public func electionKind(_ name: String) -> String { "\(server.system.name) \(name)" }

    /// Names an election of a system that is reached over a network.
    /// - Parameter name: the election, with all beside the servers that tells it from others.
    public func networkElectionKey(_ name: String) -> String {
        // One cluster can be named by its servers in any order, and one address is another server in another network namespace.
        let hosts = server.hosts.map(\.description).sorted().joined(separator: ",")
        var network = stat()
        let isKnown = stat("/proc/self/ns/net", &network) == 0
        return "\(server.system.name) \(hosts) \(server.path) \(name) \(isKnown ? network.st_ino : 0)"
    }

    public func prepare() {}

    public func close() async {}

    /// The states of elections as they change; a renewal is no change.
    public func changes(of names: [String]) -> AsyncThrowingStream<ElectionState, any Error> { changes(of: names, withRenewals: false) }

    /// Every election at the server.
    public func list() async throws(CoordinationError) -> [ElectionState] { try await list(ElectionFilter()) }

    public func cancelWait(name: String, identity: String) async throws(CoordinationError) -> Bool {
        throw unsupported(.cancelWait, "leave the queue for \(Printable.text(name))")
    }

    public func backoffAdvice(_ name: String) async throws(CoordinationError) -> BackoffAdvice {
        throw unsupported(.backoffAdvice, "tell how long to wait for \(Printable.text(name))")
    }

    private func unsupported(_ capability: Capability, _ what: String) -> CoordinationError {
        CoordinationError(
            .unsupported, "cannot \(what)", because: capabilities.reasonAgainst(capability) ?? "\(server.system.name) has no such thing",
            at: server.description, hint: capability.hint)
    }

    public func join(_ name: String, as identity: String) async throws(CoordinationError) {}

    public var connectionEvents: AsyncStream<ConnectionEvent> { AsyncStream { $0.finish() } }
}

/// What is asked for with `Coordinator.acquire`.
public struct AcquireRequest: Sendable, Hashable {
    public var name: String
    public var identity: String
    public var ttl: Duration
    /// A term that we hold already and want to go on with.
    public var continuing: Grant?
    /// Whether work is to run under the lease: then a liveness lock is wanted, and a term that another process works under is not ours to share.
    public var wantsLivenessLock: Bool
    /// Whether the liveness lock is to go to work that must be dead before anybody else may lead; else it only shows that the holder lives.
    public var guardsWork: Bool
    /// Whether what runs under the lease goes on until the lease's end even when its holder has died, as an address in the kernel does: then nobody else
    /// may lead before that end, whatever a liveness lock says.
    public var outlivesHolder: Bool

    public init(
        name: String, identity: String, ttl: Duration, continuing: Grant? = nil, wantsLivenessLock: Bool = false, guardsWork: Bool = true,
        outlivesHolder: Bool = false
    ) {
        self.name = name
        self.identity = identity
        self.ttl = ttl
        self.continuing = continuing
        self.wantsLivenessLock = wantsLivenessLock
        self.guardsWork = guardsWork
        self.outlivesHolder = outlivesHolder
    }
}

public enum AcquireAnswer: Sendable {
    case granted(Grant, (any LivenessLock)?)
    /// Somebody else's.
    case refused(ElectionState)
}

public enum RenewAnswer: Sendable, Hashable {
    case renewed(Grant)
    /// The lease is not ours any more; the state shows whose.
    case lost(ElectionState)
}

public enum ReleaseAnswer: Sendable, Hashable {
    case released
    /// It was not ours to give up; the state shows whose it is.
    case notHeld(ElectionState)
}

public enum StepDownAnswer: Sendable, Hashable {
    /// Nobody holds it now.
    case done
    /// The holder was asked; it lets go in its own time, at the latest when its lease ends.
    case asked
    /// It changed hands before we could ask.
    case changed(ElectionState)
}

/// One endpoint of a system.
public struct EndpointStatus: Sendable, Hashable {
    public var endpoint: String
    public var isReachable: Bool
    /// Whether it could grant a lease now, as far as can be seen.
    public var canGrant: Bool
    /// What went wrong, where it is not reachable.
    public var problem: String?
    /// How long one question took.
    public var roundTrip: Duration?
    /// What the system tells of itself, in the order to show; keys are those of the JSON output.
    public var details: [Detail]

    public struct Detail: Sendable, Hashable {
        public var key: String
        public var value: JSONValue

        public init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    public init(
        endpoint: String, isReachable: Bool, canGrant: Bool, problem: String? = nil, roundTrip: Duration? = nil, details: [Detail] = []
    ) {
        self.endpoint = endpoint
        self.isReachable = isReachable
        self.canGrant = canGrant
        self.problem = problem
        self.roundTrip = roundTrip
        self.details = details
    }
}
