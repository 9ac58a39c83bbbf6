import QQCore
import Synchronization

/// Elections of go-clusters in NATS key-value buckets, in both formats.
///
/// Every lease write of this process carries a `MessageID`, which tells its leases from those of other processes with the same node id. Each write also
/// names the revision that it replaces, so that only one of two concurrent writes succeeds.
public final class NATSCoordinator: Coordinator, ElectionLister, Membership {
    public let server: ServerURL
    public static let capabilities = Capabilities(lacking: [
        .priority: "a NATS bucket has no queue: the first contender to ask when it is free leads",
        .cancelWait: "a NATS bucket has no queue to leave",
        .backoffAdvice: "nothing advises waiters on NATS; acquire --wait watches the bucket",
        .waiterCount: "a NATS bucket does not know its waiters",
    ])
    public var capabilities: Capabilities { Self.capabilities }

    let settings: NATSSettings
    /// The TTL that the user gave; nil for the cluster's own.
    let explicitTTL: Duration?
    let clock: any LeaseClock
    let requestTimeout: Duration
    let state = Mutex(State())
    /// The time at which each revision of a lease was first read. Its age can be counted from then, whatever the clocks show.
    let firstSeen: FirstSeen
    /// Limits how many elections start together: each needs far more memory at its start than later.
    let gate = Doorway(width: 32)
    public let connectionEvents: AsyncStream<ConnectionEvent>
    private let eventPost: AsyncStream<ConnectionEvent>.Continuation
    let wallTime: @Sendable () -> WallTime
    let newTermID: @Sendable () -> String
    private let makeClient: @Sendable (_ events: @escaping @Sendable (NATSEvent) -> Void) -> any NATSCalling

    /// The memory of this process, by election.
    struct State {
        var jetStream: JetStream?
        /// The format that a cluster uses.
        var formats: [String: LeaseFormat] = [:]
        var held: [String: HeldLease] = [:]
        /// Term IDs of acquire requests whose outcome is unknown, the newest last.
        var uncertain: [String: [String]] = [:]
        var followers: [String: ElectionFollower] = [:]
        var nodes: [String: ClusterNode] = [:]
        /// The state of each election when it was last read, for nodes that ask this one.
        var clusterSnapshots: [String: ClusterSnapshot] = [:]
        var stepDowns: [String: [ClusterNode.StepDownAnswer]] = [:]
        var bells: [String: Bell] = [:]
    }

    /// A lease of this process.
    struct HeldLease: Sendable {
        var term: LeaseTerm
        var token: FencingToken
        /// The revision of this process's last write.
        var revision: UInt64
        /// The number of renewals.
        var renewals: UInt64
    }

    /// - Parameters:
    ///   - explicitTTL: the TTL that the user gave; nil for the cluster's own.
    ///   - requestTimeout: the limit for one request; within a lease it is shorter.
    public convenience init(
        server: ServerURL, settings: NATSSettings, explicitTTL: Duration?, clock: any LeaseClock, requestTimeout: Duration
    ) {
        self.init(server: server, settings: settings, explicitTTL: explicitTTL, clock: clock, requestTimeout: requestTimeout) { events in
            NATSClient(settings.options, clock: clock, events: events)
        }
    }

    /// - Parameters:
    ///   - wallTime: the machine's wall clock.
    ///   - newTermID: makes a term ID; see `MessageID`.
    ///   - makeClient: makes the connection when it is first needed.
    package init(
        server: ServerURL, settings: NATSSettings, explicitTTL: Duration?, clock: any LeaseClock, requestTimeout: Duration,
        wallTime: @escaping @Sendable () -> WallTime = { .now() }, newTermID: @escaping @Sendable () -> String = { MessageID.newTermID() },
        makeClient: @escaping @Sendable (_ events: @escaping @Sendable (NATSEvent) -> Void) -> any NATSCalling
    ) {
        self.server = server
        self.settings = settings
        self.explicitTTL = explicitTTL
        self.clock = clock
        firstSeen = FirstSeen(clock: clock)
        self.requestTimeout = requestTimeout
        self.wallTime = wallTime
        self.newTermID = newTermID
        self.makeClient = makeClient
        (connectionEvents, eventPost) = AsyncStream.makeStream(of: ConnectionEvent.self, bufferingPolicy: .bufferingNewest(64))
    }

    /// The connection is made when it is first needed. Until then there is no thread, so the guardian can be forked.
    var jetStream: JetStream {
        state.withLock { state in
            if let jetStream = state.jetStream { return jetStream }
            let post = eventPost
            let client = makeClient { post.yield(ConnectionEvent($0)) }
            let made = JetStream(client: client, api: JetStreamAPI(prefix: settings.apiPrefix))
            state.jetStream = made
            return made
        }
    }

    var client: any NATSCalling { jetStream.client }

    public func close() async {
        let (client, nodes, followers) = state.withLock { state in
            defer { (state.nodes, state.followers) = ([:], [:]) }
            return (state.jetStream?.client, Array(state.nodes.values), Array(state.followers.values))
        }
        for node in nodes { node.stop() }
        for follower in followers { follower.stop() }
        await client?.close()
        eventPost.finish()
    }

    var moment: LeaseEntryRules.Moment { LeaseEntryRules.Moment(boot: clock.now(), wall: wallTime()) }

    /// The limit for a request within a lease, which leaves time for another attempt.
    func timeout(ttl: Duration) -> Duration { min(requestTimeout, max(ttl / 4, .milliseconds(250))) }

    // MARK: Names

    /// Account and domain decide which buckets exist, and are therefore part of the key. Secrets are not.
    public func electionKeys(_ name: String) -> [String] {
        let login =
            switch settings.options.credentials {
            case .none: "none"
            case .userPassword(let user, _): "user \(user)"
            case .token: "token"
            case .nkey(let path), .credentialsFile(let path): "file \(path)"
            }
        return [networkElectionKey("\(name) \(settings.apiPrefix) \(login)")]
    }

    /// With a shorter TTL, a momentary stall would lose the lease.
    public static let shortestTTL: Duration = .seconds(1)

    public func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        if let problem = LeaseFormat.problem(withCluster: name) {
            throw CoordinationError(.usage, "'\(Printable.text(name))' cannot be the name of a cluster", because: problem)
        }
        if !identity.isEmpty, let problem = LeaseFormat.problem(withNode: identity) {
            throw CoordinationError(
                .usage, "'\(Printable.text(identity))' cannot be the id of a node", because: problem, hint: "give one with --id")
        }
        if ttl < Self.shortestTTL {
            throw CoordinationError(
                .usage, "cannot use a TTL of \(DurationText.format(ttl))",
                because: "it is shorter than \(DurationText.format(Self.shortestTTL))",
                at: server.description, hint: "choose a longer --ttl")
        }
    }

    // MARK: Reading

    public func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        let snapshot: BucketSnapshot?
        // While this process holds the lease, there must be time to act on the answer.
        let limit = state.withLock { $0.held[name]?.term.ttl }.map { timeout(ttl: $0) } ?? requestTimeout
        do throws(JetStreamFailure) { snapshot = try await self.snapshot(name, fresh: true, timeout: limit) } catch {
            throw failure("cannot read \(name)", error)
        }
        guard let snapshot else { return ElectionState(name: name, phase: .free) }
        return electionState(name, rules(name, snapshot))
    }

    public func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState] {
        let buckets: [(bucket: String, stream: StreamInfo)]
        do throws(JetStreamFailure) { buckets = try await jetStream.buckets(timeout: requestTimeout) } catch {
            throw failure("cannot list elections", error)
        }
        var names = Set(buckets.compactMap { LeaseFormat.election(inBucket: $0.bucket)?.cluster }).sorted()
        if let part = filter.name { names.removeAll { !$0.contains(part) } }
        // A limited number at a time, neither one by one nor thousands together.
        return await withTaskGroup(of: ElectionState.self) { group in
            var states: [ElectionState] = []
            for (index, name) in names.enumerated() {
                if index >= 32, let state = await group.next() { states.append(state) }
                group.addTask {
                    do throws(CoordinationError) { return try await self.read(name) } catch {
                        var state = ElectionState(name: name, phase: .free)
                        state.problem = error
                        return state
                    }
                }
            }
            for await state in group { states.append(state) }
            return states.sorted { $0.name < $1.name }
        }
    }
}
