/// State of three RaftLock nodes: the Raft leader, the log, and how much of the log each node has applied.
struct RaftState: Sendable {
    struct Node: Sendable {
        let id: String
        var isAlive = true
        var isHung = false
        var wedge: RaftLockCluster.Wedge?
        /// Number of commands of the log that the table has seen.
        var applied = 0
        var table: LockTable
        /// The last Raft term in which the node led and took a write. Only in that term its health says that it leads.
        var servedTerm: UInt64?
        /// The leader that `GetStatus` names: empty after the first election, later the leader from before the last election.
        var statusLeader = ""
        /// Time of the start, in nanoseconds since 1970.
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
    /// The node to which others redirect. After the leader dies, they keep naming it until they notice.
    private(set) var namedLeader: Int?
    private(set) var term: UInt64 = 1
    /// Set from outside: elections do not start automatically.
    private var isLeaderless = false
    /// Set from outside: whether the running nodes reach each other.
    var isConnected = true
    /// Commands that wait for a majority, and their results.
    private var queue: [(ticket: Int, command: LockTable.Command)] = []
    private var outcomes: [Int: Result] = [:]
    private var tickets = 0

    init(leader: Int, defaultTTL: Int64, now: Int64) {
        nodes = (1...3).map { Node(id: "node\($0)", table: LockTable(defaultTTL: defaultTTL), started: now) }
        self.leader = leader
        namedLeader = leader
    }

    var hasMajority: Bool { isConnected && nodes.count(where: \.isAlive) > nodes.count / 2 }
    /// The most recent table.
    var table: LockTable {
        let best = leader ?? nodes.indices.max { nodes[$0].applied < nodes[$1].applied } ?? 0
        return nodes[best].table
    }

    // MARK: Commands

    /// Agrees on a command. Followers learn of it with the next command or by a heartbeat.
    /// - Returns: nil if there is no Raft leader.
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

    /// Carries out the commands that waited, once there is a majority again.
    mutating func resume(_ now: Int64) {
        guard hasMajority, leader != nil else { return }
        for (ticket, command) in queue { outcomes[ticket] = commit(command, now) }
        queue = []
    }

    /// Carries out a heartbeat.
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

    /// Forgets all leases and queues, as after some failovers of the real cluster.
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

    /// Acts when the election timeout of the nodes is over: elects a running node, if the running nodes are a majority.
    mutating func electAny(_ now: Int64) {
        guard leader == nil, !isLeaderless else { return }
        guard hasMajority, let next = nodes.indices.first(where: { nodes[$0].isAlive && $0 != namedLeader }) else {
            namedLeader = nil
            return
        }
        elect(next, now)
    }

    /// Leaves the cluster without a leader, which the nodes know, until `elect` names one.
    mutating func loseLeader() { (leader, namedLeader, queue, isLeaderless) = (nil, nil, [], true) }

    mutating func kill(_ node: Int) {
        nodes[node].isAlive = false
        guard leader == node else { return }
        // The other nodes name it until they notice. Commands that waited on it are lost.
        (leader, queue) = (nil, [])
    }

    mutating func revive(_ node: Int, _ now: Int64) {
        (nodes[node].isAlive, nodes[node].isHung, nodes[node].wedge) = (true, false, nil)
        (nodes[node].servedTerm, nodes[node].started, nodes[node].statusLeader) = (nil, now, "")
        resume(now)
    }
}
