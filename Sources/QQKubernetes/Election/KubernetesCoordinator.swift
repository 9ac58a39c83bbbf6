import QQCore
import QQHTTP
import Synchronization

/// Elections on the Leases of one namespace (coordination.k8s.io/v1), beside client-go's leader election and everything else that uses them.
///
/// What keeps two from working at the same time:
/// 1. Every write names the version that it replaces, and the object's uid. The server carries out at most one write over each version.
/// 2. A term is this process's only while the object has the term's mark and the very record that this process wrote.
/// 3. The holder counts its lease from before the first request whose record contenders can tell from the one before. Contenders count from when they have seen
///    it, which is later.
public final class KubernetesCoordinator: Coordinator, ElectionLister {
    public let server: ServerURL
    public static let capabilities = Capabilities(lacking: [
        .priority: "a Kubernetes lease has no queue: the first contender to ask when it is free leads",
        .cancelWait: "a Kubernetes lease has no queue to leave",
        .backoffAdvice: "an API server gives no advice; acquire --wait watches the lease",
        .members: "a Kubernetes lease does not name the contenders",
        .waiterCount: "a Kubernetes lease does not name its waiters",
    ])
    public var capabilities: Capabilities { Self.capabilities }

    let api: any APICalling
    let calls: LeaseCalls
    let namespace: String
    let clock: any LeaseClock
    let wall: @Sendable () -> WallTime
    /// For the ids of terms, and for pauses.
    let random: @Sendable () -> UInt64
    let executor: any TaskExecutor
    let requestTimeout: Duration
    public let mayPrompt: Bool
    let state = Mutex(State())
    let watcher: LeaseWatcher
    /// Limits how many elections start together.
    let gate = Doorway(width: 32)
    public let connectionEvents: AsyncStream<ConnectionEvent>
    let eventPost: AsyncStream<ConnectionEvent>.Continuation

    /// The memory of this process, by election.
    struct State {
        var held: [String: HeldLease] = [:]
        var histories: [String: LeaseHistory] = [:]
        var own: [String: OwnTerms] = [:]
        /// The newest change of a held lease that its holder has not been told of.
        var news: [String: ElectionState] = [:]
        var bells: [String: [Bell]] = [:]
        /// Those of waiters.
        var followers: [String: LeaseFollower] = [:]
        /// Since when a waiter could not ask.
        var awaySince: [String: BootInstant] = [:]
        var serverClock: ServerClock?
    }

    /// A write that acquires or resumes a lease.
    struct Attempt: Sendable {
        var mark: TermMark
        var record: LeaseRecord
        var uid: String?
        /// The version that it replaces.
        var version: String?
        var sentAt: BootInstant
    }

    /// - Parameters:
    ///   - executor: runs watches.
    ///   - requestTimeout: the limit for one request; within a lease it is shorter.
    package init(
        server: ServerURL, api: any APICalling, namespace: String, clock: any LeaseClock, executor: any TaskExecutor,
        requestTimeout: Duration,
        mayPrompt: Bool = false,
        wall: @escaping @Sendable () -> WallTime = { .now() },
        random: @escaping @Sendable () -> UInt64 = { .random(in: .min ... .max) }
    ) {
        self.server = server
        self.api = api
        self.namespace = namespace
        calls = LeaseCalls(namespace: namespace)
        self.clock = clock
        self.wall = wall
        self.random = random
        self.executor = executor
        self.requestTimeout = requestTimeout
        self.mayPrompt = mayPrompt
        let (events, post) = AsyncStream.makeStream(of: ConnectionEvent.self, bufferingPolicy: .bufferingNewest(64))
        (connectionEvents, eventPost) = (events, post)
        watcher = LeaseWatcher(api: api, calls: calls, clock: clock, executor: executor, timeout: requestTimeout, random: random)
        watcher.start(
            deliver: { [weak self] in self?.received($0) }, changed: { [weak self] in self?.ringAll($0) },
            notice: { post.yield(ConnectionEvent(.notice, $0)) })
    }

    public func prepare() { api.prepare() }

    public func close() async {
        watcher.stop()
        // Followers end outside of the lock, which they need for that.
        let followers = state.withLock { state in
            defer { state.followers = [:] }
            return state.followers
        }
        withExtendedLifetime(followers) {}
        await api.close()
        eventPost.finish()
    }

    // MARK: Names

    /// A context's name can mean another cluster tomorrow, and two names can mean one: the API server's URL names the cluster.
    public func electionKeys(_ name: String) -> [String] { [networkElectionKey(api.endpoint, "\(namespace) \(name)")] }

    public func electionKind(_ name: String) -> String { "\(server.system.name) \(namespace) \(name)" }

    public func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        if let problem = LeaseNaming.problem(withName: name) {
            throw CoordinationError(
                .usage, "'\(Printable.text(name))' cannot be the name of a lease", because: problem, at: server.description,
                hint: name.utf8.contains(UInt8(ascii: "/")) ? "the namespace is in the server URL: -s k8s://CONTEXT/NAMESPACE" : nil)
        }
        if let problem = LeaseNaming.problem(withNamespace: namespace) {
            throw CoordinationError(
                .usage, "'\(Printable.text(namespace))' cannot be a namespace", because: problem, at: server.description,
                hint: "name another one: -s k8s://CONTEXT/NAMESPACE")
        }
        if let problem = Identity.problem(with: identity) {
            throw CoordinationError(
                .usage, "'\(Printable.text(identity))' cannot be an identity", because: problem, at: server.description,
                hint: "choose another with --id")
        }
        guard LeaseNaming.seconds(ttl) != nil else {
            throw CoordinationError(
                .usage, "cannot use a TTL of \(DurationText.format(ttl))",
                because: "Kubernetes counts in whole seconds, from 1 to \(Int32.max)", at: server.description,
                hint: "choose a --ttl such as 15s")
        }
    }

    // MARK: Calls

    /// Sends a request, which the server, too, gives up in time.
    func call(_ request: APIRequest, within limit: Duration) async throws(APIFailure) -> APIAnswer {
        var request = request
        request.query.append(.init("timeout", "\(max(limit.milliseconds * 9 / 10, 1))ms"))
        let answer = try await api.call(request, until: clock.now() + limit)
        if let date = answer.date {
            let now = clock.now()
            state.withLock { state in
                // The time is cut to seconds and arrives late: of several, the one that is ahead is the best. A server's clock can be set back, too.
                if let known = state.serverClock, known.time(at: now) > date, now < known.readAt + Self.serverTimeLasts { return }
                state.serverClock = ServerClock(time: date, readAt: now)
            }
        }
        return answer
    }

    private static let serverTimeLasts: Duration = .seconds(60)

    /// The lease of an answer.
    private func lease(_ answer: APIAnswer) throws(APIFailure) -> LeaseObject {
        guard let lease = LeaseObject(answer.body) else {
            // A write might have been carried out even so.
            let transport = HTTPFailure(.brokenAnswer, "the server's answer is not a Lease", at: api.endpoint, wasSent: true)
            throw APIFailure(message: transport.reason, transport: transport, endpoint: api.endpoint, credential: "")
        }
        return lease
    }

    func write(_ request: APIRequest, within limit: Duration) async throws(APIFailure) -> LeaseObject {
        try lease(try await call(request, within: limit))
    }

    /// Reads the newest lease; nil if there is none.
    func readLease(_ name: String, within limit: Duration) async throws(APIFailure) -> LeaseObject? {
        let sentAt = clock.now()
        var found: LeaseObject?
        do throws(APIFailure) { found = try lease(try await call(calls.get(name), within: limit)) } catch {
            guard error.status == 404, error.reason != nil else { throw error }
        }
        note(name, found, askedAt: sentAt)
        state.withLock { $0.own[name]?.prune(found, readAt: sentAt) }
        if let version = found?.version { watcher.expect(name, version) }
        return found
    }

    /// - Parameter askedAt: the moment before the object was asked for; nil for the answer to a write.
    func note(_ name: String, _ object: LeaseObject?, askedAt: BootInstant? = nil) {
        let now = clock.now()
        state.withLock { state in
            // A watch can be faster than an answer that was under way. An older object would pass for a store that was set back, and nothing would correct that.
            if let askedAt, let object, let history = state.histories[name], history.notedAt > askedAt, history.isOutdated(object) {
                return
            }
            let own = state.ownIDs(of: name)
            if state.histories[name] == nil {
                state.histories[name] = LeaseHistory(object, at: now)
            } else {
                state.histories[name]?.note(object, own: own, at: now)
            }
        }
    }

    /// The server's time now, as far as it is known; early rather than late.
    var serverNow: WallTime? {
        let now = clock.now()
        return state.withLock { $0.serverClock?.time(at: now) }
    }

    /// The time of a renewal: never behind the true one as far as can be told, because Consensus takes a lease whose renewal is too long ago by its wall clock.
    var stamp: WallTime { max(wall(), serverNow ?? .goZero) }

    /// The time of a release: never ahead of the true one as far as can be told.
    var stampOfRelease: WallTime { min(wall(), (serverNow ?? .latest) + .seconds(1)) }

    /// The limit for one of several requests of an operation within a lease of `ttl`.
    func limit(ttl: Duration) -> Duration { min(requestTimeout, max(ttl / 4, .milliseconds(250))) }

    /// The limit for a request about a lease that ends at `end`, which leaves time for another one.
    func limit(until end: BootInstant) -> Duration {
        let left = end.duration(since: clock.now())
        return left > .zero ? min(requestTimeout, max(left / 3, .milliseconds(100))) : requestTimeout
    }

    func told(_ failure: APIFailure, _ what: String, _ verb: LeasePermission.Verb, _ name: String?) -> CoordinationError {
        failure.told(what, needing: LeasePermission(verb, in: namespace, name: name), at: server)
    }
}

extension KubernetesCoordinator.State {
    /// The terms that this process has or had.
    func ownIDs(of name: String) -> Set<String> {
        var ids = own[name]?.ids ?? []
        if let held = held[name] { ids.insert(held.mark.id) }
        return ids
    }

    /// Forgets the lease that is held, which might still exist.
    /// - Parameter isLost: whether another process might have it.
    mutating func end(_ name: String, isLost: Bool) {
        guard let held = held.removeValue(forKey: name) else { return }
        own[name, default: OwnTerms()].add(held.mark.id, isLost ? [] : [held.object.record] + held.unanswered.map(\.record))
    }
}
