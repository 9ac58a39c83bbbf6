import QQCore
import Support
import Testing

@Suite("Simulated Go nodes") struct GoNodeTests {
    private func node(_ format: GoNode.Format, _ name: String, _ port: UInt16, in box: Sandbox) async throws -> GoNode {
        try await GoNode.start(GoNode.Settings(format, node: name, port: port), in: box)
    }

    private func compare(_ tap: LineTap, _ format: GoNode.Format, connections: [Int]) throws {
        #expect(tap.problems.isEmpty)
        let recording = try Recording(format)
        for connection in connections {
            let (ours, recorded) = (tap.lines.comparable([connection]), recording.lines.comparable([connection]))
            #expect(recorded.count > 1)
            #expect(
                differences(ours.withoutAnswers.withoutRepetition, recorded: recorded.withoutAnswers.withoutRepetition) == [],
                "connection \(connection)")
            #expect(differences(ours.answers, recorded: recorded.answers) == [], "connection \(connection)")
        }
    }

    @Test("simulated v2 Go nodes send what the real ones sent, field by field")
    func recordedV2() async throws {
        try await inSandbox(.heavy) { box in
            let server = try await NATSServer.start(in: box)
            let tap = try LineTap(to: server.port, in: box)
            let a = try await node(.v2, "node-a", tap.port, in: box)
            #expect(a.isLeader)
            try await waitUntil("two heartbeats") { a.renewals.count >= 3 }
            let b = try await node(.v2, "node-b", tap.port, in: box)
            let client = try RawNATS(server.port)
            // When the node steps down, the tombstone of its cooldown has been removed, as in the recording.
            try await waitUntil("the tombstone is gone") { try client.key("cooldown.node-a", in: "KV_CLUSTER_demo") == nil }
            let asked = a.renewals.count
            try await waitUntil("a heartbeat") { a.renewals.count > asked }
            #expect(b.leader == "node-a" && !b.isLeader)
            _ = try client.request("cluster_demo.status.node-a")
            _ = try client.request("cluster_demo.status.node-b")
            _ = try client.request("cluster_demo.ping.node-b")
            for subject in ["$SRV.PING", "$SRV.INFO.cluster_demo", "$SRV.STATS.cluster_demo"] {
                #expect(try client.requestMany(subject, expected: 2, quiet: .milliseconds(150)).count == 2)
            }
            #expect(try client.request("cluster_demo.control.node-b.stepdown").json == ["ok": false, "error": "not the leader"])
            #expect(try client.request("cluster_demo.control.node-a.stepdown").json == ["ok": true])
            try await waitUntil("the other node leads") { b.isLeader }
            #expect(b.epoch == 2)
            let taken = b.renewals.count
            _ = try client.request("cluster_demo.status.node-b")
            #expect(try client.request("cluster_demo.status.nobody").status == 503)
            try await waitUntil("a heartbeat") { b.renewals.count > taken }
            a.kill()
            b.stop()
            try await waitUntil("everything has passed the tap") { tap.proxy.live == 0 }
            try compare(tap, .v2, connections: [1, 2])
            #expect(try client.key("leader", in: "KV_CLUSTER_demo")?.json?["node_id"] == "node-b", "stopping deletes nothing")
        }
    }

    @Test("simulated v1 Go nodes send what the real ones sent, field by field")
    func recordedV1() async throws {
        try await inSandbox(.heavy) { box in
            let server = try await NATSServer.start(in: box)
            let tap = try LineTap(to: server.port, in: box)
            let a = try await node(.v1, "node-a", tap.port, in: box)
            try await waitUntil("a renewal") { a.renewals.count >= 2 }
            let b = try await node(.v1, "node-b", tap.port, in: box)
            let client = try RawNATS(server.port)
            try await waitUntil("the tombstone is gone") { try client.key("cooldown-node-b", in: "cluster-demo") == nil }
            #expect(try client.request("cluster.demo.health.node-a").json?["role"] == "PRIMARY")
            // Do not stop the node in the middle of a renewal.
            let renewed = a.renewals.count
            try await waitUntil("a renewal") { a.renewals.count > renewed }
            a.stop()
            let text = try #require(try client.key("lease", in: "cluster-demo")?.json?["expires_at"]?.stringValue)
            let end = try WallTime.parse(rfc3339: text)
            try await waitUntil("the other node leads") { b.isLeader }
            #expect(WallTime.now() > end, "only when the lease has expired")
            let taken = b.renewals.count
            try await waitUntil("a renewal") { b.renewals.count > taken }
            b.stop()
            try await waitUntil("everything has passed the tap") { tap.proxy.live == 0 }
            try compare(tap, .v1, connections: [1, 2, 3, 4])
        }
    }

    @Test("comparing recordings finds a wrong field, a missing line and a wrong revision")
    func comparisonCanFail() throws {
        let recorded = try Recording(.v2).lines
        var changed = recorded
        let place = try #require(changed.firstIndex { $0.text.hasPrefix("HPUB $KV.KV_CLUSTER_demo.leader") })
        changed[place].payload = ["node_id": "node-x", "epoch": 1, "acquired_at": 5]
        #expect(differences(changed.comparable([1]), recorded: recorded.comparable([1])).count == 1)
        changed.remove(at: place)
        #expect(!differences(changed.comparable([1]), recorded: recorded.comparable([1])).isEmpty)
        changed = recorded
        let renewal = try #require(
            changed.firstIndex { $0.headers?.contains("Nats-Expected-Last-Subject-Sequence: 2") == true && $0.from == .client })
        changed[renewal].headers = ["NATS/1.0", "Nats-Expected-Last-Subject-Sequence: 1", "", ""]
        #expect(differences(changed.comparable([1]), recorded: recorded.comparable([1])).count == 1)
        #expect(differences(recorded.comparable(), recorded: recorded.comparable()).isEmpty)
    }

    @Test("a simulated v2 node believes that it leads while it cannot reach the server, until it sees another node's lease")
    func believes() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            let a = try await node(.v2, "node-a", proxy.port, in: box)
            let b = try await node(.v2, "node-b", server.port, in: box)
            proxy.silence()
            try await waitUntil("the other node leads too") { b.isLeader }
            #expect(a.isLeader)
            proxy.pass()
            try await waitUntil("the first node sees the other one's lease") { !a.isLeader }
            #expect(a.leader == "node-b")
        }
    }

    @Test("a simulated v1 node stops leading when a renewal fails")
    func renewalFails() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let a = try await node(.v1, "node-a", server.port, in: box)
            try RawNATS(server.port).put("lease", "{", in: "cluster-demo")
            try await waitUntil("the node has noticed") { !a.isLeader }
        }
    }

    @Test("a simulated node resumes its own lease when it is started again", arguments: GoNode.Format.allCases)
    func restarted(format: GoNode.Format) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(.debian, in: box)
            let first = try await node(format, "node-a", server.port, in: box)
            first.kill()
            let again = try await node(format, "node-a", server.port, in: box)
            try await waitUntil("the node leads again") { again.isLeader }
            #expect(again.epoch == 1)
        }
    }

    @Test("a simulated node does not lead while bad JSON is in the lease key", arguments: GoNode.Format.allCases)
    func badJSON(format: GoNode.Format) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let client = try RawNATS(server.port)
            let (bucket, key) = format == .v1 ? ("cluster-demo", "lease") : ("KV_CLUSTER_demo", "leader")
            try client.createBucket(bucket, ttl: format == .v1 ? .seconds(6) : .seconds(3))
            try client.put(key, "{", in: bucket)
            let node = try await node(format, "node-a", server.port, in: box)
            try await waitUntil("the junk is gone") {
                let leads = node.isLeader
                let isJunk = try client.key(key, in: bucket)?.text == "{"
                #expect(!(leads && isJunk))
                return !isJunk
            }
            try await waitUntil("the node leads") { node.isLeader }
        }
    }

    @Test("a simulated node finds the server again after a restart", arguments: GoNode.Format.allCases)
    func reconnects(format: GoNode.Format) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            var settings = GoNode.Settings(format, node: "node-a", port: server.port)
            settings.reconnectWait = .milliseconds(100)
            settings.ttl = .seconds(30)
            let node = try await GoNode.start(settings, in: box)
            try await server.restart(killed: true)
            let before = node.renewals.count
            try await waitUntil("the node renews again, and leads") { node.renewals.count > before && node.isLeader }
        }
    }
}
