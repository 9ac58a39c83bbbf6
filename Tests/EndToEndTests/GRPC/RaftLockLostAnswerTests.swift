import Glibc
import Support
import Testing

/// Requests whose outcome is unknown.
@Suite("Lost answers from RaftLock") struct RaftLockLostAnswerTests {
    /// With a configured id `qq` reads before it asks.
    private static let identities: [String?] = [nil, "me"]

    /// The first endpoint leads, so no call is lost to a follower.
    private func onLeader(
        _ load: Gate.Load = .light, promotionLasts: Duration = .seconds(30), _ body: (RaftPlace) async throws -> Void
    ) async throws {
        let settings = clusterSettings { ($0.leader, $0.defaultTTL) = (0, promotionLasts) }
        try await onRaftLock(load, settings, body)
    }

    @Test("a lost answer to acquire is resolved by reading: the command runs once, and no lease is left behind", arguments: identities)
    func lostAcquire(_ id: String?) async throws {
        try await onLeader { raft in
            raft.cluster.change { $0.calls.lost = ["Acquire": 1] }
            let (began, asked) = (ContinuousClock.now, bootNow())
            let run = try raft.work(id: id, ["--timeout", "3s", "--ttl", "30s"], ["--for", "30"])
            let end = try await run.finish()
            #expect(end.ending == .exited(0), "\(end.errors)")
            // Long before the lost lease would have expired.
            #expect(ContinuousClock.now - began < .seconds(14) + busyTime(since: began))
            #expect(raft.box.stamps().begun == 1 && raft.cluster.owner(of: "x") == nil)
            // Only after waiting for the answer, which takes a part of the timeout.
            #expect(raft.box.stamps().all.first.map { $0.at > asked + 300_000_000 } ?? false)
            #expect(end.errors.contains("no answer in time") || raft.cluster.calls("Release") >= 2, "\(end.errors)")
        }
    }

    @Test(
        "several lost answers to acquire in a row are resolved: the command runs once, and no lease is left behind", arguments: identities)
    func lostAcquires(_ id: String?) async throws {
        try await onLeader { raft in
            raft.cluster.change { $0.calls.lost = ["Acquire": 3] }
            let run = try raft.work(id: id, ["--timeout", "4s", "--retries", "3", "--ttl", "60s"], ["--for", "30"])
            try await waitUntil("the lease is granted: \(run.errors)") { raft.cluster.owner(of: "x") != nil }
            let end = try await run.finish()
            #expect(end.ending == .exited(0), "\(end.errors)")
            #expect(raft.box.stamps().begun == 1 && raft.cluster.owner(of: "x") == nil, "\(end.errors)")
            #expect(raft.cluster.calls("Acquire") == 4)
            // If `qq` gives up after its retries, no lease is left behind either.
            raft.cluster.change { $0.calls.lost = ["Acquire": 3] }
            let given = try await raft.run("acquire", "y", "--timeout", "4s", "--retries", "1", "--", "true")
            #expect(given.ending == .exited(69) && raft.cluster.calls("Acquire") == 6, "\(given.errors)")
            #expect(raft.cluster.owner(of: "y") == nil)
        }
    }

    @Test("a lost answer to release is resolved by reading, and qq exits as the command did") func lostRelease() async throws {
        try await onLeader { raft in
            raft.cluster.change { $0.calls.lost = ["Release": 1] }
            let run = try await raft.run("acquire", "x", "--timeout", "3s", "--ttl", "60s", "--", "sh", "-c", "exit 7")
            #expect(run.ending == .exited(7) && raft.cluster.owner(of: "x") == nil, "\(run.errors)")
            #expect(raft.cluster.calls("Release") == 1)
            // Another process with the same identity, which is next in the queue, keeps its lease.
            raft.cluster.change { $0.calls.lost = ["Release": 1] }
            #expect(try await raft.run("acquire", "x", "--id", "me", "--ttl", "60s").ending == .exited(0))
            raft.cluster.enqueue("x", by: "me", for: .seconds(60))
            let release = try await raft.run("release", "x", "--timeout", "3s", "--json")
            #expect(release.ending == .exited(0), "\(release.errors)")
            #expect(raft.cluster.owner(of: "x") == "me" && raft.cluster.calls("Release") == 2)
        }
    }

    @Test("lost answers to renewals do no harm, whether or not the servers answer renewals with false errors", arguments: [false, true])
    func lostRenewals(_ isMended: Bool) async throws {
        try await onLeader { raft in
            raft.cluster.change { $0.isMended = isMended }
            let holder = try raft.work(id: "me", ["--ttl", "30s", "--renew-every", "500ms", "--timeout", "1s"])
            try await raft.waitForWork(holder)
            // A busy machine can be too slow for the first try.
            let asked = raft.cluster.calls("Acquire")
            for count in [1, 3] {
                raft.cluster.change { $0.calls.lost = ["Renew": count] }
                let before = raft.cluster.calls("Renew", by: "me")
                try await waitUntil("renewals continue: \(holder.errors)") { raft.cluster.calls("Renew", by: "me") >= before + count + 2 }
                #expect(holder.child.isRunning && raft.cluster.owner(of: "x") == "me", "\(holder.errors)")
            }
            #expect(raft.box.stamps().begun == 1 && raft.cluster.calls("Acquire") == asked)
            try await holder.terminate()
            #expect(raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test("renewals that are neither answered nor carried out end the command before the lease") func renewalsNotCarriedOut() async throws {
        try await onLeader(.heavy) { raft in
            let holder = try raft.work(id: "me", ["--ttl", "4s", "--kill-after", "1s"], ["--daemon", "--ignore-term"])
            try await raft.waitForWork(holder)
            raft.cluster.setMajority(false)
            let end = raft.leaseEnd()
            let run = try await holder.finish()
            #expect(run.ending == .exited(79), "\(run.errors)")
            #expect(raft.box.stamps().last < end)
            // The requests that waited in the log are carried out now; the lease that they make expires.
            raft.cluster.setMajority(true)
            let next = try await raft.run("acquire", "x", "--wait", "--", "true")
            #expect(next.ending == .exited(0), "\(next.errors)")
        }
    }

    @Test(
        "answers lost in the queue do not cost the turn, and the command runs once",
        arguments: ["EnqueueWaiter", "CancelWait", "Acquire", "GetLockInfo"])
    func lostInTheQueue(_ method: String) async throws {
        // A lease that might have been granted to another process with the same identity is waited for.
        let (promotion, ttl): (Duration, String) = method == "Acquire" ? (.seconds(5), "4s") : (.seconds(30), "15s")
        try await onLeader(promotionLasts: promotion) { raft in
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            let waiter = try raft.work(id: "me", ["--wait", "--timeout", "1s", "--ttl", ttl], ["--for", "20"])
            try await raft.waitForWaiter(waiter, id: "me")
            raft.cluster.change { $0.calls.lost = [method: 2] }
            if method == "EnqueueWaiter" {
                let before = raft.cluster.calls(method)
                try await waitUntil("the place in the queue is refreshed: \(waiter.errors)") { raft.cluster.calls(method) >= before + 3 }
            }
            #expect(raft.cluster.release("x"))
            let run = try await waiter.finish()
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(raft.box.stamps().begun == 1)
            try await waitUntil("no lease and no waiter is left: \(String(describing: raft.cluster.lock("x")))", within: .seconds(12)) {
                raft.cluster.owner(of: "x") == nil && raft.cluster.lock("x")?.waiters == []
            }
        }
    }

    @Test("an acquire that times out without a majority is used or released if it is carried out later", arguments: identities)
    func majorityComesBack(_ id: String?) async throws {
        try await onLeader { raft in
            raft.cluster.setMajority(false)
            let run = try raft.work(
                id: id, ["--timeout", "1s", "--retries", "50", "--ttl", "60s", "--backoff", "100ms..300ms"], ["--for", "20"])
            try await waitUntil("the server was asked twice: \(run.errors)") { raft.cluster.calls("Acquire") >= 2 }
            #expect(raft.cluster.owner(of: "x") == nil && run.errors.contains("no answer in time"), "\(run.errors)")
            raft.cluster.setMajority(true)
            let end = try await run.finish()
            #expect(end.ending == .exited(0), "\(end.errors)")
            #expect(raft.box.stamps().begun == 1 && raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test("a lease granted while qq gives up is released", arguments: identities)
    func majorityComesBackLate(_ id: String?) async throws {
        try await onLeader { raft in
            raft.cluster.setMajority(false)
            let run = try raft.work(id: id, ["--timeout", "5s", "--retries", "0", "--ttl", "60s"])
            try await waitUntil("the server was asked: \(run.errors)") { raft.cluster.calls("Acquire") == 1 }
            let looks = raft.cluster.calls("GetLockInfo")
            try await waitUntil("qq has timed out and looks for a late grant: \(run.errors)") {
                raft.cluster.calls("GetLockInfo") >= looks + 3
            }
            raft.cluster.setMajority(true)
            #expect(raft.cluster.owner(of: "x") != nil)
            let end = try await run.finish()
            #expect(end.ending == .exited(69), "\(end.errors)")
            #expect(end.errors.contains("no answer in time"), "\(end.errors)")
            #expect(raft.box.stamps().all.isEmpty && raft.cluster.owner(of: "x") == nil, "\(end.errors)")
        }
    }

    @Test("the error of an uncertain acquire says that it can still be carried out, which a waiter waits out") func tellsOfTheDoubt()
        async throws
    {
        try await onLeader { raft in
            raft.cluster.setMajority(false)
            let run = try await raft.run("acquire", "x", "--id", "me", "--timeout", "4s", "--retries", "0", "--ttl", "3s", "--", "true")
            #expect(run.ending == .exited(69), "\(run.errors)")
            #expect(run.errors.contains("might still be carried out"), "\(run.errors)")
            raft.cluster.setMajority(true)
            #expect(raft.cluster.owner(of: "x") == "me")
            let next = try await raft.run("acquire", "x", "--id", "next", "--wait", "--", "true")
            #expect(next.ending == .exited(0), "\(next.errors)")
        }
    }

    @Test("qq that gets SIGTERM during an uncertain acquire releases the lease if it is granted", arguments: identities)
    func toldToEnd(_ id: String?) async throws {
        try await onLeader { raft in
            raft.cluster.setMajority(false)
            let run = try raft.work(id: id, ["--timeout", "30s", "--ttl", "60s"])
            try await waitUntil("the server was asked: \(run.errors)") { raft.cluster.calls("Acquire") == 1 }
            run.child.signal(SIGTERM)
            // Otherwise the grant could arrive before the signal.
            let status = "/proc/\(run.child.pid)/status"
            try await waitUntil("the signal is delivered") { readText(status).contains("ShdPnd:\t0000000000000000") }
            raft.cluster.setMajority(true)
            let end = try await run.finish()
            #expect(end.ending == .exited(128 + SIGTERM), "\(end.errors)")
            #expect(raft.box.stamps().all.isEmpty && raft.cluster.owner(of: "x") == nil, "\(end.errors)")
        }
    }

    @Test("qq that gets SIGTERM as it is elected either begins or not, and leaves no unreported lease", arguments: 0..<6)
    func toldToEndElected(_ round: Int) async throws {
        try await onLeader { raft in
            raft.cluster.setMajority(false)
            let url = raft.cluster.url
            let hooks = ["--on-elected", "echo elected >>hooks", "--on-lost", "echo lost >>hooks"]
            let keeping = try raft.qq(["keepalive", "x", "--id", "keeper", "--timeout", "30s"] + hooks, at: url)
            let taking = try raft.qq(["acquire", "y", "--id", "taker", "--timeout", "30s", "--ttl", "60s"], at: url)
            try await waitUntil("both leases were asked for") { raft.cluster.calls("Acquire") == 2 }
            raft.cluster.setMajority(true)
            if round % 2 == 1 { try await Task.sleep(for: .milliseconds(round)) }
            keeping.child.signal(SIGTERM)
            taking.child.signal(SIGTERM)
            let kept = try await keeping.finish()
            #expect(kept.ending == .exited(0), "\(kept.errors)")
            #expect(raft.cluster.owner(of: "x") == nil)
            #expect(["", "elected\nlost\n"].contains(raft.box.read("hooks")), "\(raft.box.read("hooks"))")
            let taken = try await taking.finish()
            #expect(taken.ending == .exited(raft.cluster.owner(of: "y") == nil ? 128 + SIGTERM : 0), "\(taken.output) \(taken.errors)")
        }
    }

    @Test("lost answers while renewing and releasing a saved grant are resolved too") func savedGrant() async throws {
        try await onLeader { raft in
            #expect(try await raft.run("acquire", "x", "--id", "me", "--ttl", "40s").ending == .exited(0))
            raft.cluster.change { $0.calls.lost = ["Renew": 1] }
            let once = try await raft.run("keepalive", "x", "--once", "--ttl", "60s", "--timeout", "3s")
            #expect(once.ending == .exited(0), "\(once.errors)")
            #expect((raft.cluster.lock("x")?.remaining ?? .zero) > .seconds(50))
            raft.cluster.change { $0.calls.lost = ["Release": 1, "GetLockInfo": 1] }
            let release = try await raft.run("release", "x", "--timeout", "3s")
            #expect(release.ending == .exited(0), "\(release.errors)")
            #expect(raft.cluster.owner(of: "x") == nil)
        }
    }
}
