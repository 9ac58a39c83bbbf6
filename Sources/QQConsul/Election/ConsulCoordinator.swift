import QQCore
import QQHTTP
import Synchronization

/// Elections on keys of Consul, beside `consul lock` and every program that follows Consul's documented leader election.
///
/// What keeps two from working at the same time:
/// 1. A key has at most one session, and each term a session of its own. A key is locked by a transaction that fails if the key was written since it was read.
/// 2. A term is this process's only while the key has its session. A session never ends by itself before its TTL; the holder counts that from before it asked.
/// 3. If the session is ended early, its lock-delay keeps the next contender out until the holder must have stopped.
public final class ConsulCoordinator: Coordinator, ElectionLister {
    public let server: ServerURL
    public static let capabilities = Capabilities(lacking: [
        .priority: "Consul has no queue: the first contender to ask when a key is free leads",
        .cancelWait: "Consul has no queue to leave",
        .backoffAdvice: "Consul gives no advice; acquire --wait follows the key",
        .members: "a key of Consul does not name the contenders",
        .waiterCount: "a key of Consul does not name its waiters",
    ])
    public var capabilities: Capabilities { Self.capabilities }

    /// What the coordinator needs to know of the program that uses it.
    public struct Settings: Sendable {
        /// The value of `User-Agent`.
        public var userAgent = "qq"
        /// The limit for one request; within a lease it is shorter.
        public var requestTimeout: Duration
        /// The time from SIGTERM to SIGKILL for work under a lease: the lock-delay covers it.
        public var killAfter: Duration

        public init(requestTimeout: Duration, killAfter: Duration) {
            self.requestTimeout = requestTimeout
            self.killAfter = killAfter
        }
    }

    let api: any ConsulCalling
    let calls: ConsulCalls
    let naming: KeyNaming
    let datacenter: String?
    let settings: Settings
    let clock: any LeaseClock
    let executor: any TaskExecutor
    let wall: @Sendable () -> WallTime
    let random: @Sendable () -> UInt64
    let state = Mutex(State())

    /// The memory of this process, by election.
    struct State {
        var held: [String: HeldKey] = [:]
        /// Sessions that were made for the next attempt, and hold nothing.
        var pending: [String: OwnSession] = [:]
        /// Sessions of this process that might hold the key or come to hold it, and under which nothing works.
        var leftovers: [String: [String: Leftover]] = [:]
        /// The sessions of keys, as they were last seen.
        var sessions: [String: SessionEntry] = [:]
        /// The holder that a waiter saw last, and when it was seen to be gone.
        var departures: [String: Departure] = [:]
        /// Until when a key cannot be acquired.
        var delays: [String: Delay] = [:]
        /// The number of blocking queries.
        var watches = 0
    }

    struct Leftover: Sendable, Hashable {
        /// The token of the last term of this process under the session: another process can have resumed that since, and work under it. Nil if a request is
        /// under way, or without an answer, that would have given the term another token.
        var token: FencingToken?
    }

    /// A session of this process.
    struct OwnSession: Sendable, Hashable {
        var id: String
        var ttl: Duration
        /// The moment before the request that created or last renewed it.
        var renewedAt: BootInstant
        /// The note in its name.
        var note: String?
    }

    /// A key that this process holds.
    struct HeldKey: Sendable, Hashable {
        var identity: String
        var session: String
        var token: UInt64
        var ttl: Duration
        var deadline: BootInstant
        var acquiredAt: WallTime
        /// The note of its term.
        var note: String?
        /// Whether a request to step down was seen, whose key is deleted with the release.
        var wasAsked = false
    }

    struct Departure: Sendable, Hashable {
        var session: String
        var lockDelay: Duration?
        var goneAt: BootInstant?
    }

    struct Delay: Sendable, Hashable {
        /// When to ask again.
        var until: BootInstant
        /// Whether `until` is the end of the delay, by when the session was seen to be gone.
        var isKnown: Bool
    }

    package init(
        server: ServerURL, api: any ConsulCalling, naming: KeyNaming, datacenter: String? = nil, settings: Settings,
        clock: any LeaseClock, executor: any TaskExecutor, wall: @escaping @Sendable () -> WallTime = { .now() },
        random: @escaping @Sendable () -> UInt64 = { .random(in: .min ... .max) }
    ) {
        self.server = server
        self.api = api
        self.naming = naming
        self.datacenter = datacenter
        self.settings = settings
        self.clock = clock
        self.executor = executor
        self.wall = wall
        self.random = random
        calls = ConsulCalls(api: api, clock: clock)
    }

    /// Elections on the agents of `access`. Sends no request, and starts no thread.
    public convenience init(
        server: ServerURL, access: ConsulAccess, settings: Settings, clock: any LeaseClock, executor: any TaskExecutor
    ) {
        self.init(
            server: server, api: ConsulClient(access, userAgent: settings.userAgent, clock: clock), naming: access.naming,
            datacenter: access.datacenter, settings: settings, clock: clock, executor: executor)
    }

    public func prepare() { api.prepare() }

    public func close() async { await api.close() }

    // MARK: Names

    /// URLs need not name the agents, so the agents themselves do.
    public func electionKeys(_ name: String) -> [String] {
        [networkElectionKey(api.endpoints.sorted().joined(separator: ","), "\(datacenter ?? "") \(naming.key(name))")]
    }

    public func electionKind(_ name: String) -> String { "\(server.system.name) \(datacenter ?? "") \(naming.key(name))" }

    public func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        func refuse(_ what: String, _ reason: String, hint: String?) -> CoordinationError {
            CoordinationError(.usage, what, because: reason, at: server.description, hint: hint)
        }
        if !naming.isLock, Slot(name: name) != nil {
            throw CoordinationError(
                .unsupported, "cannot lead \(Printable.text(name))",
                because: "the keys that the option key of the URL names have one holder each, and no slots", at: server.description,
                hint: "leave ?key= out of the URL, or --slots out")
        }
        if let problem = naming.problem(withName: name) {
            throw refuse("'\(Printable.text(name))' cannot be an election on Consul", problem, hint: nil)
        }
        if let problem = Identity.problem(with: identity) {
            throw refuse("'\(Printable.text(identity))' cannot be an identity", problem, hint: "choose another with --id")
        }
        guard ConsulRules.minimumTTL <= ttl, ttl <= ConsulRules.maximumTTL else {
            throw refuse(
                "cannot use a TTL of \(DurationText.format(ttl))", "Consul's sessions have 10 s to 24 h", hint: "choose a --ttl such as 15s"
            )
        }
        guard ConsulRules.lockDelay(ttl: ttl, killAfter: settings.killAfter) != nil else {
            throw refuse(
                "cannot use a --kill-after of \(DurationText.format(settings.killAfter))",
                "if the session is destroyed, Consul keeps the next holder out for 60 s at most, and the command could run on beside it",
                hint: "choose at most \(DurationText.format(ConsulRules.maximumLockDelay - ConsulRules.noticing))")
        }
    }

    // MARK: Limits and errors

    /// The limit for one of several requests of an operation within a lease of `ttl`.
    func limit(ttl: Duration) -> Duration { min(settings.requestTimeout, ttl / 4) }

    /// The limit for a request about a lease that ends at `end`, which leaves time for another one.
    func limit(until end: BootInstant) -> Duration {
        let left = end.duration(since: clock.now())
        return left > .zero ? min(settings.requestTimeout, max(left / 3, .milliseconds(100))) : settings.requestTimeout
    }

    func told(_ failure: ConsulFailure, _ what: String, isChange: Bool) -> CoordinationError {
        let key = "key_prefix \"\(Printable.text(naming.root))\" { policy = \"\(isChange ? "write" : "read")\" }"
        let session = "session_prefix \"\" { policy = \"\(isChange ? "write" : "read")\" }"
        return failure.told(what, isChange: isChange, needing: "\(key) and \(session)", at: server)
    }
}
