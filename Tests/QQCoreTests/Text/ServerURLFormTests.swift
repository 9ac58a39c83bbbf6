import QQCore
import Testing

/// Forms of server URLs that a system can declare, beside those of the systems that there are.
@Suite("A system's server URLs")
struct ServerURLFormTests {
    /// Hosts, and the prefix of the keys as path.
    private static let keys = ServerURL.System(
        name: "keys", schemes: [.init("keys"), .init("keyss", tls: true)], authority: .hosts(areRequired: true, loneUserIsToken: false),
        path: .prefix, defaultPort: 2379)
    /// Hosts that can be left out.
    private static let agent = ServerURL.System(
        name: "agent", schemes: [.init("agent")], authority: .hosts(areRequired: false, loneUserIsToken: false), path: .prefix)
    /// Nothing but the scheme, and a prefix.
    private static let local = ServerURL.System(name: "local", schemes: [.init("local")], authority: .none, path: .prefix)
    private static let all = [keys, agent, local]

    @Test(
        "can have hosts and a prefix, and are written in one way",
        arguments: [
            ("keys://H1:2379,h2/team/a", "keys://h1:2379,h2/team/a", "/team/a"), ("keys://h1", "keys://h1", ""),
            ("keyss://u:p@h1/", "keyss://h1", ""), ("keys://h1/a%20b//c/", "keys://h1/a%20b/c", "/a b/c"),
            ("agent://", "agent://", ""), ("agent:///team", "agent:///team", "/team"),
            ("agent://h:8500/team", "agent://h:8500/team", "/team"),
            ("local://", "local://", ""), ("LOCAL://localhost/x", "local:///x", "/x"),
        ])
    func canonical(text: String, canonical: String, path: String) throws {
        let url = try ServerURL.parse(text, as: Self.all)
        #expect(url.description == canonical && url.path == path)
        #expect(try ServerURL.parse(canonical, as: Self.all).description == canonical)
    }

    @Test("name the system and say whether it is reached over a network, whether it has logins and how its URLs begin") func facts() throws
    {
        let url = try ServerURL.parse("keyss://h", as: Self.all)
        #expect(url.system == Self.keys && url.scheme == "keyss" && url.tls)
        #expect(url.system.isOverNetwork && url.system.hasCredentials && url.system.beginnings == ["keys://", "keyss://"])
        #expect(!Self.local.isOverNetwork && !Self.local.hasCredentials && Self.agent.isOverNetwork)
    }

    @Test(
        "are refused where a part is missing, or is one that the system does not have",
        arguments: [
            ("keys:///team", "host 1 has no name"), ("keys://h//x", "the server URL has more than one scheme"),
            ("local://host", "a local URL has no host"), ("agent://u:p@", "host 1 has no name"), ("nats://h", "unknown scheme nats"),
            ("/var/lib", "the server is neither a URL nor an absolute path"),
            ("keys://h/%zz", "the path has a % that does not encode UTF-8"),
        ])
    func refused(text: String, reason: String) {
        let error = #expect(throws: ServerURL.Invalid.self) { try ServerURL.parse(text, as: Self.all) }
        #expect(error?.reason == reason)
    }

    @Test("are the only ones that a hint names") func hint() {
        let error = #expect(throws: ServerURL.Invalid.self) { try ServerURL.parse("x", as: Self.all) }
        #expect(error?.hint == "give a URL that begins with one of keys://, keyss://, agent://, local://")
    }

    @Test("are no folder of a system that has none") func folder() {
        #expect(throws: ServerURL.Invalid.self) { try ServerURL.folder("/x", of: Self.keys) }
    }
}
