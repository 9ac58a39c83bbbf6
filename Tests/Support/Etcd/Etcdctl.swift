import Glibc
import QQCore

/// etcd's own client, which is also a contender: `etcdctl lock` and `elect`.
public struct Etcdctl: Sendable {
    public struct Outcome: Sendable {
        public var ending: Ending
        public var output: String

        public var isSuccess: Bool { ending == .exited(0) }
    }

    /// The program, found by the same rules as in `Scripts/need`; nil if there is none.
    public static let path: String? = [
        packageFolder + "/.build/tools/etcd-client/usr/bin/etcdctl", "/usr/bin/etcdctl", "/usr/local/bin/etcdctl",
    ].first { access($0, X_OK) == 0 }

    private let endpoints: [String]
    private let tls: Certificates?
    private let showsCertificate: Bool
    private let sandbox: Sandbox
    /// `NAME:PASSWORD`.
    public var user: String?
    /// Whether the client checks the server's certificate.
    public var checksServer = true

    /// A client of a server, or of all servers of a cluster.
    public init(_ servers: EtcdServer..., in sandbox: Sandbox) { self.init(servers, in: sandbox) }

    /// - Parameter settings: which certificates the client uses; nil for those that the servers demand.
    public init(_ servers: [EtcdServer], as settings: EtcdServer.Settings? = nil, in sandbox: Sandbox) {
        let settings = settings ?? servers.first?.settings
        endpoints = servers.map(\.endpoint)
        tls = settings?.tls
        showsCertificate = settings?.verifiesClients ?? false
        self.sandbox = sandbox
    }

    private func launch(_ words: [String], _ output: String) throws -> Launch {
        guard let path = Self.path else { throw CannotStart("no etcdctl: run Scripts/need test") }
        var flags = ["--endpoints", endpoints.joined(separator: ",")]
        if let tls { flags += ["--cacert", tls.authority] }
        if tls != nil, !checksServer { flags.append("--insecure-skip-tls-verify") }
        if let tls, showsCertificate { flags += ["--cert", tls.client.certificate, "--key", tls.client.key] }
        if let user { flags += ["--user", user] }
        var launch = sandbox.launch([path] + flags + words, environment: ["ETCDCTL_API": "3"])
        launch.output = .file(output)
        launch.errors = .file(output)
        return launch
    }

    /// Runs a command to its end.
    @discardableResult
    public func run(_ words: [String], within limit: Duration = waitingTime) async throws -> Outcome {
        let output = sandbox.path("etcdctl-\(UInt32.random(in: 0...UInt32.max))")
        let ending = try await Child(launch(words, output)).wait("etcdctl \(words.joined(separator: " "))", within: limit)
        defer { unlink(output) }
        return Outcome(ending: ending, output: readText(output))
    }

    /// Runs a command that must succeed.
    /// - Returns: its output.
    @discardableResult
    public func succeed(_ words: String...) async throws -> String {
        let outcome = try await run(words)
        guard outcome.isSuccess else { throw CannotStart("etcdctl \(words.joined(separator: " ")): \(outcome.ending) \(outcome.output)") }
        return outcome.output
    }

    // MARK: Contenders

    /// An `etcdctl` that contends.
    public struct Contender: Sendable {
        public let child: Child
        private let file: String

        init(_ child: Child, _ file: String) { (self.child, self.file) = (child, file) }

        public var output: String { readText(file) }
    }

    /// Starts `etcdctl lock NAME`, which prints its key once it has the lock, or `etcdctl lock NAME COMMAND…`.
    public func lock(_ name: String, ttl: Int? = nil, _ command: [String] = []) throws -> Contender {
        try contend(["lock"] + (ttl.map { ["--ttl", "\($0)"] } ?? []) + [name] + (command.isEmpty ? [] : ["--"] + command))
    }

    /// Starts `etcdctl elect NAME VALUE`, which prints its key and its value once it leads.
    public func elect(_ name: String, _ value: String) throws -> Contender { try contend(["elect", name, value]) }

    private func contend(_ words: [String]) throws -> Contender {
        let file = sandbox.path("etcdctl-\(UInt32.random(in: 0...UInt32.max))")
        let child = try Child(launch(words, file))
        try Watchdog.watch(child.pid, in: sandbox)
        sandbox.atClose {
            child.signal(SIGCONT)
            child.signal(SIGKILL)
            while child.isRunning { usleep(200) }
        }
        return Contender(child, file)
    }

    // MARK: Preparation

    /// Adds root and a user `qq` that can read and write below `qq/`, with the passwords `rootpw` and `qqpw`, and enables authentication.
    public func enableAuth() async throws {
        for words in [
            ["user", "add", "root:rootpw"], ["user", "grant-role", "root", "root"], ["role", "add", "qq"],
            ["role", "grant-permission", "--prefix=true", "qq", "readwrite", "qq/"], ["user", "add", "qq:qqpw"],
            ["user", "grant-role", "qq", "qq"], ["auth", "enable"],
        ] {
            let outcome = try await run(words)
            guard outcome.isSuccess else { throw CannotStart("etcdctl \(words.joined(separator: " ")): \(outcome.output)") }
        }
    }
}
