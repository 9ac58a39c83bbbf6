import QQCore
import Support
import Testing

@testable import QQEtcd

@Suite("Contenders' keys that something else puts, on etcd", .timeLimit(.minutes(10))) struct ForeignPutTests {
    private let cluster = StoreCluster()

    private func key(_ grant: Grant) -> String { "qq/web/\(grant.termID ?? "")" }

    // MARK: Holders

    @Test func `a holder whose key loses its lease loses the term, and the key ends with that lease`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        try cluster.put(key(grant), "ann")
        #expect(try await ann.renew(grant).grant == nil)
        #expect(try cluster.lease(of: key(grant)) != 0, "it would lead for ever")
        #expect(try await cluster.node().read("web").isLed, "the old work might not have ended yet")
        cluster.clock.pass(.seconds(11))
        #expect(try cluster.keys().isEmpty)
    }

    @Test func `a holder hears without a renewal that its key has lost its lease`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        var changes = ann.changes(of: ["web"]).makeAsyncIterator()
        #expect(try await changes.next()?.isTerm(of: grant) == true)
        try cluster.put(key(grant), "ann")
        #expect(try await changes.next()?.isTerm(of: grant) == false)
        try await waitUntil("the key is bound again") { try cluster.lease(of: key(grant)) != 0 }
    }

    @Test func `a key that is bound to another lease is no term either`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        try cluster.put(key(grant), "ann", lease: 0x77)
        #expect(try await ann.renew(grant).grant == nil)
        #expect(try cluster.lease(of: key(grant)).map { LeaseID.text($0) } == grant.termID)
    }

    @Test
    func `a holder that has lost its term by that leads again when its old lease is over, and not while something might work under it`()
        async throws
    {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        try cluster.put(key(grant), "ann")
        #expect(try await ann.renew(grant).grant == nil)
        #expect(try await ann.acquire(request("ann")).refusal != nil)
        cluster.clock.pass(.seconds(11))
        let next = try await granted(ann, request("ann"))
        #expect(try cluster.keys() == [key(next)] && next.termID != grant.termID)
        #expect(try #require(next.token) > (try #require(grant.token)))
    }

    @Test func `a release deletes the key also if it would not end with the lease`() async throws {
        let grant = try await granted(try cluster.node(), request("ann"))
        try cluster.put(key(grant), "ann")
        #expect(try await cluster.node().release(grant) == .released)
        #expect(try cluster.keys().isEmpty && cluster.leases() == 0)
    }

    @Test func `a process that resumes its term does not wait for the key of that term`() async throws {
        let grant = try await granted(try cluster.node(), request("ann"))
        try cluster.put(key(grant), "ann")
        let next = try await granted(try cluster.node(), request("ann", continuing: grant))
        #expect(try cluster.keys() == [key(next)])
    }

    // MARK: Readers and waiters

    @Test func `a reader sees that nothing ends the leader's key`() async throws {
        try cluster.put("qq/web/1f", "ann")
        let found = try await cluster.node().read("web")
        #expect(found.isLed && found.leader == "ann" && found.remaining == nil)
        #expect(found.details["lease"] == .null && found.details["unbound"] == true && found.details["create_revision"] != nil)
        #expect(found.obstacle?.contains("step-down --force") == true)
        try cluster.put("qq/web/1f", "ann", lease: 0x1f)
        let bound = try await cluster.node().read("web")
        #expect(bound.details["lease"] == "1f" && bound.details["unbound"] == nil && bound.obstacle == nil && bound.ttl == .seconds(60))
    }

    @Test func `a list shows a leader without a lease if its election has other contenders`() async throws {
        try cluster.put("qq/web/1f", "ann")
        try cluster.put("qq/web/2f", "bob", lease: 0x2f)
        try cluster.put("qq/data/1", "no election")
        let found = try await cluster.node().list()
        #expect(found.map(\.name) == ["web"] && found.first?.leader == "ann" && found.first?.details["lease"] == .null)
    }

    @Test func `a contender is told why its wait does not end, also if it has begun`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let waiting = try await cluster.waiter(bob, "bob")
        try cluster.put("qq/web/1f")
        try await waiting.value
        let refusal = try #require(try await bob.acquire(request("bob")).refusal)
        #expect(refusal.obstacle != nil)
        // It is told once: the next wait goes on until something changes.
        let clock = cluster.clock
        let again = Task { try await bob.waitForTurn(request("bob"), behind: refusal, until: clock.now() + .seconds(600)) }
        try cluster.delete("qq/web/1f")
        try await again.value
        #expect(try await granted(bob, request("bob")).identity == "bob")
    }

    @Test func `a waiter binds its key again, and leaves nothing when it leaves`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let waiting = try await cluster.waiter(bob, "bob")
        let own = try #require(try cluster.keys().first { $0 != "qq/web/1f" })
        let lease = try cluster.lease(of: own)
        try cluster.put(own, "x")
        try await waitUntil("the key is bound again") { try cluster.lease(of: own) == lease }
        waiting.cancel()
        _ = await waiting.result
        #expect(await bob.leaveQueue(request("bob")) == nil)
        #expect(try cluster.keys() == ["qq/web/1f"] && cluster.leases() == 1)
    }

    @Test func `a waiter whose key something else has put leads with a key of its own writing`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let waiting = try await cluster.waiter(bob, "bob")
        let own = try #require(try cluster.keys().first { $0 != "qq/web/1f" })
        // Both in one moment: the waiter sees them together.
        try cluster.with { store throws(EtcdServerError) in
            _ = try store.put(.with { ($0.key, $0.value) = (.init(own.utf8), .init("x".utf8)) })
            _ = try store.deleteRange(.with { $0.key = .init("qq/web/1f".utf8) })
        }
        try await waiting.value
        let grant = try await granted(bob, request("bob"))
        let found = try await cluster.node().read("web")
        #expect(found.isTerm(of: grant) && found.token == grant.token && found.leader == "bob")
        #expect(try await bob.renew(grant).grant != nil)
    }

    // MARK: Stepping down

    @Test func `a key without a lease is deleted by force alone, and the next one leads`() async throws {
        try cluster.put("qq/web/1f", "ann")
        try cluster.put("qq/web/2f", "bob", lease: 0x2f)
        let node = try cluster.node()
        let seen = try await node.read("web")
        let error = try await #require(throws: CoordinationError.self) {
            try await node.askToStepDown(seen, by: "carl", byForce: false)
        }
        #expect(error.reason.contains("without a lease") && error.hint?.contains("--force") == true)
        #expect(try await node.askToStepDown(seen, by: "carl", byForce: true) == .done)
        #expect(try await node.read("web").leader == "bob")
    }

    @Test func `force does not end the lease that such a key is named by, nor the one that it is bound to`() async throws {
        try cluster.put("data", "x", lease: 0x1f)
        try cluster.put("qq/web/1f", "ann", lease: 0x77)
        let node = try cluster.node()
        #expect(try await node.askToStepDown(try await node.read("web"), by: "carl", byForce: true) == .done)
        #expect(try cluster.keys() == ["data"] && cluster.leases() == 2)
    }
}
