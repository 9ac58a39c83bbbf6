import QQCore
import Testing

@testable import QQNATS

@Suite("NATS settings from a server URL")
struct NATSSettingsTests {
    private func settings(_ url: String) throws -> NATSSettings { try NATSSettings(server: try ServerURL.parse(url, as: [.nats])) }

    /// The error for a URL, if there is one.
    private func problem(_ url: String) throws -> CoordinationError? {
        let server = try ServerURL.parse(url, as: [.nats])
        do throws(CoordinationError) {
            _ = try NATSSettings(server: server)
            return nil
        } catch { return error }
    }

    @Test("settings have every server, with the default port if none is given")
    func servers() throws {
        let found = try settings("nats://a,b:4333,[::1]:7")
        #expect(found.options.servers == [.init(host: "a", port: 4222), .init(host: "b", port: 4333), .init(host: "::1", port: 7)])
        #expect(!found.options.tls.isRequired)
        #expect(try settings("tls://a").options.tls.isRequired)
    }

    @Test("settings have defaults")
    func defaults() throws {
        let found = try settings("nats://a")
        #expect(found.apiPrefix == "$JS.API" && found.replicas == 1 && found.format == nil && found.formatToCreate == .v2)
        #expect(found.leaseTTL == nil && found.serviceVersion == "1.0.0")
        #expect(found.options.inboxPrefix == "_INBOX" && found.options.credentials == .none)
    }

    @Test("settings are taken from the query")
    func query() throws {
        #expect(try settings("nats://a?domain=hub").apiPrefix == "$JS.hub.API")
        #expect(try settings("nats://a?js-prefix=JS.acme.API").apiPrefix == "JS.acme.API")
        let found = try settings("nats://a?replicas=3&format=v1&inbox=_INBOX_web.x")
        #expect(found.replicas == 3 && found.format == .v1 && found.options.inboxPrefix == "_INBOX_web.x")
        #expect(try settings("nats://a?format=v2").format == .v2)
    }

    @Test(
        "the error for a wrong query item names the item",
        arguments: [
            ("?domain=", "'domain'"), ("?domain=a.b", "'domain'"), ("?domain=*", "'domain'"), ("?domain=a%20b", "'domain'"),
            ("?js-prefix=", "'js-prefix'"), ("?js-prefix=JS.API.", "'js-prefix'"), ("?js-prefix=.x", "'js-prefix'"),
            ("?js-prefix=JS.%3E", "'js-prefix'"), ("?replicas=0", "'replicas'"), ("?replicas=6", "'replicas'"),
            ("?replicas=03", "'replicas'"), ("?replicas=+3", "'replicas'"), ("?replicas=three", "'replicas'"), ("?replicas", "'replicas'"),
            ("?format=v3", "'format'"), ("?format=V1", "'format'"), ("?format=", "'format'"), ("?inbox=a..b", "'inbox'"),
            ("?inbox=", "'inbox'"), ("?replicas=3&replicas=3", "'replicas' is given twice"), ("?frobnicate=1", "'frobnicate'"),
            ("?Domain=hub", "'Domain'"), ("?domain=hub&js-prefix=JS.hub.API", "'domain' and 'js-prefix' exclude each other"),
        ])
    func wrongItems(query: String, name: String) throws {
        let error = try #require(try problem("nats://a" + query))
        #expect(error.kind == .configuration)
        #expect(error.reason.contains(name), "\(error)")
    }

    @Test("the hint for an unknown query item lists the known ones")
    func unknownItem() throws {
        #expect(try problem("nats://a?x=1")?.hint == "known: domain, js-prefix, replicas, format, inbox")
    }
}

@Suite("The choice of a NATS login")
struct NATSLoginTests {
    @Test("a login is taken from a URL")
    func inURL() throws {
        func login(_ url: String) throws -> NATSOptions.Credentials? {
            NATSLogin.inURL(try ServerURL.parse(url, as: [.nats]), source: "x")?.credentials
        }
        #expect(try login("nats://a") == nil)
        #expect(try login("nats://me:s%40cret@a") == .userPassword(user: "me", password: "s@cret"))
        #expect(try login("nats://s3cret@a") == .token("s3cret"))
    }

    @Test("the first group that is not empty decides")
    func precedence() throws {
        let (first, second) = (NATSLogin("--creds", .credentialsFile("/c")), NATSLogin("QQ_NATS_TOKEN", .token("t")))
        #expect(try NATSLogin.choose(among: []) == .none)
        #expect(try NATSLogin.choose(among: [[], []]) == .none)
        #expect(try NATSLogin.choose(among: [[first], [second]]) == first.credentials)
        #expect(try NATSLogin.choose(among: [[], [second], [first, second]]) == second.credentials)
    }

    @Test("several logins in one group are an error, which names their sources and no secret")
    func conflict() {
        let both = [NATSLogin("--creds", .credentialsFile("/c")), NATSLogin("--server", .token("s3cret"))]
        let error = #expect(throws: CoordinationError.self) { try NATSLogin.choose(among: [both]) }
        #expect(error?.kind == .configuration)
        #expect(error?.description.contains("--creds, --server") == true)
        #expect(error?.description.contains("s3cret") == false)
    }
}
