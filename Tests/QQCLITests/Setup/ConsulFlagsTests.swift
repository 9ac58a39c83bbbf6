import QQCore
import Testing

import struct LeaderElection.ServerAccess

@testable import QQCLI
@testable import QQConsul

@Suite("Access to Consul") struct ConsulFlagsTests {
    private func access(_ line: String, _ variables: [String: String] = [:]) throws -> ConsulAccess {
        let parsed = try invocation(line)
        let choice = try ServerChoice.resolve(flag: parsed[Flags.server], file: nil) { variables[$0] }
        return try ConsulAccess(.consul(parsed, choice)) { variables[$0] }
    }

    private func problem(_ line: String, _ variables: [String: String] = [:]) -> CoordinationError? {
        #expect(throws: CoordinationError.self) { try access(line, variables) }
    }

    private static let variables = ["CONSUL_HTTP_TOKEN": "s3cret", "CONSUL_HTTP_TOKEN_FILE": "/variable"]

    @Test("the token file of the flag comes before all variables of Consul") func token() throws {
        #expect(try access("status -s consul:// --token-file /flag", Self.variables).token == .file("/flag"))
        #expect(try access("status -s consul://", Self.variables).token == .file("/variable"))
        #expect(try access("status -s consul://", ["CONSUL_HTTP_TOKEN": "s3cret"]).token == .secret(Secret("s3cret")))
        #expect(try access("status -s consul://").token == .none)
    }

    @Test("flags about TLS come before the variables, and request TLS") func tls() throws {
        let variables = ["CONSUL_CACERT": "/ca", "CONSUL_CLIENT_CERT": "/cert", "CONSUL_TLS_SERVER_NAME": "other"]
        #expect(try access("status -s consul://a", variables).agents.map(\.scheme) == [.http])
        for flag in ["--tls-ca x", "--tls-cert x", "--tls-name x"] {
            #expect(try access("status -s consul://a \(flag)").agents.map(\.scheme) == [.https], "\(flag)")
        }
        let given = try access("status -s consuls://a --tls-ca ca --tls-cert cert --tls-key key --tls-name name", variables).tls
        #expect(given.authority?.location == "ca" && given.certificate?.location == "cert" && given.key?.location == "key")
        #expect(given.serverName == "name")
        let found = try access("status -s consuls://a", variables).tls
        #expect(found.authority?.location == "/ca" && found.certificate?.location == "/cert" && found.serverName == "other")
    }

    @Test("the server URL can come from QQ_SERVER, with a login that nothing shows") func login() throws {
        let found = try access("status", ["QQ_SERVER": "consul://me:s3cret@c/locks?dc=east", "CONSUL_HTTP_AUTH": "you:0ther"])
        #expect(found.basicLogin == Secret("me:s3cret") && found.datacenter == "east" && found.naming.prefix == "locks")
        var dumped = ""
        dump(found, to: &dumped)
        #expect(!dumped.contains("s3cret") && !"\(found)".contains("s3cret"))
        #expect(try access("status -s consul://", ["CONSUL_HTTP_AUTH": "you:0ther"]).basicLogin == Secret("you:0ther"))
    }

    @Test("no error about the token shows it") func brokenToken() {
        let error = problem("status -s consul://me:s3cret@c", ["CONSUL_HTTP_TOKEN": "s3cret\u{1}"])
        #expect(error?.kind == .configuration && error.map { "\($0) \($0.hint ?? "")" }?.contains("s3cret") == false)
    }

    @Test("an unknown option of the URL is refused, with those that there are") func option() {
        let error = problem("status -s consul://c?datacentre=abc")
        #expect(error?.kind == .configuration && error?.hint?.contains("dc=") == true)
    }

    @Test("the token of Consul stays in the environment of commands: they might use Consul themselves") func inherited() {
        #expect(!Hidden.names.contains { $0.hasPrefix("CONSUL_") })
    }

    @Test("a context can name the token file, and the command line replaces it") func context() throws {
        let file = try ContextsFile("contexts: {prod: {server: \"consul://c/locks\", token-file: consul.token}}", path: "contexts.yaml")
        #expect(file["prod"]?["token-file"] == "consul.token" && ContextsFile.pathKeys.contains("token-file"))
        let flag = Flags.tokenFile.erased
        #expect(ContextChoice.applies(flag, to: try invocation("status")))
        #expect(!ContextChoice.applies(flag, to: try invocation("status --token-file /other")))
        // Consul's variables apply only if neither the command line nor a context names a file.
        #expect(flag.environment == nil && flag.lastVariable == "CONSUL_HTTP_TOKEN_FILE")
    }

    @Test("a context is made from flags, with the absolute path of the token file") func contextAdd() throws {
        let line = try invocation("context add prod -s consuls://c1,c2/locks --token-file /etc/consul.token --ttl 20s")
        let settings = try ContextImport.settings(line)
        #expect(settings == [.init("server", "consuls://c1,c2/locks"), .init("ttl", "20s"), .init("token-file", "/etc/consul.token")])
        let secret = try invocation("context add prod -s consul://me:s3cret@c")
        let error = #expect(throws: UsageError.self) { try ContextImport.settings(secret) }
        #expect(error?.message.contains("it holds a secret") == true && error?.message.contains("s3cret") == false)
    }

    @Test("the lock-delay covers the time between SIGTERM and SIGKILL, by default as by the flag") func killAfter() throws {
        #expect(LeaseTiming.killAfter(nil, ttl: .seconds(15)) == .seconds(5))
        #expect(LeaseTiming.killAfter(nil, ttl: .seconds(60)) == .seconds(10))
        #expect(LeaseTiming.killAfter(.seconds(40), ttl: .seconds(15)) == .seconds(40))
    }

    @Test("the examples in the manual page of Consul can be parsed", arguments: ConsulManual.examples.map(\.line))
    func hasExamplesThatParse(line: String) throws {
        let calls = line.calls
        #expect(!calls.isEmpty)
        for call in calls { #expect(QQCLITests.problem(call) == nil, "\(call)") }
    }

    @Test("the manual page of Consul documents every option of URLs") func urlOptions() {
        let told = ConsulManual.queryItems.map { Markup.plain($0.item) }.joined(separator: " ")
        for item in ConsulAccess.urlOptions { #expect(told.contains(item + "="), "\(item)") }
    }
}
