import Glibc
import Support
import Testing

/// No two holders work at the same time, whatever happens to them.
@Suite("Never two over RaftLock", .serialized) struct RaftLockPromiseTests {
    private static let tree = ["--daemon", "--ignore-term"]

    private func holderAndNext(_ raft: RaftPlace) async throws -> (holder: Started, next: Started) {
        let holder = try raft.work(id: "me", ["--ttl", "4s", "--kill-after", "1s"], log: "one", Self.tree)
        try await raft.waitForWork(holder, log: "one")
        try await waitUntil("the daemon works too") { raft.box.stamps("one").count("daemon") > 0 }
        let next = try raft.work(id: "next", ["--wait"], log: "two", ["--for", "50"])
        try await raft.waitForWaiter(next, id: "next")
        return (holder, next)
    }

    /// Checks that all the first holder's processes were dead before the next holder's command began.
    private func checkOrder(_ raft: RaftPlace, _ next: Started, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let run = try await next.finish(within: .seconds(90))
        #expect(run.ending == .exited(0), "\(run.errors)", sourceLocation: sourceLocation)
        let began = try #require(raft.box.stamps("two").all.map(\.at).min(), sourceLocation: sourceLocation)
        #expect(raft.box.stamps("one").last < began, sourceLocation: sourceLocation)
    }

    @Test("after SIGKILL of qq its command is dead immediately, and the next holder follows before the lease would have expired")
    func killed()
        async throws
    {
        try await onRaftLock(.heavy) { raft in
            let (holder, next) = try await holderAndNext(raft)
            holder.child.signal(SIGKILL)
            let killed = bootNow()
            let end = raft.leaseEnd()
            try await holder.child.wait()
            try await waitUntil("its processes are dead") { !raft.box.living.contains { $0.name == "stamp" } }
            #expect(raft.box.stamps("one").last < killed + 2_000_000_000 + busyTime(since: killed))
            try await checkOrder(raft, next)
            #expect(raft.box.stamps("two").all.first?.at ?? end < end)
        }
    }

    @Test("after SIGSTOP of qq its command is dead before the lease ends, and qq reports it when it continues") func stopped() async throws
    {
        try await onRaftLock(.heavy) { raft in
            let (holder, next) = try await holderAndNext(raft)
            kill(holder.pid, SIGSTOP)
            let end = raft.leaseEnd()
            try await checkOrder(raft, next)
            #expect(raft.box.stamps("one").last < end)
            kill(holder.pid, SIGCONT)
            let run = try await holder.finish()
            #expect(run.ending == .exited(79), "\(run.errors)")
            #expect(raft.cluster.owner(of: "x") == nil)
        }
    }

    @Test("a keepalive stopped until another holder was elected does not believe that it still leads") func stoppedKeepalive()
        async throws
    {
        try await onRaftLock { raft in
            let holder = try raft.qq("keepalive", "x", "--id", "me", "--ttl", "2s", "--json")
            try await waitUntil("qq leads: \(holder.errors)") { holder.output.contains("renewed") }
            kill(holder.pid, SIGSTOP)
            try await waitUntil("the lease has expired") { raft.cluster.owner(of: "x") == nil }
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            let version = raft.cluster.lock("x")?.version
            let renewals = raft.cluster.calls("Renew")
            kill(holder.pid, SIGCONT)
            try await waitUntil("qq has lost the lease: \(holder.output) \(holder.errors)") { holder.output.contains("lost") }
            try await raft.waitForWaiter(holder, id: "me")
            #expect(raft.cluster.owner(of: "x") == "other" && raft.cluster.lock("x")?.version == version)
            #expect(raft.cluster.calls("Renew") <= renewals + 1)
            try await holder.terminate()
            #expect(raft.cluster.owner(of: "x") == "other")
        }
    }

    @Test("a holder stopped beyond its lease does not renew that of another process with the same identity") func stoppedNamesake()
        async throws
    {
        try await onRaftLock(.heavy) { raft in
            let holder = try raft.work(id: "same", ["--ttl", "3s"], log: "one", Self.tree)
            try await raft.waitForWork(holder, log: "one")
            kill(holder.pid, SIGSTOP)
            try await waitUntil("the lease has expired") { raft.cluster.owner(of: "x") == nil }
            let second = try raft.work(id: "same", ["--ttl", "6s"], log: "two", ["--for", "6000"])
            try await raft.waitForWork(second, log: "two")
            let version = raft.cluster.lock("x")?.version
            kill(holder.pid, SIGCONT)
            #expect(try await holder.finish().ending == .exited(79), "\(holder.errors)")
            #expect(raft.cluster.lock("x")?.version == version && raft.cluster.owner(of: "x") == "same")
            #expect(try await second.finish().ending == .exited(0), "\(second.errors)")
            #expect(overlaps([raft.box.stamps("two")]) == [])
            #expect(raft.box.stamps("one").last < raft.box.stamps("two").first)
        }
    }

    @Test("two processes with one identity do not both lead, whichever comes first, or both at once") func sameID() async throws {
        try await onRaftLock(.heavy) { raft in
            let holder = try raft.work(id: "same", ["--ttl", "6s"], log: "one")
            try await raft.waitForWork(holder, log: "one")
            let version = raft.cluster.lock("x")?.version
            let refused = try await raft.run("acquire", "x", "--id", "same", "--", "true")
            #expect(refused.ending == .exited(1), "\(refused.errors)")
            let keepalive = try raft.qq("keepalive", "x", "--id", "same")
            try await raft.waitForWaiter(keepalive, id: "same")
            #expect(raft.cluster.lock("x")?.version == version && holder.child.isRunning)
            try await keepalive.terminate()
            try await holder.terminate()
            #expect(raft.cluster.owner(of: "x") == nil)
            for round in 0..<6 {
                let logs = (0..<4).map { "r\(round)-\($0)" }
                let all = try logs.map { try raft.work("y\(round)", id: "same", ["--ttl", "3s"], log: $0, ["--for", "400"]) }
                for contender in all {
                    let run = try await contender.finish()
                    #expect(run.code == 0 || run.code == 1 || run.code == 79, "\(run.ending) \(run.errors)")
                }
                #expect(overlaps(logs.map { raft.box.stamps($0) }) == [], "round \(round)")
                #expect(logs.contains { raft.box.stamps($0).begun == 1 }, "round \(round)")
            }
        }
    }

    @Test("contenders take turns while the Raft leader moves, connections and answers are lost, and holders are killed and stopped")
    func storm() async throws {
        try await onRaftLock(.heavy, clusterSettings { $0.defaultTTL = .seconds(3) }) { raft in
            let (proxies, url) = try raft.proxies()
            let shells = try (0..<5).map { number in
                try raft.box.start(
                    [
                        "sh", "-c",
                        """
                        while ! [ -e stop ]; do
                            "$0" acquire x --id node-\(number) --ttl 3s --wait --timeout 1s --retries 100 --backoff 50ms..500ms -- \
                        "$1" "$2" --for 120 --ignore-term
                            echo $? >>codes
                        done
                        """, Sandbox.binary, Sandbox.stamp, raft.box.path("stamps"),
                    ], environment: ["QQ_SERVER": url])
            }
            let end = ContinuousClock.now + .seconds(11)
            var kills = 0
            // Longer on a busy machine, until there is something to judge.
            while ContinuousClock.now < end || raft.box.stamps().begun < 4 && ContinuousClock.now < end + waitingTime {
                try await Task.sleep(for: .milliseconds(Int.random(in: 50...600)))
                switch Int.random(in: 0..<6) {
                case 0: raft.cluster.moveLeader(to: Int.random(in: 0..<3))
                case 1: proxies.randomElement()?.cut()
                case 2: raft.cluster.change { $0.calls.lost = ["Acquire": 1, "Release": 1, "Renew": 1, "EnqueueWaiter": 1] }
                case 3:
                    let proxy = proxies.randomElement()
                    proxy?.silence(Bool.random() ? [.toClient] : [.toClient, .toServer])
                    Task {
                        try await Task.sleep(for: .milliseconds(Int.random(in: 100...1500)))
                        proxy?.pass()
                    }
                case 4:
                    guard let victim = raft.box.contending.randomElement() else { continue }
                    kill(victim.pid, SIGKILL)
                    kills += 1
                default:
                    guard let victim = raft.box.contending.randomElement() else { continue }
                    kill(victim.pid, SIGSTOP)
                    Task {
                        try await Task.sleep(for: .milliseconds(Int.random(in: 50...4000)))
                        kill(victim.pid, SIGCONT)
                    }
                }
            }
            for proxy in proxies { proxy.pass() }
            let before = raft.box.stamps().begun
            try await waitUntil("the contenders continue afterwards", within: .seconds(90)) { raft.box.stamps().begun >= before + 3 }
            try raft.box.write("", to: "stop")
            for shell in shells { _ = try await shell.finish(within: .seconds(120)) }
            #expect(overlaps([raft.box.stamps()]) == [])
            #expect(raft.box.stamps().begun > 6, "\(kills) kills, \(raft.box.codes)")
            #expect(Set(raft.box.codes.keys).isSubset(of: [0, 69, 79, 128 + SIGKILL]), "\(raft.box.codes)")
        }
    }
}
