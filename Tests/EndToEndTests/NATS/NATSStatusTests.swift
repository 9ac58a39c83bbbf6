import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("status on NATS")
struct NATSStatusTests {
    @Test(
        "status shows who leads, at which epoch and revision, and for how much longer", arguments: GoNode.Format.allCases,
        NATSVersion.allCases)
    func fields(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            let none = try await nats.run("status", "x")
            #expect(none.ending == .exited(1))
            #expect(none.text == "x\tfree\t-\t-\t-\t-\t-\n")
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "60s")
            _ = try await nats.run("keepalive", "x", "--once")
            let plain = try await nats.run("status", "x")
            #expect(plain.ending == .exited(0))
            let record = try #require(plain.records.first)
            #expect(record.prefix(4) == ["x", "held", "me", "1"])
            let left = try #require(Double(record[4]))
            #expect(left > 40 && left <= 60)
            #expect(Array(record[5...]) == ["1", "2"])
            let run = try await nats.run("status", "x", "--json")
            try checkSchema(run.text, Schemas.status)
            let state = try run.json()
            #expect(state["state"] == "held")
            #expect(state["leader"] == "me")
            #expect(state["mine"] == true)
            #expect(state["token"] == 1)
            #expect(state["epoch"] == 1)
            #expect(state["revision"] == 2)
            #expect(state["ttl"]?.doubleValue == 60)
            let renewed = try WallTime.parse(rfc3339: state["renewed_at"]?.stringValue ?? "")
            #expect(WallTime.now() - renewed < .seconds(90))
            // v2 nodes store only the time of the renewal.
            #expect((state["acquired_at"]?.isNull == true) == (format == .v2))
            _ = try await nats.run("release", "x")
            let free = try await nats.run("status", "x", "y", "--json")
            #expect(free.ending == .exited(1))
            let list = try #require(try free.json()["elections"]?.arrayValue)
            #expect(list.map { $0["state"] } == ["free", "free"])
            for election in list { #expect(schemaProblems(try #require(election.objectValue), Schemas.status) == []) }
        }
    }

    @Test("status shows the elections of Go nodes", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func goNode(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            let node = try await GoNode.start(.init(format, cluster: "x", node: "go-1", port: nats.server.port), in: nats.box)
            try await waitUntil("the Go node leads") { node.isLeader }
            let run = try await nats.run("status", "x", "--json")
            #expect(run.ending == .exited(0))
            let state = try run.json()
            #expect(state["leader"] == "go-1")
            #expect(state["epoch"] == 1)
            #expect(state["ttl"]?.doubleValue == 3)
            #expect((state["expires_in"]?.doubleValue).map { $0 > 1 && $0 <= 3 } == true)
            #expect(state["mine"] == false)
            let asked = node.renewals.count
            try await waitUntil("a heartbeat") { node.renewals.count > asked }
            #expect(try await nats.run("status", "x", "--json").json()["epoch"] == 1)
            // With the id of the simulated node, as its operator would ask.
            #expect(try await nats.run("status", "x", "--mine", "--id", "go-1").ending == .exited(0))
            #expect(try await nats.run("status", "x", "--mine").ending == .exited(1))
        }
    }

    @Test("status shows an ended lease as free or expired, and never as held", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func expired(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "3s")
            let written = try WallTime.parse(rfc3339: try #require(try nats.lease()).time)
            try await waitUntil("the lease has ended") { WallTime.now() - written > .milliseconds(3050) }
            let run = try await nats.run("status", "x", "--json")
            #expect(run.ending == .exited(1))
            let state = try run.json()
            #expect(state["leader"]?.isNull == true)
            // If the server has removed the key by then, the last leader is unknown.
            if state["state"] == "expired" { #expect(state["last_leader"] == "me") } else { #expect(state["state"] == "free") }
        }
    }

    @Test("status --all lists buckets of both formats, filtered and paged", arguments: NATSVersion.allCases)
    func all(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            for (name, format, ttl) in [("web-1", "v1", "100s"), ("web-2", "v2", "20s"), ("db", "v2", "100s"), ("old", "v1", "100s")] {
                let url = nats.server.url + "?format=" + format
                let run = try await nats.run("acquire", name, "--id", "owner-of-\(name)", "--ttl", ttl, environment: ["QQ_SERVER": url])
                #expect(run.ending == .exited(0))
            }
            let plain = ["QQ_SERVER": nats.server.url]
            _ = try await nats.run("release", "old", environment: ["QQ_SERVER": nats.server.url + "?format=v1"])
            // Not elections: another program's bucket and a stream.
            try nats.raw.createBucket("other")
            try nats.raw.put("leader", #"{"node_id":"nobody","epoch":1}"#, in: "other")
            _ = try nats.raw.jetStream("STREAM.CREATE.plain", ["name": "plain", "subjects": ["plain"]])
            func names(_ options: String...) async throws -> [String] {
                let run = try await nats.box.start([Sandbox.binary, "status", "--all"] + options, environment: plain).finish()
                #expect(run.ending == .exited(0), "\(options) \(run.errors)")
                return run.records.map { $0[0] }
            }
            let everything = try await names()
            let held = try await names("--held")
            let matching = try await names("--match", "web")
            let owned = try await names("--owner", "of-db")
            let ending = try await names("--expires-within", "30s")
            let page = try await names("--limit", "2", "--offset", "1")
            #expect(everything == ["db", "old", "web-1", "web-2"])
            #expect(held == ["db", "web-1", "web-2"])
            #expect(matching == ["web-1", "web-2"])
            #expect(owned == ["db"])
            #expect(ending == ["web-2"])
            #expect(page == ["old", "web-1"])
            let list = try await nats.run("status", "--all", "--json", environment: plain)
            let elections = try #require(try list.json()["elections"]?.arrayValue)
            #expect(elections.count == 4)
            for election in elections { #expect(schemaProblems(try #require(election.objectValue), Schemas.status) == []) }
            #expect(try await nats.run("status", "--all", "--mine", environment: nats.elsewhere).ending == .exited(1))
            #expect(try await nats.run("status", "--all", "--mine", "--id", "owner-of-db", environment: plain).ending == .exited(0))
        }
    }

    @Test(
        "status --mine recognizes this user's lease by a saved grant, by --id, and inside a guarded command",
        arguments: GoNode.Format.allCases)
    func mine(_ format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { nats in
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "60s")
            #expect(try await nats.run("status", "x", "--mine").ending == .exited(0))
            #expect(try await nats.run("status", "x", "--mine", environment: nats.elsewhere).ending == .exited(1))
            #expect(try await nats.run("status", "x", "--mine", "--id", "me", environment: nats.elsewhere).ending == .exited(0))
            #expect(try await nats.run("status", "x", "--mine", "--id", "you").ending == .exited(1))
            let inside = try await nats.run(
                "acquire", "y", "--id", "me", "--", "sh", "-c", "\"$0\" status y --mine", Sandbox.binary, environment: nats.elsewhere)
            #expect(inside.ending == .exited(0))
        }
    }

    @Test("status --all lists more buckets than fit in one answer")
    func pages() async throws {
        try await onNATS(.latest, .v2, .heavy) { nats in
            // One answer holds 256 of them.
            for number in 0..<300 { try nats.raw.createBucket(nats.bucket("e\(number)"), ttl: .seconds(10)) }
            let run = try await nats.run("status", "--all")
            #expect(run.ending == .exited(0))
            #expect(run.lines.count == 300)
        }
    }
}
