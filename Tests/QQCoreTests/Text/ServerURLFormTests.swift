import QQCore
import Testing

/// Forms of server URLs that a system can declare, in addition to those of the existing systems.
@Suite("Forms of server URLs")
struct ServerURLFormTests {
    /// Hosts, and the prefix of the keys as path.
    private static let keys = ServerURL.System(
        name: "keys", schemes: [.init("keys"), .init("keyss", tls: true)],
        authority: .hosts(areRequired: true, loneUserIsToken: false, defaultPort: 2379), path: .prefix)
    /// Hosts that can be left out.
    private static let agent = ServerURL.System(
        name: "agent", schemes: [.init("agent")], authority: .hosts(areRequired: false, loneUserIsToken: false, defaultPort: 8500),
        path: .prefix)
    /// Only the scheme and a prefix.
    private static let local = ServerURL.System(name: "local", schemes: [.init("local")], authority: .none, path: .prefix)
    private static let all = [keys, agent, local]

    @Test(
        "a server URL with hosts and a prefix has one canonical form",
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

    @Test("a server URL names its system, and that says whether it has a network, logins and which schemes") func facts() throws {
        let url = try ServerURL.parse("keyss://h", as: Self.all)
        #expect(url.system == Self.keys && url.scheme == "keyss" && url.tls)
        #expect(url.system.isOverNetwork && url.system.hasCredentials && url.system.beginnings == ["keys://", "keyss://"])
        #expect(!Self.local.isOverNetwork && !Self.local.hasCredentials && Self.agent.isOverNetwork)
    }

    @Test(
        "a server URL that lacks a part or has one too many for its system is refused",
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

    @Test("the hint about a server URL names only the forms of the given systems") func hint() {
        let error = #expect(throws: ServerURL.Invalid.self) { try ServerURL.parse("x", as: Self.all) }
        #expect(error?.hint == "give a URL that begins with one of keys://, keyss://, agent://, local://")
    }

    @Test("a system without folders has no URL for one") func folder() {
        #expect(throws: ServerURL.Invalid.self) { try ServerURL.folder("/x", of: Self.keys) }
    }
}
