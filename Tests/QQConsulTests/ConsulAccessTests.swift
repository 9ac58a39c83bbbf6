import QQCore
import QQHTTP
import QQNetwork
import Testing

@testable import QQConsul

@Suite("Configuration of Consul") struct ConsulAccessTests {
    private func access(
        _ url: String = "consul://", _ variables: [String: String] = [:], _ change: (inout ConsulAccess.Options) -> Void = { _ in }
    ) throws -> ConsulAccess {
        var options = ConsulAccess.Options()
        change(&options)
        return try ConsulAccess.resolve(url: ServerURL.parse(url, as: [.consul]), options: options) { variables[$0] }
    }

    private func reason(_ url: String = "consul://", _ variables: [String: String] = [:]) throws -> String {
        let error = try #require(throws: CoordinationError.self) { try access(url, variables) }
        #expect(error.kind == .configuration)
        return error.reason
    }

    private func agents(_ url: String, _ variables: [String: String] = [:]) throws -> [String] {
        try access(url, variables).agents.map { "\($0.scheme.rawValue)://\($0.endpoint)\($0.path)" }
    }

    // MARK: Addresses

    @Test func `the agents are those of the URL, then that of the variable, then the one on this machine`() throws {
        #expect(try agents("consul://a,b:8501", ["CONSUL_HTTP_ADDR": "c:1"]) == ["http://a:8500", "http://b:8501"])
        #expect(try agents("consul://", ["CONSUL_HTTP_ADDR": "c:1"]) == ["http://c:1"])
        #expect(try agents("consul://") == ["http://127.0.0.1:8500"])
    }

    @Test func `TLS is used if the URL, the variable's URL or CONSUL_HTTP_SSL asks for it`() throws {
        #expect(try agents("consuls://a") == ["https://a:8500"])
        #expect(try agents("consul://a", ["CONSUL_HTTP_SSL": "true"]) == ["https://a:8500"])
        #expect(try agents("consul://a", ["CONSUL_HTTP_SSL": "0"]) == ["http://a:8500"])
        #expect(try agents("consul://", ["CONSUL_HTTP_ADDR": "https://c:8501/proxy/"]) == ["https://c:8501/proxy"])
        #expect(try agents("consul://", ["CONSUL_HTTP_ADDR": "c", "CONSUL_HTTP_SSL": "1"]) == ["https://c:8500"])
        let requested = try access("consul://a") { $0.requestsTLS = true }
        #expect(requested.agents.map(\.scheme) == [.https])
        #expect(try reason("consul://", ["CONSUL_HTTP_SSL": "yes"]).contains("CONSUL_HTTP_SSL"))
    }

    @Test(arguments: ["unix:///run/consul.sock", "unix:/run/consul.sock", "ftp://c", "a b"])
    func `an address that is not supported is refused`(address: String) throws {
        #expect(try reason("consul://", ["CONSUL_HTTP_ADDR": address]).contains("CONSUL_HTTP_ADDR"))
    }

    @Test func `a URL with agents does not depend on the variable's address`() throws {
        #expect(try agents("consul://a", ["CONSUL_HTTP_ADDR": "unix:///run/consul.sock"]) == ["http://a:8500"])
    }

    // MARK: Options

    @Test func `the URL names datacenter, prefix and ending`() throws {
        let found = try access("consul://a/service?dc=east&key=leader")
        #expect(found.datacenter == "east")
        #expect(found.naming.key("web") == "service/web/leader")
        #expect(try access("consul://a?key=").naming.key("web") == "web")
        #expect(try access("consul://a").naming.key("web") == "web/.lock")
    }

    @Test(arguments: ["consul://a?ns=x", "consul://a?dc=", "consul://a?dc=x&dc=y", "consul://a?key=/x", "consul://a?key=x&key=y"])
    func `other options of a URL are refused`(url: String) throws { _ = try reason(url) }

    @Test(arguments: ["CONSUL_NAMESPACE", "CONSUL_PARTITION"])
    func `a namespace would make another key of it, and is refused`(name: String) throws {
        #expect(try reason("consul://a", [name: "team"]).contains(name))
        #expect(try agents("consul://a", [name: "default"]) == ["http://a:8500"])
    }

    // MARK: Tokens and TLS

    @Test func `the token is that of the flag's file, then of the variable's file, then of CONSUL_HTTP_TOKEN`() throws {
        let both = ["CONSUL_HTTP_TOKEN": " secret\n", "CONSUL_HTTP_TOKEN_FILE": "/env"]
        #expect(try access("consul://", both) { $0.tokenFile = "/flag" }.token == .file("/flag"))
        #expect(try access("consul://", both).token == .file("/env"))
        #expect(try access("consul://", ["CONSUL_HTTP_TOKEN": " secret\n"]).token == .secret(Secret("secret")))
        #expect(try access().token == .none)
    }

    @Test func `a token that would end its header field is refused, and not shown`() throws {
        let reason = try reason("consul://", ["CONSUL_HTTP_TOKEN": "se\ncret"])
        #expect(!reason.contains("cret"))
    }

    @Test func `no dump shows a token or a login`() throws {
        let found = try access("consul://ann:word@a", ["CONSUL_HTTP_TOKEN": "t0ken"])
        var text = ""
        dump(found, to: &text)
        #expect(!text.contains("t0ken") && !text.contains("word"))
        #expect(found.basicLogin == Secret("ann:word"))
    }

    @Test func `TLS options come from flags, then from the variables`() throws {
        let variables = [
            "CONSUL_CACERT": "/ca", "CONSUL_CLIENT_CERT": "/cert", "CONSUL_CLIENT_KEY": "/key",
            "CONSUL_TLS_SERVER_NAME": "server.dc1.consul",
            "CONSUL_HTTP_SSL_VERIFY": "false",
        ]
        let found = try access("consuls://a", variables).tls
        #expect(found.authority?.location == "/ca")
        #expect(found.certificate?.location == "/cert")
        #expect(found.key?.location == "/key")
        #expect(found.serverName == "server.dc1.consul")
        #expect(!found.checksServer)
        let flags = try access("consuls://a", variables) { options in
            options.tls.authority = .file("/flag-ca")
            options.tls.certificate = .file("/flag-pair")
        }.tls
        #expect(flags.authority?.location == "/flag-ca")
        #expect(flags.certificate?.location == "/flag-pair")
        // The key belongs to the variable's certificate.
        #expect(flags.key == nil)
    }

    @Test func `a folder of authorities is refused unless a file is named as well`() throws {
        #expect(try reason("consuls://a", ["CONSUL_CAPATH": "/etc/ca"]).contains("CONSUL_CAPATH"))
        #expect(try access("consuls://a", ["CONSUL_CAPATH": "/etc/ca", "CONSUL_CACERT": "/ca"]).tls.authority?.location == "/ca")
    }
}
