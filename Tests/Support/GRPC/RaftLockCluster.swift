import GRPCCore
import QQCore
import QQRaftLock
import Synchronization

/// A RaftLock cluster of three nodes, `node1` to `node3`, within the test process. It answers like the recordings of the real one,
/// quirks included.
public final class RaftLockCluster: Sendable {
    public struct Settings: Sendable {
        /// The first Raft leader, counted from 0.
        public var leader = 1
        /// TTL of a lease that was requested without one, and of a promoted waiter's.
        public var defaultTTL = Duration.seconds(30)
        /// Interval at which expiry is checked.
        public var expiryInterval = Duration.seconds(1)
        /// Interval at which followers learn of the latest log entries; nil if they learn of an entry only with the next one.
        public var heartbeat: Duration? = .milliseconds(50)
        /// Time that followers take to notice the loss of the Raft leader and to elect another. Real ones take 3.4 to 11 s.
        public var electionTime = Duration.milliseconds(500)
        /// Duration of a write. Writes that overlap in this time are detected: make it long in a test in which they must not overlap.
        public var writeTime = Duration.milliseconds(2)
        /// Longest time that a write waits for a majority.
        public var majorityTimeout = Duration.seconds(30)
        /// Whether lists come in the order of a hash table, which differs each time.
        public var shufflesLists = true
        /// Whether the time of leases and queues advances only by `pass`, so that nothing depends on how busy the machine is.
        public var timeStands = false
        public var connections: GRPCServerSettings

        public init() {
            connections = GRPCServerSettings()
            connections.clientPings = .seconds(10)
            connections.serverPings = .seconds(30)
        }
    }

    /// State of a Raft leader in which two writes have overlapped. It answers reads and reports that it serves, and only a restart helps.
    public enum Wedge: Sendable {
        /// Writes are answered INTERNAL.
        case refuses
        /// Writes are never answered.
        case hangs
    }

    public struct Faults: Sendable {
        /// Faults that can befall any call.
        public var calls = GRPCCallFaults()
        /// Whether an owner's renewal is answered correctly.
        public var isMended = false
        /// Number of calls, from now on, that are refused by rate limiting.
        public var rateLimited = 0
        /// Whether a second write while another one runs wedges the Raft leader, as in the real cluster.
        public var wedgesOnOverlap = false
        /// Whether redirects name the port of the service, which those of real nodes do not.
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

    /// The listeners of a node.
    private struct Listeners {
        let service: GRPCListener
        /// The listener for the other nodes. It speaks gRPC but does not serve RaftLock.
        let peer: GRPCListener

        var both: [GRPCListener] { [service, peer] }
    }

    let settings: Settings
    let clock: SimulatedClock
    let state: Mutex<State>
    /// Set once, before any client is served.
    private let listeners = Mutex<[Listeners]>([])

    /// Starts the nodes, and waits until they serve.
    public static func start(_ settings: Settings = Settings(), in sandbox: Sandbox) async throws -> RaftLockCluster {
        let cluster = RaftLockCluster(settings)
        for node in 0..<3 {
            let listeners = Listeners(
                service: GRPCListener(settings.connections, [RaftLockNode(cluster: cluster, node: node)], in: sandbox),
                // At an address to which no other test connects.
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

    // MARK: State

    /// The nodes' ports on 127.0.0.1; the same after every restart.
    public var ports: [UInt16] { listeners.withLock { $0.map(\.service.port) } }
    /// The ports to which redirects lead.
    public var peerPorts: [UInt16] { listeners.withLock { $0.map(\.peer.port) } }
    /// Number of connections to the peer ports.
    public var peerConnections: Int { listeners.withLock { $0.reduce(0) { $0 + $1.peer.connections } } }
    /// `raftlock://127.0.0.1:PORT,…`, or `raftlocks://localhost:PORT,…`: the name that the certificate has.
    public var url: String { url(of: Array(ports.indices)) }
    /// The URL of some of the nodes.
    public func url(of nodes: [Int]) -> String {
        let (scheme, host) = settings.connections.tls == nil ? ("raftlock", "127.0.0.1") : ("raftlocks", "localhost")
        return scheme + "://" + nodes.map { "\(host):\(ports[$0])" }.joined(separator: ",")
    }

    /// The Raft leader, from 0.
    public var leader: Int? { state.withLock { $0.raft.leader } }
    /// The nodes other than the Raft leader.
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
    /// The largest number of writes that a Raft leader had to agree on simultaneously. A write whose answer is late or lost has ended.
    public var mostWritesAtOnce: Int { state.withLock { $0.mostRunning } }
    /// The same for one client id.
    public func mostWritesAtOnce(by id: String) -> Int { state.withLock { $0.mostRunningBy[id] ?? 0 } }

    private static let peerHost = "127.0.0.2"

    func address(of node: Int) -> String {
        state.withLock { $0.faults.redirectsToService } ? "127.0.0.1:\(ports[node])" : "\(Self.peerHost):\(peerPorts[node])"
    }

    // MARK: Time

    /// Advances the clock of a cluster whose time stands still.
    public func pass(_ time: Duration) { clock.pass(time) }

    private func begin() {
        run {
            while !Task.isCancelled {
                try? await Task.sleep(for: self.settings.expiryInterval)
                self.state.withLock { state in
                    // Log entries first: a renewal must not come after the expiry that it prevents.
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
        for task in state.withLock({ $0.tasks }) { task.cancel() }
    }

    private func electLater() {
        run {
            guard (try? await Task.sleep(for: self.settings.electionTime)) != nil else { return }
            self.state.withLock { $0.raft.electAny(self.clock.now) }
        }
    }

    // MARK: Nodes

    /// Cuts all connections of a node immediately; its ports refuse new ones. If the node was Raft leader, the others name it until they have elected
    /// another.
    public func kill(_ node: Int) async {
        state.withLock { $0.raft.kill(node) }
        for listener in listeners.withLock({ $0[node].both }) { await listener.kill() }
        electLater()
    }

    /// Ends a node as SIGTERM does: its running calls are answered, and its connections receive GOAWAY.
    public func stop(_ node: Int) async {
        state.withLock { $0.raft.kill(node) }
        electLater()
        for listener in listeners.withLock({ $0[node].both }) { await listener.stop() }
    }

    /// Starts a node that was killed, on its port and as a follower. A wedge is over.
    public func restart(_ node: Int) async throws {
        for listener in listeners.withLock({ $0[node].both }) { try await listener.start() }
        state.withLock { $0.raft.revive(node, clock.now) }
        electLater()
    }

    /// Cuts all connections of a node. New ones are accepted.
    public func cutConnections(of node: Int) { listeners.withLock { $0[node].service }.cut() }

    /// Makes another node Raft leader from now on.
    public func moveLeader(to node: Int) { state.withLock { $0.raft.elect(node, clock.now) } }

    /// Leaves the cluster without a Raft leader until `moveLeader` names one.
    public func loseLeader() { state.withLock { $0.raft.loseLeader() } }

    /// Takes the majority away or gives it back. Without a majority writes wait and time out; they are carried out when it is back.
    public func setMajority(_ isConnected: Bool) {
        state.withLock { state in
            state.raft.isConnected = isConnected
            state.raft.resume(clock.now)
        }
    }

    /// Wedges the Raft leader.
    public func wedge(_ kind: Wedge) {
        state.withLock { state in
            if let leader = state.raft.leader { state.raft.nodes[leader].wedge = kind }
        }
    }

    /// Has a node answer only `GetLocks`, as under load.
    public func hang(_ node: Int, _ isHung: Bool = true) { state.withLock { $0.raft.nodes[node].isHung = isHung } }

    public func change(_ change: (inout Faults) -> Void) { state.withLock { change(&$0.faults) } }
}
