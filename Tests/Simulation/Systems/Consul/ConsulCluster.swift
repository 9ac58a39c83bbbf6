import QQCore
import Support

/// Three servers of Consul, each of which is an agent that is asked: `ConsulStore`, which replays the recordings of a real cluster, with the network, the
/// log and the elections of Raft in front of it.
///
/// The store is what has been committed. A request comes to an agent, which passes it on to the leader; a write waits in the leader's log until it is
/// committed, and a consistent read until the other servers have confirmed the leader. What goes wrong follows from that: an answer "leadership lost while
/// committing log" for a write that the next leader carries out, sessions that the next leader prolongs, seconds without a leader, and default reads and
/// renewals that are answered by a leader that is none any more.
final class ConsulCluster: SimulatedServer, @unchecked Sendable {
    // Used on the world's thread only.
    struct Request: Sendable {
        var request: ConsulStore.Request
        /// The place of the agent that was asked.
        var agent: Int
        var reply: Reply<ConsulReply>
        /// Since when the leader has it in its log.
        var loggedAt: Nanoseconds = 0
        /// When it is committed, or its leader confirmed.
        var due: Nanoseconds = 0
    }

    struct Blocked {
        var query: ConsulStore.BlockedQuery
        var request: Request
    }

    /// A leader that stood still while another one was elected: it answers from its own store until it notices.
    struct Deposed {
        var store: ConsulStore
        /// How long it takes to notice, from when it goes on.
        var delay: Nanoseconds
        /// nil until it goes on.
        var wentOnAt: Nanoseconds?
    }

    static let names = ["server1", "server2", "server3"]
    /// How often servers look after each other.
    private static let heartbeat = Nanoseconds.milliseconds(100)
    /// How long an agent waits for a leader.
    static let leaderWait = Nanoseconds.seconds(7)

    let hosts: [Host]
    let world: World
    let clock: ConsulClock
    let store: ConsulStore
    /// The key of the election.
    let key: String
    let killAfter: Duration
    let ttl: Nanoseconds
    var random: Generator
    let terms = ConsulTerms()
    /// Those of all processes that live.
    var agents: [ConsulAgents] = []
    /// Machines of contenders that are cut off.
    var clientCuts: [(argument: UInt64, host: Host)] = []

    /// The place of the leader; nil if there is none, or the others have noticed that it is gone.
    var leader: Int? = 0
    /// Counts leaders.
    var term = 1
    /// Since when the leader cannot commit; nil if it can.
    var impairedSince: Nanoseconds?
    /// How long after that the others notice.
    var noticeAfter = Nanoseconds.milliseconds(1_500)
    var electionAt: Nanoseconds?
    /// The leader's log that is not committed yet.
    var log: [Request] = []
    var lastDue: Nanoseconds = 0
    /// What a leader that was lost had in its log, and the next one will have in its.
    var survivors: [Request] = []
    /// At agents that know of no leader. `due` is when they give up.
    var waiting: [Request] = []
    var blocked: [Blocked] = []
    var deposed: [Deposed?] = [nil, nil, nil]
    /// Servers that were seen to be down.
    var isDown = [false, false, false]
    /// How many faults cut a server off from the others.
    var cuts = [0, 0, 0]
    /// Servers by the argument of the fault that befell them.
    var cutBy: [(argument: UInt64, place: Int)] = []
    var stoppedBy: [(argument: UInt64, place: Int)] = []
    /// The leader that commits nothing more, by its term.
    var stalledTerm = 0
    var slowDisks = 0
    var brokenCalls = 0
    /// Holders that are programs of others, by their sessions.
    var peers: [(session: String, term: Term)] = []
    private var isChanged = false
    private var isLooking = false
    private var planned: BootInstant?
    private var seenHolder: String?

    init(_ world: World, _ setting: ServerSetting) {
        self.world = world
        killAfter = setting.times.killAfter
        ttl = setting.times.ttl.nanoseconds
        key = setting.election + "/.lock"
        var random = world.generator(.server)
        let hosts = Self.names.map { world.makeHost($0, drift: setting.drift(&random)) }
        self.hosts = hosts
        self.random = random
        clock = ConsulClock(hosts[0])
        store = ConsulStore(clock: clock, servers: Self.names, clients: [])
        _ = store.subscribe { [unowned self] in isChanged = true }
        beat()
    }

    private func beat() {
        world.after(Self.heartbeat) { [weak self] in
            guard let self else { return }
            lookAfterServers()
            lookForOrphans()
            beat()
        }
    }

    // MARK: The store

    /// Carries out a request that is the leader's to carry out, now.
    func carryOut(_ request: Request) {
        switch apply(request) {
        case .answer(let answer): respond(request, ConsulReply(answer))
        case .blocked(let query):
            blocked.append(Blocked(query: query, request: request))
            if let leader { hosts[leader].at(clock.boot(at: query.deadline)) { [weak self] in self?.answerBlocked() } }
        case .silence: break
        case .closed, .refused: respond(request, .failure("rpc error making call: EOF"))
        }
        settle()
    }

    func apply(_ request: Request) -> ConsulStore.Outcome {
        let id = request.request.operation == .create ? newID() : nil
        if let id { store.useIDs([id]) }
        // The agent can have died since. What it passed on is carried out all the same.
        let agent = isDown[request.agent] ? leader ?? request.agent : request.agent
        let outcome = store.handle(request.request, at: Self.names[agent])
        note(request, outcome, made: id)
        return outcome
    }

    private func newID() -> String {
        let digits = Array(
            (String(random.next(), radix: 16) + "0000000000000000" + String(random.next(), radix: 16) + "0000000000000000").utf8)
        func part(_ range: Range<Int>) -> String { String(decoding: digits[range], as: UTF8.self) }
        return [part(0..<8), part(8..<12), part(12..<16), part(16..<20), part(20..<32)].joined(separator: "-")
    }

    /// After a change: queries that wait are answered, and the end of sessions is planned.
    func settle() {
        guard !isLooking else { return }
        isLooking = true
        var rounds = 0
        while isChanged, rounds < 10 {
            isChanged = false
            rounds += 1
            noteHolder()
            answerBlocked()
        }
        isLooking = false
        planTick()
    }

    private func noteHolder() {
        let holder = store.holder(key)
        guard holder != seenHolder else { return }
        seenHolder = holder
        if holder != nil {
            world.note("the key is held since index #1", Int64(clamping: store.index))
        } else {
            world.note(store.isDelayed(key) ? "the key is free, and has a lock-delay" : "the key is free")
        }
        peers.removeAll { peer in
            if peer.session == holder { return false }
            world.checker.ended(peer.term)
            return true
        }
    }

    private func answerBlocked() {
        guard isWorking, !blocked.isEmpty else { return }
        var left: [Blocked] = []
        let all = blocked
        blocked = []
        for wait in all where !wait.request.reply.isAbandoned {
            switch store.poll(wait.query) {
            case .answer(let answer): respond(wait.request, ConsulReply(answer))
            case .blocked(let query): left.append(Blocked(query: query, request: wait.request))
            case .closed, .refused, .silence: respond(wait.request, .failure("rpc error making call: EOF"))
            case nil: left.append(wait)
            }
        }
        blocked = left + blocked
    }

    /// Sessions end by the leader's clock.
    private func planTick() {
        guard let leader, isWorking, let next = store.nextEvent, planned.map({ next < $0 }) ?? true else { return }
        planned = next
        let term = term
        hosts[leader].at(clock.boot(at: next)) { [weak self] in
            guard let self, self.term == term else { return }
            planned = nil
            guard isWorking else { return }
            store.tick()
            settle()
        }
    }

    /// A leader has been elected, or goes on.
    func leads() {
        planned = nil
        isChanged = true
        settle()
    }

    // MARK: Programs of others

    /// A program that holds the key, as long as the servers say so.
    func peerHolds(_ process: SimProcess, _ session: String) {
        guard store.holder(key) == session, let token = store.key(key)?["ModifyIndex"]?.uint64Value else { return }
        let term = world.checker.elected(process, token: FencingToken(token), deadline: .distantFuture, margin: .zero)
        peers.append((session, term))
        process.onEnd { [weak self] in self?.peerEnds(session) }
    }

    /// It is about to release the key, or has ended.
    func peerEnds(_ session: String) {
        peers.removeAll { peer in
            if peer.session == session { world.checker.ended(peer.term) }
            return peer.session == session
        }
    }
}

/// An answer of an agent.
struct ConsulReply: Sendable {
    var status: Int
    /// `X-Consul-Index`.
    var index: UInt64?
    var body: [UInt8]

    init(status: Int, body: [UInt8]) { (self.status, self.body) = (status, body) }

    init(_ answer: ConsulStore.Answer) { (status, index, body) = (answer.status, answer.index, answer.body) }

    static func failure(_ text: String) -> ConsulReply { ConsulReply(status: 500, body: Array(text.utf8)) }
}
