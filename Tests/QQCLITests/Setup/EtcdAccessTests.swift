import Foundation
import QQCore
import QQEtcd
import Testing

import struct LeaderElection.ServerAccess

@testable import QQCLI

@Suite("Access to etcd") struct EtcdAccessTests {
    private func options(_ line: String, _ variables: [String: String] = [:]) throws -> EtcdOptions {
        let parsed = try invocation(line)
        let choice = try ServerChoice.resolve(flag: parsed[Flags.server], file: nil) { variables[$0] }
        return try EtcdOptions(.etcd(parsed, choice)) { variables[$0] }
    }

    private func problem(_ line: String, _ variables: [String: String] = [:]) -> CoordinationError? {
        #expect(throws: CoordinationError.self) { try options(line, variables) }
    }

    /// Runs `body` with a login file of this text.
    private func withFile(_ text: String, _ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("qq-login-\(UUID().uuidString)").path
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private static let variables = ["QQ_ETCD_USER": "v", "QQ_ETCD_PASSWORD": "s3cret"]

    @Test("the login comes from a flag, then from the environment") func precedence() throws {
        try withFile("f:p:w\n") { path in
            let given = try options("status -s etcd://e --login-file \(path)", Self.variables)
            #expect(given.login == EtcdLogin(user: "f", password: "p:w"))
        }
        #expect(try options("status -s etcd://u:p@e", Self.variables).login == EtcdLogin(user: "u", password: "p"))
        #expect(try options("status -s etcd://e", Self.variables).login == EtcdLogin(user: "v", password: "s3cret"))
        #expect(try options("status", ["QQ_SERVER": "etcd://u:p@e"]).login == EtcdLogin(user: "u", password: "p"))
        #expect(try options("status -s etcd://e").login == nil)
    }

    @Test("two logins of the same precedence are refused, and neither is shown") func several() throws {
        for (line, variables, names) in [
            ("status -s etcd://u:s3cret@e --login-file /f", [:], "--server, --login-file"),
            ("status", Self.variables.merging(["QQ_SERVER": "etcd://u:s3cret@e"]) { $1 }, "QQ_SERVER, QQ_ETCD_USER"),
        ] as [(String, [String: String], String)] {
            let error = try #require(problem(line, variables))
            #expect(error.kind == .configuration && error.reason.hasSuffix(names))
            #expect(!"\(error) \(error.hint ?? "")".contains("s3cret"))
        }
    }

    @Test("a user needs a password, and a password needs a user") func incomplete() {
        #expect(problem("status -s etcd://e", ["QQ_ETCD_USER": "u"])?.reason == "QQ_ETCD_PASSWORD is not set")
        #expect(problem("status -s etcd://e", ["QQ_ETCD_PASSWORD": "p"])?.reason == "QQ_ETCD_USER is not set")
        #expect(problem("status -s etcd://u@e")?.reason == "the server URL has a user and no password")
    }

    @Test(
        "a login file has a user and a password in one line",
        arguments: [
            ("u:p", "u", "p"), ("u:p\n", "u", "p"), ("u:p\r\n", "u", "p"), ("u: p ", "u", " p "), ("u:p:q", "u", "p:q"), ("", nil, nil),
            ("u", nil, nil), ("u:", nil, nil), (":p", nil, nil), ("u:p\nmore", nil, nil), ("u:p\n\n", nil, nil), ("u:\u{0}", nil, nil),
        ] as [(String, String?, String?)])
    func loginFile(text: String, user: String?, password: String?) {
        let found = EtcdLoginFile.parse(Array(text.utf8))
        #expect(found?.user == user && found?.password == password)
    }

    @Test("a login file that cannot be used is refused without its contents") func brokenFile() throws {
        #expect(problem("status -s etcd://e --login-file /nonexistent/f")?.location == "/nonexistent/f")
        for text in ["s3cret", "u:s3cret\nmore", String(repeating: "s3cret", count: 1000)] {
            try withFile(text) { path in
                let error = problem("status -s etcd://e --login-file \(path)")
                #expect(error?.kind == .configuration && error?.location == path)
                #expect(error.map { "\($0) \($0.hint ?? "")" }?.contains("s3cret") == false)
            }
        }
    }

    @Test("endpoints have etcd's port, and TLS if the URL or a flag requests it") func endpoints() throws {
        let plain = try options("status -s etcd://e1,e2:1/p")
        #expect(plain.endpoints == [.init(name: "e1", port: 2379), .init(name: "e2", port: 1)] && plain.tls == nil)
        #expect(try options("status -s etcds://e").tls != nil)
        let given = try options("status -s etcd://e --tls-ca ca --tls-cert cert --tls-key key --tls-name name").tls
        #expect(given?.authority?.location == "ca" && given?.certificate?.location == "cert" && given?.key?.location == "key")
        #expect(given?.serverName == "name")
    }

    @Test("no child process gets the variables with the login, and no dump shows the password") func secrets() throws {
        #expect(Set(Self.variables.keys).isSubset(of: Hidden.names))
        var dumped = ""
        dump(try options("status -s etcd://e", Self.variables), to: &dumped)
        #expect(dumped.contains("e") && !dumped.contains("s3cret"))
    }

    @Test("a context can name the login file, which the command line replaces") func contexts() throws {
        let line = try invocation("context add prod -s etcds://e1,e2/locks --login-file /etc/qq/etcd --tls-ca /etc/ca.pem")
        #expect(
            try ContextImport.settings(line)
                == [.init("server", "etcds://e1,e2/locks"), .init("login-file", "/etc/qq/etcd"), .init("tls-ca", "/etc/ca.pem")])
        #expect(ContextsFile.pathKeys.contains("login-file"))
        #expect(ContextChoice.applies(Flags.loginFile.erased, to: try invocation("status")))
        #expect(!ContextChoice.applies(Flags.loginFile.erased, to: try invocation("status --login-file /other")))
    }

    @Test("the examples in the manual page of etcd can be parsed", arguments: EtcdManual.examples.map(\.line))
    func hasExamplesThatParse(line: String) throws {
        let calls = line.calls
        #expect(!calls.isEmpty)
        for call in calls { #expect(QQCLITests.problem(call) == nil, "\(call)") }
    }
}
