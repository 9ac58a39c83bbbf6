import Foundation
import QQCore
import Testing

@testable import QQNATS

@Suite("A cluster file")
struct ClusterFileTests {
    /// A file as used by nodes of the Go library.
    static let example = """
        {
          "clusterId": "web",
          "nodeId": "web-3",
          "nats": {
            "servers": ["nats://n1:4222", "nats://n2:4222", "nats://n3:4222"],
            "credentials": "qq.creds",
            "reconnectWaitMs": 2500,
            "maxReconnects": -1
          },
          "vip": { "address": "10.0.0.9", "netmask": "24", "interface": "eth0" },
          "election": { "leaseTtlMs": 10000, "heartbeatIntervalMs": 3000 },
          "service": { "version": "1.2.0" }
        }
        """

    private func file(_ text: String, path: String = "/etc/cluster.json") throws(CoordinationError) -> ClusterFile {
        try ClusterFile.parse(text.utf8, path: path)
    }

    private func problem(_ text: String) -> String? {
        do throws(CoordinationError) {
            _ = try file(text)
            return nil
        } catch {
            #expect(error.kind == .configuration)
            #expect(error.location == "/etc/cluster.json")
            return error.reason
        }
    }

    @Test("a whole cluster file is read")
    func whole() throws {
        let found = try file(Self.example)
        #expect(found.clusterID == "web" && found.nodeID == "web-3")
        #expect(found.server?.description == "nats://n1:4222,n2:4222,n3:4222")
        #expect(found.credentialsPath == "/etc/qq.creds")
        #expect(found.reconnectWait == .milliseconds(2500) && found.maximumReconnects == -1)
        #expect(found.vip?.text == "10.0.0.9/24@eth0")
        #expect(found.leaseTTL == .seconds(10) && found.renewEvery == .seconds(3) && found.format == .v2)
        #expect(found.serviceVersion == "1.2.0")
        #expect(found.unknownKeys == [])
    }

    @Test("a cluster file of v1 is recognised by its name for the interval")
    func olderFormat() throws {
        let found = try file(#"{"election": {"leaseTtlMs": 10000, "renewIntervalMs": 2000}}"#)
        #expect(found.renewEvery == .seconds(2) && found.format == .v1)
        let both = try file(#"{"election": {"renewIntervalMs": 2000, "heartbeatIntervalMs": 3000}}"#)
        #expect(both.renewEvery == .seconds(3) && both.format == .v2)
        #expect(try file("{}").format == nil)
    }

    @Test(
        "empty and null values count as missing, as in Go",
        arguments: [
            "{}", #"{"clusterId": null, "nats": null, "vip": {}, "election": {"leaseTtlMs": null}}"#,
            #"{"clusterId": "", "nodeId": "", "nats": {"servers": [], "credentials": "", "reconnectWaitMs": 0}, "election": {"leaseTtlMs": 0}}"#,
            #"{"vip": {"address": "", "netmask": "", "interface": ""}, "service": {"version": ""}}"#,
        ])
    func empty(text: String) throws {
        var expected = try file("{}")
        expected.maximumReconnects = nil
        #expect(try file(text) == expected)
    }

    @Test("unknown keys are ignored and listed")
    func unknownKeys() throws {
        let found = try file(#"{"clusterId": "web", "logLevel": 3, "election": {"quorum": 2}, "nats": {"tls": {"a": 1}}, "x": null}"#)
        #expect(found.clusterID == "web")
        #expect(Set(found.unknownKeys) == ["logLevel", "election.quorum", "nats.tls", "x"])
    }

    @Test("the case of keys does not matter, as in Go; the last key counts")
    func caseOfKeys() throws {
        let found = try file(#"{"ClusterID": "a", "clusterid": "b", "NATS": {"Servers": ["n1"]}}"#)
        #expect(found.clusterID == "b" && found.server?.description == "nats://n1")
        #expect(found.unknownKeys == [])
    }

    @Test(
        "relative paths of credentials start at the file's folder; absolute paths are kept",
        arguments: [
            ("/etc/cluster.json", "a.creds", "/etc/a.creds"), ("/etc/cluster.json", "/b/a.creds", "/b/a.creds"),
            ("cluster.json", "a.creds", "a.creds"), ("conf/cluster.json", "../a.creds", "conf/../a.creds"),
        ])
    func credentialsPath(path: String, credentials: String, expected: String) throws {
        #expect(try file(#"{"nats": {"credentials": "\#(credentials)"}}"#, path: path).credentialsPath == expected)
    }

    @Test(
        "the servers are combined into one URL",
        arguments: [
            (#"["n1", "n2:4333"]"#, "nats://n1,n2:4333"), (#"["nats://[::1]:7", "tls://n2"]"#, "tls://[::1]:7,n2"),
            (#"["nats://n1,n2", "n3"]"#, "nats://n1,n2,n3"), (#"["nats://n1/"]"#, "nats://n1"),
        ])
    func servers(list: String, url: String) throws {
        #expect(try file(#"{"nats": {"servers": \#(list)}}"#).server?.description == url)
    }

    @Test("the login of the servers is kept and never shown")
    func login() throws {
        let found = try file(#"{"nats": {"servers": ["nats://me:s3%40cret@n1", "n2", "nats://me:s3%40cret@n3"]}}"#)
        #expect(found.logins.map(\.credentials) == [.userPassword(user: "me", password: "s3@cret")])
        #expect(found.server?.description == "nats://n1,n2,n3")
        var text = ""
        dump(found, to: &text)
        #expect(!"\(found)\(String(reflecting: found))\(text)".contains("s3"))
        #expect(try file(Self.example).logins == [.init("nats.credentials in /etc/cluster.json", .credentialsFile("/etc/qq.creds"))])
    }

    @Test(
        "the error for a wrong value names the key and the expected value",
        arguments: [
            ("", "line 1, column 1: "), ("{", "line 1, column 2: "), ("[]", "it holds a list, not a JSON object"),
            (#"{"clusterId": 3}"#, "clusterId is a number, expected a string"),
            (#"{"nodeId": ["a"]}"#, "nodeId is a list, expected a string"),
            (#"{"nodeId": "a\u0007"}"#, "nodeId: an identity must not hold"),
            (#"{"nats": "n1"}"#, "nats is a string, expected an object"),
            (#"{"nats": {"servers": "n1"}}"#, "nats.servers is a string, expected a list of server URLs"),
            (#"{"nats": {"servers": ["n1", 2]}}"#, "nats.servers[1] is a number, expected a server URL"),
            (#"{"nats": {"servers": ["n1", null]}}"#, "nats.servers[1] is null, expected a server URL"),
            (#"{"nats": {"servers": ["n1", "n2:x"]}}"#, "nats.servers[1]: the port of host 1 is not a number"),
            (#"{"nats": {"servers": ["file:///x"]}}"#, "nats.servers[0] is not a nats:// or tls:// URL"),
            (#"{"nats": {"servers": ["ws://n1"]}}"#, "nats.servers[0] is not a nats:// or tls:// URL"),
            (#"{"nats": {"servers": ["nats://n1?domain=x"]}}"#, "nats.servers[0] has a query"),
            (#"{"nats": {"servers": ["a:s3cret@n1", "b:s3cret@n2"]}}"#, "nats.servers[1] has a different user or token"),
            (#"{"nats": {"servers": [""]}}"#, "nats.servers[0]: host 1 has no name"),
            (#"{"nats": {"credentials": true}}"#, "nats.credentials is a boolean, expected a string"),
            (#"{"nats": {"reconnectWaitMs": "2s"}}"#, "nats.reconnectWaitMs is a string, expected a whole number"),
            (#"{"nats": {"maxReconnects": 1.5}}"#, "nats.maxReconnects is a number, expected a whole number"),
            (#"{"election": {"leaseTtlMs": -1}}"#, "election.leaseTtlMs is -1, expected milliseconds"),
            (#"{"election": {"leaseTtlMs": 9223372036854775807}}"#, "election.leaseTtlMs is 9223372036854775807, expected milliseconds"),
            (#"{"election": {"leaseTtlMs": 3000, "heartbeatIntervalMs": 3000}}"#, "election.heartbeatIntervalMs is not less than"),
            (#"{"election": {"leaseTtlMs": 1000, "renewIntervalMs": 3000}}"#, "election.renewIntervalMs is not less than"),
            (#"{"election": []}"#, "election is a list, expected an object"),
            (#"{"vip": {"address": "10.0.0.9", "netmask": 24}}"#, "vip.interface is missing"),
            (#"{"vip": {"address": "10.0.0.9"}}"#, "vip.netmask and vip.interface are missing"),
            (#"{"service": {"version": 2}}"#, "service.version is a number, expected a string"),
        ])
    func wrong(text: String, reason: String) throws {
        let found = try #require(problem(text))
        #expect(found.hasPrefix(reason), "\(found)")
        #expect(!found.contains("s3cret"))
    }

    @Test("the netmask can be a number")
    func netmask() throws {
        let found = try file(#"{"vip": {"address": "fd00::9", "netmask": 64, "interface": "br0"}}"#)
        #expect(found.vip?.text == "fd00::9/64@br0")
    }

    @Test("a cluster file is read from disk; the error for an unreadable one gives the reason")
    func reading() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("qq-cluster-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.path + "/cluster.json"
        #expect(throws: CoordinationError(.configuration, "cannot read the cluster file", because: "No such file or directory", at: path)) {
            try ClusterFile.read(path)
        }
        try Self.example.write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try ClusterFile.read(path).credentialsPath == folder.path + "/qq.creds")
        #expect(throws: CoordinationError.self) { try ClusterFile.read(folder.path) }
        try String(repeating: " ", count: ClusterFile.maximumSize + 1).write(toFile: path, atomically: true, encoding: .utf8)
        #expect(throws: CoordinationError.self) { try ClusterFile.read(path) }
    }

    @Test("a cluster file adds the settings that a URL cannot hold")
    func application() throws {
        let found = try file(
            #"{"nats": {"reconnectWaitMs": 5000}, "election": {"leaseTtlMs": 8000, "renewIntervalMs": 2000}, "service": {"version": "3.0.0"}}"#
        )
        var settings = try NATSSettings(server: try ServerURL.parse("nats://a", as: [.nats]))
        found.apply(to: &settings)
        #expect(settings.leaseTTL == .seconds(8) && settings.formatToCreate == .v1 && settings.format == nil)
        #expect(settings.serviceVersion == "3.0.0")
        #expect(settings.options.reconnectWait == .seconds(5) && settings.options.reconnectWaitMaximum == .seconds(5))
        #expect(settings.options.servers == [.init(host: "a")])
    }
}
