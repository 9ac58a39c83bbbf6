import QQCore
import Support
import Testing

@Suite("A cluster of three NATS servers", .serialized) struct NATSClusterTests {
    @Test("a NATS cluster keeps a bucket through a move of its leader, a kill and a network partition", arguments: NATSVersion.allCases)
    func faults(version: NATSVersion) async throws {
        try await inSandbox(.heavy) { box in
            let cluster = try await NATSCluster.start(version, in: box)
            let first = try RawNATS(cluster.servers[0].port)
            try first.createBucket("b", replicas: 3)
            // A server can learn of the bucket a moment after the one that made it.
            try await waitUntil("a first write") { (try? first.put("k", "1", in: "b")) != nil }
            let moved = try await cluster.moveLeader(of: "KV_b", asking: first)

            // Kill the stream leader: killing a server that neither leads nor is asked would change nothing.
            moved.kill()
            let alive = try #require(cluster.servers.first { $0 !== moved })
            let client = try RawNATS(alive.port)
            // Until the others have noticed, they still name the killed one.
            try await waitUntil("another stream leader after the kill") {
                cluster.leader(of: "KV_b", asking: client).map { $0 !== moved } ?? false
            }
            try await waitUntil("a write after the kill") { (try? client.put("k", "2", in: "b", within: .seconds(5))) != nil }
            try await moved.start()

            // Cut off from the others, the stream leader acknowledges nothing; the others continue without it.
            try await waitUntil("all servers are back") {
                let replicas = try? client.streamInfo("KV_b", within: .seconds(5))?["cluster"]?["replicas"]?.arrayValue
                return replicas?.count == 2 && replicas?.allSatisfy { $0["current"]?.boolValue == true } == true
            }
            let leader = try await waitFor("a stream leader") { cluster.leader(of: "KV_b", asking: client) }
            let inside = try RawNATS(leader.port)
            cluster.part(leader)
            let others = cluster.servers.filter { $0 !== leader }
            let outside = try RawNATS(others[0].port)
            try await waitUntil("the others have a stream leader") {
                cluster.leader(of: "KV_b", asking: outside).map { $0 !== leader } ?? false
            }
            try await waitUntil("a write without the server that is cut off") {
                (try? outside.put("k", "3", in: "b", within: .seconds(5))) != nil
            }
            #expect(throws: (any Error).self) { try inside.put("k", "wrong", in: "b", within: .seconds(5)) }
            cluster.join(leader)
            try await waitUntil("the server that was cut off has caught up") {
                (try? RawNATS(leader.port).key("k", in: "b", within: .seconds(5)))?.text == "3" && cluster.metaLeader(asking: leader) != nil
            }
        }
    }
}
