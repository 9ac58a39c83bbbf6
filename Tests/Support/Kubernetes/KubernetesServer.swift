import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOPosix
import NIOSSL
import QQCore
import Synchronization

/// A Kubernetes API server for leases within the test process: `LeaseAPI` behind HTTP/1.1 and HTTP/2 over TLS, or plain HTTP. It keeps its port over
/// restarts, and is ended with the sandbox at the latest.
///
///     let server = try await KubernetesServer.start(in: box)
///     try server.allow("ops", LeaseAPI.Grant.watching)
///     let kubeconfig = try await server.kubeconfig(for: "ops")          // with a token; or credential: .certificate
///     // qq -s k8s:///team --kubeconfig KUBECONFIG …, kubectl --kubeconfig KUBECONFIG -n team …
///     server.api.fail([.update], with: .timeout(applied: .later(.seconds(1))))
///     server.store.holder("jobs")
///     server.api.count(.update)
///
/// Replicas of one cluster share the store: `server.startReplica()`. The faults of calls and watches are switched on in `LeaseAPI`, those of
/// etcd in `LeaseStore`, and those of the process and its connections here:
///
/// - SIGKILL and a new start: `kill`, `start`. The watch cache is lost: all versions until then are too old for watches.
/// - SIGTERM: `beginShutdown` (/readyz fails), `closePort` (idle connections end, watches go on, GOAWAY), `finishShutdown`.
/// - `cutConnections`, `endIdleConnections`.
public final class KubernetesServer: Sendable {
    public struct Settings: Sendable {
        /// Whether it speaks TLS; otherwise plain HTTP, where credentials are tokens.
        public var usesTLS = true
        /// Protocols that ALPN can choose.
        public var protocols = ["h2", "http/1.1"]
        /// Number of the request with which each HTTP/2 connection gets GOAWAY, as with `--goaway-chance`; nil for never.
        public var goAwayAfter: Int?
        /// Whether answers have a `Date`, by the store's clock.
        public var sendsDate = true
        /// Names in the server's certificate, in the syntax of `openssl`.
        public var names = "DNS:localhost,IP:127.0.0.1"
        /// Days for which the server's certificate is valid; negative for an expired one.
        public var days = 2
        /// Where it listens.
        public var host = "127.0.0.1"

        public init() {}
    }

    struct State {
        var settings: Settings
        var port: UInt16 = 0
        var listening: (any Channel)?
        var connections: [ObjectIdentifier: NIOLoopBound<ServerConnection>] = [:]
        var accepted = 0
        var ticking: RepeatedTask?
    }

    /// One thread for all servers.
    private static let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    public let api: LeaseAPI
    public let sandbox: Sandbox
    /// The authority and the server's certificate.
    public let certificates: Certificates
    let state: Mutex<State>

    public var store: LeaseStore { api.store }
    /// The same after every restart.
    public var port: UInt16 { state.withLock { $0.port } }
    public var isRunning: Bool { state.withLock { $0.listening != nil } }
    public var settings: Settings { state.withLock { $0.settings } }
    /// `https://127.0.0.1:PORT`
    public var url: String { "\(settings.usesTLS ? "https" : "http")://\(settings.host):\(port)" }
    /// Number of connections that were ever accepted.
    public var connections: Int { state.withLock { $0.accepted } }
    public var openConnections: Int { state.withLock { $0.connections.count } }

    /// Starts a server, and waits until it serves.
    /// - Parameters:
    ///   - certificates: those of another replica; nil for new ones.
    ///   - name: distinguishes the authorities of several servers of one test.
    public static func start(
        _ api: LeaseAPI = LeaseAPI(), _ settings: Settings = Settings(), certificates: Certificates? = nil, name: String = "kubernetes",
        in sandbox: Sandbox
    ) async throws -> KubernetesServer {
        var known = certificates
        if known == nil {
            known = try await Certificates(in: sandbox, name: name, serverNames: settings.names, serverDays: settings.days)
        }
        guard let known else { throw CannotStart("no certificates") }
        let server = KubernetesServer(api, settings, known, sandbox)
        sandbox.atClose { server.end() }
        try await server.listen()
        return server
    }

    private init(_ api: LeaseAPI, _ settings: Settings, _ certificates: Certificates, _ sandbox: Sandbox) {
        (self.api, self.certificates, self.sandbox) = (api, certificates, sandbox)
        state = Mutex(State(settings: settings))
    }

    /// Starts another server of the same cluster: with the store, the users and the authority of this one, and switches of its own.
    public func startReplica() async throws -> KubernetesServer {
        try await Self.start(
            LeaseAPI(store: store, settings: api.settings), settings, certificates: certificates, in: sandbox)
    }

    // MARK: Life

    /// Starts the server again, on its port, without what it knew. `change` alters its settings first.
    public func start(_ change: (inout Settings) -> Void = { _ in }) async throws {
        state.withLock { change(&$0.settings) }
        guard !isRunning else { return }
        api.restart()
        try await listen()
    }

    /// Cuts all connections, as SIGKILL does. The port refuses new ones.
    public func kill() async {
        await closeListener()
        cutConnections()
        await closed()
    }

    /// SIGTERM: from now on /readyz fails, and all else works, for as long as `--shutdown-delay-duration` lasts.
    public func beginShutdown() { api.isTerminating = true }

    /// The port is closed, and idle connections with it. Requests at hand are answered and watches go on; HTTP/2 connections get GOAWAY.
    public func closePort() async {
        api.isTerminating = true
        await closeListener()
        await onLoop { for connection in self.all { connection.value.drain() } }
    }

    /// Watches end in order, and the rest of the connections with them.
    public func finishShutdown() async {
        await closePort()
        api.endWatches()
        try? await waitUntil("closed connections", within: .seconds(30)) { openConnections == 0 }
        await kill()
    }

    /// Cuts all connections in the middle of what they are at. New ones are accepted.
    public func cutConnections() {
        Self.threads.next().execute { for connection in self.all { connection.value.cut() } }
    }

    /// Closes the connections without a running request, and sends GOAWAY on HTTP/2 connections.
    public func endIdleConnections() async { await onLoop { for connection in self.all { connection.value.drain() } } }

    private func closeListener() async {
        let (listening, ticking) = state.withLock { state in
            defer { (state.listening, state.ticking) = (nil, nil) }
            return (state.listening, state.ticking)
        }
        ticking?.cancel()
        try? await listening?.close()
        await Socket.waitUntilRefused(port)
    }

    private func closed() async { try? await waitUntil("closed connections", within: .seconds(30)) { openConnections == 0 } }

    private func end() {
        let (listening, ticking) = state.withLock { ($0.listening, $0.ticking) }
        ticking?.cancel()
        listening?.close(promise: nil)
        cutConnections()
    }

    private var all: [NIOLoopBound<ServerConnection>] { state.withLock { Array($0.connections.values) } }

    private func onLoop(_ body: @escaping @Sendable () -> Void) async { try? await Self.threads.next().submit(body).get() }

    // MARK: Listening

    private func listen() async throws {
        let (settings, port) = state.withLock { ($0.settings, $0.port) }
        let context = settings.usesTLS ? try tlsContext(settings) : nil
        let bootstrap = ServerBootstrap(group: Self.threads)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in self.accept(channel, context) }
        let end = ContinuousClock.now + waitingTime
        while true {
            do {
                let listening = try await bootstrap.bind(host: settings.host, port: Int(port)).get()
                let ticking = listening.eventLoop.scheduleRepeatedTask(initialDelay: .milliseconds(5), delay: .milliseconds(5)) { _ in
                    self.api.tick()
                }
                state.withLock { state in
                    state.listening = listening
                    state.ticking = ticking
                    state.port = UInt16(clamping: listening.localAddress?.port ?? 0)
                }
                return
            } catch {
                // A connection of another process might have used the port for a moment: it is in the range that the kernel gives to any connection.
                guard ContinuousClock.now < end else { throw CannotStart("an API server cannot listen on port \(port): \(error)") }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private func tlsContext(_ settings: Settings) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMFile(certificates.server.certificate).map { NIOSSLCertificateSource.certificate($0) }
        let key = try NIOSSLPrivateKey(file: certificates.server.key, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key))
        configuration.trustRoots = .file(certificates.authority)
        configuration.certificateVerification = .optionalVerification
        configuration.applicationProtocols = settings.protocols
        return try NIOSSLContext(configuration: configuration)
    }

    private func accept(_ channel: any Channel, _ context: NIOSSLContext?) -> EventLoopFuture<Void> {
        let connection = ServerConnection(channel, self)
        let bound = NIOLoopBound(connection, eventLoop: channel.eventLoop)
        let id = ObjectIdentifier(channel)
        state.withLock { state in
            state.connections[id] = bound
            state.accepted += 1
        }
        channel.closeFuture.whenComplete { _ in self.state.withLock { $0.connections[id] = nil } }
        do {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(connection.front)
            guard let context else { return Self.configureHTTP1(channel, bound) }
            try pipeline.addHandler(NIOSSLServerHandler(context: context))
            return channel.configureHTTP2SecureUpgrade(
                h2ChannelConfigurator: { Self.configureHTTP2($0, bound) },
                http1ChannelConfigurator: { Self.configureHTTP1($0, bound) })
        } catch { return channel.eventLoop.makeFailedFuture(error) }
    }

    private static func configureHTTP1(_ channel: any Channel, _ connection: NIOLoopBound<ServerConnection>) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.configureHTTPServerPipeline()
            try pipeline.addHandler(RequestHandler(connection.value, stream: nil))
        }
    }

    /// The settings of Go's server, as recorded.
    private static let http2Settings = [
        HTTP2Setting(parameter: .maxFrameSize, value: 262_144), HTTP2Setting(parameter: .maxConcurrentStreams, value: 100),
        HTTP2Setting(parameter: .maxHeaderListSize, value: 1_048_896), HTTP2Setting(parameter: .headerTableSize, value: 4096),
        HTTP2Setting(parameter: .initialWindowSize, value: 262_144),
        HTTP2Setting(parameter: HTTP2SettingsParameter(extensionSetting: 9), value: 1),
    ]

    private static func configureHTTP2(_ channel: any Channel, _ connection: NIOLoopBound<ServerConnection>) -> EventLoopFuture<Void> {
        connection.value.isHTTP2 = true
        return channel.configureHTTP2Pipeline(mode: .server, initialLocalSettings: http2Settings) { stream in
            stream.getOption(HTTP2StreamChannelOptions.streamID).flatMapThrowing { id in
                let pipeline = stream.pipeline.syncOperations
                try pipeline.addHandler(HTTP2FramePayloadToHTTP1ServerCodec())
                try pipeline.addHandler(RequestHandler(connection.value, stream: Int(id)))
            }
        }.map { _ in () }
    }
}
