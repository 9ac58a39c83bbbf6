import Glibc
import QQCore
import Support
import Testing

/// A server that requires a login.
private struct GuardedServer {
    let box: Sandbox
    let server: NATSServer

    init(_ box: Sandbox, _ version: NATSVersion, _ name: String, _ authorization: NATSSettings.Authorization) async throws {
        var settings = NATSSettings()
        settings.name = name
        settings.authorization = authorization
        self.box = box
        server = try await NATSServer.start(version, settings, in: box)
    }

    /// Acquires a lease and releases it.
    func enter(_ words: String..., environment: [String: String] = [:], url: String? = nil) async throws -> Run {
        let all = ["QQ_SERVER": url ?? server.url].merging(environment) { $1 }
        return try await box.start(
            [Sandbox.binary, "acquire", "x", "--id", "me", "--retries", "0"] + words + ["--", "true"], environment: all
        )
        .finish()
    }

    func url(_ login: String) -> String { "nats://\(login)@127.0.0.1:\(server.port)" }
}

/// Expects that the login was refused, without a secret in the message.
private func expectDenied(_ run: Run, without secrets: [String], sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(run.ending == .exited(77), "\(run.errors)", sourceLocation: sourceLocation)
    #expect(run.output.isEmpty, sourceLocation: sourceLocation)
    for secret in secrets { #expect(!run.errors.contains(secret), "\(run.errors)", sourceLocation: sourceLocation) }
}

@Suite("Logging in to NATS")
struct NATSLoginTests {
    @Test("user and password come from the URL, QQ_SERVER or variables of their own", arguments: NATSVersion.allCases)
    func password(_ version: NATSVersion) async throws {
        try await inSandbox { box in
            let door = try await GuardedServer(box, version, "password", .user("alice", password: "op3n-sesame"))
            #expect(try await door.enter("-s", door.url("alice:op3n-sesame")).ending == .exited(0))
            #expect(try await door.enter(url: door.url("alice:op3n-sesame")).ending == .exited(0))
            #expect(try await door.enter(url: door.url("alice:%6Fp3n-sesame")).ending == .exited(0))
            let variables = ["QQ_NATS_USER": "alice", "QQ_NATS_PASSWORD": "op3n-sesame"]
            #expect(try await door.enter(environment: variables).ending == .exited(0))
            // The command line overrides the environment.
            #expect(try await door.enter("-s", door.url("alice:op3n-sesame"), environment: ["QQ_NATS_TOKEN": "stale"]).ending == .exited(0))
            expectDenied(try await door.enter(), without: [])
            expectDenied(try await door.enter("-s", door.url("alice:wr0ng-pass")), without: ["wr0ng-pass"])
            expectDenied(try await door.enter(url: door.url("alice:wr0ng-pass")), without: ["wr0ng-pass"])
            expectDenied(
                try await door.enter(environment: ["QQ_NATS_USER": "alice", "QQ_NATS_PASSWORD": "wr0ng-pass"]), without: ["wr0ng-pass"])
            expectDenied(try await door.enter("-v", "-s", door.url("alice:wr0ng-pass")), without: ["wr0ng-pass"])
            let half = try await door.enter(environment: ["QQ_NATS_USER": "alice"])
            #expect(half.ending == .exited(78))
            let both = try await door.enter(environment: variables.merging(["QQ_NATS_TOKEN": "t0ken"]) { $1 })
            #expect(both.ending == .exited(78))
            #expect(!both.errors.contains("t0ken") && !both.errors.contains("op3n-sesame"))
        }
    }

    @Test("every command is refused a wrong password with 77, also those that read and watch", arguments: NATSVersion.allCases)
    func everyCommand(_ version: NATSVersion) async throws {
        try await inSandbox { box in
            let door = try await GuardedServer(box, version, "password", .user("alice", password: "op3n-sesame"))
            let url = door.url("alice:wr0ng-pass")
            for words in [
                ["status", "x"], ["status", "--all"], ["watch", "x"], ["keepalive", "x"], ["acquire", "x"], ["acquire", "x", "--wait"],
                ["release", "x", "--id", "me"], ["step-down", "x"], ["keepalive", "x", "--once", "--id", "me"],
            ] {
                let run = try await box.start([Sandbox.binary, "-s", url] + words).finish()
                #expect(run.ending == .exited(77), "\(words): \(run.errors)")
                #expect(!run.errors.contains("wr0ng-pass") && !run.text.contains("wr0ng-pass"), "\(words)")
            }
            let cluster = try await box.run("-s", url, "cluster-status", "--json")
            #expect(cluster.ending == .exited(69))
            #expect(!cluster.text.contains("wr0ng-pass") && !cluster.errors.contains("wr0ng-pass"))
        }
    }

    @Test("a token comes from the URL, QQ_SERVER or a variable of its own", arguments: NATSVersion.allCases)
    func token(_ version: NATSVersion) async throws {
        try await inSandbox { box in
            let door = try await GuardedServer(box, version, "token", .token("t0ken-of-mine"))
            #expect(try await door.enter("-s", door.url("t0ken-of-mine")).ending == .exited(0))
            #expect(try await door.enter(url: door.url("t0ken-of-mine")).ending == .exited(0))
            #expect(try await door.enter(environment: ["QQ_NATS_TOKEN": "t0ken-of-mine"]).ending == .exited(0))
            expectDenied(try await door.enter("-s", door.url("wr0ng-token")), without: ["wr0ng-token"])
            expectDenied(try await door.enter(environment: ["QQ_NATS_TOKEN": "wr0ng-token"]), without: ["wr0ng-token"])
        }
    }

    @Test("an NKey seed is read from its file", arguments: NATSVersion.allCases)
    func nkey(_ version: NATSVersion) async throws {
        try await inSandbox { box in
            let (key, stranger) = (NKey(.user), NKey(.user))
            let door = try await GuardedServer(box, version, "nkey", .nkeys([key.publicText]))
            try box.write(Array(key.seed.utf8), to: "user.nk", mode: 0o600)
            try box.write(Array(stranger.seed.utf8), to: "stranger.nk", mode: 0o600)
            try box.write("nonsense", to: "broken.nk")
            #expect(try await door.enter("--nkey", box.path("user.nk")).ending == .exited(0))
            #expect(try await door.enter(environment: ["QQ_NATS_NKEY": box.path("user.nk")]).ending == .exited(0))
            expectDenied(try await door.enter("--nkey", box.path("stranger.nk")), without: [stranger.seed])
            for file in ["broken.nk", "missing.nk"] {
                let run = try await door.enter("--nkey", box.path(file))
                #expect(run.ending == .exited(78), "\(run.errors)")
                #expect(run.errors.contains(file))
            }
        }
    }

    @Test("credentials are read from a .creds file, also from the one that a cluster.json names", arguments: NATSVersion.allCases)
    func creds(_ version: NATSVersion) async throws {
        try await inSandbox { box in
            let boss = try NATSOperator()
            let door = try await GuardedServer(box, version, "creds", .operatorMode(boss))
            try box.write(Array(try boss.credentials().utf8), to: "user.creds", mode: 0o600)
            try box.write(Array(try NATSOperator().credentials().utf8), to: "stranger.creds", mode: 0o600)
            try box.write("nonsense", to: "broken.creds")
            #expect(try await door.enter("--creds", box.path("user.creds")).ending == .exited(0))
            #expect(try await door.enter(environment: ["QQ_NATS_CREDS": box.path("user.creds")]).ending == .exited(0))
            expectDenied(try await door.enter("--creds", box.path("stranger.creds")), without: ["SU"])
            #expect(try await door.enter("--creds", box.path("broken.creds")).ending == .exited(78))
            #expect(try await door.enter("--creds", box.path("missing.creds")).ending == .exited(78))
            try box.write(
                #"{"clusterId": "x", "nats": {"servers": ["127.0.0.1:\#(door.server.port)"], "credentials": "user.creds"}}"#,
                to: "cluster.json")
            let run = try await box.run("status", "--cluster-config", box.path("cluster.json"), environment: ["QQ_SERVER": ""])
            #expect(run.ending == .exited(1), "\(run.errors)")
            #expect(run.text.hasPrefix("x\tfree"))
        }
    }

    // For passwords see SecretTests.
    @Test("a token appears in no output, argument or variable of any process, and a saved grant is found without it")
    func nowhere() async throws {
        try await inSandbox { box in
            let secret = "op3n-sesame"
            let door = try await GuardedServer(box, .latest, "token", .token(secret))
            let ways: [(words: [String], environment: [String: String])] = [
                (["--server=" + door.url(secret)], [:]), ([], ["QQ_SERVER": door.server.url, "QQ_NATS_TOKEN": secret]),
            ]
            for (number, way) in ways.enumerated() {
                let name = "x\(number)"
                let holder = try box.start(
                    [Sandbox.binary] + way.words + [
                        "acquire", name, "-v", "--on-elected", "env >>hook", "--", "sh", "-c", "env; echo held; exec sleep 600",
                    ],
                    environment: way.environment)
                try await waitUntil("the lease is held: \(holder.errors)") {
                    holder.output.contains("held") && box.read("hook").contains("QQ_EVENT")
                }
                // A guardian's environment does not show that it belongs to a sandbox.
                let running = box.living.filter { $0.pid != door.server.pid } + [try await box.guardian(of: holder)]
                #expect(running.count >= 3, "\(running)")
                for process in running {
                    for file in ["cmdline", "environ"] {
                        #expect(!readText("/proc/\(process.pid)/\(file)").contains(secret), "\(process) \(file)")
                    }
                }
                try await holder.terminate()
                #expect(!holder.output.contains(secret) && !holder.errors.contains(secret) && !box.read("hook").contains(secret))
            }
            let granted = try await box.run("-s", door.url(secret), "acquire", "kept", "--ttl", "60s", "--json")
            #expect(granted.ending == .exited(0) && !granted.text.contains(secret))
            let saved = names(in: box.path("run/qq")).map { box.read("run/qq/" + $0) }
            #expect(saved.count == 1 && saved.allSatisfy { !$0.contains(secret) })
            let hidden = ["QQ_SERVER": door.server.url, "QQ_NATS_TOKEN": secret]
            #expect(try await box.run("release", "kept", environment: hidden).ending == .exited(0))
        }
    }

    @Test("a login revoked while a lease is held ends the holder's command before the lease")
    func takenBack() async throws {
        try await inSandbox { box in
            let door = try await GuardedServer(box, .latest, "password", .user("alice", password: "first"))
            let holder = try box.start(
                [
                    Sandbox.binary, "-s", door.url("alice:first"), "acquire", "x", "--ttl", "3s", "--", Sandbox.stamp, box.path("stamps"),
                ])
            _ = try await box.waitForTerms(1)
            try door.server.reload { $0.authorization = .user("alice", password: "second") }
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(!end.errors.contains("first"))
            let url = door.url("alice:second")
            let next = try await box.run("-s", url, "acquire", "x", "--wait=20s", "--", Sandbox.stamp, box.path("stamps"), "--for", "20")
            #expect(next.ending == .exited(0), "\(next.errors)")
            #expect(box.stamps().violations == [])
        }
    }
}
