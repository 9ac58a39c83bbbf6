import Glibc
import Support
import Testing

/// How a Raft leader ceases to lead.
enum LeaderEnd: String, Sendable, CaseIterable, CustomTestStringConvertible {
    /// Another node is elected while this one runs.
    case moved
    /// All its connections are cut, and it ends.
    case killed
    /// The node answers pending requests, announces its end, and ends.
    case stopped

    var testDescription: String { rawValue }

    func befall(_ cluster: RaftLockCluster) async throws {
        let leader = try #require(cluster.leader)
        switch self {
        case .moved: cluster.moveLeader(to: (leader + 1) % 3)
        case .killed: await cluster.kill(leader)
        case .stopped: await cluster.stop(leader)
        }
    }
}

@Suite("A change of the Raft leader") struct RaftLockLeaderTests {
    @Test("a guarded command continues when the Raft leader changes", arguments: LeaderEnd.allCases) func holding(_ end: LeaderEnd)
        async throws
    {
        try await onRaftLock { raft in
            let holder = try raft.work(id: "me", ["--ttl", "30s", "--renew-every", "400ms"])
            try await raft.waitForWork(holder)
            for _ in 0..<(end == .moved ? 4 : 1) {
                try await end.befall(raft.cluster)
                try await waitUntil("a node leads") { raft.cluster.leader != nil }
                let leader = try #require(raft.cluster.leader)
                let before = raft.cluster.calls(to: leader)["Renew", "me"]
                try await waitUntil("the lease is renewed there: \(holder.errors)") {
                    raft.cluster.calls(to: leader)["Renew", "me"] >= before + 3
                }
            }
            #expect(holder.child.isRunning && raft.cluster.owner(of: "x") == "me")
            #expect(raft.cluster.calls("Acquire") == 1 && raft.box.stamps().begun == 1)
            // The addresses that the nodes name are those at which the nodes reach each other, so they are not used.
            #expect(raft.cluster.peerConnections == 0)
            try await holder.terminate()
            #expect(raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test("waiters keep their places when the Raft leader changes, and get their turn", arguments: LeaderEnd.allCases)
    func waiting(_ end: LeaderEnd) async throws {
        try await onRaftLock { raft in
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            let waiter = try raft.work(id: "me", ["--wait"], ["--for", "50"])
            try await raft.waitForWaiter(waiter, id: "me")
            try await end.befall(raft.cluster)
            try await waitUntil("a node leads") { raft.cluster.leader != nil }
            let asked = raft.cluster.calls("EnqueueWaiter", by: "me")
            try await waitUntil("the place in the queue is refreshed: \(waiter.errors)") {
                raft.cluster.calls("EnqueueWaiter", by: "me") > asked
            }
            #expect(raft.cluster.release("x"))
            let run = try await waiter.finish()
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(raft.box.stamps().begun == 1 && raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test("a release during a change of the Raft leader succeeds", arguments: LeaderEnd.allCases)
    func releasing(_ end: LeaderEnd) async throws {
        try await onRaftLock { raft in
            let leader = try #require(raft.cluster.leader)
            let holder = try raft.box.start(
                [
                    Sandbox.binary, "acquire", "x", "--id", "me", "--ttl", "30s", "--timeout", "2s", "--retries", "20", "--", "sh", "-c",
                    "until [ -e stop ]; do sleep 0.05; done",
                ], environment: ["QQ_SERVER": raft.cluster.url])
            try await waitUntil("qq holds the lease: \(holder.errors)") { raft.cluster.owner(of: "x") == "me" }
            raft.cluster.hang(leader)
            try raft.box.write("", to: "stop")
            try await waitUntil("qq asks: \(holder.errors)") { raft.cluster.calls(to: leader)["Release"] > 0 }
            try await end.befall(raft.cluster)
            let run = try await holder.finish()
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(raft.cluster.owner(of: "x") == nil, "\(run.errors)")
        }
    }

    @Test("an acquire without a Raft leader is retried until there is one") func acquiring() async throws {
        try await onRaftLock { raft in
            raft.cluster.loseLeader()
            let run = try raft.work(id: "me", ["--retries", "50", "--backoff", "50ms..200ms"], ["--for", "10"])
            try await waitUntil("qq tries again: \(run.errors)") { run.errors.contains("no leader available") }
            raft.cluster.moveLeader(to: 2)
            let end = try await run.finish()
            #expect(end.ending == .exited(0) && raft.cluster.owner(of: "x") == nil, "\(end.errors)")
            raft.cluster.loseLeader()
            let none = try await raft.run("acquire", "x", "--retries", "1", "--", "true")
            #expect(none.ending == .exited(69), "\(none.errors)")
            #expect(none.errors.contains("no leader available") && none.errors.contains("cluster-status"), "\(none.errors)")
            let status = try await raft.run("status", "x", "--retries", "1")
            #expect(status.ending == .exited(69) && status.errors.contains("no node answers as the leader does"), "\(status.errors)")
        }
    }

    @Test("a guarded command continues if all nodes are down and back before its lease ends") func allGoneForAMoment() async throws {
        try await onRaftLock { raft in
            let holder = try raft.work(id: "me", ["--ttl", "30s", "--renew-every", "500ms", "--kill-after", "1s"])
            try await raft.waitForWork(holder)
            for node in 0..<3 { await raft.cluster.kill(node) }
            try await waitUntil("qq reports it: \(holder.errors)") { holder.errors.contains("refused") }
            try await Task.sleep(for: .seconds(2))
            for node in 0..<3 { try await raft.cluster.restart(node) }
            let before = raft.cluster.calls("Renew", by: "me")
            try await waitUntil("the lease is renewed: \(holder.errors)") { raft.cluster.calls("Renew", by: "me") >= before + 3 }
            #expect(holder.child.isRunning && raft.cluster.owner(of: "x") == "me" && raft.box.stamps().begun == 1)
            try await holder.terminate()
        }
    }

    @Test("watch reports that all nodes are down, and that they are back, once each, and continues") func watching() async throws {
        try await onRaftLock { raft in
            raft.cluster.acquire("x", by: "one", for: .seconds(60))
            let watch = try raft.qq("watch", "x", "--json")
            try await waitUntil("watch has started: \(watch.errors)") { !watch.output.isEmpty }
            for node in 0..<3 { await raft.cluster.kill(node) }
            try await waitUntil("watch reports it: \(watch.errors)") { watch.errors.contains("unreachable: ") }
            try await Task.sleep(for: .seconds(2))
            for node in 0..<3 { try await raft.cluster.restart(node) }
            try await waitUntil("watch reads again: \(watch.errors)") { watch.errors.contains("connected: raftlock://") }
            raft.cluster.release("x")
            try await waitUntil("watch reports the release: \(watch.output) \(watch.errors)") { watch.output.contains("released") }
            try await watch.terminate()
            #expect(try watch.told().map { $0["event"]?.stringValue } == ["state", "released"])
            #expect(watch.errors.split(separator: "\n").count == 2, "\(watch.errors)")
        }
    }

    @Test("if all nodes are down for longer than a lease, its command dies in time, and a waiter leads when they are back")
    func allGone() async throws {
        try await onRaftLock(.heavy) { raft in
            let holder = try raft.work(id: "me", ["--ttl", "4s", "--kill-after", "1s"], log: "one", ["--daemon", "--ignore-term"])
            try await raft.waitForWork(holder, log: "one")
            // The waiter retries for longer than the lease lasts, even on a busy machine.
            let next = try raft.work(id: "next", ["--wait", "--ttl", "4s", "--retries", "30"], log: "two", ["--for", "20"])
            try await raft.waitForWaiter(next, id: "next")
            for node in 0..<3 { await raft.cluster.kill(node) }
            let end = raft.leaseEnd()
            let run = try await holder.finish()
            #expect(run.ending == .exited(79), "\(run.errors)")
            #expect(run.errors.contains("not renewed in time"), "\(run.errors)")
            #expect(raft.box.stamps("one").last < end)
            for node in 0..<3 { try await raft.cluster.restart(node) }
            #expect(try await next.finish(within: .seconds(90)).ending == .exited(0), "\(next.errors)")
            #expect(overlaps([raft.box.stamps("two")]) == [] && raft.box.stamps("two").first > end)
        }
    }

    @Test("keepalive leads again after all nodes were down for longer than its lease") func keepaliveComesBack() async throws {
        try await onRaftLock { raft in
            let holder = try raft.qq("keepalive", "x", "--id", "me", "--ttl", "2s", "--json")
            try await waitUntil("qq leads: \(holder.errors)") { holder.output.contains("elected") }
            for node in 0..<3 { await raft.cluster.kill(node) }
            try await waitUntil("qq has lost the lease: \(holder.output) \(holder.errors)") { holder.output.contains("lost") }
            for node in 0..<3 { try await raft.cluster.restart(node) }
            try await waitUntil("qq leads again: \(holder.output) \(holder.errors)") {
                try holder.told().count { $0["event"] == "elected" } == 2
            }
            #expect(raft.cluster.owner(of: "x") == "me")
            try await holder.terminate()
        }
    }

    @Test("a lease that a failover forgot is lost immediately and reported") func forgotten() async throws {
        try await onRaftLock { raft in
            let holder = try raft.work(id: "me", ["--ttl", "20s", "--kill-after", "1s"], ["--daemon", "--ignore-term"])
            try await raft.waitForWork(holder)
            let began = ContinuousClock.now
            try await LeaderEnd.moved.befall(raft.cluster)
            raft.cluster.forgetLocks()
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("the lease was removed"), "\(run.errors)")
            #expect(ContinuousClock.now - began < .seconds(10) + busyTime(since: began))
        }
    }
}

@Suite("RaftLock nodes missing from the URL") struct RaftLockRedirectTests {
    @Test("if the URL names only a follower, the error names the Raft leader and --follow-redirects, after few calls") func onlyAFollower()
        async throws
    {
        try await onRaftLock { raft in
            let follower = try #require(raft.cluster.followers.first)
            let leader = raft.cluster.id(of: try #require(raft.cluster.leader))
            let run = try await raft.run("acquire", "x", "--retries", "0", "--", "true", at: raft.cluster.url(of: [follower]))
            #expect(run.ending == .exited(69), "\(run.errors)")
            #expect(run.errors.contains("the leader is \(leader)") && run.errors.contains("--follow-redirects"), "\(run.errors)")
            #expect(raft.calls <= 6 && raft.cluster.peerConnections == 0, "\(raft.calls) calls")
            // The redirect leads to a port that does not serve RaftLock.
            let following = try await raft.run(
                "acquire", "x", "--retries", "0", "--follow-redirects", "--", "true", at: raft.cluster.url(of: [follower]))
            #expect(following.ending == .exited(69), "\(following.errors)")
            #expect(following.errors.contains(leader), "\(following.errors)")
            #expect(raft.calls <= 16 && raft.cluster.peerConnections <= 3, "\(raft.calls) \(raft.cluster.peerConnections)")
            #expect(raft.cluster.lock("x") == nil)
        }
    }

    @Test("redirects between two followers do not go round in circles") func twoFollowers() async throws {
        try await onRaftLock { raft in
            let url = raft.cluster.url(of: raft.cluster.followers)
            for options in [[], ["--follow-redirects"]] {
                let before = raft.calls
                let run = try await raft.qq(["acquire", "x", "--retries", "2"] + options + ["--", "true"], at: url).finish()
                #expect(run.ending == .exited(69), "\(run.errors)")
                #expect(raft.calls - before <= 30, "\(raft.calls - before)")
            }
        }
    }

    @Test("--follow-redirects finds the Raft leader if the nodes name the service's port, also when it changes")
    func following() async throws {
        try await onRaftLock { raft in
            raft.cluster.change { $0.redirectsToService = true }
            let url = raft.cluster.url(of: [try #require(raft.cluster.followers.first)])
            let holder = try raft.work(
                id: "me", ["--follow-redirects", "--ttl", "30s", "--renew-every", "400ms"], at: url)
            try await raft.waitForWork(holder)
            try await waitUntil("the lease is renewed: \(holder.errors)") { raft.cluster.calls("Renew", by: "me") >= 3 }
            let waiter = try raft.work(id: "next", ["--follow-redirects", "--wait"], log: "next", ["--for", "20"], at: url)
            try await raft.waitForWaiter(waiter, id: "next")
            raft.cluster.moveLeader(to: try #require(raft.cluster.followers.last))
            let before = raft.cluster.calls("Renew", by: "me")
            try await waitUntil("the lease is renewed at the new Raft leader: \(holder.errors)") {
                raft.cluster.calls("Renew", by: "me") >= before + 3
            }
            #expect(holder.child.isRunning)
            try await holder.terminate()
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
            #expect(overlaps([raft.box.stamps(), raft.box.stamps("next")]) == [])
            #expect(raft.cluster.owner(of: "x") == nil)
        }
    }
}
