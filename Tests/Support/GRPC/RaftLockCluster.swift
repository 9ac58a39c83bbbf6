import GRPCCore
import QQCore
import QQRaftLock
import Synchronization

/// A RaftLock cluster of three nodes within the process of the tests, `node1` to `node3`, that answers as the real one was recorded to,
/// quirks included.
public final class RaftLockCluster: Sendable {
    public struct Settings: Sendable {
        /// Which of the nodes leads at first, from 0.
        public var leader = 1
        /// How long a lease lasts that nobody gave a length, such as a promoted waiter's.
        public var defaultTTL = Duration.seconds(30)
        /// How often expiry is looked at.
        public var expiryInterval = Duration.seconds(1)
        /// How often followers hear of what was agreed on last; nil: only with what is agreed on next.
        public var heartbeat: Duration? = .milliseconds(50)
        /// How long the others take to notice that their leader is gone, and to elect another. The real ones take 3.4 to 11 s.
        public var electionTime = Duration.milliseconds(500)
        /// How long a write takes. Two that meet in that time are seen to: make it long where they must not meet.
        public var writeTime = Duration.milliseconds(2)
        /// How long a write waits for a majority.
        public var majorityTimeout = Duration.seconds(30)
        /// Whether lists come in the order of a hash table, which another one is each time.
        public var shufflesLists = true
        /// Whether time stands still for leases and queues but for `pass`, so that nothing depends on how busy the machine is.
        public var timeStands = false
        public var connections: GRPCServerSettings

        public init() {
            connections = GRPCServerSettings()
            connections.clientPings = .seconds(10)
            connections.serverPings = .seconds(30)
        }
    }

    /// How a leader is that two writes have met in: it answers reads and says that it serves. Only a restart helps.
    public enum Wedge: Sendable {
        /// Writes are answered INTERNAL.
        case refuses
        /// Writes are never answered.
        case hangs
    }

    public struct Faults: Sendable {
        /// What can befall any call.
        public var calls = GRPCCallFaults()
        /// Whether an owner's renewal is answered as it should be.
        public var isMended = false
        /// So many calls are refused as too many, from now on.
        public var rateLimited = 0
        /// Whether a second write while another runs wedges the leader, as the real one.
        public var wedgesOnOverlap = false
        /// Whether redirects name the port of the service, which no real one does.
        public var redirectsToService = false
    }

    struct State {
        var raft: RaftState
        var faults = Faults()
        var calls: [GRPCCalls] = [GRPCCalls(), GRPCCalls(), GRPCCalls()]
        var running = 0
        var mostRunning = 0
        var runningBy: [String: Int] = [:]
        var mostRunningBy: [String: Int] = [:]
        var tasks: [Task<Void, Never>] = []
    }

    /// What a node listens with.
    private struct Listeners {
        let service: GRPCListener
        /// Where the nodes would talk to each other: gRPC is spoken there, and RaftLock is not.
        let peer: GRPCListener

        var both: [GRPCListener] { [service, peer] }
    }

    let settings: Settings
    let clock: SimulatedClock
    let state: Mutex<State>
    /// Set once, before anybody is served.
    private let listeners = Mutex<[Listeners]>([])

    /// Starts the nodes, and waits until they serve.
    public static func start(_ settings: Settings = Settings(), in sandbox: Sandbox) async throws -> RaftLockCluster {
        let cluster = RaftLockCluster(settings)
        for node in 0..<3 {
            let listeners = Listeners(
                service: GRPCListener(settings.connections, [RaftLockNode(cluster: cluster, node: node)], in: sandbox),
                // At an address where nobody else's clients come by.
                peer: GRPCListener(GRPCServerSettings(), [], at: peerHost, in: sandbox))
            for listener in listeners.both { try await listener.start() }
            cluster.listeners.withLock { $0.append(listeners) }
        }
        sandbox.atClose { cluster.end() }
        cluster.begin()
        return cluster
    }

    private init(_ settings: Settings) {
        self.settings = settings
        clock = SimulatedClock(stands: settings.timeStands)
        state = Mutex(State(raft: RaftState(leader: settings.leader, defaultTTL: settings.defaultTTL.nanoseconds, now: clock.now)))
    }

    // MARK: What it is

    /// The nodes' ports on 127.0.0.1; the same after every restart.
    public var ports: [UInt16] { listeners.withLock { $0.map(\.service.port) } }
    /// Where redirects lead.
    public var peerPorts: [UInt16] { listeners.withLock { $0.map(\.peer.port) } }
    /// How many connections the peer ports were sent.
    public var peerConnections: Int { listeners.withLock { $0.reduce(0) { $0 + $1.peer.connections } } }
    /// `raftlock://127.0.0.1:PORT,…`, or `raftlocks://localhost:PORT,…`: the name that the certificate has.
    public var url: String { url(of: Array(ports.indices)) }
    /// The URL of some of the nodes.
    public func url(of nodes: [Int]) -> String {
        let (scheme, host) = settings.connections.tls == nil ? ("raftlock", "127.0.0.1") : ("raftlocks", "localhost")
        return scheme + "://" + nodes.map { "\(host):\(ports[$0])" }.joined(separator: ",")
    }

    /// Which node leads, from 0.
    public var leader: Int? { state.withLock(\.raft.leader) }
    /// Those that do not lead.
    public var followers: [Int] { (0..<3).filter { $0 != leader } }
    public func id(of node: Int) -> String { state.withLock { $0.raft.nodes[node].id } }

    /// The calls to one node, or to all.
    public func calls(to node: Int) -> GRPCCalls { state.withLock { $0.calls[node] } }
    /// How often a method was called, on any node.
    public func calls(_ method: String, by id: String? = nil) -> Int {
        state.withLock { state in
            state.calls.reduce(0) { sum, calls in sum + (id.map { calls[method, $0] } ?? calls[method]) }
        }
    }
    /// The highest number of writes that a leader had to agree on at once. An answer that is late or lost counts no more.
    public var mostWritesAtOnce: Int { state.withLock(\.mostRunning) }
    /// The same of one client id.
    public func mostWritesAtOnce(by id: String) -> Int { state.withLock { $0.mostRunningBy[id] ?? 0 } }

    private static let peerHost = "127.0.0.2"

    func address(of node: Int) -> String {
        state.withLock(\.faults.redirectsToService) ? "127.0.0.1:\(ports[node])" : "\(Self.peerHost):\(peerPorts[node])"
    }

    // MARK: Time

    /// Lets time pass where it stands.
    public func pass(_ time: Duration) { clock.pass(time) }

    private func begin() {
        run {
            while !Task.isCancelled {
                try? await Task.sleep(for: self.settings.expiryInterval)
                self.state.withLock { state in
                    // First what was agreed on: a renewal must not come after the expiry that it prevents.
                    if self.settings.heartbeat != nil { state.raft.catchUp() }
                    state.raft.expire(self.clock.now)
                }
            }
        }
        guard let heartbeat = settings.heartbeat else { return }
        run {
            while !Task.isCancelled {
                try? await Task.sleep(for: heartbeat)
                self.state.withLock { $0.raft.catchUp() }
            }
        }
    }

    private func run(_ body: @escaping @Sendable () async -> Void) {
        let task = Task { await body() }
        state.withLock { $0.tasks.append(task) }
    }

    private func end() {
        for task in state.withLock(\.tasks) { task.cancel() }
    }

    private func electLater() {
        run {
            guard (try? await Task.sleep(for: self.settings.electionTime)) != nil else { return }
            self.state.withLock { $0.raft.electAny(self.clock.now) }
        }
    }

    // MARK: Nodes

    /// Cuts all connections of a node at once; its ports refuse. Where it led, the others name it until they have elected another.
    public func kill(_ node: Int) async {
        state.withLock { $0.raft.kill(node) }
        for listener in listeners.withLock({ $0[node].both }) { await listener.kill() }
        electLater()
    }

    /// As at SIGTERM: the node's calls are answered, and its connections told to go.
    public func stop(_ node: Int) async {
        state.withLock { $0.raft.kill(node) }
        electLater()
        for listener in listeners.withLock({ $0[node].both }) { await listener.stop() }
    }

    /// Starts a node that was killed, on its port; it follows. Nothing stays of a wedge.
    public func restart(_ node: Int) async throws {
        for listener in listeners.withLock({ $0[node].both }) { try await listener.start() }
        state.withLock { $0.raft.revive(node, clock.now) }
        electLater()
    }

    /// Cuts all connections of a node; new ones are taken.
    public func cutConnections(of node: Int) { listeners.withLock { $0[node].service }.cut() }

    /// Has another node lead, from now on.
    public func moveLeader(to node: Int) { state.withLock { $0.raft.elect(node, clock.now) } }

    /// Has nobody lead, until `moveLeader` says who.
    public func loseLeader() { state.withLock { $0.raft.loseLeader() } }

    /// Without a majority writes wait, time out, and are carried out when it is back.
    public func setMajority(_ isConnected: Bool) {
        state.withLock { state in
            state.raft.isConnected = isConnected
            state.raft.resume(clock.now)
        }
    }

    /// Wedges whoever leads.
    public func wedge(_ kind: Wedge) {
        state.withLock { state in
            if let leader = state.raft.leader { state.raft.nodes[leader].wedge = kind }
        }
    }

    /// Has a node answer nothing but `GetLocks`, as under load.
    public func hang(_ node: Int, _ isHung: Bool = true) { state.withLock { $0.raft.nodes[node].isHung = isHung } }

    public func change(_ change: (inout Faults) -> Void) { state.withLock { change(&$0.faults) } }
}
