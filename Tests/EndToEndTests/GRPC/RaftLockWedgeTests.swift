import Glibc
import QQCore
import Support
import Testing

@Suite("A Raft leader that answers reads but no writes") struct RaftLockWedgeTests {
    /// A Raft leader that leaves writes unanswered might only be waiting for the other nodes.
    private func tells(_ errors: String, _ raft: RaftPlace, _ leader: Int, _ wedge: RaftLockCluster.Wedge = .refuses) -> Bool {
        errors.contains(
            "leader \(raft.cluster.id(of: leader)) answers reads but "
                + (wedge == .refuses ? "refuses every write; restart it" : "no write"))
    }

    @Test(
        "acquire names the Raft leader that no longer writes, and says that it has to be restarted",
        arguments: [RaftLockCluster.Wedge.refuses, .hangs])
    func acquire(_ wedge: RaftLockCluster.Wedge) async throws {
        try await onRaftLock { raft in
            let leader = try #require(raft.cluster.leader)
            raft.cluster.wedge(wedge)
            let run = try await raft.run("acquire", "x", "--timeout", "2s", "--", "true")
            #expect(run.ending == .exited(69))
            #expect(tells(run.errors, raft, leader, wedge), "\(run.errors)")
            // One failed write is not enough to be sure.
            let once = try await raft.run("acquire", "x", "--timeout", "2s", "--retries", "0", "--", "true")
            #expect(once.ending == .exited(69) && !once.errors.contains("restart"), "\(once.errors)")
            #expect(run.errors.contains(wedge == .refuses ? "only a restart helps" : "restart the leader"), "\(run.errors)")
        }
    }

    @Test(
        "release and step-down name the Raft leader that no longer writes, and leave the lease",
        arguments: [RaftLockCluster.Wedge.refuses, .hangs])
    func release(_ wedge: RaftLockCluster.Wedge) async throws {
        try await onRaftLock { raft in
            let leader = try #require(raft.cluster.leader)
            raft.cluster.acquire("x", by: "me", for: .seconds(60))
            let version = try #require(raft.cluster.lock("x")?.version)
            raft.cluster.wedge(wedge)
            for words in [["release", "x", "--id", "me", "--token", "\(version)"], ["step-down", "x", "--force", "--yes"]] {
                let run = try await raft.qq(words + ["--timeout", "2s"], at: raft.cluster.url).finish()
                #expect(run.ending == .exited(69), "\(words): \(run.errors)")
                #expect(tells(run.errors, raft, leader, wedge), "\(words): \(run.errors)")
            }
            #expect(raft.cluster.owner(of: "x") == "me")
        }
    }

    @Test(
        "after a restart of the Raft leader writes work again, also for a process that retried all the time",
        arguments: [RaftLockCluster.Wedge.refuses, .hangs])
    func restart(_ wedge: RaftLockCluster.Wedge) async throws {
        try await onRaftLock { raft in
            let leader = try #require(raft.cluster.leader)
            raft.cluster.wedge(wedge)
            let run = try raft.work(id: "me", ["--retries", "100", "--timeout", "1s", "--backoff", "100ms..300ms"], ["--for", "20"])
            try await waitUntil("qq names the leader: \(run.errors)") { tells(run.errors, raft, leader, wedge) }
            await raft.cluster.kill(leader)
            try await raft.cluster.restart(leader)
            let end = try await run.finish()
            #expect(end.ending == .exited(0) && raft.box.stamps().begun == 1, "\(end.errors)")
            #expect(raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test(
        "a holder names the Raft leader that no longer writes, its command dies in time, and a restart frees the lock",
        arguments: [RaftLockCluster.Wedge.refuses, .hangs])
    func holding(_ wedge: RaftLockCluster.Wedge) async throws {
        try await onRaftLock(.heavy) { raft in
            let leader = try #require(raft.cluster.leader)
            let holder = try raft.work(id: "me", ["--ttl", "4s", "--kill-after", "1s"], ["--daemon", "--ignore-term"])
            try await raft.waitForWork(holder)
            raft.cluster.wedge(wedge)
            let end = raft.leaseEnd()
            let run = try await holder.finish()
            #expect(run.ending == .exited(79), "\(run.errors)")
            #expect(raft.box.stamps().last < end)
            #expect(tells(run.errors, raft, leader, wedge), "\(run.errors)")
            await raft.cluster.kill(leader)
            try await raft.cluster.restart(leader)
            try await waitUntil("a node leads") { raft.cluster.leader != nil }
            let next = try await raft.run("acquire", "x", "--wait", "--", "true")
            #expect(next.ending == .exited(0), "\(next.errors)")
        }
    }

    @Test("keepalive names the Raft leader that no longer writes, and leads again after a restart") func keepalive() async throws {
        try await onRaftLock { raft in
            let leader = try #require(raft.cluster.leader)
            let holder = try raft.qq("keepalive", "x", "--id", "me", "--ttl", "3s", "--json")
            try await waitUntil("qq leads: \(holder.errors)") { holder.output.contains("elected") }
            raft.cluster.wedge(.refuses)
            try await waitUntil("keepalive names the leader: \(holder.output) \(holder.errors)") { tells(holder.output, raft, leader) }
            await raft.cluster.kill(leader)
            try await raft.cluster.restart(leader)
            try await waitUntil("qq leads: \(holder.output) \(holder.errors)") {
                try holder.told().last?["event"] == "renewed" && raft.cluster.owner(of: "x") == "me"
            }
            try await holder.terminate()
        }
    }

    @Test("a waiter times out or names the Raft leader that no longer writes, and leaves no place in the queue") func waiting() async throws
    {
        try await onRaftLock { raft in
            let leader = try #require(raft.cluster.leader)
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            raft.cluster.wedge(.refuses)
            let waiter = try await raft.run("acquire", "x", "--wait=3s", "--retries", "2", "--", "true")
            #expect(waiter.code == 75 || waiter.code == 69, "\(waiter.ending)")
            #expect(tells(waiter.errors, raft, leader) || waiter.code == 75, "\(waiter.errors)")
            #expect(raft.cluster.lock("x")?.waiters == [])
        }
    }

    @Test("if a Raft leader no longer writes, cluster-status still shows it, writes nothing, and locks can be read") func reading()
        async throws
    {
        try await onRaftLock { raft in
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            raft.cluster.wedge(.hangs)
            let run = try await raft.run("cluster-status", "--json")
            #expect(run.ending == .exited(0), "\(run.errors)")
            let endpoints = try #require(try object(run.text)["endpoints"]?.arrayValue)
            #expect(endpoints.count { $0["role"] == "leader" && $0["serving"] == true } == 1, "\(run.text)")
            #expect(try await raft.run("status", "x").ending == .exited(0))
            #expect(raft.writes == 0)
        }
    }

    @Test("qq's writes never overlap at a Raft leader, however many elections it holds and campaigns for") func neverWedged() async throws {
        try await onRaftLock(.heavy, clusterSettings { $0.writeTime = .milliseconds(15) }) { raft in
            raft.cluster.change { $0.wedgesOnOverlap = true }
            raft.cluster.acquire("e9", by: "other", for: .seconds(4))
            let names = (0..<10).map { "e\($0)" }
            let holder = try raft.qq(
                ["keepalive"] + names + ["--id", "me", "--ttl", "30s", "--renew-every", "400ms"], at: raft.cluster.url)
            try await waitUntil("all leases are held: \(holder.output) \(holder.errors)") {
                names.allSatisfy { holder.output.contains("\t\($0)\telected\t") }
            }
            let before = raft.cluster.calls("Renew")
            try await waitUntil("all leases are renewed: \(holder.errors)") { raft.cluster.calls("Renew") >= before + 30 }
            try await holder.terminate()
            #expect(raft.cluster.mostWritesAtOnce(by: "me") == 1)
            #expect(names.allSatisfy { raft.cluster.owner(of: $0) == nil }, "\(holder.errors)")
        }
    }
}

@Suite("RaftLock servers that limit requests") struct RaftLockRateTests {
    @Test("requests beyond the limit are repeated after a pause") func retried() async throws {
        try await onRaftLock { raft in
            raft.cluster.change { $0.rateLimited = 3 }
            let run = try await raft.run("acquire", "x", "--id", "me", "--retries", "5", "--", "true")
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(run.errors.contains("rate limit exceeded") && run.errors.contains("trying again in"), "\(run.errors)")
            raft.cluster.change { $0.rateLimited = 2 }
            #expect(try await raft.run("status", "x").ending == .exited(1))
            raft.cluster.change { $0.rateLimited = 2 }
            #expect(try await raft.run("status", "--all").ending == .exited(0))
        }
    }

    @Test("when retries of rate-limited requests run out, the error says so; the pauses between them grow") func runsOut() async throws {
        try await onRaftLock { raft in
            raft.cluster.change { $0.rateLimited = 100_000 }
            let began = ContinuousClock.now
            let run = try await raft.run("acquire", "x", "--id", "host/1", "--retries", "4", "--backoff", "100ms..5s", "--", "true")
            #expect(run.ending == .exited(69))
            #expect(
                run.errors.contains("rate limit exceeded") && run.errors.contains("limits the number of requests per second"),
                "\(run.errors)")
            // 100, 200, 400 and 800 ms, minus up to a tenth.
            #expect(ContinuousClock.now - began > .milliseconds(1300))
            #expect(raft.calls <= 20, "\(raft.calls)")
            #expect(try await raft.run("status", "x", "--retries", "1").ending == .exited(69))
            #expect(try await raft.run("release", "x", "--id", "me", "--token", "1", "--retries", "1").ending == .exited(69))
            #expect(raft.cluster.lock("x") == nil)
        }
    }

    @Test("a holder and a waiter survive a server that limits requests") func gotOver() async throws {
        try await onRaftLock { raft in
            let holder = try raft.work(id: "me", ["--ttl", "30s", "--renew-every", "300ms"])
            try await raft.waitForWork(holder)
            let waiter = try raft.work(id: "next", ["--wait"], log: "next", ["--for", "20"])
            try await raft.waitForWaiter(waiter, id: "next")
            raft.cluster.change { $0.rateLimited = 12 }
            let before = raft.cluster.calls("Renew", by: "me")
            try await waitUntil("renewals get through: \(holder.errors)") { raft.cluster.calls("Renew", by: "me") >= before + 12 }
            #expect(holder.child.isRunning && holder.errors.contains("rate limit exceeded"), "\(holder.errors)")
            try await holder.terminate()
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
            #expect(overlaps([raft.box.stamps(), raft.box.stamps("next")]) == [])
        }
    }
}
