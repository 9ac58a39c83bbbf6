import QQConsul
import QQCore
import QQEtcd
import QQFile
import QQNATS
import QQQuorumQuest
import QQRaftLock
import Testing

@testable import QQCLI

/// The server URLs of the systems that qq knows.
@Suite("Server URLs")
struct ServerURLTests {
    @Test(
        "every server URL has one canonical form",
        arguments: [
            ("/var/lib/x", "file:///var/lib/x"), ("/", "file:///"), ("//a//b/./c/../d/", "file:///a/b/d"), ("/../..", "file:///"),
            ("/a b?c#d%20é", "file:///a%20b%3Fc%23d%2520%C3%A9"), ("file:///var/lib/qq/", "file:///var/lib/qq"),
            ("FILE://LocalHost/x", "file:///x"),
            ("file:///a%20b/%2e%2E/c%2Fd", "file:///c/d"), ("file:///x?a=1&b&c=%26", "file:///x?a=1&b&c=%26"), ("/a@b:c", "file:///a@b:c"),
            ("qq://Host:5050", "qq://host:5050"), ("QQS://10.0.0.1/", "qqs://10.0.0.1"),
            ("raftlock://h1:1,h2:2,h3", "raftlock://h1:1,h2:2,h3"),
            ("raftlocks://[2001:DB8:0::1]:65535", "raftlocks://[2001:db8::1]:65535"),
            ("qq://[fe80::1%25eth0]:1", "qq://[fe80::1%25eth0]:1"),
            ("qq://[::1]", "qq://[::1]"), ("nats://h1:4222,[::1]:4222", "nats://h1:4222,[::1]:4222"),
            ("tls://u:p%40ss@h?timeout=2s", "tls://h?timeout=2s"),
            ("nats://t0ken@a,b", "nats://a,b"), ("k8s:///default", "k8s:///default"), ("k8s://in-cluster/ops", "k8s://in-cluster/ops"),
            ("k8s://kubernetes-admin@kubernetes/default", "k8s://kubernetes-admin@kubernetes/default"), ("k8s://", "k8s://"),
            ("k8s://ctx/", "k8s://ctx"),
            ("k8s://arn:aws:eks:eu:1:cluster%2Fx/ops", "k8s://arn:aws:eks:eu:1:cluster%2Fx/ops"),
            ("etcd://E1:2379,e2/a/b", "etcd://e1:2379,e2/a/b"), ("etcds://u:p@e", "etcds://e"), ("consul://", "consul://"),
            ("consul:///locks/", "consul:///locks"),
            ("consul://C1,c2:1/a/b%20c?dc=e", "consul://c1,c2:1/a/b%20c?dc=e"),
            ("consuls://u:p@c?key=", "consuls://c?key"), ("consul:///?key=leader", "consul://?key=leader"),
            ("qq://h?a=%3D%26%2B%40+/", "qq://h?a=%3D%26%2B%40%2B/"),
        ])
    func canonical(text: String, canonical: String) throws {
        let url = try Systems.url(text)
        #expect(url.description == canonical)
        #expect(try Systems.url(canonical).description == canonical)
        if url.user == nil, url.token == nil { #expect(try Systems.url(canonical) == url) }
    }

    @Test(
        "a server URL determines its system and whether TLS is used",
        arguments: [
            ("file:///x", .file, "file", "file", false), ("qq://h", .quorumQuest, "quorum-quest", "qq", false),
            ("qqs://h", .quorumQuest, "quorum-quest", "qqs", true),
            ("raftlock://h", .raftLock, "raftlock", "raftlock", false), ("raftlocks://h", .raftLock, "raftlock", "raftlocks", true),
            ("nats://h", .nats, "nats", "nats", false), ("tls://h", .nats, "nats", "tls", true),
            ("k8s://c/n", .kubernetes, "kubernetes", "k8s", false), ("consul://", .consul, "consul", "consul", false),
            ("consuls://c/p", .consul, "consul", "consuls", true), ("etcd://e", .etcd, "etcd", "etcd", false),
            ("etcds://e/p", .etcd, "etcd", "etcds", true),
        ] as [(String, ServerURL.System, String, String, Bool)])
    func systems(text: String, system: ServerURL.System, name: String, scheme: String, tls: Bool) throws {
        let url = try Systems.url(text)
        #expect(url.system == system)
        #expect(url.system.name == name)
        #expect(url.scheme == scheme)
        #expect(url.tls == tls)
    }

    @Test("the parts of a server URL are decoded")
    func parts() throws {
        let url = try Systems.url("nats://me:p%40s%3As%20@h1:4222,[FE80::1%25eth0]:1?x=a%20b&y")
        #expect(url.user == "me")
        #expect(url.password == "p@s:s ")
        #expect(url.token == nil)
        #expect(url.hosts == [ServerURL.Host(name: "h1", port: 4222), ServerURL.Host(name: "fe80::1%eth0", port: 1)])
        #expect(url.hosts.map(\.description) == ["h1:4222", "[fe80::1%eth0]:1"])
        #expect(url.query == [ServerURL.QueryItem(name: "x", value: "a b"), ServerURL.QueryItem(name: "y")])
        #expect(url.path == "")
        #expect(try Systems.url("nats://t@h").token == "t")
        #expect(try Systems.url("qq://u@h").user == "u")
        #expect(try Systems.url("k8s://a%2Fb@c/ops").hosts == [ServerURL.Host(name: "a/b@c")])
        #expect(try Systems.url("k8s://c/ops").path == "/ops")
        #expect(try Systems.url("file:///a%20b/").path == "/a b")
        #expect(try ServerURL.file(path: "/a%20b/../c").path == "/c")
    }

    private static let forms =
        "give an absolute folder path, or a URL that begins with one of file://, qq://, qqs://, raftlock://, raftlocks://, nats://, tls://, k8s://, etcd://, etcds://, consul://, consuls://"

    @Test(
        "an invalid server URL is refused with a reason and a hint",
        arguments: [
            ("", "the server URL is empty", forms), ("http://h", "unknown scheme http", forms),
            ("://h", "the server URL has no scheme", forms),
            ("host:5050", "the server is neither a URL nor an absolute path", forms),
            ("./x", "the server is neither a URL nor an absolute path", forms),
            ("file:x", "the folder's path is not absolute", "write file:///FOLDER or /FOLDER"),
            ("file:/x", "the folder's path is not absolute", "write file:///FOLDER or /FOLDER"),
            ("file://x/y", "a file URL names a folder on this machine, not a host", "write file:///FOLDER, with three slashes"),
            ("file://", "the folder's path is empty", "write file:///FOLDER"),
            ("file://localhost", "the folder's path is empty", "write file:///FOLDER"),
            ("file:///a%00b", "the folder's path has a NUL", "take %00 out"), ("/a\0b", "the folder's path has a NUL", "take it out"),
            ("file:///a%2", "the folder's path has a % that does not encode UTF-8", "write a literal % as %25"),
            ("file:///a%ff", "the folder's path has a % that does not encode UTF-8", "write a literal % as %25"),
            ("qq://h#x", "a server URL has no fragment (#)", "write # as %23, in a password too"),
            ("qq://h x", "the server URL has white space or control characters", "encode them, a space as %20"),
            ("etcd://", "host 1 has no name", "write HOST:PORT, with commas between hosts"),
            ("qq://", "host 1 has no name", "write HOST:PORT, with commas between hosts"),
            ("qq://h,,i", "host 2 has no name", "write HOST:PORT, with commas between hosts"),
            ("qq://h:", "the port of host 1 is not a number from 1 to 65535", "write HOST:PORT"),
            ("qq://h:0", "the port of host 1 is not a number from 1 to 65535", "write HOST:PORT"),
            ("qq://g,h:65536", "the port of host 2 is not a number from 1 to 65535", "write HOST:PORT"),
            ("qq://h:+1", "the port of host 1 is not a number from 1 to 65535", "write HOST:PORT"),
            ("qq://::1", "host 1 has no name", "write HOST:PORT, with commas between hosts"),
            ("qq://fe80::1", "host 1 has more than one colon", "write an IPv6 address as [ADDRESS]:PORT"),
            ("qq://[::1", "host 1 is not an IPv6 address in brackets", "write [ADDRESS]:PORT, and a zone as %25ZONE"),
            ("qq://[::1]x", "host 1 is not an IPv6 address in brackets", "write [ADDRESS]:PORT, and a zone as %25ZONE"),
            ("qq://[::g]:1", "host 1 is not an IPv6 address in brackets", "write [ADDRESS]:PORT, and a zone as %25ZONE"),
            ("qq://[fe80::1%eth0]", "host 1 is not an IPv6 address in brackets", "write [ADDRESS]:PORT, and a zone as %25ZONE"),
            ("nats://h1,nats://h2", "the server URL has more than one scheme", "name it once: nats://HOST:PORT,HOST:PORT"),
            (
                "qq://h/svc", "a quorum-quest URL has no path",
                "give the election's name as an argument of its own; in a password write / as %2F"
            ),
            ("qq://@h", "there is no user before the @", "write USER:PASSWORD@HOST"),
            (
                "k8s://c/n/x", "a Kubernetes URL has one namespace",
                "write k8s://CONTEXT/NAMESPACE, and a slash in the context's name as %2F"
            ),
            ("k8s://c/N", "the namespace is not a Kubernetes name", namespaceHint),
            ("k8s://c/-n", "the namespace is not a Kubernetes name", namespaceHint),
            ("k8s://c/a.b", "the namespace is not a Kubernetes name", namespaceHint),
            ("k8s://c/" + String(repeating: "n", count: 64), "the namespace is not a Kubernetes name", namespaceHint),
            ("qq://h?=1", "a query item has no name", "write ?NAME=VALUE&NAME=VALUE"),
        ])
    func invalid(text: String, reason: String, hint: String) {
        #expect(throws: ServerURL.Invalid(reason: reason, hint: hint)) { try Systems.url(text) }
    }

    private static let namespaceHint = "use 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends"

    @Test("a file URL cannot be made from a relative path")
    func relativeFile() {
        #expect(throws: ServerURL.Invalid.self) { try ServerURL.file(path: "x") }
        #expect(throws: ServerURL.Invalid.self) { try ServerURL.file(path: "") }
    }

    @Test(
        "no text made from a server URL shows a secret",
        arguments: [
            "nats://me:hunter2@h", "nats://hunter2@h", "tls://hunter2:hunter2@h1,h2", "qq://hunter2@h", "raftlocks://u:hunter%32@h",
            "consul://me:hunter2@h/p", "etcds://me:hunter2@h/p",
        ])
    func secrets(text: String) throws {
        let url = try Systems.url(text)
        var dumped = ""
        dump(url, to: &dumped)
        for shown in [url.description, "\(url)", String(reflecting: url), "\([url])", dumped] { #expect(!shown.contains("hunter")) }
    }

    @Test(
        "no error about a server URL shows a secret",
        arguments: [
            "nats://me:hunter2@", "nats://me:hunter2@h:x", "qq://me:hunter2#@h", "qq://me:hunter2/x@h", "qq://me:1/hunter2@h",
            "qq://me:1?hunter2@h",
            "qq://me:hun@ter:hunter2@h", "qq://me:%zzhunter2@h", "qq://me:hunter2%00@h", "me:hunter2@h", "me:hunter2://x@h",
            "qq://me:hunter2@h/x",
            "qq://me:hunter2", "qq://h?password=hunter2", "qq://h?x=%zzhunter2", "qq://:hunter2@h", "htp://me:hunter2@h",
            "qq://me:hunter2 @h",
            "qq://[hunter2]", "qq://h?Token=hunter2", "file://me:hunter2@h/x", "nats://a:hunter2@h1,b:hunter2@h2",
            "consul://me:hunter2@h:x", "consul://h?token=hunter2",
        ])
    func secretsInErrors(text: String) {
        let error = #expect(throws: ServerURL.Invalid.self) { try Systems.url(text) }
        #expect(error?.description.contains("hunter") == false)
    }

    @Test("parsing a damaged server URL never traps, and every description is read back unchanged")
    func mutations() throws {
        let seeds = ["nats://me:pw@h1:4222,[::1]:1?a=b", "file:///a/b%20c/../d", "k8s://c@d/ns", "/var/lib/x", "raftlocks://h1:1,h2:2"].map
        { Array($0.utf8) }
        let pool = Array("/:@%?#[],.&=a0Z ".utf8) + [0, 0x7F, 0xC3, 0xFF]
        var numbers = SeededNumbers(state: 8)
        var accepted = 0
        for round in 0..<8000 {
            var text = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...3, using: &numbers) {
                let index = Int.random(in: 0..<text.count, using: &numbers)
                if Bool.random(using: &numbers) {
                    text[index] = pool.randomElement(using: &numbers) ?? 0
                } else {
                    text.insert(pool.randomElement(using: &numbers) ?? 0, at: index)
                }
            }
            guard let url = try? Systems.url(String(decoding: text, as: UTF8.self)) else { continue }
            accepted += 1
            let again = try Systems.url(url.description)
            #expect(again.description == url.description)
            #expect(again.hosts == url.hosts && again.path == url.path && again.query == url.query)
        }
        #expect(accepted > 500)
    }
}

/// A repeatable sequence of random numbers (SplitMix64), so that a failure can be reproduced.
private struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
