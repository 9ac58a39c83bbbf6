import QQCore
import Support
import Testing

@testable import QQRaftLock

// Processes that were given one identity, which the servers cannot tell apart.
extension CoordinatorTests {
    /// Two coordinators whose leases can be told apart.
    private func twins(_ url: String, timeout: Duration = .seconds(60)) throws -> (RaftLockCoordinator, RaftLockCoordinator) {
        let one = try coordinator(url, timeout: timeout)
        while true {
            let other = try coordinator(url, timeout: timeout)
            if other.ttlOffset != one.ttlOffset { return (one, other) }
        }
    }

    /// Puts a coordinator into the queue behind `holder`.
    private func enqueue(_ qq: RaftLockCoordinator, in cluster: RaftLockCluster) async throws {
        cluster.acquire("web", by: "holder", for: .seconds(600))
        let blocker = try refused(try await qq.acquire(request("same")))
        try await qq.waitForTurn(request("same"), behind: blocker, until: clock.now() + .seconds(90))
        #expect(cluster.lock("web")?.waiters == ["same"])
    }

    @Test("a slow grant from the queue might belong to another process: it is left to expire, and that is reported")
    func tooSlow() async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url)
            try await enqueue(qq, in: cluster)
            cluster.release("web")
            cluster.change { $0.calls.late["Acquire"] = [.milliseconds(1100)] }
            let blocker = try refused(try await qq.acquire(request("same")))
            #expect(blocker.leader == "same" && blocker.isOwn == false)
            // Another request does not change that.
            #expect(try refused(try await qq.acquire(request("same"))).token == blocker.token)
            let left = try #require(await qq.leaveQueue(request("same")))
            #expect(left.reason == "another process with the identity same might hold it")
            #expect(left.hint?.contains("expires within") == true)
            #expect(cluster.lock("web")?.owner == "same" && cluster.lock("web")?.waiters == [])
            #expect(cluster.calls("Release") == 0)
        }
    }

    @Test("a lock with no other waiter is not granted to the same slow waiter again, but becomes free") func slowForEver() async throws {
        var settings = RaftLockCluster.Settings()
        settings.defaultTTL = .seconds(4)
        try await inCluster(settings) { cluster in
            let qq = try coordinator(cluster.url)
            try await enqueue(qq, in: cluster)
            cluster.change { $0.calls.late["Acquire"] = Array(repeating: .milliseconds(1100), count: 10) }
            cluster.release("web")
            let wanted = request("same", ttl: .seconds(3))
            let blocker = try refused(try await qq.acquire(wanted))
            try await qq.waitForTurn(wanted, behind: blocker, until: clock.now() + .seconds(90))
            #expect(cluster.owner(of: "web") == nil)
            _ = try granted(try await qq.acquire(wanted))
        }
    }

    @Test("a lease granted in time counts as own even if that could not be resolved: it is released or requested again")
    func unresolved() async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url)
            for isWanted in [true, false] {
                var isDone = false
                // A machine can be too busy to grant the lock in time, or to grant it again.
                for _ in 0..<10 where !isDone {
                    cluster.forgetLocks()
                    try await enqueue(qq, in: cluster)
                    cluster.release("web")
                    let promoted = cluster.lock("web")?.version
                    let asking = Task { try await qq.acquire(request("same")) }
                    try await waitUntil("it was granted") { cluster.lock("web")?.version != promoted }
                    asking.cancel()
                    _ = try refused(try await asking.value)
                    isDone = qq.state.withLock { $0.extended.values.contains { $0.wasQuick } }
                    if isDone, isWanted {
                        if case .granted(let grant, _) = try await qq.acquire(request("same")) {
                            #expect(try await qq.release(grant) == .released)
                        } else {
                            isDone = false
                        }
                    }
                    let left = await qq.leaveQueue(request("same"))
                    if isDone { #expect(left == nil && cluster.lock("web")?.owner == nil) }
                }
                #expect(isDone)
            }
        }
    }

    @Test("a lock is read again if the read took too long") func oldRead() async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url)
            var grant: Grant?
            // A machine can be too busy to grant the lock in time.
            for _ in 0..<10 where grant == nil {
                cluster.forgetLocks()
                try await enqueue(qq, in: cluster)
                cluster.release("web")
                cluster.change { ($0.calls.late["GetLockInfo"], $0.calls.late["Acquire"]) = ([.milliseconds(700)], [.milliseconds(400)]) }
                let before = cluster.calls("Acquire")
                if case .granted(let found, _) = try await qq.acquire(request("same", ttl: .seconds(120))) {
                    grant = found
                } else {
                    _ = await qq.leaveQueue(request("same"))
                }
                #expect(cluster.calls("Acquire") == before + 1)
            }
            #expect(try await qq.release(try #require(grant)) == .released)
        }
    }

    @Test("a term that another process began since the read is not own, however quick the request was") func anotherTerm() async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url)
            try await enqueue(qq, in: cluster)
            cluster.release("web")
            cluster.change { $0.calls.held = ["Acquire"] }
            async let answer = qq.acquire(request("same"))
            try await waitUntil("the request is on its way") { cluster.calls("Acquire", by: "same") == 1 }
            // Another process with the same identity releases the lock that the queue granted, and requests it again.
            cluster.release("web")
            cluster.acquire("web", by: "same", for: .milliseconds(60_050))
            cluster.change { $0.calls.held = [] }
            #expect(try refused(try await answer).isOwn == false)
            #expect(await qq.leaveQueue(request("same"))?.reason == "another process with the identity same might hold it")
            #expect(cluster.owner(of: "web") == "same")
        }
    }

    @Test("a holder whose term no other process can resume keeps it when a process with the same identity asks and backs off")
    func disturbed() async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url)
            var wanted = request("same")
            wanted.wantsLivenessLock = true
            let grant = try granted(try await qq.acquire(wanted))
            let version = cluster.lock("web")?.version
            cluster.acquire("web", by: "same", for: .milliseconds(10_150))
            #expect(cluster.lock("web")?.version != version)
            #expect(try await qq.read("web").isTerm(of: grant))
            guard case .renewed = try await qq.renew(grant) else { throw CannotStart("lost") }
            #expect(cluster.lock("web")?.version == version)
            // A lease requested by another client, without a TTL offset, counts as that client's.
            cluster.acquire("web", by: "same", for: .seconds(60))
            #expect(try await !qq.read("web").isTerm(of: grant))
            cluster.acquire("web", by: "same", for: .milliseconds(60_150))
            #expect(try await qq.release(grant) == .released)
            #expect(cluster.owner(of: "web") == nil)
            // A process with the saved grant might have resumed the term.
            wanted.guardsWork = false
            let saved = try granted(try await qq.acquire(wanted))
            cluster.acquire("web", by: "same", for: .milliseconds(10_150))
            #expect(try await !qq.read("web").isTerm(of: saved))
            guard case .notHeld = try await qq.release(saved) else { throw CannotStart("released another's") }
        }
    }

    @Test("a late request of this process does not end its lease if no other process can have its identity") func late() async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url)
            let me = Identity.generated()
            let grant = try granted(try await qq.acquire(request(me)))
            cluster.acquire("web", by: me, for: .seconds(20))
            #expect(try await qq.read("web").isTerm(of: grant))
            guard case .renewed = try await qq.renew(grant) else { throw CannotStart("lost") }
            cluster.acquire("web", by: me, for: .seconds(20))
            #expect(try await qq.release(grant) == .released)
            #expect(cluster.owner(of: "web") == nil)
        }
    }

    @Test("a lease held before is recognised, but not another process's term with the same version") func heldBefore() async throws {
        try await inCluster { cluster in
            let (one, other) = try twins(cluster.url)
            let lost = try granted(try await one.acquire(request("same", ttl: .seconds(120))))
            // As after a suspend of the machine.
            let again = try granted(try await one.acquire(request("same", ttl: .seconds(120))))
            #expect(again.token != lost.token)
            cluster.forgetLocks()
            _ = try granted(try await other.acquire(request("same", ttl: .seconds(120))))
            // A late renewal by the first process writes its version into the lock.
            cluster.renew("web", version: Int64(again.token?.value ?? 0), for: .seconds(150))
            #expect(try refused(try await one.acquire(request("same", ttl: .seconds(120)))).isOwn == false)
            #expect(await one.leaveQueue(request("same"))?.reason == "another process with the identity same might hold it")
            #expect(cluster.owner(of: "web") == "same")
        }
    }

    @Test("a lease granted while the place is refreshed is released on leaving", arguments: [true, false]) func refreshed(
        _ isNamed: Bool
    ) async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url)
            let wanted = request(isNamed ? "same" : Identity.generated())
            cluster.acquire("web", by: "holder", for: .seconds(60))
            let blocker = try refused(try await qq.acquire(wanted))
            try await qq.waitForTurn(wanted, behind: blocker, until: clock.now() + .seconds(90))
            cluster.release("web")
            cluster.enqueue("web", by: wanted.identity, for: .seconds(15))
            #expect(cluster.owner(of: "web") == wanted.identity && cluster.lock("web")?.waiters == [wanted.identity])
            #expect(await qq.leaveQueue(wanted) == nil)
            #expect(cluster.owner(of: "web") == nil && cluster.lock("web")?.waiters == [])
        }
    }

    @Test("leaving reports a request that was not carried out yet") func pending() async throws {
        try await inCluster { cluster in
            // The request must be sent before its time is over.
            try await withGrowingTime(from: .seconds(4)) { timeout in
                cluster.setMajority(true)
                let qq = try coordinator(cluster.url, timeout: timeout)
                do throws(CoordinationError) { _ = try await qq.read("web") } catch { return false }
                cluster.setMajority(false)
                do throws(CoordinationError) {
                    _ = try await qq.acquire(request("same"))
                    Issue.record("granted")
                } catch { if !error.isUncertain { return false } }
                let left = try #require(await qq.leaveQueue(request("same")))
                #expect(left.what == "cannot take back the request for web" && left.hint?.contains("might still be carried out") == true)
                return true
            }
        }
    }

    @Test("a lease that another process acquired after a release does not count as granted by the queue") func notPromoted() async throws {
        try await inCluster { cluster in
            let (one, other) = try twins(cluster.url)
            try await enqueue(other, in: cluster)
            cluster.forgetLocks()
            let grant = try granted(try await one.acquire(request("same")))
            let blocker = try refused(try await other.acquire(request("same")))
            #expect(blocker.isOwn == false && blocker.token == grant.token)
            #expect(await other.leaveQueue(request("same")) == nil)
            guard case .renewed = try await one.renew(grant) else { throw CannotStart("lost") }
        }
    }

    @Test("a lease granted to another process is not taken for the result of an own uncertain request") func notInDoubt() async throws {
        try await inCluster { cluster in
            let (one, other) = try twins(cluster.url, timeout: .seconds(5))
            _ = try await other.read("web")
            cluster.setMajority(false)
            do throws(CoordinationError) {
                _ = try await other.acquire(request("same"))
                Issue.record("granted")
            } catch { #expect(error.isUncertain) }
            // Requests that were not agreed on are lost with the Raft leader.
            cluster.loseLeader()
            cluster.setMajority(true)
            cluster.moveLeader(to: 0)
            let grant = try granted(try await one.acquire(request("same")))
            #expect(try await other.read("web").isOwn == false)
            #expect(await other.leaveQueue(request("same"))?.reason == "another process with the identity same might hold it")
            guard case .renewed = try await one.renew(grant) else { throw CannotStart("lost") }
        }
    }

    @Test(
        "a lease is requested with a TTL offset, which the servers accept and keep",
        arguments: ["1s", "1999ms", "2s", "2950ms", "15s", "299950ms", "299999ms", "5m"])
    func marks(_ ttl: String) throws {
        let ttl = try DurationText.parse(ttl)
        for _ in 0..<50 {
            let qq = try coordinator("raftlock://127.0.0.1")
            let length = qq.lengthToAsk(request("same", ttl: ttl))
            #expect(LockRules.problem(withTTL: length) == nil)
            #expect(length != ttl && abs(Double((length - ttl) / .milliseconds(1))) <= 100)
            let (seconds, attoseconds) = length.components
            #expect(attoseconds % 1_000_000_000_000_000 == 0 && attoseconds != 0, "\(seconds) s")
            // No other process has a generated identity.
            #expect(qq.lengthToAsk(request(Identity.generated(), ttl: ttl)) == ttl)
        }
    }

    @Test("the lease from several uncertain requests that are carried out later counts as own and is released")
    func severalInDoubt() async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url, timeout: .seconds(4))
            // Once there is a connection, requests are sent in time.
            _ = try await qq.read("web")
            cluster.setMajority(false)
            for _ in 0..<3 {
                do throws(CoordinationError) {
                    _ = try await qq.acquire(request("same"))
                    Issue.record("granted")
                } catch { #expect(error.isUncertain, "\(error)") }
            }
            cluster.setMajority(true)
            try await waitUntil("they are carried out") { cluster.owner(of: "web") == "same" }
            #expect(try await qq.read("web").isOwn == true)
            #expect(await qq.leaveQueue(request("same")) == nil)
            #expect(cluster.owner(of: "web") == nil)
        }
    }
}
