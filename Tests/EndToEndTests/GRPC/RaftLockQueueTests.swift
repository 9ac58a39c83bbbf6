import Glibc
import QQCore
import Support
import Testing

@Suite("Queue of a RaftLock lock") struct RaftLockQueueTests {
    private func blocked(_ load: Gate.Load = .light, _ body: (RaftPlace) async throws -> Void) async throws {
        // A real server grants a promoted waiter 30 s whatever TTL it wants: as long as some of these tests can take.
        try await onRaftLock(load, clusterSettings { $0.defaultTTL = .seconds(3) }) { raft in
            raft.cluster.acquire("x", by: "other", for: .seconds(120))
            try await body(raft)
        }
    }

    @Test("a killed waiter's place in the queue expires") func killedWaiter() async throws {
        try await blocked { raft in
            let waiter = try raft.qq("acquire", "x", "--id", "dead", "--wait")
            try await raft.waitForWaiter(waiter, id: "dead")
            waiter.child.signal(SIGKILL)
            try await waiter.child.wait()
            #expect(raft.cluster.lock("x")?.waiters == ["dead"])
            try await waitUntil("the place in the queue has expired", within: .seconds(90)) { raft.cluster.lock("x")?.waiters == [] }
            #expect(raft.cluster.owner(of: "x") == "other")
        }
    }

    @Test("a dead waiter's turn expires, and the next live waiter gets its own") func promotedDead() async throws {
        try await blocked(.heavy) { raft in
            let dead = try raft.work(id: "dead", ["--wait", "--priority", "5"], log: "dead")
            try await raft.waitForWaiter(dead, id: "dead")
            let next = try raft.work(id: "next", ["--wait"], log: "next", ["--for", "20"])
            try await raft.waitForWaiter(next, id: "next")
            dead.child.signal(SIGKILL)
            try await dead.child.wait()
            #expect(raft.cluster.release("x") && raft.cluster.owner(of: "x") == "dead")
            let end = raft.leaseEnd()
            let run = try await next.finish()
            #expect(run.ending == .exited(0), "\(run.errors)")
            let began = raft.box.stamps("next").first
            // Expiry is checked once a second.
            #expect(began > end && began < end + 4_000_000_000 + busyTime(since: end))
            #expect(raft.box.stamps("dead").all.isEmpty && raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test("a waiter that gets a signal leaves the queue, with a command and without", arguments: [SIGTERM, SIGINT, SIGHUP])
    func told(_ signal: CInt) async throws {
        try await blocked { raft in
            let guarded = try raft.work(id: "guarded", ["--wait"])
            let plain = try raft.qq("acquire", "x", "--id", "plain", "--wait")
            let keepalive = try raft.qq("keepalive", "x", "--id", "keepalive")
            for (qq, id) in [(guarded, "guarded"), (plain, "plain"), (keepalive, "keepalive")] { try await raft.waitForWaiter(qq, id: id) }
            for qq in [guarded, plain, keepalive] { qq.child.signal(signal) }
            #expect(try await guarded.finish().ending == .exited(128 + signal))
            #expect(try await plain.finish().ending == .exited(128 + signal))
            #expect(try await keepalive.finish().ending == .exited(0))
            #expect(raft.cluster.lock("x")?.waiters == [] && raft.cluster.owner(of: "x") == "other")
        }
    }

    @Test("a wait that times out leaves the queue and exits with 75") func runsOut() async throws {
        try await blocked { raft in
            let run = try await raft.run("acquire", "x", "--id", "me", "--wait=4s", "--", "true")
            #expect(run.ending == .exited(75) && run.errors.contains("held by other"), "\(run.errors)")
            #expect(raft.cluster.calls("EnqueueWaiter", by: "me") == 1 && raft.cluster.lock("x")?.waiters == [])
        }
    }

    @Test("a waiter promoted as it leaves the queue releases the lock") func promotedWhileLeaving() async throws {
        try await blocked { raft in
            for round in 0..<4 {
                let waiter = try raft.work(id: "me", ["--wait"], ["--for", "10"])
                try await raft.waitForWaiter(waiter, id: "me")
                #expect(raft.cluster.release("x") && raft.cluster.owner(of: "x") == "me")
                try await Task.sleep(for: .milliseconds(round * 40))
                waiter.child.signal(SIGTERM)
                _ = try await waiter.finish()
                #expect(raft.cluster.owner(of: "x") == nil && raft.cluster.lock("x")?.waiters == [], "round \(round): \(waiter.errors)")
                raft.cluster.acquire("x", by: "other", for: .seconds(120))
            }
        }
    }

    @Test("the waiter with the highest priority comes first") func priority() async throws {
        try await blocked { raft in
            var all: [Started] = []
            for (id, priority) in [("low", "-5"), ("usual", "0"), ("high", "1000")] {
                let waiter = try raft.box.start(
                    [
                        Sandbox.binary, "acquire", "x", "--id", id, "--wait", "--priority=\(priority)", "--", "sh", "-c",
                        "echo \(id) >>order",
                    ],
                    environment: ["QQ_SERVER": raft.cluster.url])
                try await raft.waitForWaiter(waiter, id: id)
                all.append(waiter)
            }
            #expect(raft.cluster.release("x"))
            for waiter in all { #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)") }
            #expect(raft.box.read("order") == "high\nusual\nlow\n")
            let outside = try await raft.run("acquire", "x", "--wait", "--priority", "1001", "--", "true")
            #expect(outside.ending == .exited(64), "\(outside.errors)")
        }
    }

    @Test("a waiter that finds the queue full keeps waiting without a place") func full() async throws {
        try await blocked { raft in
            for number in 0..<100 { raft.cluster.enqueue("x", by: "w\(number)", for: .seconds(10)) }
            let waiter = try raft.work(id: "me", ["--wait"], ["--for", "20"])
            try await waitUntil("qq asks: \(waiter.errors)") { raft.cluster.calls("EnqueueWaiter", by: "me") >= 1 }
            #expect(raft.cluster.lock("x")?.waiters.count == 100)
            try await waitUntil("the other waiters have left") { raft.cluster.lock("x")?.waiters.filter { $0 != "me" } == [] }
            #expect(waiter.child.isRunning)
            raft.cluster.release("x")
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
        }
    }

    @Test("a lock that becomes free before the waiter has its place is still acquired") func freeBetween() async throws {
        try await onRaftLock(.light, clusterSettings { $0.writeTime = .milliseconds(150) }) { raft in
            raft.cluster.acquire("x", by: "other", for: .seconds(120))
            let waiter = try raft.work(id: "me", ["--wait"], ["--for", "20"])
            // The waiter has been refused, and its place is not committed yet.
            try await waitUntil("qq asks for a place: \(waiter.errors)") { raft.cluster.calls("EnqueueWaiter", by: "me") == 1 }
            raft.cluster.release("x")
            let run = try await waiter.finish()
            #expect(run.ending == .exited(0) && raft.box.stamps().begun == 1, "\(run.errors)")
            #expect(raft.cluster.owner(of: "x") == nil && raft.cluster.lock("x")?.waiters == [])
        }
    }

    @Test("a turn granted for half a minute is changed to the wanted TTL", arguments: ["4s", "15s", "60s"])
    func promotionLasts(_ ttl: String) async throws {
        try await onRaftLock { raft in
            raft.cluster.acquire("x", by: "other", for: .seconds(120))
            let waiter = try raft.work(id: "me", ["--wait", "--ttl", ttl, "--renew-every", "600ms"])
            try await raft.waitForWaiter(waiter, id: "me")
            #expect(raft.cluster.release("x"))
            #expect((raft.cluster.lock("x")?.remaining ?? .zero) > .seconds(25))
            let wanted = try DurationText.parse(ttl)
            try await waitUntil("the lease is as long as wanted: \(waiter.errors)") {
                guard let lock = raft.cluster.lock("x"), lock.owner == "me" else { return false }
                return lock.remaining <= wanted && lock.remaining > wanted - .seconds(3)
            }
            #expect(waiter.child.isRunning)
            try await waiter.terminate()
            #expect(raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test("two waiters with one identity do not run at the same time, and both get their turn") func sameID() async throws {
        try await blocked(.heavy) { raft in
            for round in 0..<3 {
                let logs = ["one-\(round)", "two-\(round)"]
                let (queued, advised) = (raft.cluster.calls("EnqueueWaiter", by: "same"), raft.cluster.calls("GetBackoffAdvice"))
                let both = try logs.map {
                    try raft.work(id: "same", ["--wait", "--retries", "20"], log: $0, ["--for", "300"])
                }
                // A waiter asks for advice once it has its place. If the lock became free earlier, both would ask for it at the same
                // time, and the holder would have to assume it lost when the servers extend it for the other waiter.
                try await waitUntil("both contenders wait: \(both.map(\.errors))") {
                    raft.cluster.calls("EnqueueWaiter", by: "same") >= queued + 2 && raft.cluster.calls("GetBackoffAdvice") >= advised + 2
                }
                #expect(raft.cluster.release("x"))
                for waiter in both { #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)") }
                #expect(overlaps(logs.map { raft.box.stamps($0) }) == [], "round \(round)")
                #expect(logs.allSatisfy { raft.box.stamps($0).begun == 1 })
                try await waitUntil("no lease is left") { raft.cluster.owner(of: "x") == nil }
                raft.cluster.acquire("x", by: "other", for: .seconds(120))
            }
        }
    }

    @Test("a late turn that might belong to another process with the identity is waited out, and left alone by a stopped waiter")
    func tooSlow() async throws {
        try await onRaftLock(.light, clusterSettings { $0.defaultTTL = .seconds(6) }) { raft in
            for isStopped in [false, true] {
                raft.cluster.acquire("x", by: "other", for: .seconds(120))
                let log = "stopped-\(isStopped)"
                let waiter = try raft.work(id: "me", ["--wait", "--ttl", "3s", "--timeout", "5s"], log: log, ["--for", "100"])
                try await raft.waitForWaiter(waiter, id: "me")
                raft.cluster.change { $0.calls.late["Acquire"] = [.milliseconds(1500)] }
                #expect(raft.cluster.release("x"))
                try await waitUntil("qq waits again: \(waiter.errors)") { waiter.errors.contains("held by me") }
                let end = raft.leaseEnd()
                if isStopped {
                    waiter.child.signal(SIGTERM)
                    let run = try await waiter.finish()
                    #expect(run.errors.contains("cannot release x: another process with the identity me might hold it"), "\(run.errors)")
                    #expect(run.errors.contains("the lease expires within"), "\(run.errors)")
                    #expect(raft.cluster.owner(of: "x") == "me" && raft.box.stamps(log).all.isEmpty)
                } else {
                    let run = try await waiter.finish()
                    #expect(run.ending == .exited(0), "\(run.errors)")
                    #expect(raft.box.stamps(log).begun == 1 && raft.box.stamps(log).first > end, "\(run.errors)")
                }
            }
        }
    }

    @Test("one process waits for several locks at the same time, and gets each in its turn") func several() async throws {
        try await onRaftLock { raft in
            for name in ["a", "b", "c"] { raft.cluster.acquire(name, by: "other", for: .seconds(120)) }
            let run = try raft.qq("keepalive", "a", "b", "c", "--id", "me", "--ttl", "6s", "--json")
            for name in ["a", "b", "c"] { try await raft.waitForWaiter(run, id: "me", name) }
            for name in ["b", "a", "c"] {
                #expect(raft.cluster.release(name))
                try await waitUntil("\(name) is led: \(run.output) \(run.errors)") {
                    try run.told().contains { $0["event"] == "elected" && $0["name"]?.stringValue == name }
                }
            }
            #expect(raft.cluster.mostWritesAtOnce(by: "me") == 1)
            try await run.terminate()
            for name in ["a", "b", "c"] { #expect(raft.cluster.owner(of: name) == nil) }
        }
    }
}
