import QQCore
import QQNATS
import Testing

import struct LeaderElection.ServerAccess

@testable import QQCLI

@Suite("Access to NATS") struct NATSAccess {
    private let file = try? ClusterFile.parse(
        #"{"nats": {"servers": ["nats://f1"], "credentials": "f.creds"}, "election": {"leaseTtlMs": 8000}}"#.utf8, path: "/etc/cluster.json"
    )

    private func settings(
        _ line: String, _ variables: [String: String] = [:], file: ClusterFile? = nil
    ) throws -> NATSSettings {
        let parsed = try invocation(line)
        let choice = try ServerChoice.resolve(flag: parsed[Flags.server], file: file) { variables[$0] }
        return try NATSSettings(.nats(parsed, choice, file: file)) { variables[$0] }
    }

    private func problem(_ line: String, _ variables: [String: String] = [:], file: ClusterFile? = nil) -> CoordinationError? {
        #expect(throws: CoordinationError.self) { try settings(line, variables, file: file) }
    }

    /// Flag, environment, file: each step leaves out the source that took precedence.
    @Test("credentials come from a flag, then the environment, then the cluster file") func precedence() throws {
        let file = try #require(file)
        let variables = ["QQ_NATS_TOKEN": "t"]
        #expect(try settings("status -s nats://a --nkey /k", variables, file: file).options.credentials == .nkey(seedFile: "/k"))
        #expect(try settings("status -s nats://a --creds /c", variables, file: file).options.credentials == .credentialsFile("/c"))
        #expect(
            try settings("status -s nats://u:p@a", variables, file: file).options.credentials == .userPassword(user: "u", password: "p"))
        #expect(try settings("status -s nats://a", variables, file: file).options.credentials == .token("t"))
        #expect(try settings("status -s nats://a", file: file).options.credentials == .credentialsFile("/etc/f.creds"))
        #expect(try settings("status -s nats://a").options.credentials == .none)
    }

    @Test("the environment can have each kind of credentials") func environment() throws {
        let kinds: [([String: String], NATSOptions.Credentials)] = [
            (["QQ_NATS_CREDS": "/c"], .credentialsFile("/c")), (["QQ_NATS_NKEY": "/k"], .nkey(seedFile: "/k")),
            (["QQ_NATS_TOKEN": "t"], .token("t")),
            (["QQ_NATS_USER": "u", "QQ_NATS_PASSWORD": "p"], .userPassword(user: "u", password: "p")),
        ]
        for (variables, credentials) in kinds { #expect(try settings("status -s nats://a", variables).options.credentials == credentials) }
        let server = ["QQ_SERVER": "nats://u:p@a"]
        #expect(try settings("status", server).options.credentials == .userPassword(user: "u", password: "p"))
        #expect(try settings("status --creds /c", server).options.credentials == .credentialsFile("/c"))
    }

    @Test(
        "several credentials of the same precedence are refused",
        arguments: [
            ("status -s nats://u:s3cret@a --creds /c", [:], "--server, --creds"),
            ("status -s nats://s3cret@a --nkey /c", [:], "--server, --nkey"),
            ("status -s nats://a", ["QQ_NATS_CREDS": "/c", "QQ_NATS_TOKEN": "s3cret"], "QQ_NATS_CREDS, QQ_NATS_TOKEN"),
            ("status", ["QQ_SERVER": "nats://u:s3cret@a", "QQ_NATS_NKEY": "/k"], "QQ_SERVER, QQ_NATS_NKEY"),
        ] as [(String, [String: String], String)])
    func samePrecedence(line: String, variables: [String: String], names: String) throws {
        let error = try #require(problem(line, variables))
        #expect(error.kind == .configuration && error.reason.hasSuffix(names))
        #expect(!"\(error) \(error.hint ?? "")".contains("s3cret"))
    }

    @Test("a user needs a password, and a password needs a user") func userAndPassword() throws {
        #expect(problem("status -s nats://a", ["QQ_NATS_USER": "u"])?.reason == "QQ_NATS_PASSWORD is not set")
        #expect(problem("status -s nats://a", ["QQ_NATS_PASSWORD": "p"])?.reason == "QQ_NATS_USER is not set")
    }

    @Test("credential flags that do not go together are refused by the parser") func conflictingFlags() {
        #expect(QQCLITests.problem("status --creds a --nkey b")?.message == "--creds and --nkey exclude each other")
        #expect(QQCLITests.problem("status --tls-key a")?.message == "--tls-key needs --tls-cert")
        #expect(QQCLITests.problem("status --tls-cert a") == nil)
    }

    @Test("TLS flags require TLS") func tlsFlags() throws {
        let plain = try settings("status -s nats://a").options.tls
        #expect(!plain.isRequired && !plain.handshakeFirst)
        for flag in ["--tls-ca x", "--tls-cert x", "--tls-name x", "--tls-first"] {
            #expect(try settings("status -s nats://a \(flag)").options.tls.isRequired, "\(flag)")
        }
        let all = try settings("status -s tls://a --tls-ca ca --tls-cert cert --tls-key key --tls-name name --tls-first").options.tls
        #expect(
            all.files.authority?.location == "ca" && all.files.certificate?.location == "cert" && all.files.key?.location == "key"
                && all.files.serverName == "name")
        #expect(all.isRequired && all.handshakeFirst)
    }

    @Test("the cluster file adds its servers and TTL") func clusterFile() throws {
        let file = try #require(file)
        let found = try settings("status", file: file)
        #expect(found.options.servers == [.init(host: "f1")] && found.leaseTTL == .seconds(8))
    }
}

@Suite("Choice of the server") struct ChoiceOfServer {
    private func choice(_ flag: String?, _ variable: String?, _ file: String?) throws -> ServerChoice {
        let file = try file.map { try ClusterFile.parse($0.utf8, path: "/etc/cluster.json") }
        return try ServerChoice.resolve(flag: flag, file: file) { $0 == "QQ_SERVER" ? variable : nil }
    }

    @Test("the server is chosen by flag, then environment, then cluster file") func choiceOfServer() throws {
        let file = #"{"nats": {"servers": ["nats://f1"]}}"#
        let cases: [(String?, String?, String?, ServerChoice.Origin, String?)] = [
            ("nats://a", "nats://b", file, .flag, "nats://a"), (nil, "nats://b", file, .environment, "nats://b"),
            (nil, nil, file, .file, "nats://f1"), (nil, nil, nil, .embedded, nil),
        ]
        for (flag, variable, file, origin, url) in cases {
            let found = try choice(flag, variable, file)
            #expect(found.origin == origin)
            if let url { #expect(found.url.description == url) }
        }
    }

    @Test("a cluster file requires a NATS server") func serverWithClusterFile() throws {
        let flag = #expect(throws: CoordinationError.self) { try choice("file:///x", nil, "{}") }
        #expect(flag?.kind == .usage && flag?.reason == "it is for NATS, and --server is not a nats:// or tls:// URL")
        let variable = #expect(throws: CoordinationError.self) { try choice(nil, "file:///x", "{}") }
        #expect(variable?.kind == .usage && variable?.reason == "it is for NATS, and QQ_SERVER is not a nats:// or tls:// URL")
        let nothing = #expect(throws: CoordinationError.self) { try choice(nil, nil, "{}") }
        #expect(nothing?.kind == .configuration && nothing?.reason == "nats.servers is missing")
    }
}
