import Glibc
import Support
import Testing

/// A password that is easy to find wherever it appears.
private let secret = "s3cret-w0rd"

@Suite("Secrets for NATS")
struct SecretTests {
    /// Ways to pass a login, as flags and environment.
    enum Way: CaseIterable {
        case flag, variable, parts

        func use(_ port: UInt16) -> (flags: [String], environment: [String: String]) {
            let url = "nats://user:\(secret)@127.0.0.1:\(port)"
            return switch self {
            case .flag: (["-s", url], [:])
            case .variable: ([], ["QQ_SERVER": url])
            case .parts: (["-s", "nats://127.0.0.1:\(port)"], ["QQ_NATS_USER": "user", "QQ_NATS_PASSWORD": secret])
            }
        }
    }

    private func server(in box: Sandbox) async throws -> NATSServer {
        var settings = NATSSettings()
        settings.authorization = .user("user", password: secret)
        return try await NATSServer.start(.latest, settings, in: box)
    }

    private func run(_ way: Way, _ port: UInt16, _ words: [String], in box: Sandbox) async throws -> Run {
        let (flags, environment) = way.use(port)
        return try await box.start([Sandbox.binary] + flags + words, environment: environment).finish()
    }

    /// The files in /proc, readable by all or by the same user, that contain the secret.
    private func leaks(_ processes: [LivingProcess]) -> [String] {
        processes.flatMap { process in
            ["cmdline", "environ"].filter { readText("/proc/\(process.pid)/\($0)").contains(secret) }.map { "\(process) \($0)" }
        }
    }

    @Test("a password appears in no output, whether a command succeeds or fails", arguments: Way.allCases)
    func output(way: Way) async throws {
        try await inSandbox { box in
            let port = try await server(in: box).port
            let lines = [
                "status x -v", "status --all --json", "acquire x -v", "acquire x --json", "acquire x --format shell", "status x --json",
                "watch x --json --until led", "cluster-status", "cluster-status --json", "step-down x --node other --yes",
                "release x --json",
                "acquire x -v -- env -0", "acquire x -- sh -c env", "keepalive x --once", "release x", "acquire x --ttl 99s",
                "acquire a.b", "status x --creds /nothing", "status x --tls-ca /nothing", "status x --frobnicate",
            ]
            for line in lines {
                let words = line.split(separator: " ").map(String.init)
                let found = try await run(way, port, words, in: box)
                #expect(!found.text.contains(secret) && !found.errors.contains(secret), "\(line)")
            }
            // Saved grants contain the server URL without the login either.
            for name in names(in: box.path("run/qq")) { #expect(!box.read("run/qq/" + name).contains(secret)) }
        }
    }

    @Test("a password appears in no error of a failed login, of a missing server or of an invalid URL")
    func failures() async throws {
        try await inSandbox { box in
            let server = try await server(in: box)
            for (port, password) in [(server.port, secret + "x"), (1, secret)] {
                let run = try await box.run("-s", "nats://user:\(password)@127.0.0.1:\(port)", "status", "x", "-v")
                #expect(run.ending == .exited(port == 1 ? 69 : 77), "\(run.errors)")
                #expect(!run.errors.contains(secret) && !run.errors.isEmpty)
            }
            for query in ["?frobnicate=1", "?replicas=x", "#x"] {
                let run = try await box.run("-s", "nats://user:\(secret)@127.0.0.1:1\(query)", "status", "x")
                #expect(run.ending == .exited(78))
                #expect(!run.errors.contains(secret) && !run.errors.isEmpty)
            }
        }
    }

    @Test("a password appears in no argument and no environment of any process", arguments: Way.allCases)
    func processes(way: Way) async throws {
        try await inSandbox { box in
            let server = try await server(in: box)
            let (flags, environment) = way.use(server.port)
            let hook = "env >>\(box.path("hook")); cat /proc/self/environ >>\(box.path("hook"))"
            let guarded = try box.start(
                [Sandbox.binary] + flags + ["acquire", "x", "--on-elected", hook, "--", "sh", "-c", "env; echo held; exec sleep 600"],
                environment: environment)
            let keeper = try box.start([Sandbox.binary] + flags + ["keepalive", "y", "--on-elected", hook], environment: environment)
            let watcher = try box.start([Sandbox.binary] + flags + ["watch", "x"], environment: environment)
            try await waitUntil("all processes run: \(guarded.errors) \(keeper.errors)") {
                guarded.output.contains("held") && keeper.output.contains("elected") && watcher.output.contains("x")
            }
            // The guardian shows something else than the environment that it was started with.
            let guardian = try await box.guardian(of: guarded)
            // At least each qq, the guardian and the command, which has no environment for a moment while it becomes another program.
            let processes = try await waitFor("all processes") {
                let found = box.living.filter { $0.pid != server.pid && $0.pid != guardian.pid } + [guardian]
                return found.count >= 5 ? found : nil
            }
            #expect(leaks(processes) == [])
            #expect(!guarded.output.contains(secret) && guarded.output.contains("QQ_SERVER=nats://127.0.0.1:\(server.port)\n"))
            #expect(box.read("hook").contains("QQ_EVENT=elected") && !box.read("hook").contains(secret))
            for run in [guarded, keeper, watcher] { run.child.signal(SIGTERM) }
            for run in [guarded, keeper, watcher] { _ = try await run.finish() }
        }
    }

    @Test("a password in the guarded command's own arguments is passed on unchanged")
    func commandsArguments() async throws {
        try await inSandbox { box in
            let url = "nats://user:\(secret)@elsewhere"
            let run = try await box.run("acquire", "x", "--", "sh", "-c", "printf %s \"$0\"", url)
            #expect(run.text == url)
        }
    }
}
