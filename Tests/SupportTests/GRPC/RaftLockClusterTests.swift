import QQRaftLock
import Support
import SwiftProtobuf
import Testing

@Suite("RaftLock test cluster") struct RaftLockClusterTests {
    private static let service = "raftlock.RaftLock"

    private func acquire(
        _ client: RawGRPC, _ id: String, _ lock: String = "jobs", within limit: Duration = waitingTime
    ) async throws -> (answer: RawGRPC.Answer, response: Raftlock_AcquireResponse) {
        var request = Raftlock_AcquireRequest()
        (request.lockID, request.clientID, request.ttl) = (lock, id, Google_Protobuf_Duration(seconds: 10))
        let answer = try await client.call(Self.service, "Acquire", request.serializedBytes(), within: limit)
        return (answer, try Raftlock_AcquireResponse(serializedBytes: answer.bytes))
    }

    private func renew(_ client: RawGRPC, _ id: String, _ version: Int64) async throws -> RawGRPC.Answer {
        var request = Raftlock_RenewRequest()
        (request.lockID, request.clientID, request.version) = ("jobs", id, version)
        request.newTtl = Google_Protobuf_Duration(seconds: 60)
        return try await client.call(Self.service, "Renew", request.serializedBytes())
    }

    private func status(_ client: RawGRPC) async throws -> Raftlock_RaftStatus {
        try Raftlock_GetStatusResponse(serializedBytes: await client.call(Self.service, "GetStatus", []).bytes).raftStatus
    }

    private func health(_ client: RawGRPC) async throws -> Raftlock_HealthStatus {
        try Raftlock_HealthResponse(serializedBytes: await client.call(Self.service, "Health", []).bytes).healthInfo
    }

    private func inCluster(
        _ settings: RaftLockCluster.Settings = .init(), _ body: (RaftLockCluster, [RawGRPC]) async throws -> Void
    ) async throws {
        try await inSandbox { box in
            let cluster = try await RaftLockCluster.start(settings, in: box)
            try await body(cluster, cluster.ports.map { try RawGRPC($0, in: box) })
        }
    }

    @Test("the RaftLock test cluster redirects to ports where RaftLock is not served")
    func redirects() async throws {
        try await inSandbox { box in
            let cluster = try await RaftLockCluster.start(in: box)
            let follower = try RawGRPC(cluster.ports[0], in: box)
            let refusal = try await acquire(follower, "alice").answer
            #expect(refusal.message == "server: not leader, redirect to node node2 at 127.0.0.2:\(cluster.peerPorts[1])")
            #expect(try await acquire(RawGRPC(cluster.peerPorts[1], at: "127.0.0.2", in: box), "alice").answer.code == "UNIMPLEMENTED")
            #expect(cluster.peerConnections == 1)
            cluster.change { $0.redirectsToService = true }
            #expect(try await acquire(follower, "alice").answer.message.hasSuffix(":\(cluster.ports[1])"))
            #expect(cluster.calls("Acquire", by: "alice") == 2 && cluster.calls(to: 0)["Acquire"] == 2)
        }
    }

    @Test("the RaftLock test cluster has another leader after an election, which only a write reveals")
    func election() async throws {
        var settings = RaftLockCluster.Settings()
        // Late enough for the test to see that no node leads.
        settings.electionTime = .seconds(600)
        try await inCluster(settings) { cluster, nodes in
            #expect(try await acquire(nodes[1], "alice").response.acquired)
            #expect(try await health(nodes[1]).isRaftLeader)
            #expect(try await status(nodes[1]).leaderID == "")
            await cluster.kill(1)
            #expect(try await acquire(nodes[0], "bob").answer.message.contains("node2"))
            let leader = 2
            cluster.moveLeader(to: leader)
            #expect(try await health(nodes[leader]).isRaftLeader == false)
            let status = try await status(nodes[leader])
            #expect(status.leaderID == "node2" && status.term == 2)
            // Earlier log entries are still in effect.
            #expect(try await acquire(nodes[leader], "bob").response.error.code == .lockHeld)
            #expect(try await health(nodes[leader]).isRaftLeader)
            try await cluster.restart(1)
            cluster.moveLeader(to: 1)
            #expect(try await acquire(nodes[1], "alice").response.acquired)
            cluster.loseLeader()
            #expect(try await acquire(nodes[0], "alice").answer.code == "UNAVAILABLE")
        }
    }

    @Test("the RaftLock test cluster promotes the first waiter when a lease is over, with the default TTL")
    func promotion() async throws {
        var settings = RaftLockCluster.Settings()
        settings.expiryInterval = .milliseconds(50)
        settings.defaultTTL = .seconds(60)
        try await inCluster(settings) { cluster, _ in
            cluster.acquire("jobs", by: "alice", for: .seconds(3))
            cluster.enqueue("jobs", by: "bob", for: .seconds(90))
            cluster.enqueue("jobs", by: "carol", priority: 2, for: .milliseconds(50))
            cluster.enqueue("jobs", by: "dave", priority: 1, for: .seconds(90))
            try await waitUntil("a promotion") { cluster.owner(of: "jobs") != "alice" }
            // The first waiter, carol, had given up.
            let lock = try #require(cluster.lock("jobs"))
            #expect(lock.owner == "dave" && lock.waiters == ["bob"] && lock.remaining > .seconds(5) && lock.remaining <= .seconds(60))
            cluster.release("jobs")
            #expect(cluster.owner(of: "jobs") == "bob")
        }
    }

    @Test("the RaftLock test cluster carries out waiting requests when a majority is back")
    func majority() async throws {
        try await inCluster { cluster, nodes in
            cluster.setMajority(false)
            let answer = try await acquire(nodes[1], "alice", within: .seconds(5)).answer
            #expect(answer.code == "DEADLINE_EXCEEDED" && cluster.owner(of: "jobs") == nil)
            #expect(try await health(nodes[1]).status == .serving)
            cluster.setMajority(true)
            #expect(cluster.owner(of: "jobs") == "alice")
        }
    }

    @Test("the RaftLock test cluster renews but answers with an error, unless it is mended")
    func renewal() async throws {
        try await inCluster { cluster, nodes in
            let version = try await acquire(nodes[1], "alice").response.lock.version
            let answer = try await renew(nodes[1], "alice", version)
            #expect(answer.code == "INTERNAL" && answer.message == "An unexpected internal error occurred.")
            #expect(try #require(cluster.lock("jobs")).remaining > .seconds(15))
            cluster.change { $0.isMended = true }
            #expect(try Raftlock_RenewResponse(serializedBytes: await renew(nodes[1], "alice", version).bytes).renewed)
        }
    }

    @Test("two simultaneous writes can wedge the RaftLock test cluster until it is restarted")
    func wedge() async throws {
        var settings = RaftLockCluster.Settings()
        settings.writeTime = .seconds(4)
        settings.electionTime = .milliseconds(50)
        try await inCluster(settings) { cluster, nodes in
            cluster.change { $0.wedgesOnOverlap = true }
            async let one = acquire(nodes[1], "alice", "one", within: .seconds(15))
            async let other = acquire(nodes[1], "alice", "other", within: .seconds(15))
            let codes = try await Set([one.answer.code, other.answer.code])
            #expect(codes == ["OK", "DEADLINE_EXCEEDED"])
            #expect(cluster.mostWritesAtOnce(by: "alice") == 2 && cluster.mostWritesAtOnce == 2)
            #expect(try await acquire(nodes[1], "alice").answer.code == "INTERNAL")
            #expect(try await status(nodes[1]).nodeID == "node2")
            await cluster.kill(1)
            try await waitUntil("another leader") { cluster.leader != nil }
            try await cluster.restart(1)
            cluster.moveLeader(to: 1)
            #expect(try await acquire(nodes[1], "alice").answer.code == "OK")
        }
    }

    @Test("the RaftLock test cluster can limit calls, lose answers and hang")
    func faults() async throws {
        try await inCluster { cluster, nodes async throws in
            cluster.change { $0.rateLimited = 1 }
            #expect(try await acquire(nodes[1], "alice").answer.code == "RESOURCE_EXHAUSTED")
            cluster.change { $0.calls.lost["Acquire"] = 1 }
            #expect(try await acquire(nodes[1], "alice", within: .seconds(5)).answer.code == "DEADLINE_EXCEEDED")
            #expect(cluster.owner(of: "jobs") == "alice")
            cluster.hang(1)
            #expect(try await nodes[1].call(Self.service, "Health", [], within: .seconds(2)).code == "DEADLINE_EXCEEDED")
            #expect(try await nodes[1].call(Self.service, "GetLocks", []).code == "OK")
        }
    }
}
