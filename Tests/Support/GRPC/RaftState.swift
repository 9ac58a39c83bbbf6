/// How three RaftLock nodes stand: who leads, what they have agreed on, and how far each has got with it.
struct RaftState: Sendable {
    struct Node: Sendable {
        let id: String
        var isAlive = true
        var isHung = false
        var wedge: RaftLockCluster.Wedge?
        /// How many commands of the log its table has seen.
        var applied = 0
        var table: LockTable
        /// The last term in which it led and took a write: only then its health says that it leads.
        var servedTerm: UInt64?
        /// Whom `GetStatus` names: nobody after the first election, and whoever led before the last one afterwards.
        var statusLeader = ""
        /// When it was started.
        var started: Int64
    }

    struct Entry: Sendable {
        var command: LockTable.Command
        var time: Int64
    }

    typealias Result = Swift.Result<LockTable.Outcome, LockTable.Failure>

    var nodes: [Node]
    private(set) var log: [Entry] = []
    private(set) var leader: Int?
    /// Whom nodes redirect to. It outlives the leader, until they notice its death.
    private(set) var namedLeader: Int?
    private(set) var term: UInt64 = 1
    /// Set from outside: no election comes by itself.
    private var isLeaderless = false
    /// Set from outside: whether the nodes that live reach each other.
    var isConnected = true
    /// Commands that wait for a majority, and what has become of them.
    private var queue: [(ticket: Int, command: LockTable.Command)] = []
    private var outcomes: [Int: Result] = [:]
    private var tickets = 0

    init(leader: Int, defaultTTL: Int64, now: Int64) {
        nodes = (1...3).map { Node(id: "node\($0)", table: LockTable(defaultTTL: defaultTTL), started: now) }
        self.leader = leader
        namedLeader = leader
    }

    var hasMajority: Bool { isConnected && nodes.count(where: \.isAlive) > nodes.count / 2 }
    /// The table that says most.
    var table: LockTable {
        let best = leader ?? nodes.indices.max { nodes[$0].applied < nodes[$1].applied } ?? 0
        return nodes[best].table
    }

    // MARK: Commands

    /// Agrees on a command. Followers hear of it with the next one, or by a heartbeat.
    /// - Returns: nil without a leader, who could be asked.
    mutating func commit(_ command: LockTable.Command, _ now: Int64) -> Result? {
        guard let leader else { return nil }
        log.append(Entry(command: command, time: now))
        nodes[leader].servedTerm = term
        for node in nodes.indices where node != leader && nodes[node].isAlive { catchUp(node, to: log.count - 1) }
        return catchUp(leader, to: log.count)
    }

    /// Has a command wait for a majority.
    mutating func wait(_ command: LockTable.Command) -> Int {
        tickets += 1
        queue.append((tickets, command))
        return tickets
    }

    mutating func outcome(_ ticket: Int) -> Result? { outcomes.removeValue(forKey: ticket) }

    /// Carries out what waited, once there is a majority again.
    mutating func resume(_ now: Int64) {
        guard hasMajority, leader != nil else { return }
        for (ticket, command) in queue { outcomes[ticket] = commit(command, now) }
        queue = []
    }

    /// A heartbeat.
    mutating func catchUp() {
        guard hasMajority, leader != nil else { return }
        for node in nodes.indices where nodes[node].isAlive { catchUp(node, to: log.count) }
    }

    @discardableResult private mutating func catchUp(_ node: Int, to count: Int) -> Result? {
        var last: Result?
        while nodes[node].applied < count {
            let (entry, index) = (log[nodes[node].applied], nodes[node].applied + 1)
            do throws(LockTable.Failure) {
                last = .success(try nodes[node].table.apply(entry.command, index: Int64(index), now: entry.time))
            } catch { last = .failure(error) }
            nodes[node].applied = index
        }
        return last
    }

    mutating func expire(_ now: Int64) {
        for node in nodes.indices where nodes[node].isAlive { nodes[node].table.expire(now) }
    }

    /// All leases and queues are forgotten, as after some failovers of the real one.
    mutating func forget() {
        for node in nodes.indices {
            nodes[node].table = LockTable(defaultTTL: nodes[node].table.defaultTTL)
            nodes[node].applied = log.count
        }
    }

    // MARK: Elections

    mutating func elect(_ node: Int, _ now: Int64) {
        let before = namedLeader.map { nodes[$0].id } ?? ""
        for place in nodes.indices { nodes[place].statusLeader = before }
        term += 1
        isLeaderless = false
        (leader, namedLeader) = (node, node)
        catchUp(node, to: log.count)
        resume(now)
    }

    /// What nodes do when their election timeout is over: one of those that live leads, if they are a majority.
    mutating func electAny(_ now: Int64) {
        guard leader == nil, !isLeaderless else { return }
        guard hasMajority, let next = nodes.indices.first(where: { nodes[$0].isAlive && $0 != namedLeader }) else {
            namedLeader = nil
            return
        }
        elect(next, now)
    }

    /// Nobody leads, and the nodes know it, until somebody is elected by name.
    mutating func loseLeader() { (leader, namedLeader, queue, isLeaderless) = (nil, nil, [], true) }

    mutating func kill(_ node: Int) {
        nodes[node].isAlive = false
        guard leader == node else { return }
        // Those who are left name it until they notice. What waited with it is lost.
        (leader, queue) = (nil, [])
    }

    mutating func revive(_ node: Int, _ now: Int64) {
        (nodes[node].isAlive, nodes[node].isHung, nodes[node].wedge) = (true, false, nil)
        (nodes[node].servedTerm, nodes[node].started, nodes[node].statusLeader) = (nil, now, "")
        resume(now)
    }
}
