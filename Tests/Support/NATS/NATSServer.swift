import Glibc
import QQCore
import Synchronization

/// A real NATS server on its own ports, with all its files in the test's sandbox. Closing the sandbox ends the server.
public final class NATSServer: Sendable {
    public let version: NATSVersion
    private let sandbox: Sandbox
    private let folder: String
    private let state: Mutex<State>

    private struct State {
        var settings: NATSSettings
        var child: Child?
        var port: UInt16 = 0
        var monitoring: UInt16 = 0
        var routing: UInt16 = 0
        /// Ports in the configuration with which the server was started. A reload must not change them, not even to the ports that the server chose.
        var configured: (port: UInt16, monitoring: UInt16, routing: UInt16) = (0, 0, 0)

        func configuration(_ folder: String) -> String {
            settings.configuration(
                folder: folder, port: configured.port, monitoring: configured.monitoring, routing: configured.routing)
        }
    }

    /// Starts a server and waits until it is ready.
    public static func start(_ version: NATSVersion = .latest, _ settings: NATSSettings = NATSSettings(), in sandbox: Sandbox) async throws
        -> NATSServer
    {
        let server = try NATSServer(version, settings, in: sandbox)
        try await server.start()
        return server
    }

    /// Creates a server without starting it.
    init(_ version: NATSVersion, _ settings: NATSSettings, in sandbox: Sandbox) throws {
        self.version = version
        self.sandbox = sandbox
        folder = sandbox.path("nats-\(settings.name)-\(UInt32.random(in: 0...UInt32.max))")
        state = Mutex(State(settings: settings))
        mkdir(folder, 0o755)
        // The sandbox keeps this object alive even after the test's last use of it.
        sandbox.atClose { self.kill() }
    }

    // MARK: Properties

    /// The port for clients, on 127.0.0.1; the same after every restart.
    public var port: UInt16 { state.withLock { $0.port } }
    /// The port of the monitoring pages.
    public var monitoringPort: UInt16 { state.withLock { $0.monitoring } }
    var routingPort: UInt16 { state.withLock { $0.routing } }
    public var pid: pid_t? { state.withLock { $0.child?.pid } }
    public var isRunning: Bool { state.withLock { $0.child?.isRunning ?? false } }
    public var name: String { state.withLock { $0.settings.name } }
    /// `nats://127.0.0.1:PORT`, or `tls://localhost:PORT` with the certificate's name.
    public var url: String { state.withLock { $0.settings.tls == nil ? "nats://127.0.0.1:\($0.port)" : "tls://localhost:\($0.port)" } }
    public var log: String { readText(folder + "/log") }

    /// A page of the monitoring port, such as `/varz`.
    public func page(_ path: String) throws -> JSONValue { try JSONValue.parse(httpGet(monitoringPort, path).body) }

    // MARK: Control

    /// Starts the server, with the ports and the store that it had before. `change` alters its settings first.
    public func start(_ change: (inout NATSSettings) -> Void = { _ in }) async throws {
        try state.withLock { state in
            change(&state.settings)
            state.configured = (state.port, state.monitoring, state.routing)
            try sandbox.write(state.configuration(folder), to: folder + "/nats.conf")
            var launch = sandbox.launch([try version.executable(), "-c", folder + "/nats.conf"])
            launch.folder = folder
            launch.output = .file(folder + "/log")
            launch.errors = .file(folder + "/log")
            let child = try Child(launch)
            state.child = child
            try Watchdog.watch(child.pid, in: sandbox)
        }
        try await waitUntil("\(name) serves: \(log.suffix(2000))") {
            guard isRunning else { throw CannotStart("nats-server (\(version)) ended: \(log.suffix(2000))") }
            return try readPorts() && isReady()
        }
    }

    /// Sends SIGTERM and waits for the server to end.
    public func stop() async throws {
        signal(SIGTERM)
        try await ended()
    }

    /// Sends SIGKILL and waits for the server to end.
    public func kill() { end(SIGKILL) }

    /// Ends the server and starts it again with the same ports and store.
    public func restart(killed: Bool = false, _ change: (inout NATSSettings) -> Void = { _ in }) async throws {
        if killed { kill() } else { try await stop() }
        try await start(change)
    }

    /// Sends SIGSTOP: connections stay open, and nothing more arrives on them.
    public func pause() async throws {
        signal(SIGSTOP)
        try await waitUntil("\(name) is stopped") { pid.flatMap { LivingProcess($0)?.isStopped } ?? true }
    }

    public func resume() { signal(SIGCONT) }

    /// Starts lame duck mode: the server asks clients to use another server, then disconnects them, then ends.
    public func lameDuck() { signal(SIGUSR2) }

    /// Writes the configuration again and makes the server reload it, as `nats-server --signal reload` does.
    public func reload(_ change: (inout NATSSettings) -> Void) throws {
        try state.withLock { state in
            change(&state.settings)
            try sandbox.write(state.configuration(folder), to: folder + "/nats.conf")
        }
        signal(SIGHUP)
    }

    /// Waits for the server to end.
    public func ended(within limit: Duration = waitingTime) async throws {
        try await waitUntil("the end of \(name)", within: limit) { !isRunning }
    }

    public func signal(_ number: CInt) { state.withLock { $0.child?.signal(number) } }

    private func end(_ number: CInt) {
        guard let child = state.withLock({ $0.child }) else { return }
        child.signal(SIGCONT)
        child.signal(number)
        while child.isRunning { usleep(200) }
    }

    // MARK: Readiness

    /// Reads the ports, which the server writes to a file once it listens on all of them.
    private func readPorts() throws -> Bool {
        guard let pid, let program = try version.executable().split(separator: "/").last,
            let ports = try? JSONValue.parse(readBytes(folder + "/\(program)_\(pid).ports") ?? [])
        else { return false }
        func port(_ kind: String) -> UInt16 {
            guard case .array(let urls) = ports[kind], case .string(let url) = urls.first else { return 0 }
            return url.split(separator: ":").last.flatMap { UInt16($0) } ?? 0
        }
        state.withLock {
            $0.port = port("nats")
            $0.monitoring = port("monitoring")
            $0.routing = port("cluster")
        }
        return true
    }

    /// Whether the server is ready. In a cluster JetStream does not count, because it is ready only once the other servers are.
    private func isReady() throws -> Bool {
        let settings = state.withLock { $0.settings }
        guard let answer = try? httpGet(monitoringPort, settings.cluster == nil && settings.hasJetStream ? "/healthz" : "/varz") else {
            return false
        }
        return answer.status == 200
    }
}
