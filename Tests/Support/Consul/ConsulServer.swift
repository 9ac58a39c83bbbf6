import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import QQCore
import Synchronization

/// An agent of Consul within the test process: `ConsulStore` behind HTTP/1.1, with or without TLS. It keeps its port over restarts, and is ended
/// with the sandbox at the latest. Several agents share a store.
///
///     let server = try await ConsulServer.start(in: box)                              // the leader, server1
///     let client = try await ConsulServer.start(server.store, agent: "client", in: box)
///     // qq -s consul://127.0.0.1:PORT …
///     server.store.fail([.transaction], with: .leadershipLost(applied: .later(.seconds(1))))
///     await client.kill()
///
/// The faults of calls and of the cluster are switched on in `ConsulStore`, those of the process and its connections here.
public final class ConsulServer: Sendable {
    public struct Settings: Sendable {
        public var usesTLS = false
        /// As `verify_incoming_https`.
        public var requiresClientCertificate = false
        /// Names in the server's certificate, in the syntax of `openssl`.
        public var names = "DNS:localhost,IP:127.0.0.1"
        /// Where it listens.
        public var host = "127.0.0.1"

        public init() {}
    }

    struct State {
        var port: UInt16 = 0
        var listening: (any Channel)?
        var ticking: RepeatedTask?
        var subscription: Int?
        var connections: [ObjectIdentifier: NIOLoopBound<ConsulConnection>] = [:]
        var accepted = 0
        var isSilent = false
    }

    /// One thread for all agents.
    private static let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    public let store: ConsulStore
    /// Its name among the store's agents.
    public let agent: String
    public let settings: Settings
    /// The authority and the server's certificate; nil without TLS.
    public let certificates: Certificates?
    private let state = Mutex(State())

    /// The same after every restart.
    public var port: UInt16 { state.withLock { $0.port } }
    /// `127.0.0.1:PORT`
    public var address: String { "\(settings.host):\(port)" }
    public var isRunning: Bool { state.withLock { $0.listening != nil } }
    /// Number of connections that were ever accepted.
    public var connections: Int { state.withLock { $0.accepted } }
    public var openConnections: Int { state.withLock { $0.connections.count } }

    /// Whether the agent accepts connections and requests, and neither carries them out nor answers them.
    public var isSilent: Bool {
        get { state.withLock { $0.isSilent } }
        set { state.withLock { $0.isSilent = newValue } }
    }

    /// Starts an agent, and waits until it serves.
    /// - Parameters:
    ///   - agent: one of the store's agents.
    ///   - certificates: those of another agent; nil for new ones.
    ///   - name: distinguishes the authorities of several clusters of one test.
    public static func start(
        _ store: ConsulStore = ConsulStore(), agent: String = "server1", _ settings: Settings = Settings(),
        certificates: Certificates? = nil,
        name: String = "consul", in sandbox: Sandbox
    ) async throws -> ConsulServer {
        var known = certificates
        if settings.usesTLS, known == nil {
            known = try await Certificates(in: sandbox, name: name, serverNames: settings.names, serverDays: 2)
        }
        let server = ConsulServer(store, agent, settings, known)
        sandbox.atClose { server.end() }
        try await server.listen()
        return server
    }

    /// Starts all agents of a store: the servers, then the clients.
    public static func startAll(
        _ store: ConsulStore = ConsulStore(), _ settings: Settings = Settings(), in sandbox: Sandbox
    ) async throws -> [ConsulServer] {
        var servers: [ConsulServer] = []
        for agent in store.agents {
            servers.append(try await start(store, agent: agent, settings, certificates: servers.first?.certificates, in: sandbox))
        }
        return servers
    }

    private init(_ store: ConsulStore, _ agent: String, _ settings: Settings, _ certificates: Certificates?) {
        (self.store, self.agent, self.settings, self.certificates) = (store, agent, settings, certificates)
    }

    // MARK: Life

    /// SIGKILL: the port refuses connections, and the node's check fails after 6 s. If the agent leads, the cluster is without a leader until
    /// `ConsulStore.electLeader`.
    public func kill() async {
        if store.leader == agent { store.killLeader() } else { store.killAgent(agent) }
        await closeListener()
        cutConnections()
        try? await waitUntil("closed connections", within: .seconds(30)) { openConnections == 0 }
    }

    /// Starts the agent again, on its port.
    public func restart() async throws {
        guard !isRunning else { return }
        store.startAgent(agent)
        try await listen()
    }

    /// Cuts all connections in the middle of what they are at. New ones are accepted.
    public func cutConnections() {
        Self.threads.next().execute { for connection in self.all { connection.value.cut() } }
    }

    private var all: [NIOLoopBound<ConsulConnection>] { state.withLock { Array($0.connections.values) } }

    private func closeListener() async {
        try? await takeListener()?.close()
        await Socket.waitUntilRefused(port)
    }

    private func end() {
        takeListener()?.close(promise: nil)
        cutConnections()
    }

    private func takeListener() -> (any Channel)? {
        let (listening, ticking, subscription) = state.withLock { state in
            defer { (state.listening, state.ticking, state.subscription) = (nil, nil, nil) }
            return (state.listening, state.ticking, state.subscription)
        }
        ticking?.cancel()
        if let subscription { store.unsubscribe(subscription) }
        return listening
    }

    // MARK: Listening

    private func listen() async throws {
        let context = settings.usesTLS ? try tlsContext() : nil
        let bootstrap = ServerBootstrap(group: Self.threads)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in self.accept(channel, context) }
        let end = ContinuousClock.now + waitingTime
        while true {
            do {
                let listening = try await bootstrap.bind(host: settings.host, port: Int(port)).get()
                let loop = listening.eventLoop
                let ticking = loop.scheduleRepeatedTask(initialDelay: .milliseconds(5), delay: .milliseconds(5)) { _ in
                    self.store.tick()
                    self.poll()
                }
                let subscription = store.subscribe { loop.execute { self.poll() } }
                state.withLock { state in
                    (state.listening, state.ticking, state.subscription) = (listening, ticking, subscription)
                    state.port = UInt16(clamping: listening.localAddress?.port ?? 0)
                }
                return
            } catch {
                // A connection of another process might have used the port for a moment: it is in the range that the kernel gives to any connection.
                guard ContinuousClock.now < end else { throw CannotStart("an agent cannot listen on port \(port): \(error)") }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    /// On the event loop.
    private func poll() { for connection in all { connection.value.poll() } }

    private func tlsContext() throws -> NIOSSLContext {
        guard let certificates else { throw CannotStart("no certificates") }
        let chain = try NIOSSLCertificate.fromPEMFile(certificates.server.certificate).map { NIOSSLCertificateSource.certificate($0) }
        let key = try NIOSSLPrivateKey(file: certificates.server.key, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key))
        configuration.trustRoots = .file(certificates.authority)
        configuration.certificateVerification = settings.requiresClientCertificate ? .noHostnameVerification : .none
        configuration.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }

    private func accept(_ channel: any Channel, _ context: NIOSSLContext?) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            let front = ConnectionFront(expectsTLS: context != nil, protocols: ["http/1.1"])
            let connection = ConsulConnection(self, front)
            let id = ObjectIdentifier(channel)
            state.withLock { state in
                state.connections[id] = NIOLoopBound(connection, eventLoop: channel.eventLoop)
                state.accepted += 1
            }
            channel.closeFuture.whenComplete { _ in self.state.withLock { $0.connections[id] = nil } }
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(front)
            if let context { try pipeline.addHandler(NIOSSLServerHandler(context: context)) }
            try pipeline.configureHTTPServerPipeline()
            try pipeline.addHandler(connection)
        }
    }
}
