import QQCore
import QQGRPC
import Synchronization

/// Elections on etcd, in the keys of `etcdctl lock` and `etcdctl elect`.
///
/// What keeps two from working at the same time:
/// 1. Of the keys below `NAME/` that are named by leases, the one with the lowest create revision leads. Create revisions only grow, so that no later contender
///    can get ahead of a leader.
/// 2. A term is this process's only while its key exists, as last written by this process. The key is bound to a lease, which never ends by itself before its
///    TTL; the holder counts that from before it asked.
/// 3. etcd has no lock-delay: if another process ends the lease or deletes the key, the next contender leads at once. The holder watches its key and hears of it
///    in milliseconds, and its renewals read the key. Until its command is dead, only the fencing token separates the two.
///
/// Each election has a lease of its own, also if one process holds many. A lease that several share ends for all of them at once: releasing one of them, or
/// another process's `--force` on it, would end terms under which other commands run. The keep-alives of all leases share a stream, and write nothing.
public final class EtcdCoordinator: Coordinator, ElectionLister {
    public let server: ServerURL
    public static let capabilities = Capabilities(lacking: [
        .priority: "etcd serves contenders in the order of their arrival",
        .cancelWait: "a place in etcd's queue belongs to the lease of the process that waits",
        .backoffAdvice: "etcd gives no advice; acquire --wait waits in order",
        .members: "contenders on etcd answer no requests",
    ])
    public var capabilities: Capabilities { Self.capabilities }

    let api: any EtcdCalling
    let client: EtcdClient?
    let naming: ContenderNaming
    let requestTimeout: Duration
    let clock: any LeaseClock
    let executor: any TaskExecutor
    let wall: @Sendable () -> WallTime
    /// Numbers for the ids of leases, from 1 on.
    let random: @Sendable () -> Int64
    let state = Mutex(State())

    /// The memory of this process, by election.
    struct State {
        var held: [String: HeldKey] = [:]
        /// The contender of a campaign that does not lead yet. Its key might exist.
        var campaigns: [String: Campaign] = [:]
        /// Leases of campaigns and of former terms that might still have keys, and under which nothing works.
        var leftovers: [String: Set<Int64>] = [:]
        /// Leases of former terms, with their tokens. Their keys might exist, and might be another process's by now.
        var former: [String: [Int64: Int64]] = [:]
        /// Elections that this process has held: their requests to step down are watched.
        var wereHeld: Set<String> = []
    }

    struct Campaign: Sendable, Hashable {
        var lease: Int64
        var identity: String
        /// As requested.
        var seconds: Int64
        /// As granted; nil while the grant has no answer.
        var ttl: Duration?
        /// The moment before the request that made or last renewed the lease.
        var renewedAt: BootInstant
        /// The Raft term of the member that answered the last renewal; nil if the lease was not renewed since it was made.
        var renewedIn: UInt64?
        /// The fencing token, once the turn has come, and when that was asked for.
        var token: Int64?
        var turnAt: BootInstant?
        /// The note beside its key.
        var note: String?
    }

    struct HeldKey: Sendable, Hashable {
        var identity: String
        var lease: Int64
        var token: Int64
        var ttl: Duration
        var deadline: BootInstant
        var acquiredAt: WallTime
        var askedBy: String?
    }

    /// Elections on a cluster that `api` calls.
    package init(
        server: ServerURL, api: any EtcdCalling, client: EtcdClient? = nil, requestTimeout: Duration, clock: any LeaseClock,
        executor: any TaskExecutor, wall: @escaping @Sendable () -> WallTime = { .now() },
        random: @escaping @Sendable () -> Int64 = { .random(in: 1 ... .max) }
    ) {
        self.server = server
        self.api = api
        self.client = client
        naming = ContenderNaming(prefix: server.path)
        self.requestTimeout = requestTimeout
        self.clock = clock
        self.executor = executor
        self.wall = wall
        self.random = random
    }

    /// Elections on the cluster that `options` reach, below the path of `server`. Sends no request, and starts no thread.
    /// - Parameter requestTimeout: the limit for one request; within a lease it is shorter.
    public convenience init(
        server: ServerURL, options: EtcdOptions, requestTimeout: Duration, clock: any LeaseClock, executor: any TaskExecutor
    ) {
        let client = EtcdClient(options, clock: clock)
        self.init(server: server, api: client, client: client, requestTimeout: requestTimeout, clock: clock, executor: executor)
    }

    public func prepare() { client?.prepare() }

    public func close() async { client?.close() }

    public func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        func refuse(_ what: String, _ reason: String, hint: String? = nil) -> CoordinationError {
            CoordinationError(.usage, what, because: reason, at: server.description, hint: hint)
        }
        if !naming.prefix.isEmpty, let problem = ContenderNaming.problem(withPath: naming.prefix) {
            throw refuse("'\(Printable.text(naming.prefix))' cannot be a prefix on etcd", problem)
        }
        if let problem = ContenderNaming.problem(withPath: name) {
            throw refuse("'\(Printable.text(name))' cannot be an election on etcd", problem)
        }
        if let problem = Identity.problem(with: identity) {
            throw refuse("'\(Printable.text(identity))' cannot be an identity", problem, hint: "choose another with --id")
        }
        guard ttl >= .seconds(1), ttl <= .seconds(LeaseTime.longestGranted) else {
            throw refuse(
                "cannot use a TTL of \(DurationText.format(ttl))", "etcd's leases have 1 s to 9000000000 s",
                hint: "choose a --ttl such as 10s")
        }
    }

    // MARK: Limits and errors

    /// The end of the time for one of several requests of an operation within a lease of `ttl`.
    func limit(ttl: Duration) -> BootInstant { clock.now() + min(requestTimeout, max(ttl / 3, .milliseconds(500))) }

    /// The end of the time for a request about a lease that ends at `end`, which leaves time for others.
    /// - Parameter share: the request gets this part of the time: a half, a third.
    func limit(until end: BootInstant, share: Int = 3) -> BootInstant {
        let now = clock.now()
        let left = end.duration(since: now)
        return now + (left > .zero ? min(requestTimeout, max(left / share, .milliseconds(100))) : requestTimeout)
    }

    /// - Parameter isList: whether it concerns all elections below the prefix.
    func told(_ failure: EtcdFailure, _ what: String, isChange: Bool, isList: Bool = false) -> CoordinationError {
        var told = failure.told(what, isChange: isChange)
        if told.location == nil { told.location = server.description }
        if failure.isPermission, told.hint == nil {
            let root = naming.root.isEmpty ? "the election's name" : "'\(Printable.text(naming.root))'"
            let keys = isList && naming.root.isEmpty ? "all keys" : "all keys that begin with \(root)"
            told.hint = "the user's role needs \(isChange ? "readwrite" : "read") permission for \(keys)"
        }
        return told
    }
}
