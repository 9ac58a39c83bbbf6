import QQCore
import QQNATS

/// A client's connection, with the subscriptions that its server knows of.
final class NATSConnection: @unchecked Sendable {
    // Used on the world's thread only.
    struct Subscription {
        let sid: UInt64
        let subject: String
        let queue: String?
        /// For a pattern, what matching subjects begin with.
        private let prefix: String?

        init(sid: UInt64, subject: String, queue: String?) {
            self.sid = sid
            self.subject = subject
            self.queue = queue
            prefix = subject.hasSuffix(".*") ? String(subject.dropLast()) : nil
        }

        func matches(_ other: String) -> Bool { prefix.map { other.hasPrefix($0) } ?? (subject == other) }
    }

    let pipe: Pipe
    /// The place of its server.
    let node: Int
    private unowned let servers: NATSServers
    private(set) var subscriptions: [Subscription] = []
    /// Called in the process with what the server sends.
    var receive: (ServerOperation) -> Void = { _ in }

    init(_ process: SimProcess, _ servers: NATSServers, _ address: NATSOptions.Address) {
        self.servers = servers
        node = servers.place(of: address)
        pipe = Pipe(process, servers.hosts[node])
    }

    func open(_ ready: @escaping (ServerInfo) -> Void) {
        pipe.sendToServer { [self] in
            servers.add(self)
            // The client's CONNECT and PING, and the server's PONG.
            pipe.sendToProcess { [self] in
                pipe.sendToServer { [self] in
                    let info = servers.info
                    pipe.sendToProcess { ready(info) }
                }
            }
        }
    }

    func send(_ operation: ClientOperation) { pipe.sendToServer { [self] in take(operation) } }

    private func take(_ operation: ClientOperation) {
        switch operation {
        case .connect, .pong: break
        case .ping: pipe.sendToProcess { [self] in receive(.pong) }
        case .subscribe(let subject, let queue, let sid): subscriptions.append(Subscription(sid: sid, subject: subject, queue: queue))
        case .unsubscribe(let sid, _): subscriptions.removeAll { $0.sid == sid }
        case .publish(let subject, let reply, let headers, let payload):
            servers.publish(
                NATSMessage(subject: subject, reply: reply, headers: headers, payload: payload), at: node, from: pipe.process.name)
        }
    }

    /// Called at its server.
    func deliver(_ message: NATSMessage, to sid: UInt64) {
        guard subscriptions.contains(where: { $0.sid == sid }) else { return }
        pipe.sendToProcess { [self] in receive(.message(sid: sid, message)) }
    }
}

/// The servers of a NATS cluster: connections, subjects, and the streams behind buckets. Written for worlds: Tests/Support has only real servers for NATS.
///
/// Subscriptions are known everywhere at once; messages between servers take their time, and get lost where the way is cut.
final class NATSServers: SimulatedServer, @unchecked Sendable {
    // Used on the world's thread only.
    let hosts: [Host]
    let world: World
    let setting: ServerSetting
    let traits: NATSTraits
    var random: Generator
    private(set) var connections: [NATSConnection] = []
    private(set) var streams: [NATSStream] = []
    private var orders: [Network.Order] = []
    /// How often the server on a machine has started.
    private(set) var starts: [Int]
    private var clients = 0
    let info: ServerInfo
    var faults = NATSFaults()

    init(_ world: World, _ setting: ServerSetting) {
        self.world = world
        self.setting = setting
        var random = world.generator(.server)
        let traits = NATSTraits.draw(&random, setting)
        self.traits = traits
        // Servers of one cluster have clocks that are kept alike, by NTP: a message is dated by one of them, and expires by another.
        let drift = setting.drift(&random)
        var hosts: [Host] = []
        for number in 0..<traits.serverCount { hosts.append(world.makeHost("nats\(number + 1)", drift: drift)) }
        self.hosts = hosts
        self.random = random
        starts = Array(repeating: 0, count: hosts.count)
        for _ in 0..<(hosts.count * hosts.count) { orders.append(Network.Order()) }
        var info = ServerInfo()
        info.version = traits.isOld ? "2.9.10" : "2.15.1"
        info.headers = true
        info.jetStream = true
        self.info = info
        if let age = traits.existingAge { _ = makeStream(traits.format.stream(of: setting.election), maxAge: age) }
        if hosts.count > 1 { tick() }
    }

    var options: NATSOptions {
        NATSOptions(servers: hosts.map { NATSOptions.Address(host: $0.name) })
    }

    func place(of address: NATSOptions.Address) -> Int { hosts.firstIndex { $0.name == address.host } ?? 0 }

    func client(_ process: SimProcess) -> WorldNATSClient {
        clients += 1
        return WorldNATSClient(process, self, options, number: clients)
    }

    func coordinator(for process: SimProcess, identity: String) -> any Campaigning {
        NATSSystem.coordinator(for: process, self)
    }

    // MARK: Clocks and ways

    func wall(_ node: Int) -> WallTime { hosts[node].wall + .nanoseconds(traits.clockOffsets[node]) }

    func isRunning(_ node: Int) -> Bool { hosts[node].isUp && !hosts[node].isStopped }

    func reaches(_ one: Int, _ other: Int) -> Bool {
        one == other || !world.network.isCut(from: hosts[one], to: hosts[other]) && !world.network.isCut(from: hosts[other], to: hosts[one])
    }

    /// Runs `body` at a server after a while, unless the server has ended by then.
    func later(_ node: Int, _ span: Nanoseconds, _ body: @escaping () -> Void) {
        let start = starts[node]
        world.after(span) { [weak self] in
            guard let self else { return }
            hosts[node].run { [weak self] in
                guard let self, hosts[node].isUp, starts[node] == start else { return }
                body()
            }
        }
    }

    func hop(_ from: Int, _ to: Int, _ body: @escaping () -> Void) {
        if from == to { return body() }
        world.network.send(from: hosts[from], to: hosts[to], order: orders[from * hosts.count + to]) { [weak self] in
            if let self, hosts[to].isUp { body() }
        }
    }

    // MARK: Messages

    func add(_ connection: NATSConnection) {
        connections.removeAll { !$0.pipe.isOpenAtServer }
        connections.append(connection)
    }

    /// Publishes a message at a server, as one of its clients or it itself does.
    /// - Parameter writer: the client's process.
    func publish(_ message: NATSMessage, at node: Int, from writer: String = "") {
        let subject = message.subject
        var reached = false
        var isQueued = false
        for connection in connections where connection.pipe.isOpenAtServer {
            for subscription in connection.subscriptions where subscription.matches(subject) {
                if subscription.queue != nil {
                    if isQueued { continue }
                    isQueued = true
                }
                reached = true
                let sid = subscription.sid
                hop(node, connection.node) { connection.deliver(message, to: sid) }
            }
        }
        if subject.hasPrefix("$KV.") {
            for stream in streams where subject.hasPrefix(stream.prefix) {
                for place in stream.listeners {
                    reached = true
                    hop(node, place) { [weak stream] in stream?.receive(message, at: place, from: writer) }
                }
            }
        } else if subject.hasPrefix("$JS.API.") {
            reached = ask(message, at: node)
        }
        if !reached, let reply = message.reply {
            publish(NATSMessage(subject: reply, headers: NATSHeaders(status: 503)), at: node)
        }
    }

    /// Delivers a stored message to the subscribers of `inbox`.
    /// - Returns: whether there are any.
    func push(_ message: NATSMessage, to inbox: String, from node: Int) -> Bool {
        var reached = false
        for connection in connections where connection.pipe.isOpenAtServer {
            for subscription in connection.subscriptions where subscription.subject == inbox {
                reached = true
                let sid = subscription.sid
                hop(node, connection.node) { connection.deliver(message, to: sid) }
            }
        }
        return reached
    }

    /// Answers a request, late if that is what goes wrong.
    func answer(_ message: NATSMessage, at node: Int) {
        var span = random.spread(.microseconds(20)...(.microseconds(400)))
        if faults.answersLate > 0, random.chance(500_000) { span += random.spread(.milliseconds(1)...(.seconds(3))) }
        later(node, span) { [weak self] in self?.publish(message, at: node) }
    }

    // MARK: Streams

    func stream(_ name: Substring) -> NATSStream? { streams.first { $0.name == name } }

    func makeStream(_ name: String, maxAge: Nanoseconds) -> NATSStream {
        let made = NATSStream(name, maxAge: maxAge, self)
        streams.append(made)
        return made
    }

    /// Elections among servers go on in steps.
    private func tick() {
        world.after(.milliseconds(500)) { [weak self] in
            guard let self else { return }
            for stream in streams { stream.tick() }
            tick()
        }
    }

    // MARK: What is so

    private func stream(of election: String) -> NATSStream? { streams.first { $0.lease.election == election } }

    func isHeld(_ term: Term) -> Bool? {
        guard let stream = stream(of: term.election) else { return nil }
        return stream.lease.isHeld(by: term, at: wall(stream.clock))
    }

    func restarts(_ host: Host) {
        guard let node = hosts.firstIndex(where: { $0 === host }) else { return }
        starts[node] += 1
        connections.removeAll { !$0.pipe.isOpenAtServer || $0.node == node }
        for stream in streams { stream.restarts(node) }
    }
}
