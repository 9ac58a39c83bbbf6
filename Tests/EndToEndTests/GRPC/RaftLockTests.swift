import QQCore
import Support
import Testing

@testable import QQCLI

/// A RaftLock cluster of three nodes, and `qq` configured to use it.
struct RaftPlace {
    let box: Sandbox
    let cluster: RaftLockCluster

    func run(_ words: String..., at url: String? = nil, within limit: Duration = waitingTime) async throws -> Run {
        try await box.start([Sandbox.binary] + words, environment: ["QQ_SERVER": url ?? cluster.url]).finish(within: limit)
    }

    func qq(_ words: String...) throws -> Started { try box.start([Sandbox.binary] + words, environment: ["QQ_SERVER": cluster.url]) }
}

@Suite("A lease on RaftLock")
struct RaftLockTests {
    @Test("acquire runs a command under the lock's version, and releases the lease") func guarded() async throws {
        try await onRaftLock { raft in
            let run = try await raft.run("acquire", "x", "--id", "me", "--", "sh", "-c", #"echo "$QQ_ID|$QQ_TOKEN|$QQ_NAME""#)
            #expect(run.ending == .exited(0), "\(run.errors)")
            let parts = run.text.dropLast().split(separator: "|")
            #expect(parts.count == 3 && parts[0] == "me" && (UInt64(parts[1]) ?? 0) > 0 && parts[2] == "x", "\(run.text)")
            #expect(raft.cluster.owner(of: "x") == nil)
            #expect(run.errors == "")
        }
    }

    @Test("acquire is refused a lock that another holder has, or waits for its turn in the queue") func queue() async throws {
        try await onRaftLock { raft in
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            let refused = try await raft.run("acquire", "x", "--", "true")
            #expect(refused.ending == .exited(1))
            #expect(refused.errors.contains("held by other"), "\(refused.errors)")
            let waiter = try raft.qq("acquire", "x", "--id", "me", "--wait", "--", "echo", "turn")
            try await waitUntil("qq waits: \(waiter.errors)") { raft.cluster.lock("x")?.waiters == ["me"] }
            #expect(raft.cluster.release("x"))
            let run = try await waiter.finish()
            #expect(run.ending == .exited(0) && run.text == "turn\n", "\(run.errors)")
            try await waitUntil("no lease is left behind") { raft.cluster.owner(of: "x") == nil }
            // A waiter that is told to end leaves the queue.
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            let second = try raft.qq("acquire", "x", "--id", "me", "--wait", "--", "echo", "turn")
            try await waitUntil("qq waits: \(second.errors)") { raft.cluster.lock("x")?.waiters == ["me"] }
            try await second.terminate()
            try await waitUntil("the queue is empty") { raft.cluster.lock("x")?.waiters == [] }
        }
    }

    @Test("a lease is renewed whether or not the servers answer renewals with false errors", arguments: [false, true])
    func renewed(_ isMended: Bool) async throws {
        try await onRaftLock { raft in
            raft.cluster.change { $0.isMended = isMended }
            let run = try raft.qq("keepalive", "x", "--id", "me", "--ttl", "20s", "--renew-every", "500ms", "--json")
            try await waitUntil("the lease is renewed: \(run.output) \(run.errors)") { raft.cluster.calls("Renew", by: "me") >= 8 }
            #expect(raft.cluster.owner(of: "x") == "me")
            try await run.terminate()
            let events = try run.output.split(separator: "\n").compactMap { try object($0)["event"]?.stringValue }
            #expect(events.filter { $0 != "renewed" } == ["elected", "released"], "\(run.errors)")
            #expect(raft.cluster.mostWritesAtOnce <= 1)
        }
    }

    @Test("a lease is acquired from whichever node leads, and continues when another node does") func leaderChange() async throws {
        try await onRaftLock { raft in
            let run = try raft.qq("keepalive", "x", "--id", "me", "--ttl", "30s", "--renew-every", "500ms", "--json")
            try await waitUntil("the lease is held: \(run.output) \(run.errors)") { run.output.contains("elected") }
            let other = try #require(raft.cluster.followers.first)
            raft.cluster.moveLeader(to: other)
            let before = raft.cluster.calls(to: other)["Renew"]
            try await waitUntil("the lease is renewed there: \(run.errors)") { raft.cluster.calls(to: other)["Renew"] > before + 2 }
            #expect(raft.cluster.owner(of: "x") == "me")
            try await run.terminate()
            #expect(!run.output.contains("lost"))
            // The peer addresses that the nodes name do not serve clients.
            #expect(raft.cluster.peerConnections == 0)
            for node in 0..<3 {
                raft.cluster.moveLeader(to: node)
                #expect(try await raft.run("acquire", "y", "--", "true").ending == .exited(0))
            }
        }
    }

    @Test("a lock is read, listed and released by force") func reading() async throws {
        try await onRaftLock { raft in
            raft.cluster.acquire("a1", by: "one", for: .seconds(60))
            raft.cluster.acquire("a2", by: "two", for: .seconds(60))
            raft.cluster.enqueue("a2", by: "three", for: .seconds(60))
            let status = try await raft.run("status", "a1", "--json")
            #expect(status.ending == .exited(0), "\(status.errors)")
            let state = try object(status.text)
            #expect(state["state"] == "held" && state["leader"] == "one" && (state["expires_in"]?.doubleValue ?? 0) > 50, "\(status.text)")
            #expect(try await raft.run("status", "nothing").ending == .exited(1))
            let all = try await raft.run("status", "--all")
            #expect(all.text.split(separator: "\n").map { $0.split(separator: "\t")[0] } == ["a1", "a2"])
            let contested = try await raft.run("status", "--all", "--contested")
            #expect(contested.text.split(separator: "\n").map { $0.split(separator: "\t")[0] } == ["a2"])
            #expect(try await raft.run("status", "--all", "--owner", "one").text.hasPrefix("a1\t"))
            #expect(try await raft.run("step-down", "a1", "--force", "--yes").ending == .exited(0))
            #expect(raft.cluster.owner(of: "a1") == nil)
            for method in ["Acquire", "EnqueueWaiter", "Renew"] { #expect(raft.cluster.calls(method) == 0) }
        }
    }

    @Test("without nodes a lock cannot be acquired, and the error says so") func noNodes() async throws {
        try await onRaftLock { raft in
            raft.cluster.loseLeader()
            raft.cluster.setMajority(false)
            let none = try await raft.run("acquire", "x", "--retries", "1", "--", "true")
            #expect(none.ending == .exited(69))
            raft.cluster.setMajority(true)
            for node in 0..<3 { await raft.cluster.kill(node) }
            let run = try await raft.run("cluster-status", "--json")
            #expect(run.ending == .exited(69))
            let refused = try await raft.run("status", "x")
            #expect(refused.ending == .exited(69) && refused.errors.contains("Connection refused"), "\(refused.errors)")
        }
    }

    @Test("cluster-status reports every node as reachable") func clusterStatus() async throws {
        try await onRaftLock { raft in
            #expect(try await raft.run("acquire", "x", "--ttl", "60s").ending == .exited(0))
            let run = try await raft.run("cluster-status", "--json")
            #expect(run.ending == .exited(0), "\(run.errors)")
            let endpoints = try object(run.text)["endpoints"]?.arrayValue ?? []
            #expect(endpoints.count == 3 && endpoints.allSatisfy { $0["reachable"] == true }, "\(run.text)")
        }
    }

    @Test("commands run one at a time while the Raft leader moves and connections are cut") func neverTwo() async throws {
        try await onRaftLock(.heavy) { raft in
            let work = "mkdir busy || echo two >>offences; echo $QQ_TOKEN >>done; sleep 0.05; rmdir busy"
            let all = try (0..<4).map { number in
                try raft.box.start(
                    [
                        "sh", "-c",
                        #"i=0; while [ $i -lt 3 ]; do "$0" acquire x --ttl 3s --wait --retries 100 -- sh -c "$1" && i=$((i+1)); done"#,
                        Sandbox.binary, work,
                    ], environment: ["QQ_SERVER": raft.cluster.url])
            }
            for round in 0..<4 {
                try await Task.sleep(for: .milliseconds(900))
                raft.cluster.moveLeader(to: round % 3)
                raft.cluster.cutConnections(of: (round + 1) % 3)
            }
            for contender in all { #expect(try await contender.finish(within: .seconds(120)).ending == .exited(0)) }
            #expect(raft.box.read("offences") == "")
            #expect(raft.box.read("done").split(separator: "\n").count >= 12)
        }
    }
}
