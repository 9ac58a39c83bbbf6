import QQCore
import Testing

@testable import QQConsul

@Suite("Holding on Consul") struct ConsulHoldingTests {
    private let bench = Bench()

    @Test func `a renewal extends the lease from before it was sent`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann")))
        bench.clock.pass(.seconds(12))
        let next = try renewed(await node.qq.renew(grant))
        #expect(next.deadline == bench.clock.now() + .seconds(15))
        #expect(next.token == grant.token)
    }

    @Test func `the session outlives the lease, so that nobody else can have it before the deadline`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann")))
        bench.clock.pass(grant.deadline.duration(since: bench.clock.now()) + .seconds(14))
        _ = try refused(await bench.node().qq.acquire(request("bob")))
    }

    @Test func `a session that has ended is a loss`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann")))
        bench.store.destroy(try #require(grant.termID))
        #expect(try lost(await node.qq.renew(grant)).phase == .free)
    }

    @Test func `a key that was deleted is a loss although the session lives`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann")))
        bench.store.delete("web/.lock")
        let other = try granted(await bench.node().qq.acquire(request("bob")))
        let found = try lost(await node.qq.renew(grant))
        #expect(found.leader == "bob" && found.termID == other.termID)
        // The old term must not take the new one with it.
        #expect(try await node.qq.release(grant).isNotHeld)
        #expect(bench.store.key("web/.lock")?.session == other.termID)
    }

    @Test func `a plain put leaves the holder its lease, and the release puts the key in order`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann")))
        bench.store.put("web/.lock", "anyone")
        _ = try renewed(await node.qq.renew(grant))
        let own = try await node.qq.read("web")
        #expect(own.isTerm(of: grant) && own.details["overwritten"] == true)
        #expect(try await bench.node().qq.read("web").leader == "anyone")
        _ = try refused(await bench.node().qq.acquire(request("bob")))
        #expect(try await node.qq.release(grant) == .released)
        let key = try #require(bench.store.key("web/.lock"))
        #expect(key.flags == ConsulRules.lockFlags && key.session == nil && key.value.isEmpty)
    }

    @Test func `a failed renewal is no loss`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann")))
        node.agent.set { _ in .unavailable }
        let error = try await #require(throws: CoordinationError.self) { try await node.qq.renew(grant) }
        #expect(error.isTransient && !error.isUncertain)
        node.agent.heal()
        _ = try renewed(await node.qq.renew(grant))
    }

    @Test func `a renewal is none while a leader that has lost its cluster answers it`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann")))
        // It renews, and refuses consistent reads.
        node.agent.set { $0.path.hasPrefix("/v1/kv/") ? .unavailable : .normal }
        _ = try await #require(throws: CoordinationError.self) { try await node.qq.renew(grant) }
    }

    // MARK: Releasing

    @Test func `a release whose answer was lost is found by reading`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann")))
        node.agent.set { $0.path == "/v1/txn" ? .lostAnswer : .normal }
        #expect(try await node.qq.release(grant) == .released)
        #expect(bench.store.sessions.isEmpty)
    }

    @Test func `a release of unknown outcome is uncertain, and can be repeated`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann")))
        node.agent.set { $0.path == "/v1/txn" ? .late : .normal }
        let error = try await #require(throws: CoordinationError.self) { try await node.qq.release(grant) }
        #expect(error.isUncertain)
        node.agent.heal()
        #expect(try await node.qq.release(grant) == .released)
        // The first attempt comes when another process leads.
        let other = try granted(await bench.node().qq.acquire(request("bob")))
        node.agent.deliver()
        #expect(bench.store.key("web/.lock")?.session == other.termID)
    }

    @Test func `another process releases a lease with the grant alone, and nobody waits`() async throws {
        let grant = try granted(await bench.node().qq.acquire(request("ann")))
        #expect(try await bench.node().qq.release(grant) == .released)
        #expect(bench.store.sessions.isEmpty)
        _ = try granted(await bench.node().qq.acquire(request("bob")))
    }

    @Test func `a release that leaves processes behind ends the session, whose lock-delay gives time to end them`() async throws {
        let node = try bench.node()
        var grant = try granted(await node.qq.acquire(request("ann")))
        grant.leavesProcesses = true
        #expect(try await node.qq.release(grant) == .released)
        let found = try refused(await bench.node().qq.acquire(request("bob")))
        #expect(found.refusal?.contains("lock-delay") == true)
    }

    @Test func `the loss of one election touches no other`() async throws {
        let node = try bench.node()
        let web = try granted(await node.qq.acquire(request("ann", "web")))
        let mail = try granted(await node.qq.acquire(request("ann", "mail")))
        #expect(web.termID != mail.termID)
        bench.store.destroy(try #require(web.termID))
        _ = try lost(await node.qq.renew(web))
        _ = try renewed(await node.qq.renew(mail))
    }

    // MARK: Limits

    @Test(arguments: [9_999, 86_400_001]) func `a TTL that servers refuse is refused before anything is sent`(milliseconds: Int) throws {
        let node = try bench.node()
        let error = try #require(throws: CoordinationError.self) {
            try node.qq.validate(name: "web", identity: "ann", ttl: .milliseconds(milliseconds))
        }
        #expect(error.kind == .usage)
    }

    @Test func `a time to end the command that no lock-delay covers is refused before anything is sent`() throws {
        let error = try #require(throws: CoordinationError.self) {
            try bench.node(killAfter: .seconds(56)).qq.validate(name: "web", identity: "ann", ttl: .seconds(15))
        }
        #expect(error.hint == "choose at most 55s")
        try bench.node(killAfter: .seconds(55)).qq.validate(name: "web", identity: "ann", ttl: .seconds(15))
    }
}
