import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("cluster-status on NATS")
struct NATSClusterStatusTests {
    private func check(_ run: Run) throws -> (endpoints: [JSONObject], members: [JSONObject]) {
        let answer = try run.json()
        #expect(schemaProblems(answer, Schemas.clusterStatus) == [])
        let endpoints = try #require(answer["endpoints"]?.arrayValue).compactMap(\.objectValue)
        let members = try #require(answer["members"]?.arrayValue).compactMap(\.objectValue)
        for endpoint in endpoints { #expect(schemaProblems(endpoint, Schemas.endpoint) == []) }
        for member in members { #expect(schemaProblems(member, Schemas.member) == []) }
        return (endpoints, members)
    }

    @Test("cluster-status shows the state of the server", arguments: NATSVersion.allCases)
    func server(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            let run = try await nats.run("cluster-status", "--json")
            #expect(run.ending == .exited(0))
            let (endpoints, members) = try check(run)
            let endpoint = try #require(endpoints.first)
            #expect(endpoints.count == 1 && members.isEmpty)
            #expect(endpoint["endpoint"]?.stringValue == "127.0.0.1:\(nats.server.port)")
            #expect(endpoint["version"] == nats.raw.info["version"])
            #expect(endpoint["server_name"] == "nats")
            #expect(endpoint["jetstream"] == true)
            #expect(endpoint["can_grant"] == true)
            #expect(endpoint["streams"] == 0)
            #expect((endpoint["round_trip"]?.doubleValue).map { $0 > 0 && $0 < 5 } == true)
            #expect(endpoint["meta_leader"]?.isNull == true)
            let plain = try await nats.run("cluster-status")
            #expect(plain.ending == .exited(0))
            #expect(plain.text.hasPrefix("127.0.0.1:\(nats.server.port)\treachable\t"))
            #expect(plain.text.contains("\tjetstream=yes\t"))
        }
    }

    /// Runs `cluster-status` until its output is complete, up to ten times.
    private func asking(_ nats: NATSPlace, _ options: String..., until isEnough: (Run) throws -> Bool) async throws -> Run {
        var run = try await nats.run(["cluster-status"] + options)
        for _ in 0..<9 {
            if try isEnough(run) { break }
            run = try await nats.run(["cluster-status"] + options)
        }
        return run
    }

    @Test("cluster-status names the members with their roles: qq and Go nodes, of both formats", arguments: NATSVersion.allCases)
    func members(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            let leader = try nats.qq("keepalive", "x", "--id", "qq-1", "--ttl", "3s", "--json")
            let elected = try await leader.event("elected")
            let follower = try await GoNode.start(.init(.v2, cluster: "x", node: "go-2", port: nats.server.port), in: nats.box)
            let waiting = try nats.qq("keepalive", "x", "--id", "qq-3", "--json", environment: nats.elsewhere)
            try await waiting.event("waiting")
            let older = try nats.qq(
                "keepalive", "old", "--id", "qq-4", "--ttl", "3s", "--json",
                environment: ["QQ_SERVER": nats.server.url + "?format=v1", "XDG_RUNTIME_DIR": nats.box.path("state")])
            try await older.event("elected")
            try await waitUntil("the Go node follows") { follower.leader == "qq-1" }
            // A member that takes longer than the others to answer can be missing.
            let run = try await asking(nats, "--json") { try check($0).members.count == 4 }
            #expect(run.ending == .exited(0))
            let members = try check(run).members
            #expect(members.map { $0["id"]?.stringValue } == ["qq-4", "go-2", "qq-1", "qq-3"])
            #expect(members.map { $0["election"]?.stringValue } == ["old", "x", "x", "x"])
            #expect(members.map { $0["role"]?.stringValue } == ["leader", "follower", "leader", "follower"])
            #expect(members.dropFirst().allSatisfy { $0["leader"] == "qq-1" && $0["epoch"] == 1 && $0["version"] == "1.0.0" })
            #expect(members.allSatisfy { ($0["uptime"]?.doubleValue ?? -1) >= 0 && ($0["round_trip"]?.doubleValue ?? -1) > 0 })
            #expect(elected["token"] == 1)
            let plain = try await asking(nats) { $0.records.count { $0[0] == "member" } == 4 }
            let records = plain.records.filter { $0[0] == "member" }
            #expect(records.count == 4)
            #expect(records.contains { $0[1] == "x" && $0[2] == "qq-1" && $0[3] == "leader" && $0[4] == "qq-1" && $0[5] == "1" })
            for run in [leader, waiting, older] { try await run.terminate() }
            #expect(try await check(nats.run("cluster-status", "--json")).members.map { $0["id"]?.stringValue } == ["go-2"])
        }
    }

    @Test("cluster-status shows a server that is down next to one that is up; if none answers, it exits with 69")
    func down() async throws {
        try await onNATS(.latest, .v2) { nats in
            let other = try await NATSServer.start(in: nats.box)
            let port = other.port
            try await other.stop()
            let servers = ["QQ_SERVER": "nats://127.0.0.1:\(port),127.0.0.1:\(nats.server.port)"]
            let run = try await nats.run("cluster-status", "--json", environment: servers)
            #expect(run.ending == .exited(0))
            let (endpoints, _) = try check(run)
            #expect(endpoints.map { $0["reachable"] } == [false, true])
            #expect(endpoints[0]["problem"]?.stringValue?.isEmpty == false)
            // A server that is down does not prevent an acquire either.
            #expect(try await nats.run("acquire", "x", "--", "true", environment: servers).ending == .exited(0))
            let none = try await nats.run("cluster-status", "--json", environment: ["QQ_SERVER": "nats://127.0.0.1:\(port)"])
            #expect(none.ending == .exited(69))
            #expect(try check(none).endpoints.map { $0["reachable"] } == [false])
            #expect(none.errors.contains("nothing answers"))
        }
    }

    @Test("without JetStream cluster-status exits with 1, and acquire gives the reason with 78 or 69", arguments: NATSVersion.allCases)
    func noJetStream(_ version: NATSVersion) async throws {
        try await inSandbox { box in
            var settings = NATSSettings()
            settings.hasJetStream = false
            let server = try await NATSServer.start(version, settings, in: box)
            let here = ["QQ_SERVER": server.url]
            let run = try await box.run("cluster-status", "--json", environment: here)
            #expect(run.ending == .exited(1))
            let endpoint = try #require(try check(run).endpoints.first)
            #expect(endpoint["reachable"] == true)
            #expect(endpoint["jetstream"] == false)
            #expect(endpoint["can_grant"] == false)
            let acquire = try await box.run("acquire", "x", "--retries", "0", environment: here)
            #expect(acquire.code == 69 || acquire.code == 78, "\(acquire.ending)")
            #expect(acquire.errors.contains("JetStream"))
        }
    }

    @Test(
        "cluster-status finds all servers of a cluster, and the system account sees the JetStream leader", arguments: NATSVersion.allCases)
    func cluster(_ version: NATSVersion) async throws {
        try await inSandbox(.heavy) { box in
            let cluster = try await NATSCluster.start(version, in: box) {
                $0.extra = """
                    accounts {
                        work { jetstream: enabled, users: [ { user: work, password: work } ] }
                        system { users: [ { user: system, password: s3cret } ] }
                    }
                    system_account: system
                    no_auth_user: work
                    """
            }
            // One server's URL is enough.
            let one = ["QQ_SERVER": cluster.servers[0].url]
            let run = try await box.run("cluster-status", "--json", environment: one)
            #expect(run.ending == .exited(0))
            let endpoints = try check(run).endpoints
            #expect(endpoints.compactMap { $0["server_name"]?.stringValue }.sorted() == ["n1", "n2", "n3"])
            #expect(endpoints.allSatisfy { $0["cluster"] == "three" && $0["meta_leader"]?.isNull == true })
            let port = cluster.servers[0].port
            let system = ["QQ_NATS_USER": "system", "QQ_NATS_PASSWORD": "s3cret"].merging(one) { $1 }
            let inside = try await box.run("cluster-status", "--json", environment: system)
            // The system account can see everything and hold nothing.
            #expect(inside.ending == .exited(1))
            let leader = try #require(cluster.metaLeader(asking: cluster.servers[0]))
            let seen = try check(inside).endpoints
            #expect(seen.first { $0["endpoint"]?.stringValue == "127.0.0.1:\(port)" }?["meta_leader"]?.stringValue == leader)

            // A bucket with three replicas survives the loss of one server.
            let all = ["QQ_SERVER": cluster.url + "?replicas=3"]
            let grant = try object(try await box.run("acquire", "x", "--id", "me", "--ttl", "30s", "--json", environment: all).text)
            let client = try RawNATS(cluster.servers[0].port)
            #expect(try client.streamInfo("KV_KV_CLUSTER_x")?["config"]?["num_replicas"] == 3)
            let gone = try #require(cluster.leader(of: "KV_KV_CLUSTER_x", asking: client))
            gone.kill()
            let other = try #require(cluster.servers.first { $0 !== gone })
            let there = try RawNATS(other.port)
            _ = try await waitFor("another leader", within: .seconds(120)) {
                cluster.leader(of: "KV_KV_CLUSTER_x", asking: there).flatMap { $0 === gone ? nil : $0 }
            }
            // The killed server might also be the JetStream leader; until there is another one, no lease can be granted.
            var after = try await box.run("cluster-status", "--json", environment: all)
            let limit = ContinuousClock.now + .seconds(60)
            while after.ending == .exited(1), ContinuousClock.now < limit {
                after = try await box.run("cluster-status", "--json", environment: all)
            }
            #expect(after.ending == .exited(0))
            #expect(try check(after).endpoints.count { $0["reachable"] == true } == 2)
            #expect(try object(try await box.run("status", "x", "--json", environment: all).text)["token"] == grant["token"])
            #expect(try await box.run("release", "x", environment: all).ending == .exited(0))
        }
    }
}
