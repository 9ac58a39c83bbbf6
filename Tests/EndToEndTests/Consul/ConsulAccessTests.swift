import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

/// A token that is easy to find wherever it appears.
private let secret = "s3cret-t0ken"

@Suite("Keys, datacenters and tokens of Consul") struct ConsulAccessTests {
    private static let rights = ConsulStore.Rights(keys: ["locks/": .write], session: .write)

    /// Ways to pass a token, as flags and environment.
    enum Way: CaseIterable {
        case variable, file, flag

        func use(_ consul: ConsulPlace) throws -> (flags: [String], environment: [String: String]) {
            let file = consul.box.path("token")
            try consul.box.write(Array(secret.utf8), to: "token", mode: 0o600)
            return switch self {
            case .variable: ([], ["CONSUL_HTTP_TOKEN": secret])
            case .file: ([], ["CONSUL_HTTP_TOKEN_FILE": file])
            case .flag: (["--token-file", file], ["CONSUL_HTTP_TOKEN": "another"])
            }
        }
    }

    @Test("key= names the last part of the key, or makes the name the whole key, and leaves flags alone") func keys() async throws {
        try await onConsul { consul in
            let (ending, whole) = (consul.url(nil, "/service?key=leader"), consul.url(nil, "/?key="))
            let key = "service/web/leader"
            let run = try await consul.run(["acquire", "web", "--id", "me", "--ttl", "60s"], at: ending)
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(consul.store.holder(key) != nil && consul.store.key(key)?["Flags"]?.uint64Value == 0)
            for (name, url) in [("web", ending), (key, whole)] {
                let status = try await consul.run(["status", name, "--json"], at: url)
                #expect(try object(status.text)["leader"] == "me", "\(status.text) \(status.errors)")
                #expect(try await consul.run(["acquire", name, "--id", "other", "--", "true"], at: url).ending == .exited(1))
            }
            let released = try await consul.run(["release", "web"], at: ending)
            #expect(released.ending == .exited(0) && consul.store.holder(key) == nil, "\(released.errors)")
            // The leader of another program.
            try consul.lead(key: key, value: "terraform", flags: 0)
            let refused = try await consul.run(["acquire", key, "--id", "me", "--", "true"], at: whole)
            #expect(refused.ending == .exited(1) && refused.errors.contains("terraform"), "\(refused.errors)")
        }
    }

    @Test("dc= is sent with each request, and an unknown datacenter is an error", arguments: [true, false])
    func datacenter(isInURL: Bool) async throws {
        try await onConsul { consul in
            func run(_ name: String, _ words: String...) async throws -> Run {
                try await consul.run(
                    words, at: isInURL ? consul.url(nil, "/locks?dc=\(name)") : nil,
                    environment: isInURL ? ["CONSUL_DATACENTER": "nowhere"] : ["CONSUL_DATACENTER": name])
            }
            let held = try await run("dc1", "acquire", "x", "--id", "me", "--", "true")
            #expect(held.ending == .exited(0), "\(held.errors)")
            #expect(
                !consul.store.requests.isEmpty && consul.store.requests.allSatisfy { $0.contains("dc=dc1") }, "\(consul.store.requests)")
            let lost = try await run("elsewhere", "status", "x", "--retries", "0")
            #expect(lost.ending == .exited(69) && lost.errors.contains("No path to datacenter"), "\(lost.errors)")
        }
    }

    @Test("a token from a variable, its file or a flag is used, and appears in no output and no file of qq's", arguments: Way.allCases)
    func output(way: Way) async throws {
        try await onConsul(access: ConsulStore.Access([secret: Self.rights]), token: secret) { consul in
            let (flags, environment) = try way.use(consul)
            let lines = [
                ("acquire x -v", 0), ("status x -v", 0), ("status --all --json", 0), ("status x --json", 0), ("cluster-status", nil),
                ("cluster-status --json", nil), ("watch x --json --until led", 0), ("release x --json", 0), ("acquire x -v -- true", 0),
                ("acquire x --format shell", 0), ("release x", 0), ("acquire x --ttl 1s", 64), ("status x --frobnicate", 64),
                // The last one: nobody can have the key for a while after it.
                ("acquire x --json", 0), ("step-down x --json", 0),
            ]
            for (line, code) in lines {
                let words = line.split(separator: " ").map(String.init)
                // Not at the end, where they would be the guarded command's.
                let found = try await consul.run(Array(words.prefix(1)) + flags + words.dropFirst(), environment: environment)
                #expect(!found.text.contains(secret) && !found.errors.contains(secret), "\(line)")
                if let code { #expect(found.ending == .exited(Int32(code)), "\(line): \(found.errors)") }
            }
            for name in names(in: consul.box.path("run/qq")) { #expect(!consul.box.read("run/qq/" + name).contains(secret)) }
            #expect(!consul.store.requests.contains { $0.contains(secret) })
        }
    }

    @Test("a token appears in no argument of any process, and one from a file in no environment either", arguments: Way.allCases)
    func processes(way: Way) async throws {
        try await onConsul(access: ConsulStore.Access([secret: Self.rights]), token: secret) { consul in
            let (flags, environment) = try way.use(consul)
            let words = ["acquire", "x"] + flags + ["--", "sh", "-c", "echo held; exec sleep 600"]
            let holder = try consul.qq(words, environment: environment)
            try await waitUntil("it is held: \(holder.errors)") { holder.output.contains("held") }
            let guardian = try await consul.box.guardian(of: holder)
            // A process that is executing its program just now cannot be recognized.
            let processes = try await waitFor("qq, its guardian and the command") {
                let found = consul.box.living + [guardian]
                return found.count > 2 ? found : nil
            }
            for process in processes {
                #expect(!readText("/proc/\(process.pid)/cmdline").contains(secret), "\(process)")
                if way != .variable { #expect(!readText("/proc/\(process.pid)/environ").contains(secret), "\(process)") }
            }
            try await holder.terminate()
        }
    }

    @Test("what a token lacks is named, and nothing is changed") func denied() async throws {
        let readOnly = ConsulStore.Rights(keys: ["locks/": .read], session: .read)
        let access = ConsulStore.Access(["full": Self.rights, "reader": readOnly])
        try await onConsul(access: access, token: "full") { consul in
            let before = consul.store.index
            func run(_ token: String?, _ words: String...) async throws -> Run {
                try await consul.run(words, environment: token.map { ["CONSUL_HTTP_TOKEN": $0] } ?? [:])
            }
            let anonymous = try await run(nil, "acquire", "x", "--id", "me", "--", "true")
            #expect(anonymous.ending == .exited(77), "\(anonymous.errors)")
            #expect(anonymous.errors.contains(#"key_prefix "locks/" { policy = "write" }"#), "\(anonymous.errors)")
            #expect(anonymous.errors.contains(#"session_prefix "" { policy = "write" }"#), "\(anonymous.errors)")
            let reading = try await run(nil, "status", "x")
            #expect(
                reading.ending == .exited(77) && reading.errors.contains(#"key_prefix "locks/" { policy = "read" }"#), "\(reading.errors)")
            let reader = try await run("reader", "acquire", "x", "--id", "me", "--", "true")
            #expect(reader.ending == .exited(77) && reader.errors.contains(#"policy = "write""#), "\(reader.errors)")
            #expect(try await run("reader", "status", "x").ending == .exited(1))
            let unknown = try await run("n0body", "status", "x")
            #expect(unknown.ending == .exited(77) && unknown.errors.contains("does not know the token"), "\(unknown.errors)")
            #expect(!unknown.errors.contains("n0body"))
            #expect(consul.store.index == before && consul.store.sessions == [])
            let cluster = try await run("full", "cluster-status", "--json")
            let endpoint = try #require(try object(cluster.text)["endpoints"]?.arrayValue?.first)
            #expect(endpoint["missing_rules"] == ["agent:read", "operator:read"], "\(cluster.text)")
        }
    }

    @Test("a token file that changes is read again, and the lease is kept") func changedFile() async throws {
        try await onConsul(access: ConsulStore.Access([secret: Self.rights]), token: "next") { consul in
            try consul.box.write(secret, to: "token")
            let holder = try await consul.hold(
                "x", "--id", "q", "--ttl", "10s", "--renew-every", "300ms", "--kill-after", "500ms", "--token-file",
                consul.box.path("token"))
            let session = try #require(consul.session())
            consul.store.setToken("next", Self.rights)
            try consul.box.write("next", to: "token")
            consul.store.deleteToken(secret)
            let renewals = consul.store.count(.renew)
            // Each renewal with the old token was counted as well.
            try await waitUntil("renewals with the new token: \(holder.errors)") { consul.store.count(.renew) >= renewals + 5 }
            #expect(holder.child.isRunning && consul.session() == session && !holder.errors.contains("lost"), "\(holder.errors)")
            try await holder.terminate()
            #expect(consul.session() == nil && consul.store.sessions == [])
        }
    }

    @Test("a context of qq names its token file, and saves no token") func contexts() async throws {
        try await onConsul(access: ConsulStore.Access([secret: Self.rights]), token: secret) { consul in
            let (_, _) = try Way.flag.use(consul)
            let other = ["QQ_SERVER": "", "CONSUL_HTTP_TOKEN": "another", "XDG_CONFIG_HOME": consul.box.path("config")]
            let added = try await consul.run(
                ["context", "add", "prod", "-s", consul.url(), "--token-file", "token"], environment: other)
            #expect(added.code == 0, "\(added.errors)")
            let saved = consul.box.read("config/qq/contexts.yaml")
            #expect(saved.contains(consul.box.path("token")) && !saved.contains(secret), "\(saved)")
            let found = try await consul.run(["status", "x", "--context", "prod"], environment: other)
            #expect(found.code == 1 && found.errors.isEmpty, "\(found.errors)")
            let test = try await consul.run(["context", "test", "prod"], environment: other)
            #expect(test.code == 0, "\(test.text) \(test.errors)")
        }
    }

    @Test("TLS with a client certificate, by flags or by Consul's variables", arguments: [true, false])
    func tls(byFlags: Bool) async throws {
        try await inSandbox { box in
            var settings = ConsulServer.Settings()
            settings.usesTLS = true
            settings.requiresClientCertificate = true
            let agent = try await ConsulServer.start(ConsulStore(), agent: "client", settings, in: box)
            let consul = ConsulPlace(box: box, store: agent.store, agents: [agent], token: "")
            let certificates = try #require(agent.certificates)
            let (certificate, key) = (certificates.client.certificate, certificates.client.key)
            let flags = ["--tls-ca", certificates.authority, "--tls-cert", certificate, "--tls-key", key]
            let variables = [
                "CONSUL_HTTP_SSL": "true", "CONSUL_CACERT": certificates.authority, "CONSUL_CLIENT_CERT": certificate,
                "CONSUL_CLIENT_KEY": key,
            ]
            let run = try await consul.run(
                ["acquire", "x", "--id", "me"] + (byFlags ? flags : []), environment: byFlags ? [:] : variables)
            #expect(run.ending == .exited(0) && consul.leader() == "me", "\(run.errors)")
            let plain = try await consul.run(["status", "x", "--retries", "0"])
            #expect(plain.code.map { $0 > 1 } == true, "\(plain.ending) \(plain.errors)")
        }
    }
}
