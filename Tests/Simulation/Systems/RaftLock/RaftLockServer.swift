import QQCore
import QQGRPC
import Support

/// A RaftLock cluster of three nodes: the table of locks that the nodes agree on, the Raft leader, and writes that wait for a majority.
///
/// The table is that of `RaftLockCluster`, which answers as the recordings do. The nodes are not: elections begin by themselves here, and a Raft leader
/// that is cut off goes on for a while.
///
/// What a majority agreed on is kept. The real cluster can forget leases when its Raft leader changes; no client could prevent two holders then.
final class RaftLockServer: SimulatedServer, @unchecked Sendable {
    // Used on the world's thread only.
    enum Wedge {
        /// Writes are answered INTERNAL.
        case refuses
        /// Writes are never answered.
        case hangs
    }

    /// A write that waits for a majority.
    struct Waiting {
        var command: LockTable.Command
        var answer: (Written) -> Void
    }

    struct Node {
        let id: String
        let host: Host
        /// By how much its clock is ahead. Each node writes its own time into what it reports.
        let skew: Nanoseconds
        var isHung = false
        var wedge: Wedge?
        /// The number of reasons why it does not reach the other nodes.
        var cuts = 0
        /// The number of its starts: writes of a life before are void.
        var life = 0
        /// The table as it knows it while it takes itself for the Raft leader and has no majority; nil otherwise.
        var outdated: LockTable?
        /// Writes that it is carrying out.
        var running = 0
        var waiting: [Waiting] = []
        /// When it looked for expired locks last.
        var lookedAt: Int64 = 0
    }

    let world: World
    let hosts: [Host]
    var nodes: [Node] = []
    var random: Generator
    /// The locks as a majority of the nodes knows them.
    var table = LockTable(defaultTTL: .seconds(30))
    /// The lock of the world.
    private var lock: LockTable.Lock?
    /// The first version of the present term: requests of its holder change the version.
    private var firstVersion: Int64 = 0
    /// The index of the last command of the log.
    var index: Int64 = 0
    /// The Raft leader that a majority elected.
    var leader: Int?
    /// The node to which the others redirect.
    private var named: Int?
    private var term: UInt64 = 1
    /// When the nodes elect a Raft leader, unless the present one is back by then; nil while it is there.
    private var electionAt: Nanoseconds?
    /// Writes that a Raft leader had taken without a majority before it lost its office.
    private var orphans: [Waiting] = []
    /// The time of leases, since 1970. It passes as the clock of the Raft leader does.
    private(set) var time: Int64 = 1_800_000_000 * 1_000_000_000
    private var timekeeper = 0
    private var countedTo: BootInstant
    /// Whether an owner's renewal is answered correctly.
    let isMended: Bool
    /// Whether a second write while another one runs wedges the Raft leader.
    var wedgesOnMeeting = false
    private var wedgeFaults = 0
    /// Faults under way, with the node that each is about.
    private var faults: [(fault: Int, argument: UInt64, node: Int)] = []

    init(_ world: World, _ setting: ServerSetting) {
        self.world = world
        var random = world.generator(.server)
        isMended = random.chance(150_000)
        let isSkewed = random.chance(600_000)
        var hosts: [Host] = []
        for number in 1...3 {
            let host = world.makeHost("r\(number)", drift: setting.drift(&random))
            let skew = isSkewed ? random.within(.seconds(-20)...(.seconds(20))) : 0
            nodes.append(Node(id: "node\(number)", host: host, skew: skew, lookedAt: time + random.below(.seconds(1))))
            hosts.append(host)
        }
        self.hosts = hosts
        leader = Int(random.below(3))
        named = leader
        timekeeper = leader ?? 0
        countedTo = hosts[timekeeper].boot
        self.random = random
        tick()
    }

    func coordinator(for process: SimProcess, identity: String) -> any Campaigning {
        SimulatedRaftLock.coordinator(for: process, identity: identity, at: self)
    }

    // MARK: Time

    private static let look: Nanoseconds = .milliseconds(250)

    private func tick() {
        world.after(Self.look) { [weak self] in
            guard let self else { return }
            advance()
            lookAtNodes()
            expire()
            tick()
        }
    }

    func advance() {
        let boot = nodes[timekeeper].host.boot
        time += boot.duration(since: countedTo).nanoseconds
        countedTo = boot
    }

    /// Has each node that takes itself for the Raft leader pass expired locks on, once a second.
    private func expire() {
        for number in nodes.indices where runs(number) && time >= nodes[number].lookedAt + .seconds(1) {
            nodes[number].lookedAt = time
            if nodes[number].outdated != nil {
                nodes[number].outdated?.expire(time)
            } else if leader == number {
                changing { $0.expire(time) }
            }
        }
    }

    /// Changes the table, and notes who has the lock then.
    func changing<Value>(_ body: (inout LockTable) -> Value) -> Value {
        let before = lock
        let value = body(&table)
        lock = table.locks[Trial.election]
        if let lock, lock.acquired != before?.acquired || lock.owner != before?.owner { firstVersion = lock.version }
        let after = lock
        if let after, before?.owner != after.owner {
            let host = nodes[leader ?? timekeeper].host
            if after.isHeld {
                world.note("grants the lock, version #1", host: host, after.version)
            } else {
                world.note("has the lock free again, version #1", host: host, after.version)
            }
        }
        return value
    }

    func isHeld(_ term: Term) -> Bool? {
        guard let lock, lock.owner == term.identity, let token = term.token, Int64(clamping: token.value) >= firstVersion else {
            return false
        }
        // The late renewal of an earlier process with the same identity looks like that of another holder: docs/raftlock.md, "Limits".
        if term.identity != term.process.name { return nil }
        // One that is over is held until a Raft leader looks: at once, or after an election.
        advance()
        // A former Raft leader answers reads from its memory, which lacks the last renewals: a loss that its answer shows is an error on the safe side.
        if nodes.contains(where: { $0.outdated != nil }) { return nil }
        return lock.expires.map { $0 > time } ?? true ? true : nil
    }

    // MARK: The Raft leader

    private func runs(_ node: Int) -> Bool { nodes[node].host.isUp && !nodes[node].host.isStopped }

    /// Whether it runs and can reach other nodes that do.
    private func isConnected(_ node: Int) -> Bool { runs(node) && nodes[node].cuts == 0 }

    /// Whether a majority of the nodes reach each other.
    private var isMajority: Bool { nodes.indices.count(where: { isConnected($0) }) >= 2 }

    /// Whether the node can have a majority carry out a write.
    func canCommit(_ node: Int) -> Bool { leader == node && isConnected(node) && isMajority }

    /// Whether the node takes itself for the Raft leader.
    func leads(_ node: Int) -> Bool { leader == node || nodes[node].outdated != nil }

    /// Whom the node names as the Raft leader.
    func leader(namedBy node: Int) -> (id: String, number: Int)? { named.flatMap { $0 == node ? nil : (nodes[$0].id, $0) } }

    var raftTerm: UInt64 { term }

    func lookAtNodes() {
        for node in nodes.indices where node != leader && nodes[node].outdated != nil && isConnected(node) && leader != nil {
            // It hears of the new Raft leader. What it had taken is gone, or with that one.
            world.note("learns that it is not the Raft leader any more", host: nodes[node].host)
            nodes[node].outdated = nil
            nodes[node].waiting = []
        }
        if let leader, isConnected(leader) {
            electionAt = nil
            named = leader
            nodes[leader].outdated = nil
            if isMajority { resume(leader) }
            return
        }
        // It serves reads on, and passes locks on, without the others.
        if let leader, nodes[leader].outdated == nil, nodes[leader].host.isUp { nodes[leader].outdated = table }
        guard let moment = electionAt else {
            electionAt = world.now + random.within(.milliseconds(3400)...(.seconds(11)))
            return
        }
        guard world.now >= moment else { return }
        let candidates = nodes.indices.filter { isConnected($0) }
        if candidates.count >= 2, let next = random.element(candidates) {
            elect(next)
        } else {
            named = nil
            electionAt = world.now + random.within(.milliseconds(3400)...(.seconds(11)))
        }
    }

    private func elect(_ node: Int) {
        advance()
        if let leader, leader != node {
            // Some of it had reached the others.
            for waiting in nodes[leader].waiting where random.chance(500_000) { orphans.append(waiting) }
            nodes[leader].waiting = []
        }
        leader = node
        named = node
        term += 1
        electionAt = nil
        nodes[node].outdated = nil
        timekeeper = node
        countedTo = nodes[node].host.boot
        world.note("becomes the Raft leader, Raft term #1", host: nodes[node].host, Int64(term))
        resume(node)
    }

    /// Carries out what waited for a majority.
    private func resume(_ node: Int) {
        let all = orphans + nodes[node].waiting
        guard !all.isEmpty else { return }
        orphans = []
        nodes[node].waiting = []
        world.note("carries out #1 writes that had waited for a majority", host: nodes[node].host, Int64(all.count))
        for waiting in all { waiting.answer(commit(waiting.command)) }
    }

    // MARK: Faults

    func restarts(_ host: Host) {
        guard let node = nodes.firstIndex(where: { $0.host === host }) else { return }
        advance()
        nodes[node].life += 1
        nodes[node].isHung = false
        nodes[node].wedge = nil
        nodes[node].running = 0
        nodes[node].outdated = nil
        for waiting in nodes[node].waiting where random.chance(500_000) { orphans.append(waiting) }
        nodes[node].waiting = []
        if leader == node { leader = nil }
        lookAtNodes()
    }

    func begin(_ fault: Int, argument: UInt64) {
        advance()
        let any = Int(argument % 3)
        // Most faults are worth more at the Raft leader.
        let node = argument / 3 % 4 > 0 ? leader ?? any : any
        let isSecondKind = argument / 12 % 2 == 0
        switch RaftLockFault(rawValue: fault) {
        case .meeting:
            wedgeFaults += 1
            wedgesOnMeeting = true
        case .wedge: nodes[node].wedge = isSecondKind ? .hangs : .refuses
        case .cutOff: nodes[node].cuts += 1
        case .noMajority: for node in nodes.indices { nodes[node].cuts += 1 }
        case .newLeader:
            let next = (node + 1) % 3
            if isMajority, isConnected(next), next != leader {
                let before = leader
                elect(next)
                if let before, !isConnected(before) { nodes[before].outdated = table }
            }
        case .hang: nodes[node].isHung = true
        case nil: break
        }
        faults.append((fault, argument, node))
        lookAtNodes()
    }

    func end(_ fault: Int, argument: UInt64) {
        advance()
        guard let place = faults.firstIndex(where: { $0.fault == fault && $0.argument == argument }) else { return }
        let node = faults.remove(at: place).node
        switch RaftLockFault(rawValue: fault) {
        case .meeting:
            wedgeFaults -= 1
            wedgesOnMeeting = wedgeFaults > 0
            restartWedged()
        case .wedge: restartWedged()
        case .cutOff: nodes[node].cuts -= 1
        case .noMajority: for node in nodes.indices { nodes[node].cuts -= 1 }
        case .hang: nodes[node].isHung = false
        case .newLeader, nil: break
        }
        lookAtNodes()
    }

    /// The operator does the only thing that helps.
    private func restartWedged() {
        for node in nodes.indices where nodes[node].wedge != nil && nodes[node].host.isUp {
            let host = nodes[node].host
            world.note("is restarted by its operator", host: host)
            world.network.takeDown(host)
            world.network.bringUp(host)
            restarts(host)
        }
    }
}
