import QQCore
import Synchronization

/// A cluster of Consul 1.8.7 without a network: requests in, answers out, and a clock that is injected. What its answers are is in
/// docs and recordings (`Recordings/consul.jsonl`), which `SupportTests` replays.
///
///     let store = ConsulStore()
///     let answer = try await store.answer(ConsulStore.Request("PUT", "/v1/session/create", body: …), at: "server1")
///     store.fail([.transaction], with: .leadershipLost(applied: .yes))
///     store.destroySession(id)
///
/// Agents are `server1`, `server2`, `server3`, of which the first leads, and `client`, unless others are given.
public final class ConsulStore: Sendable {
    public struct Agent: Sendable {
        public var name: String
        public var isServer: Bool
        var isAlive = true
        /// When the node's check fails after the agent's death; nil for an agent that lives, or whose check has failed.
        var criticalAt: BootInstant?
        var isCritical = false
        var nodeID: String
    }

    /// What the servers can do.
    public enum Condition: Sendable, Hashable {
        case healthy
        /// Quorum was lost a moment ago: the old leader still answers default reads and renewals. Writes are kept, and carried out when
        /// quorum is back.
        case losingQuorum
        /// Calls wait for 7 s, and fail; `stale` reads continue.
        case noLeader
        /// The leader is dead, and the others have not noticed.
        case leaderKilled
    }

    /// All that the servers store, to be restored later.
    public struct Backup: Sendable {
        fileprivate var contents: ConsulContents
    }

    struct PendingWrite: Sendable {
        var request: Request
        var agent: String
        /// nil until `applyPending` is called.
        var due: BootInstant?
    }

    struct State: Sendable {
        var contents = ConsulContents()
        var agents: [Agent]
        var leader: String
        var term: UInt64 = 2
        var condition = Condition.healthy
        /// When the present condition began.
        var since: BootInstant
        /// The time of the last call.
        var lastAdvance: BootInstant
        let datacenter: String
        var access: Access?
        var rules: [FaultRule] = []
        var pending: [PendingWrite] = []
        var isReplaying = false
        var calls: [Operation: Int] = [:]
        var log: [String] = []
        /// Counts restored backups, which end blocking queries.
        var generation = 0
        /// Counts changes that no index and no condition shows.
        var wakes = 0
        var nextIDs: [String] = []
        var subscribers: [Int: @Sendable () -> Void] = [:]
        var lastSubscriber = 0

        func agent(_ name: String) -> Agent? { agents.first { $0.name == name } }

        mutating func newID() -> String {
            if !nextIDs.isEmpty { return nextIDs.removeFirst() }
            let digits = (0..<16).map { _ in hexadecimal(UInt8.random(in: .min ... .max)) }.joined()
            return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(Array(digits)[$0]) }.joined(separator: "-")
        }

        mutating func newIndex() -> UInt64 {
            contents.index += 1
            return contents.index
        }
    }

    public let clock: any LeaseClock
    let state: Mutex<State>

    /// Most requests whose first lines are kept for `requests`.
    static let maximumLog = 10_000

    /// - Parameters:
    ///   - servers: names of the servers; the first one leads.
    ///   - clients: names of the client agents.
    ///   - access: tokens; nil for a cluster without ACLs.
    public init(
        clock: any LeaseClock = SystemClock(), servers: [String] = ["server1", "server2", "server3"], clients: [String] = ["client"],
        datacenter: String = "dc1", access: Access? = nil
    ) {
        self.clock = clock
        let agents = (servers.map { ($0, true) } + clients.map { ($0, false) }).enumerated().map { place, agent in
            Agent(name: agent.0, isServer: agent.1, nodeID: "00000000-0000-4000-8000-\(String(100_000_000_000 + place))")
        }
        state = Mutex(
            State(
                agents: agents, leader: servers.first ?? "", since: clock.now(), lastAdvance: clock.now(), datacenter: datacenter,
                access: access))
    }

    // MARK: Requests

    /// Answers a request to an agent, at the clock's present time.
    public func handle(_ request: Request, at agent: String) -> Outcome {
        change { state, now in
            state.calls[request.operation, default: 0] += 1
            if state.log.count < Self.maximumLog {
                state.log.append(request.method + " " + request.path + (request.rawQuery.isEmpty ? "" : "?" + request.rawQuery))
            }
            return state.outcome(request, at: agent, now)
        }
    }

    /// The answer to a blocking query; nil if it has to wait longer.
    public func poll(_ query: BlockedQuery) -> Outcome? { change { state, now in state.poll(query, now) } }

    /// Ends sessions and carries out writes that are due, which every call does as well.
    public func tick() { change { _, _ in } }

    /// When the clock alone changes something next; nil for never.
    public var nextEvent: BootInstant? { state.withLock { $0.nextEvent } }

    /// Runs a closure after each change, on the thread that made it.
    /// - Returns: the number for `unsubscribe`.
    public func subscribe(_ body: @escaping @Sendable () -> Void) -> Int {
        state.withLock { state in
            state.lastSubscriber += 1
            state.subscribers[state.lastSubscriber] = body
            return state.lastSubscriber
        }
    }

    public func unsubscribe(_ number: Int) { state.withLock { $0.subscribers[number] = nil } }

    /// The answer after all its delays, a blocking query's too.
    /// - Throws: `Unanswered` if the connection would be closed or refused, `CancellationError` when the task is cancelled.
    public func answer(_ request: Request, at agent: String) async throws -> Answer {
        var outcome = handle(request, at: agent)
        while true {
            switch outcome {
            case .answer(let answer):
                if answer.after > .zero { try await clock.sleep(for: answer.after) }
                return answer
            case .blocked(let query):
                try await waitForChange(until: query.deadline)
                outcome = poll(query) ?? .blocked(query)
            case .silence:
                try await clock.sleep(until: .distantFuture)
            case .closed: throw Unanswered.closed
            case .refused: throw Unanswered.refused
            }
        }
    }

    public enum Unanswered: Error, Sendable, Hashable {
        case closed
        case refused
    }

    private func waitForChange(until deadline: BootInstant) async throws {
        let (changes, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = subscribe { continuation.yield() }
        defer { unsubscribe(number) }
        let due = min(deadline, nextEvent ?? deadline)
        let clock = clock
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in changes { return } }
            group.addTask { try await clock.sleep(until: due) }
            try await group.next()
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    /// Changes the state, then wakes subscribers if it changed.
    @discardableResult
    func change<Value: Sendable>(_ body: (inout State, BootInstant) -> Value) -> Value {
        let now = clock.now()
        let (value, wake) = state.withLock { state in
            let before = (state.contents.index, state.condition, state.generation, state.wakes)
            state.advance(to: now)
            let value = body(&state, now)
            let changed = before != (state.contents.index, state.condition, state.generation, state.wakes)
            return (value, changed ? Array(state.subscribers.values) : [])
        }
        for body in wake { body() }
        return value
    }

    // MARK: Tests look and act past the API

    /// The session that holds a key; nil for a free or absent one.
    public func holder(_ key: String) -> String? {
        change { state, _ in state.contents.entries[key].flatMap { $0.session.isEmpty ? nil : $0.session } }
    }

    /// The session that holds a key, and the index of its last write; nil for a free or absent one.
    public func lock(_ key: String) -> (session: String, modified: UInt64)? {
        change { state, _ in state.contents.entries[key].flatMap { $0.session.isEmpty ? nil : ($0.session, $0.modified) } }
    }

    /// A key as `/v1/kv` shows it; nil if there is none.
    public func key(_ key: String) -> JSONValue? { change { state, _ in state.contents.entries[key]?.json() } }

    public var keys: [String] { change { state, _ in state.contents.entries(prefix: "").map(\.key) } }

    /// The ids of all sessions.
    public var sessions: [String] { change { state, _ in state.contents.sessions.keys.sorted() } }

    public func session(_ id: String) -> JSONValue? { change { state, _ in state.contents.sessions[id]?.json } }

    /// Whether nobody can acquire a key because of a lock-delay.
    public func isDelayed(_ key: String) -> Bool { change { state, now in state.contents.isDelayed(key, at: now) } }

    /// The names of all agents, servers first.
    public var agents: [String] { state.withLock { $0.agents.map(\.name) } }

    /// The Raft index of the last write.
    public var index: UInt64 { state.withLock { $0.contents.index } }

    /// Number of requests so far.
    public func count(_ operation: Operation) -> Int { state.withLock { $0.calls[operation] ?? 0 } }

    /// Method, path and query of the first 10,000 requests.
    public var requests: [String] { state.withLock { $0.log } }

    /// A plain put as by another client, also on a held key: the session stays, flags and LockIndex are lost.
    public func put(_ key: String, _ value: String, flags: UInt64 = 0) {
        change { state, _ in
            _ = state.newIndex()
            _ = state.contents.put(.init(key: key, value: Array(value.utf8), flags: flags))
        }
    }

    public func delete(_ key: String) {
        change { state, _ in
            _ = state.newIndex()
            state.contents.delete(key)
        }
    }

    /// Ends a session as an operator does. Its lock-delay applies.
    public func destroySession(_ id: String) {
        change { state, now in
            _ = state.newIndex()
            state.contents.end(id, at: now)
        }
    }

    /// Raises the index, as entries of the log do that concern no key or session.
    public func advanceIndex(by count: UInt64) { change { state, _ in state.contents.index += count } }

    /// Ids for the next sessions, instead of random ones.
    public func useIDs(_ ids: [String]) { state.withLock { $0.nextIDs += ids } }

    public func backup() -> Backup { Backup(contents: state.withLock { $0.contents }) }

    /// Restores a snapshot. All indexes go back to those of the snapshot, and blocking queries end.
    public func restore(_ backup: Backup) {
        change { state, now in
            state.contents = backup.contents
            state.generation += 1
            state.restartSessions(at: now)
        }
    }
}
