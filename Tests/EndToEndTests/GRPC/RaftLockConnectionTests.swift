import Glibc
import Support
import Testing

@Suite("Bad connections to RaftLock") struct RaftLockConnectionTests {
    @Test("slow connections are enough to acquire, renew and wait for leases") func slow() async throws {
        try await onRaftLock { raft in
            let (proxies, url) = try raft.proxies()
            for proxy in proxies {
                proxy.conditions.delay = .milliseconds(120)
                proxy.conditions.bytesPerSecond = 20_000
            }
            let holder = try raft.work(id: "me", ["--ttl", "6s"], ["--for", "7000", "--every", "10"], at: url)
            try await raft.waitForWork(holder)
            let waiter = try raft.work(id: "next", ["--wait", "--ttl", "6s"], log: "next", ["--for", "20"], at: url)
            try await raft.waitForWaiter(waiter, id: "next")
            #expect(try await holder.finish().ending == .exited(0), "\(holder.errors)")
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
            #expect(raft.cluster.calls("Renew", by: "me") >= 2)
            #expect(overlaps([raft.box.stamps(), raft.box.stamps("next")]) == [] && raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test("a holder and a waiter continue over new connections when theirs are cut repeatedly") func cut() async throws {
        try await onRaftLock { raft in
            let (proxies, url) = try raft.proxies()
            let holder = try raft.work(id: "me", ["--ttl", "30s", "--renew-every", "300ms"], at: url)
            try await raft.waitForWork(holder)
            let waiter = try raft.work(id: "next", ["--wait"], log: "next", ["--for", "20"], at: url)
            try await raft.waitForWaiter(waiter, id: "next")
            for round in 0..<12 {
                try await Task.sleep(for: .milliseconds(300))
                for proxy in proxies { proxy.cut(reset: round.isMultiple(of: 2)) }
            }
            let before = raft.cluster.calls("Renew", by: "me")
            try await waitUntil("the lease is renewed: \(holder.errors)") { raft.cluster.calls("Renew", by: "me") >= before + 2 }
            #expect(holder.child.isRunning && waiter.child.isRunning && raft.cluster.calls("Acquire", by: "me") == 1, "\(holder.errors)")
            try await holder.terminate()
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
            #expect(overlaps([raft.box.stamps(), raft.box.stamps("next")]) == [] && raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test("while connections keep being cut, qq pauses before it makes new ones") func pauses() async throws {
        try await onRaftLock { raft in
            let (proxies, url) = try raft.proxies()
            let holder = try raft.work(id: "me", ["--ttl", "30s", "--renew-every", "500ms"], at: url)
            try await raft.waitForWork(holder)
            let before = proxies.reduce(0) { $0 + $1.accepted }
            let end = ContinuousClock.now + .seconds(3)
            while ContinuousClock.now < end {
                for proxy in proxies { proxy.cut() }
                try await Task.sleep(for: .milliseconds(5))
            }
            let made = proxies.reduce(0) { $0 + $1.accepted } - before
            #expect(made < 300, "\(made) connections in three seconds")
            try await waitUntil("qq continues: \(holder.errors)") { raft.cluster.owner(of: "x") == "me" && holder.child.isRunning }
            try await holder.terminate()
        }
    }

    @Test(
        "refused and reset connections are reported as failures, not as a refused lease",
        arguments: [Proxy.Conditions.Arrivals.refused, .reset])
    func refused(_ arrivals: Proxy.Conditions.Arrivals) async throws {
        try await onRaftLock { raft in
            let (proxies, url) = try raft.proxies()
            for proxy in proxies { proxy.conditions.arrivals = arrivals }
            for words in [
                ["status", "x", "--retries", "1"], ["acquire", "x", "--retries", "1", "--", "true"], ["cluster-status"],
                ["release", "x", "--id", "me", "--token", "1", "--retries", "1"], ["step-down", "x", "--force", "--yes", "--retries", "1"],
                ["status", "--all", "--retries", "1"],
            ] {
                let run = try await raft.qq(words, at: url).finish()
                #expect(run.ending == .exited(69), "\(words): \(run.errors)")
                if arrivals == .refused { #expect(run.errors.contains("refused"), "\(words): \(run.errors)") }
            }
        }
    }

    @Test("every command gives up in time on nodes that are silent") func silentFromTheStart() async throws {
        try await onRaftLock { raft in
            let (proxies, url) = try raft.proxies()
            for proxy in proxies { proxy.silence() }
            let commands = [
                ["status", "x"], ["status", "--all"], ["acquire", "x", "--", "true"], ["acquire", "x", "--id", "me"],
                ["release", "x", "--id", "me", "--token", "1"], ["step-down", "x", "--force", "--yes"],
                ["status", "x", "--advice"],
            ]
            for words in commands {
                let options = ["--timeout", "1s", "--retries", "0"]
                let split = words.firstIndex(of: "--") ?? words.endIndex
                let began = ContinuousClock.now
                let run = try await raft.qq(Array(words[..<split]) + options + Array(words[split...]), at: url).finish()
                #expect(run.ending == .exited(69) && run.errors.contains("no answer in time"), "\(words): \(run.errors)")
                #expect(ContinuousClock.now - began < .seconds(6) + busyTime(since: began), "\(words)")
            }
            let began = ContinuousClock.now
            let status = try await raft.qq(["cluster-status", "--timeout", "1s"], at: url).finish()
            #expect(status.ending == .exited(69) && ContinuousClock.now - began < .seconds(6) + busyTime(since: began), "\(status.errors)")
        }
    }

    @Test("a single silent node does not hold qq up", arguments: [false, true]) func oneSilent(_ isLeader: Bool) async throws {
        try await onRaftLock(.light, clusterSettings { $0.leader = 1 }) { raft in
            let (proxies, url) = try raft.proxies()
            proxies[isLeader ? 1 : 0].silence()
            let status = try await raft.qq(["cluster-status", "--json"], at: url).finish()
            let endpoints = try #require(try object(status.text)["endpoints"]?.arrayValue)
            #expect(endpoints.count { $0["reachable"] == true } == 2 && status.ending == .exited(0), "\(status.text)")
            let began = ContinuousClock.now
            let run = try await raft.qq(["acquire", "x", "--retries", "0", "--", "true"], at: url).finish()
            #expect(run.ending == .exited(isLeader ? 69 : 0), "\(run.errors)")
            #expect(ContinuousClock.now - began < .seconds(9) + busyTime(since: began))
            if isLeader { #expect(run.errors.contains("node2"), "\(run.errors)") }
        }
    }

    @Test("a command is dead before its lease ends if the connections are silent in one direction or both", arguments: [true, false])
    func silentWhileHolding(_ isDeaf: Bool) async throws {
        try await onRaftLock(.heavy) { raft in
            let (proxies, url) = try raft.proxies()
            let holder = try raft.work(
                id: "me", ["--ttl", "4s", "--kill-after", "1s"], ["--daemon", "--ignore-term"], at: url)
            try await raft.waitForWork(holder)
            try await waitUntil("the lease is renewed") { raft.cluster.calls("Renew", by: "me") >= 1 }
            let next = try raft.work(id: "next", ["--wait"], log: "next", ["--for", "20"])
            try await raft.waitForWaiter(next, id: "next")
            // The nodes might still receive its renewals; then they count the lease as longer than the holder does.
            for proxy in proxies { proxy.silence(isDeaf ? [.toClient] : [.toClient, .toServer]) }
            let silent = bootNow()
            let run = try await holder.finish()
            #expect(run.ending == .exited(79), "\(run.errors)")
            #expect(raft.box.stamps().last < silent + 4_000_000_000)
            #expect(try await next.finish().ending == .exited(0), "\(next.errors)")
            #expect(raft.box.stamps().last < raft.box.stamps("next").first)
        }
    }

    @Test("connections that are silent for less than the lease end nothing") func silentForAMoment() async throws {
        try await onRaftLock { raft in
            let (proxies, url) = try raft.proxies()
            let holder = try raft.work(
                id: "me", ["--ttl", "30s", "--renew-every", "500ms", "--timeout", "1s", "--kill-after", "1s"], at: url)
            try await raft.waitForWork(holder)
            // A busy machine can be too slow for the first try.
            let asked = raft.cluster.calls("Acquire")
            for proxy in proxies { proxy.silence() }
            try await Task.sleep(for: .seconds(3))
            for proxy in proxies { proxy.pass() }
            let before = raft.cluster.calls("Renew", by: "me")
            try await waitUntil("the lease is renewed: \(holder.errors)") { raft.cluster.calls("Renew", by: "me") >= before + 3 }
            #expect(holder.child.isRunning && raft.box.stamps().begun == 1 && raft.cluster.calls("Acquire") == asked)
            try await holder.terminate()
            #expect(raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test("a waiter whose connections go silent gives up, and its place in the queue expires") func silentWhileWaiting() async throws {
        try await onRaftLock { raft in
            let (proxies, url) = try raft.proxies()
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            let waiter = try raft.work(id: "me", ["--wait=4s", "--timeout", "1s"], at: url)
            try await raft.waitForWaiter(waiter, id: "me")
            for proxy in proxies { proxy.silence() }
            let began = ContinuousClock.now
            let run = try await waiter.finish()
            #expect(run.code == 75 || run.code == 69, "\(run.ending) \(run.errors)")
            #expect(ContinuousClock.now - began < .seconds(12) + busyTime(since: began))
            try await waitUntil("the place in the queue has expired", within: .seconds(90)) { raft.cluster.lock("x")?.waiters == [] }
            #expect(raft.box.stamps().all.isEmpty)
        }
    }

    @Test(
        "qq fails with an error on a server that does not speak RaftLock's protocol",
        arguments: ["SSH-2.0-OpenSSH_9.2p1\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\u{0}\u{1}\u{2}"])
    func garbage(_ text: String) async throws {
        try await onRaftLock { raft in
            let (proxies, url) = try raft.proxies()
            for proxy in proxies { proxy.conditions.prefix = [.toClient: Array(text.utf8)] }
            let run = try await raft.qq(["acquire", "x", "--timeout", "1s", "--retries", "0", "--", "true"], at: url).finish()
            #expect(run.code == 69 || run.code == 65, "\(run.ending) \(run.errors)")
            #expect(!run.errors.isEmpty && !run.errors.contains("\u{0}"))
            #expect(raft.cluster.lock("x") == nil)
        }
    }
}
