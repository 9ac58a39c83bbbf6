import QQCore
import Support
import Testing

/// The answers that other nodes and their tools get, asked for as they do.
@Suite("A keepalive as a node of its cluster")
struct NATSServiceTests {
    private static let service = "cluster_x"

    @Test("v2: a keepalive answers status, ping and the verbs of a micro service", arguments: NATSVersion.allCases)
    func service(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            let leader = try nats.qq("keepalive", "x", "--id", "a", "--ttl", "10s", "--json")
            try await leader.event("elected")
            let follower = try nats.qq("keepalive", "x", "--id", "b", "--json", environment: nats.elsewhere)
            try await follower.event("waiting")
            for (node, role) in [("a", "PRIMARY"), ("b", "PASSIVE")] {
                let status = try #require(try nats.raw.request("\(Self.service).status.\(node)").json?.objectValue)
                #expect(status.members.map(\.name) == ["nodeId", "role", "leader", "epoch", "uptimeMs", "connected"])
                #expect(status["nodeId"]?.stringValue == node)
                #expect(status["role"]?.stringValue == role)
                #expect(status["leader"] == "a")
                #expect(status["epoch"] == 1)
                #expect(status["connected"] == true)
                #expect((status["uptimeMs"]?.int64Value).map { $0 >= 0 && $0 < 60_000 } == true)
                let ping = try #require(try nats.raw.request("\(Self.service).ping.\(node)").json?.objectValue)
                #expect(ping.members.map(\.name) == ["ok", "timestamp"])
                #expect(ping["ok"] == true)
                let now = WallTime.now().seconds
                #expect((ping["timestamp"]?.int64Value).map { abs($0 / 1000 - now) < 20 } == true)
            }
            #expect(try nats.raw.request("\(Self.service).status.nobody").status == 503)
            try verbs(nats)
            for run in [leader, follower] { try await run.terminate() }
            #expect(try nats.services() == 0)
            #expect(try nats.raw.request("\(Self.service).status.a").status == 503)
        }
    }

    private func verbs(_ nats: NATSPlace) throws {
        func answers(_ subject: String, of count: Int = 2) throws -> [JSONObject] {
            try nats.raw.requestMany(subject, expected: count).compactMap { $0.json?.objectValue }
        }
        let pings = try answers("$SRV.PING")
        #expect(pings.count == 2)
        #expect(Set(pings.map { $0["id"]?.stringValue }).count == 2, "each member has an id of its own")
        for verb in ["PING", "INFO", "STATS"] {
            for subject in ["$SRV.\(verb)", "$SRV.\(verb).\(Self.service)"] {
                let found = try answers(subject)
                #expect(found.count == 2, "\(subject)")
                #expect(found.allSatisfy { $0["type"]?.stringValue == "io.nats.micro.v1.\(verb.lowercased())_response" })
                #expect(found.allSatisfy { $0["name"]?.stringValue == Self.service && $0["version"] == "1.0.0" })
            }
            let id = try #require(pings[0]["id"]?.stringValue)
            let one = try answers("$SRV.\(verb).\(Self.service).\(id)", of: 1)
            #expect(one.map { $0["id"]?.stringValue } == [id])
        }
        let infos = try answers("$SRV.INFO")
        #expect(infos.allSatisfy { $0["description"] == "Cluster coordination service for x" })
        let subjects = infos.flatMap { $0["endpoints"]?.arrayValue ?? [] }.compactMap { $0["subject"]?.stringValue }
        #expect(subjects.contains("\(Self.service).control.b.stepdown") && subjects.count == 6)
    }

    @Test("v2: statistics count the requests", arguments: NATSVersion.allCases)
    func statistics(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            let leader = try nats.qq("keepalive", "x", "--id", "a", "--ttl", "10s", "--json")
            try await leader.event("elected")
            func count() throws -> [String: Int64] {
                let endpoints = try nats.raw.request("$SRV.STATS.\(Self.service)").json?["endpoints"]?.arrayValue ?? []
                var counts: [String: Int64] = [:]
                for endpoint in endpoints {
                    let (requests, time) = (endpoint["num_requests"]?.int64Value ?? -1, endpoint["processing_time"]?.int64Value ?? -1)
                    counts[endpoint["name"]?.stringValue ?? ""] = requests
                    #expect((requests == 0) == (time == 0))
                    #expect(endpoint["average_processing_time"]?.int64Value == (requests == 0 ? 0 : time / requests))
                    #expect(endpoint["num_errors"] == 0 && endpoint["last_error"] == "" && endpoint["queue_group"] == "q")
                }
                return counts
            }
            #expect(try count() == ["status": 0, "ping": 0, "stepdown": 0])
            for _ in 0..<3 { _ = try nats.raw.request("\(Self.service).status.a") }
            _ = try nats.raw.request("\(Self.service).ping.a")
            #expect(try count() == ["status": 3, "ping": 1, "stepdown": 0])
            #expect(try nats.raw.request("\(Self.service).control.a.stepdown").json == ["ok": true])
            #expect(try count() == ["status": 3, "ping": 1, "stepdown": 1])
            try await leader.terminate()
        }
    }

    @Test("v2: a follower refuses to step down, and a leader steps down before it answers", arguments: NATSVersion.allCases)
    func stepDown(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            let leader = try nats.qq("keepalive", "x", "--id", "a", "--ttl", "9s", "--json")
            try await leader.event("elected")
            let follower = try nats.qq("keepalive", "x", "--id", "b", "--json", environment: nats.elsewhere)
            try await follower.event("waiting")
            let before = try #require(try nats.lease())
            let refused = try nats.raw.request("\(Self.service).control.b.stepdown")
            #expect(refused.json == ["ok": false, "error": "not the leader"])
            #expect(try nats.lease()?.json?["node_id"] == "a")
            #expect(try nats.raw.request("\(Self.service).control.a.stepdown").json == ["ok": true])
            let after = try nats.raw.key(nats.leaseKey, in: nats.bucket())
            #expect((after?.sequence ?? 0) > before.sequence && (after?.isDeletion == true || after?.json?["node_id"] == "b"))
            #expect(try nats.cooldown("a") != nil)
            try await follower.event("elected", within: .seconds(90))
            try await leader.event("waiting")
            let status = try nats.raw.request("\(Self.service).status.a").json
            #expect(status?["role"] == "PASSIVE")
            #expect(try nats.raw.request("\(Self.service).control.a.stepdown").json == ["ok": false, "error": "not the leader"])
            for run in [leader, follower] { try await run.terminate() }
        }
    }

    @Test("v2: a guarded command's qq is a node while it leads, and ends the command before it steps down", arguments: NATSVersion.allCases)
    func guarded(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            let holder = try nats.qq(
                "acquire", "x", "--id", "a", "--ttl", "6s", "--kill-after", "300ms", "--", Sandbox.stamp, nats.box.path("stamps"),
                "--ignore-term")
            _ = try await nats.box.waitForTerms(1)
            try await waitUntil("qq answers") { try nats.raw.request("\(Self.service).status.a").json?["role"] == "PRIMARY" }
            #expect(try nats.raw.request("\(Self.service).control.a.stepdown").json == ["ok": true])
            let answered = bootNow()
            #expect(try nats.lease() == nil)
            let last = try #require(nats.box.stamps().terms.first?.last)
            #expect(last < answered, "the command was dead by then")
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(nats.box.stamps().terms.first?.last == last)
            #expect(try nats.services() == 0)
        }
    }

    @Test("v1: a keepalive answers health requests", arguments: NATSVersion.allCases)
    func health(_ version: NATSVersion) async throws {
        try await onNATS(version, .v1) { nats in
            let leader = try nats.qq("keepalive", "x", "--id", "a", "--ttl", "10s", "--json")
            try await leader.event("elected")
            let follower = try nats.qq("keepalive", "x", "--id", "b", "--json", environment: nats.elsewhere)
            try await follower.event("waiting")
            for (node, role) in [("a", "PRIMARY"), ("b", "PASSIVE")] {
                let health = try #require(try nats.raw.request("cluster.x.health.\(node)").json?.objectValue)
                #expect(health.members.map(\.name) == ["nodeId", "role", "leader", "uptimeMs", "timestamp"])
                #expect(health["nodeId"]?.stringValue == node)
                #expect(health["role"]?.stringValue == role)
                #expect(health["leader"] == "a")
                let now = WallTime.now().seconds
                #expect((health["timestamp"]?.int64Value).map { abs($0 / 1000 - now) < 20 } == true)
            }
            // v1 has no services.
            #expect(try nats.services() == 0)
            try await leader.terminate()
            try await follower.event("elected", within: .seconds(90))
            #expect(try nats.raw.request("cluster.x.health.b").json?["role"] == "PRIMARY")
            #expect(try nats.raw.request("cluster.x.health.a").status == 503)
            try await follower.terminate()
        }
    }
}
