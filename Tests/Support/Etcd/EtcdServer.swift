import Glibc
import QQCore
import Synchronization

/// A real etcd on its own ports. Its data is in memory if possible: etcd 3.4 waits for the disk at every write. Closing the sandbox ends the server.
public final class EtcdServer: Sendable {
    /// How a server is started.
    public struct Settings: Sendable {
        public var name = "node1"
        public var tls: Certificates?
        /// Whether clients must show a certificate of the same authority.
        public var verifiesClients = false
        /// The size in bytes above which the server raises NOSPACE.
        public var quota: Int64?
        /// Further flags.
        public var flags: [String] = []

        public init() {}
    }

    /// The program, found by the same rules as in `Scripts/need`; nil if there is none.
    public static let path: String? = [packageFolder + "/.build/tools/etcd-server/usr/bin/etcd", "/usr/bin/etcd", "/usr/local/bin/etcd"]
        .first { access($0, X_OK) == 0 }

    public let settings: Settings
    /// The port for clients, on 127.0.0.1; the same after every restart.
    public let port: UInt16
    /// The port for the other members.
    public let peerPort: UInt16
    private let sandbox: Sandbox
    private let folder: String
    private let state: Mutex<State>

    private struct State {
        var child: Child?
        /// Keep ports reserved while the server does not run: bound, not listening.
        var reserved: [CInt]
        /// The members of the cluster, `NAME=URL`; empty for a single server.
        var members: [String] = []
        var isInitial = true
        /// Between the other members and this one.
        var proxy: Proxy?
    }

    /// Starts a single server and waits until it is ready.
    public static func start(in sandbox: Sandbox, _ change: (inout Settings) -> Void = { _ in }) async throws -> EtcdServer {
        var settings = Settings()
        change(&settings)
        let server = try EtcdServer(settings, in: sandbox)
        try await server.start()
        return server
    }

    init(_ settings: Settings, in sandbox: Sandbox) throws {
        self.settings = settings
        self.sandbox = sandbox
        let (client, peer) = (try Socket.bind(), try Socket.bind())
        (port, peerPort) = (Socket.port(of: client), Socket.port(of: peer))
        state = Mutex(State(reserved: [client, peer]))
        folder = try Self.makeFolder(settings.name, sandbox)
        sandbox.atClose {
            self.kill()
            self.unreserve()
            removeTree(self.folder)
        }
    }

    /// Makes the folder of the data below /dev/shm, which is in memory, or in the sandbox.
    private static func makeFolder(_ name: String, _ sandbox: Sandbox) throws -> String {
        var template = Array("/dev/shm/qq-etcd-XXXXXX".utf8CString)
        guard access("/dev/shm", W_OK) == 0, mkdtemp(&template) != nil else {
            let folder = sandbox.path("etcd-\(name)-\(UInt32.random(in: 0...UInt32.max))")
            mkdir(folder, 0o700)
            return folder
        }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return folder
    }

    // MARK: Properties

    public var pid: pid_t? { state.withLock { $0.child?.pid } }
    public var isRunning: Bool { state.withLock { $0.child?.isRunning ?? false } }
    public var name: String { settings.name }
    /// `127.0.0.1:PORT`, or `localhost:PORT` with TLS: the name that the certificate has.
    public var endpoint: String { settings.tls == nil ? "127.0.0.1:\(port)" : "localhost:\(port)" }
    /// The URL for `qq`.
    public var url: String { (settings.tls == nil ? "etcd://" : "etcds://") + endpoint }
    public var log: String { readText(folder + "/log") }

    // MARK: Control

    /// Gives the members of the cluster, `NAME=URL`.
    func join(_ members: [String]) { state.withLock { $0.members = members } }

    /// Has the other members reach this one through a proxy. Called before the first start.
    func bePeer(through proxy: Proxy) { state.withLock { $0.proxy = proxy } }

    var peerProxy: Proxy? { state.withLock { $0.proxy } }
    /// Where the other members reach this one.
    var peerURL: String { "http://127.0.0.1:\(peerProxy?.port ?? peerPort)" }

    /// Starts the server without waiting for it: a cluster's first member is ready only together with the second.
    public func launch() throws {
        guard let path = Self.path else { throw CannotStart("no etcd: run Scripts/need test") }
        unreserve()
        try state.withLock { state in
            var launch = sandbox.launch([path] + arguments(state))
            launch.output = .file(folder + "/log")
            launch.errors = .file(folder + "/log")
            let child = try Child(launch)
            state.child = child
            state.isInitial = false
            try Watchdog.watch(child.pid, in: sandbox)
        }
    }

    private func arguments(_ state: State) -> [String] {
        let scheme = settings.tls == nil ? "http" : "https"
        let own = "http://127.0.0.1:\(state.proxy?.port ?? peerPort)"
        let members = state.members.isEmpty ? ["\(name)=\(own)"] : state.members
        var arguments = [
            "--name", name, "--data-dir", folder + "/data", "--listen-client-urls", "\(scheme)://127.0.0.1:\(port)",
            "--advertise-client-urls", "\(scheme)://\(endpoint)", "--listen-peer-urls", "http://127.0.0.1:\(peerPort)",
            "--initial-advertise-peer-urls", own,
            "--initial-cluster", members.joined(separator: ","), "--initial-cluster-state", state.isInitial ? "new" : "existing",
            "--logger", "zap", "--log-level", "warn",
        ]
        if let tls = settings.tls {
            arguments += ["--cert-file", tls.server.certificate, "--key-file", tls.server.key]
            if settings.verifiesClients { arguments += ["--client-cert-auth", "--trusted-ca-file", tls.authority] }
        }
        if let quota = settings.quota { arguments += ["--quota-backend-bytes", "\(quota)"] }
        return arguments + settings.flags
    }

    /// Starts the server, on the ports and with the data that it had before, and waits until it is ready.
    public func start() async throws {
        try launch()
        try await ready()
    }

    /// Waits until the server answers a linearizable read by `etcdctl`.
    func ready() async throws {
        var client = Etcdctl(self, in: sandbox)
        // The certificate can be a wrong one on purpose.
        client.checksServer = false
        let end = ContinuousClock.now + waitingTime
        while true {
            guard isRunning else { throw CannotStart("etcd \(name) ended: \(log.suffix(2000))") }
            if (try? Socket.connect(port)).map({ close($0) }) != nil {
                let outcome = try await client.run(["endpoint", "health"])
                // With authentication, the refusal of a client without a user comes by way of the Raft log, too.
                if outcome.isSuccess || outcome.output.contains("user name is empty") { return }
            }
            guard ContinuousClock.now < end else { throw CannotStart("etcd \(name) is not ready: \(log.suffix(2000))") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Sends SIGTERM and waits for the server to end.
    public func stop() async throws {
        signal(SIGTERM)
        try await waitUntil("the end of etcd \(name)") { !isRunning }
    }

    /// Sends SIGKILL and waits for the server to end.
    public func kill() {
        guard let child = state.withLock({ $0.child }) else { return }
        child.signal(SIGCONT)
        child.signal(SIGKILL)
        while child.isRunning { usleep(200) }
    }

    public func restart(killed: Bool = false) async throws {
        if killed { kill() } else { try await stop() }
        try await start()
    }

    /// Sends SIGSTOP: connections stay open, and nothing more arrives on them.
    public func pause() async throws {
        signal(SIGSTOP)
        try await waitUntil("etcd \(name) is stopped") { pid.flatMap { LivingProcess($0)?.isStopped } ?? true }
    }

    public func resume() { signal(SIGCONT) }

    public func signal(_ number: CInt) { state.withLock { $0.child?.signal(number) } }

    private func unreserve() {
        state.withLock { state in
            for descriptor in state.reserved { close(descriptor) }
            state.reserved = []
        }
    }
}
