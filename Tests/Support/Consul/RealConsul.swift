import Glibc
import QQCore
import Synchronization

/// The real program, if there is one.
public enum ConsulProgram {
    /// Found by the same rules as in `Scripts/need`: the one that `CONSUL` names, or Debian's; nil if there is none.
    public static let path: String? = {
        let given = getenv("CONSUL").map { String(cString: $0) }
        return [given, packageFolder + "/.build/tools/consul/usr/bin/consul"].compactMap(\.self).first { access($0, X_OK) == 0 }
    }()

    /// Why tests with the real program did not run.
    public static let missing = "no Consul: neither CONSUL nor .build/tools has it (Scripts/need test)"
}

/// A real server of Consul that is a cluster of its own, ended with the sandbox at the latest.
public final class RealConsul: Sendable {
    public let port: UInt16
    private let words: [String]
    private let log: String
    private let sandbox: Sandbox
    private let child: Mutex<Child>

    public var address: String { "127.0.0.1:\(port)" }
    public var pid: pid_t { child.withLock { $0.pid } }
    public var isRunning: Bool { child.withLock { $0.isRunning } }

    /// Starts it, and waits until it can make sessions.
    /// - Parameter keeping: whether it keeps its data over restarts.
    public static func start(keeping: Bool = false, in sandbox: Sandbox) async throws -> RealConsul {
        guard let program = ConsulProgram.path else { throw CannotStart(ConsulProgram.missing) }
        var last = ""
        // Another process can take one of the free ports before the program has it.
        for attempt in 1...5 {
            let server = try RealConsul(program, "consul-\(attempt)", keeping: keeping, in: sandbox)
            if try await server.serves() { return server }
            last = readText(server.log)
            server.kill()
        }
        throw CannotStart("consul does not serve: \(last.suffix(2000))")
    }

    private init(_ program: String, _ name: String, keeping: Bool, in sandbox: Sandbox) throws {
        let ports = try (0..<4).map { _ in try freePort() }
        (port, log, self.sandbox) = (ports[0], sandbox.path(name + ".log"), sandbox)
        words =
            [
                program, "agent", "-bind=127.0.0.1", "-client=127.0.0.1", "-http-port=\(ports[0])", "-server-port=\(ports[1])",
                "-serf-lan-port=\(ports[2])", "-serf-wan-port=\(ports[3])", "-dns-port=-1", "-grpc-port=-1", "-node=server1",
            ]
            + (keeping
                // The multiplier shortens the elections of leaders.
                ? ["-server", "-bootstrap-expect=1", "-data-dir=" + sandbox.path(name), "-hcl=performance { raft_multiplier = 1 }"]
                : ["-dev"])
        child = Mutex(try Self.launch(words, log, in: sandbox))
        sandbox.atClose { self.kill() }
    }

    private static func launch(_ words: [String], _ log: String, in sandbox: Sandbox) throws -> Child {
        var launch = sandbox.launch(words)
        launch.output = .file(log)
        launch.errors = .file(log)
        let child = try Child(launch)
        try Watchdog.watch(child.pid, in: sandbox)
        return child
    }

    /// Waits until it has a leader, and until that leader has registered the node with its health check, some time later: before that it refuses
    /// sessions ("Missing node registration").
    private func serves() async throws -> Bool {
        try await waitFor("a leader of consul, and its node") {
            guard isRunning else { return false }
            guard let answer = try? httpGet(port, "/v1/status/leader"), answer.body.count > 2 else { return nil }
            let checks = (try? httpGet(port, "/v1/health/node/server1"))?.body ?? []
            return String(decoding: checks, as: UTF8.self).contains("serfHealth") ? true : nil
        }
    }

    // MARK: Control

    /// Sends SIGKILL, and waits for the end.
    public func kill() {
        let child = child.withLock { $0 }
        child.signal(SIGCONT)
        child.signal(SIGKILL)
        while child.isRunning { usleep(200) }
    }

    /// Kills it, and starts it with the same ports and data. Waits until it serves.
    public func restart() async throws {
        kill()
        let started = try Self.launch(words, log, in: sandbox)
        child.withLock { $0 = started }
        guard try await serves() else { throw CannotStart("consul has ended: \(readText(log).suffix(2000))") }
    }

    /// Sends SIGSTOP: connections stay open, and nothing more arrives on them.
    public func pause() async throws {
        child.withLock { $0.signal(SIGSTOP) }
        try await waitUntil("consul is stopped") { LivingProcess(pid)?.isStopped ?? true }
    }

    public func resume() { child.withLock { $0.signal(SIGCONT) } }
}

/// A port that no process uses at the moment.
private func freePort() throws -> UInt16 {
    let descriptor = try Socket.bind()
    defer { close(descriptor) }
    return Socket.port(of: descriptor)
}
