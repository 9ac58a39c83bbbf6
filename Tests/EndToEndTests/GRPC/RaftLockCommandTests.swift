import QQCore
import Support
import Testing

@testable import QQCLI

/// Every command on RaftLock and its JSON output.
@Suite("JSON output on RaftLock") struct RaftLockCommandTests {
    @Test("acquire and release print documented JSON for success and failure") func acquire() async throws {
        try await onRaftLock { raft in
            let granted = try await raft.run("acquire", "x", "--id", "me", "--ttl", "60s", "--json")
            #expect(granted.ending == .exited(0), "\(granted.errors)")
            try checkSchema(granted.text, Schemas.acquire)
            let answer = try object(granted.text)
            #expect(answer["acquired"] == true && answer["id"] == "me" && answer["system"] == "raftlock")
            #expect(answer["token"]?.uint64Value == raft.cluster.lock("x").map { UInt64($0.version) })
            let refused = try await raft.run("acquire", "x", "--id", "other", "--json")
            #expect(refused.ending == .exited(1))
            try checkSchema(refused.text, Schemas.acquire)
            #expect(try object(refused.text)["leader"] == "me")
            let late = try await raft.run("acquire", "x", "--id", "other", "--json", "--wait=300ms")
            #expect(late.ending == .exited(75), "\(late.errors)")
            try checkSchema(late.text, Schemas.acquire)
            #expect(raft.cluster.lock("x")?.waiters == [])
            let released = try await raft.run("release", "x", "--json")
            #expect(released.ending == .exited(0))
            try checkSchema(released.text, Schemas.release)
            #expect(try object(released.text)["released"] == true && raft.cluster.owner(of: "x") == nil)
            let again = try await raft.run("release", "x", "--json")
            #expect(again.ending == .exited(1))
            try checkSchema(again.text, Schemas.release)
        }
    }

    @Test("release by id and token, and leaving the queue for another process, print documented JSON") func releaseByID() async throws {
        try await onRaftLock { raft in
            raft.cluster.acquire("x", by: "gone", for: .seconds(60))
            let version = try #require(raft.cluster.lock("x")?.version)
            let wrong = try await raft.run("release", "x", "--id", "gone", "--token", "\(version + 1)", "--json")
            #expect(wrong.ending == .exited(1) && raft.cluster.owner(of: "x") == "gone", "\(wrong.errors)")
            try checkSchema(wrong.text, Schemas.release)
            raft.cluster.enqueue("x", by: "waiter", for: .seconds(60))
            let left = try await raft.run("release", "x", "--cancel-wait", "--id", "waiter", "--json")
            #expect(left.ending == .exited(0), "\(left.errors)")
            try checkSchema(left.text, Schemas.release)
            #expect(raft.cluster.lock("x")?.waiters == [] && raft.cluster.owner(of: "x") == "gone")
            let absent = try await raft.run("release", "x", "--cancel-wait", "--id", "waiter", "--json")
            #expect(absent.ending == .exited(1) && absent.errors.contains("is not waiting"), "\(absent.errors)")
            try checkSchema(absent.text, Schemas.release)
            #expect(try await raft.run("release", "x", "--id", "gone", "--token", "\(version)").ending == .exited(0))
            #expect(raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test("keepalive prints documented events through waiting, election, loss and release, and with --once", arguments: [false, true])
    func keepalive(_ isMended: Bool) async throws {
        try await onRaftLock { raft in
            raft.cluster.change { $0.isMended = isMended }
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            let run = try raft.qq("keepalive", "x", "--id", "me", "--ttl", "15s", "--renew-every", "300ms", "--json")
            try await waitUntil("qq waits: \(run.errors)") { run.output.contains("waiting") && raft.cluster.lock("x")?.waiters == ["me"] }
            raft.cluster.release("x")
            try await waitUntil("the lease is renewed: \(run.output) \(run.errors)") { run.output.contains("renewed") }
            let taken = raft.cluster.release("x") && raft.cluster.acquire("x", by: "thief", for: .seconds(2))
            #expect(taken)
            try await waitUntil("qq has lost the lease: \(run.output) \(run.errors)") { run.output.contains("lost") }
            try await waitUntil("qq leads again: \(run.output) \(run.errors)") {
                try run.told().count { $0["event"] == "elected" } == 2
            }
            try await run.terminate()
            try checkSchema(run.output, Schemas.keepalive, lines: run.output.split(separator: "\n").count)
            #expect(try run.told().last?["event"] == "released" && raft.cluster.owner(of: "x") == nil)
            // A lease left by `acquire` is renewed once.
            #expect(try await raft.run("acquire", "y", "--id", "me", "--ttl", "5s").ending == .exited(0))
            let once = try await raft.run("keepalive", "y", "--once", "--ttl", "60s", "--json")
            #expect(once.ending == .exited(0), "\(once.errors)")
            try checkSchema(once.text, Schemas.keepalive)
            #expect((raft.cluster.lock("y")?.remaining ?? .zero) > .seconds(50))
            #expect(try await raft.run("status", "y", "--mine").ending == .exited(0))
        }
    }

    @Test("status prints documented JSON, alone, in a list and with the servers' advice, and writes nothing") func status() async throws {
        try await onRaftLock { raft in
            raft.cluster.acquire("held", by: "one", for: .seconds(60))
            raft.cluster.enqueue("held", by: "two", for: .seconds(60))
            raft.cluster.acquire("free", by: "one", for: .seconds(60))
            raft.cluster.release("free")
            raft.cluster.enqueue("queue-only", by: "two", for: .seconds(60))
            for (name, code) in [("held", 0), ("free", 1), ("queue-only", 1), ("never-heard-of", 1)] as [(String, Int32)] {
                let run = try await raft.run("status", name, "--json", "--advice")
                #expect(run.ending == .exited(code), "\(name): \(run.text) \(run.errors)")
                try checkSchema(run.text, Schemas.status)
                let state = try object(run.text)
                #expect(state["state"] == (code == 0 ? "held" : "free"), "\(run.text)")
                #expect((state["advice"]?["initial"]?.doubleValue ?? 0) > 0, "\(run.text)")
            }
            let held = try object(try await raft.run("status", "held", "--json").text)
            #expect(held["leader"] == "one" && held["waiters"]?.uint64Value == 1 && (held["ttl"]?.doubleValue ?? 0) == 60)
            let list = try object(try await raft.run("status", "--all", "--json").text)
            let elections = try #require(list["elections"]?.arrayValue)
            #expect(elections.compactMap { $0["name"]?.stringValue } == ["free", "held", "queue-only"])
            for election in elections { #expect(schemaProblems(try #require(election.objectValue), Schemas.status) == []) }
            #expect(raft.writes == 0)
        }
    }

    @Test("watch prints documented JSON for each change, and writes nothing") func watch() async throws {
        try await onRaftLock { raft in
            let run = try raft.qq("watch", "x", "--json")
            func expect(_ events: [String]) async throws {
                try await waitUntil("\(events): \(run.output) \(run.errors)") {
                    try run.told().compactMap { $0["event"]?.stringValue } == events
                }
            }
            try await expect(["state"])
            raft.cluster.acquire("x", by: "one", for: .seconds(60))
            try await expect(["state", "elected"])
            raft.cluster.enqueue("x", by: "two", for: .seconds(60))
            raft.cluster.release("x")
            try await expect(["state", "elected", "changed"])
            raft.cluster.release("x")
            try await expect(["state", "elected", "changed", "released"])
            try await run.terminate()
            try checkSchema(run.output, Schemas.watch, lines: 4)
            let until = try raft.qq("watch", "x", "--until", "leader=three", "--for", "15s", "--json")
            try await waitUntil("watch has started: \(until.errors)") { until.output.contains("state") }
            raft.cluster.acquire("x", by: "three", for: .seconds(60))
            #expect(try await until.finish().ending == .exited(0))
            #expect(raft.writes == 0)
        }
    }

    @Test("step-down prints documented JSON for a free election, for another holder's by force, and for its own") func stepDown()
        async throws
    {
        try await onRaftLock { raft in
            let nobody = try await raft.run("step-down", "x", "--json")
            #expect(nobody.ending == .exited(1))
            try checkSchema(nobody.text, Schemas.stepDown)
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            raft.cluster.enqueue("x", by: "next", for: .seconds(60))
            let denied = try await raft.run("step-down", "x")
            #expect(denied.ending == .exited(77) && denied.errors.contains("--force"), "\(denied.errors)")
            #expect(raft.writes == 0)
            let forced = try await raft.run("step-down", "x", "--force", "--yes", "--json")
            #expect(forced.ending == .exited(0), "\(forced.errors)")
            try checkSchema(forced.text, Schemas.stepDown)
            #expect(try object(forced.text)["leader"] == "other" && raft.cluster.owner(of: "x") == "next")
            #expect(try await raft.run("acquire", "y", "--id", "me").ending == .exited(0))
            #expect(try await raft.run("step-down", "y", "--json").ending == .exited(0))
            #expect(raft.cluster.owner(of: "y") == nil)
            // A guarded command ends when its lease is taken from it.
            let holder = try raft.work(id: "me", ["--ttl", "20s", "--kill-after", "1s"], at: nil)
            #expect(try await holder.finish().ending == .exited(1))
            raft.cluster.release("x")
            let guarded = try raft.work(id: "me", ["--ttl", "20s", "--kill-after", "1s"])
            try await raft.waitForWork(guarded)
            #expect(try await raft.run("step-down", "x", "--force", "--yes").ending == .exited(0))
            #expect(try await guarded.finish().ending == .exited(79))
        }
    }

    @Test("cluster-status shows which node leads, lags or is down, and writes nothing") func clusterStatus() async throws {
        try await onRaftLock { raft in
            func endpoints(_ code: Int32) async throws -> [JSONObject] {
                let run = try await raft.run("cluster-status", "--json")
                #expect(run.ending == .exited(code), "\(run.text) \(run.errors)")
                let line = run.lines.first ?? ""
                #expect(schemaProblems(try object(line), Schemas.clusterStatus) == [])
                let found = try #require(try object(line)["endpoints"]?.arrayValue).compactMap(\.objectValue)
                for endpoint in found { #expect(schemaProblems(endpoint, Schemas.endpoint) == [], "\(line)") }
                return found
            }
            raft.cluster.acquire("x", by: "one", for: .seconds(60))
            raft.cluster.enqueue("x", by: "two", for: .seconds(60))
            let leader = try #require(raft.cluster.leader)
            var all = try await endpoints(0)
            #expect(all.count == 3 && all.allSatisfy { $0["leader_id"]?.stringValue == raft.cluster.id(of: leader) })
            #expect(all.compactMap { $0["node_id"]?.stringValue } == ["node1", "node2", "node3"])
            #expect(all.indices.filter { all[$0]["role"] == "leader" } == [leader])
            #expect(all.indices.filter { all[$0]["can_grant"] == true } == [leader])
            #expect(all[leader]["active_locks"]?.uint64Value == 1 && all[leader]["total_waiters"]?.uint64Value == 1)
            #expect(all.allSatisfy { $0["lag"]?.uint64Value != nil && $0["term"]?.uint64Value != nil })
            let follower = try #require(raft.cluster.followers.first)
            await raft.cluster.kill(follower)
            all = try await endpoints(0)
            #expect(all[follower]["reachable"] == false && all[follower]["problem"]?.stringValue?.contains("refused") == true)
            #expect(all[follower]["role"] == nil)
            // A node that hangs still lists locks.
            let other = try #require(raft.cluster.followers.last)
            raft.cluster.hang(other)
            all = try await endpoints(0)
            #expect(
                all[other]["reachable"] == true && all[other]["can_grant"] == false && all[other]["role"] == "follower", "\(all[other])")
            raft.cluster.hang(other, false)
            raft.cluster.loseLeader()
            all = try await endpoints(0)
            #expect(all.allSatisfy { $0["reachable"] == false || $0["role"] == "unknown" })
            #expect(raft.writes == 0)
            let text = try await raft.run("cluster-status")
            #expect(text.lines.count == 3 && text.text.contains("node_id=node2"), "\(text.text)")
        }
    }
}
