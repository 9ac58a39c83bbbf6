import QQCore
import Testing

@testable import QQConsul

@Suite("Acquiring on Consul") struct ConsulAcquiringTests {
    private let bench = Bench()

    @Test func `a free key is locked as consul lock does it, with the identity as value`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann")))
        let key = try #require(bench.store.key("web/.lock"))
        #expect(key.flags == ConsulRules.lockFlags && key.session == grant.termID && key.value == Array("ann".utf8))
        #expect(grant.token == FencingToken(key.modifyIndex))
        #expect(grant.deadline <= bench.clock.now() + .seconds(15))
        let session = try #require(bench.store.sessions[grant.termID ?? ""])
        #expect(session.ttl == .seconds(15) && session.lockDelay == .seconds(15))
    }

    @Test func `holder and readers have one token`() async throws {
        let grant = try granted(await bench.node().qq.acquire(request("ann")))
        let found = try await bench.node().qq.read("web")
        #expect(found.token == grant.token && found.leader == "ann" && found.isLed && found.isOwn == false)
        #expect(found.isTerm(of: grant))
    }

    @Test func `a key that another holder has is refused, and makes no session`() async throws {
        _ = try granted(await bench.node().qq.acquire(request("ann")))
        let before = bench.store.sessions.count
        let found = try refused(await bench.node().qq.acquire(request("bob")))
        #expect(found.leader == "ann" && found.isOwn == false)
        #expect(bench.store.sessions.count == before)
    }

    @Test func `consul lock and qq exclude each other`() async throws {
        let foreign = bench.store.lockAsConsul("web/.lock")
        let node = try bench.node()
        let found = try refused(await node.qq.acquire(request("ann")))
        #expect(found.termID == foreign && found.leader?.hasPrefix("Consul lock for") == true)
        #expect(found.details["kind"] == "lock")
    }

    @Test func `tokens grow from term to term, over deletions as well`() async throws {
        let node = try bench.node()
        var last = FencingToken(0)
        for step in 0..<4 {
            let grant = try granted(await node.qq.acquire(request("ann")))
            let token = try #require(grant.token)
            #expect(token > last)
            last = token
            #expect(try await node.qq.release(grant) == .released)
            if step.isMultiple(of: 2) { bench.store.delete("web/.lock") }
        }
    }

    @Test func `nobody waits after a release`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann")))
        _ = try await node.qq.release(grant)
        #expect(bench.store.sessions.isEmpty)
        let found = try await node.qq.read("web")
        #expect(found.phase == .free && found.leader == nil)
        _ = try granted(await bench.node().qq.acquire(request("bob")))
    }

    // MARK: Keys that are no locks

    @Test func `a key with other flags is refused with the reason, and left alone`() async throws {
        bench.store.put("web/.lock", "data", flags: 7)
        let node = try bench.node()
        let error = try await #require(throws: CoordinationError.self) { try await node.qq.acquire(request("ann")) }
        #expect(error.kind == .configuration && error.reason.contains("not a lock"))
        #expect(bench.store.key("web/.lock")?.value == Array("data".utf8))
        #expect(bench.store.sessions.isEmpty)
    }

    @Test func `a semaphore is refused with the reason`() async throws {
        bench.store.put("web/.lock", "{}", flags: ConsulRules.semaphoreFlags)
        for url in ["consul://store", "consul://store?key=.lock"] {
            let node = try bench.node(url)
            let error = try await #require(throws: CoordinationError.self) { try await node.qq.acquire(request("ann")) }
            #expect(error.kind == .configuration && error.reason.contains("semaphore"))
        }
    }

    @Test func `with an ending, any key is an election, and its flags stay`() async throws {
        bench.store.put("service/web/leader", "old", flags: 42)
        let node = try bench.node("consul://store/service?key=leader")
        let grant = try granted(await node.qq.acquire(request("ann")))
        #expect(bench.store.key("service/web/leader")?.flags == 42)
        _ = try await node.qq.release(grant)
        let key = try #require(bench.store.key("service/web/leader"))
        #expect(key.flags == 42 && key.session == nil)
    }

    // MARK: Answers that are lost

    @Test func `a lock whose answer was lost is found by reading`() async throws {
        let node = try bench.node()
        node.agent.set { $0.path == "/v1/txn" ? .lostAnswer : .normal }
        let grant = try granted(await node.qq.acquire(request("ann")))
        #expect(grant.token?.value == bench.store.key("web/.lock")?.modifyIndex)
    }

    @Test func `a session whose answer was lost is found by its name`() async throws {
        let node = try bench.node()
        node.agent.set { $0.path == "/v1/session/create" ? .lostAnswer : .normal }
        let grant = try granted(await node.qq.acquire(request("ann")))
        #expect(bench.store.sessions.keys.sorted() == [grant.termID])
    }

    @Test func `a lock that comes late finds its session gone`() async throws {
        let node = try bench.node()
        node.agent.set { $0.path == "/v1/txn" ? .late : .normal }
        let error = try await #require(throws: CoordinationError.self) { try await node.qq.acquire(request("ann")) }
        #expect(error.isTransient && !error.isUncertain)
        node.agent.heal()
        node.agent.deliver()
        #expect(bench.store.key("web/.lock") == nil)
        _ = try granted(await bench.node().qq.acquire(request("bob")))
    }

    @Test func `a lock that comes late and cannot be called off is uncertain, and is taken up when it has come`() async throws {
        let node = try bench.node()
        node.agent.set { request in
            if request.path == "/v1/txn" { return .late }
            return request.path.contains("/destroy/") ? .unavailable : .normal
        }
        let error = try await #require(throws: CoordinationError.self) { try await node.qq.acquire(request("ann")) }
        #expect(error.isUncertain)
        node.agent.heal()
        node.agent.deliver()
        let found = try await node.qq.read("web")
        #expect(found.leader == "ann" && found.isOwn == true)
        _ = try granted(await node.qq.acquire(request("ann")))
    }

    @Test func `leaving ends a session that can still come to hold the key`() async throws {
        let node = try bench.node()
        node.agent.set { request in
            if request.path == "/v1/txn" { return .late }
            return request.path.contains("/destroy/") ? .unavailable : .normal
        }
        _ = try await #require(throws: CoordinationError.self) { try await node.qq.acquire(request("ann")) }
        node.agent.heal()
        node.agent.deliver()
        #expect(bench.store.key("web/.lock")?.session != nil)
        #expect(await node.qq.leaveQueue(request("ann")) == nil)
        #expect(bench.store.key("web/.lock")?.session == nil && bench.store.sessions.isEmpty)
        // It was released, not ended: nobody waits.
        _ = try granted(await bench.node().qq.acquire(request("bob")))
    }

    @Test func `a lock over a key that was written meanwhile is decided again`() async throws {
        let node = try bench.node()
        let store = bench.store
        node.agent.set { request in
            if request.path == "/v1/session/create" { store.put("web/.lock", "other", flags: 9) }
            return .normal
        }
        let error = try await #require(throws: CoordinationError.self) { try await node.qq.acquire(request("ann")) }
        #expect(error.reason.contains("not a lock"))
        #expect(store.key("web/.lock")?.flags == 9)
    }

    // MARK: Resuming

    @Test func `a saved grant is resumed with a greater token, and the process that had it loses the term`() async throws {
        let first = try bench.node()
        let grant = try granted(await first.qq.acquire(request("ann", attended: false)))
        let second = try bench.node()
        let resumed = try granted(await second.qq.acquire(request("ann", continuing: grant)))
        #expect(resumed.termID == grant.termID)
        #expect(try #require(resumed.token) > #require(grant.token))
        #expect(try await !first.qq.read("web").isTerm(of: grant))
        _ = try lost(await first.qq.renew(grant))
        #expect(try await first.qq.release(grant).isNotHeld)
        _ = try renewed(await second.qq.renew(resumed))
        #expect(bench.store.key("web/.lock")?.session == resumed.termID)
    }

    @Test func `a process that asks again after its term was resumed by another one leaves the term alone`() async throws {
        let first = try bench.node()
        let grant = try granted(await first.qq.acquire(request("ann", attended: false)))
        let second = try bench.node()
        let resumed = try granted(await second.qq.acquire(request("ann", continuing: grant)))
        #expect(try refused(await first.qq.acquire(request("ann", attended: false))).isOwn != true)
        #expect(await first.qq.leaveQueue(request("ann")) == nil)
        _ = try renewed(await second.qq.renew(resumed))
        #expect(bench.store.key("web/.lock")?.session == resumed.termID)
    }

    @Test func `a release without an answer leaves the term alone that another process has resumed meanwhile`() async throws {
        let first = try bench.node()
        let grant = try granted(await first.qq.acquire(request("ann", attended: false)))
        let second = try bench.node()
        let resumed = try granted(await second.qq.acquire(request("ann", continuing: grant)))
        first.agent.set { $0.path == "/v1/txn" ? .late : .normal }
        #expect(try await first.qq.release(grant).isNotHeld)
        _ = try renewed(await second.qq.renew(resumed))
        #expect(bench.store.key("web/.lock")?.session == resumed.termID)
    }

    @Test func `a session that is resumed with a longer TTL counts for its own`() async throws {
        let grant = try granted(await bench.node().qq.acquire(request("ann", ttl: .seconds(15), attended: false)))
        let node = try bench.node()
        let resumed = try granted(await node.qq.acquire(request("ann", ttl: .seconds(60), continuing: grant)))
        #expect(resumed.ttl == .seconds(15) && resumed.deadline <= bench.clock.now() + .seconds(15))
        var longer = resumed
        longer.ttl = .seconds(60)
        let again = try renewed(await node.qq.renew(longer))
        #expect(again.deadline <= bench.clock.now() + .seconds(15))
    }

    @Test func `a grant of another identity is not resumed`() async throws {
        let grant = try granted(await bench.node().qq.acquire(request("ann")))
        _ = try refused(await bench.node().qq.acquire(request("bob", continuing: grant)))
    }
}
