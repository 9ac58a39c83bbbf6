import QQCore
import Support
import Synchronization
import Testing

@testable import QQEtcd

@Suite("Elections on etcd among many and large keys", .timeLimit(.minutes(10))) struct LargeElectionTests {
    private let cluster = StoreCluster()
    /// Nearly the largest that a server accepts: three are more than an answer can have.
    private let large = String(repeating: "x", count: 1_400_000)

    @Test func `large values of foreign keys below the name are not read`() async throws {
        for number in 1...4 { try cluster.put("qq/web/config\(number)", large) }
        let (ann, bob) = (try cluster.node(), try cluster.node())
        let grant = try await granted(ann, request("ann"))
        let waiting = try await cluster.waiter(bob, "bob")
        let found = try await cluster.node().read("web")
        #expect(found.leader == "ann" && found.details["contenders"] == .array(["bob"]))
        #expect(try await cluster.node().list().map(\.leader) == ["ann"])
        #expect(try await ann.renew(grant).grant != nil)
        #expect(try await ann.release(grant) == .released)
        try await waiting.value
        #expect(try #require(try await granted(bob, request("bob")).token) > (try #require(grant.token)))
    }

    @Test func `contenders with values that are too large have no identity, and the others have theirs`() async throws {
        for (lease, value) in [(0x1f, large), (0x2f, large), (0x3f, "bob"), (0x4f, large), (0x5f, large)] {
            try cluster.put("qq/web/\(LeaseID.text(Int64(lease)))", value, lease: Int64(lease))
        }
        let found = try await cluster.node().read("web")
        #expect(found.leader == "lease 1f" && found.details["contenders"] == .array(["lease 2f", "bob", "lease 4f", "lease 5f"]))
        #expect(try await cluster.node().acquire(request("ann")).refusal?.waiters == 4)
    }

    @Test func `a waiter finds the one ahead behind any number of foreign keys`() async throws {
        for count in [20, 700] {
            let cluster = StoreCluster()
            try cluster.put("qq/web/1f", lease: 0x1f)
            for number in 1...count { try cluster.put("qq/web/config\(number)") }
            let bob = try cluster.node()
            let refusal = try #require(try await bob.acquire(request("bob")).refusal)
            let clock = cluster.clock
            let waiting = Task { try await bob.waitForTurn(request("bob"), behind: refusal, until: clock.now() + .seconds(600)) }
            try await waitUntil("bob waits") { try cluster.keys().count == count + 2 }
            try cluster.delete("qq/web/1f")
            try await waiting.value
            let grant = try await granted(bob, request("bob"))
            #expect(try await cluster.node().read("web").isTerm(of: grant))
        }
    }

    @Test func `waiters lead one after the other, each with a token above the one before`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        var waiting: [(EtcdCoordinator, Task<Void, any Error>)] = []
        for number in 0..<20 {
            let node = try cluster.node()
            waiting.append((node, try await cluster.waiter(node, "n\(number)")))
        }
        try cluster.delete("qq/web/1f")
        var last: FencingToken?
        for (number, (node, task)) in waiting.enumerated() {
            try await task.value
            let grant = try await granted(node, request("n\(number)"))
            if let last { #expect(try #require(grant.token) > last) }
            last = grant.token
            #expect(try await node.release(grant) == .released)
        }
        // The lease of the first leader is not theirs.
        #expect(try cluster.keys().isEmpty && cluster.leases() == 1)
    }

    @Test func `a hand-over is one transaction of the winner, whatever the number of waiters`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let waiting = try await cluster.waiter(bob, "bob")
        for lease in Int64(0x100)..<0x400 { try cluster.put("qq/web/\(LeaseID.text(lease))", lease: lease) }
        // Its watch might begin only now, and everything after that is the hand-over.
        try await waitUntil("bob watches") { try cluster.with { store throws(EtcdServerError) in store.watchers } > 0 }
        let before = try cluster.calls()
        try cluster.delete("qq/web/1f")
        try await waiting.value
        let grant = try await granted(bob, request("bob"))
        let after = try cluster.calls()
        let changed = Set(after.keys.filter { after[$0] != before[$0] })
        #expect(changed == ["KV/DeleteRange", "KV/Txn"])
        let transactions = (after["KV/Txn"] ?? 0) - (before["KV/Txn"] ?? 0)
        #expect(transactions == 1)
        #expect(try await cluster.node().read("web").isTerm(of: grant))
    }

    @Test func `a wait that ends in a lead counts its lease from the last renewal`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let waiting = try await cluster.waiter(bob, "bob")
        try await waitUntil("bob watches") { try cluster.with { store throws(EtcdServerError) in store.watchers } > 0 }
        let began = cluster.clock.now()
        cluster.clock.pass(.milliseconds(500))
        try cluster.delete("qq/web/1f")
        try await waiting.value
        cluster.clock.pass(.milliseconds(200))
        let grant = try await granted(bob, request("bob"))
        #expect(grant.deadline <= began + .seconds(9) && grant.endsBy == grant.deadline)
    }

    @Test func `a turn that came long ago is proven by a new renewal`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let waiting = try await cluster.waiter(bob, "bob")
        try cluster.delete("qq/web/1f")
        try await waiting.value
        cluster.clock.pass(.seconds(6))
        let asked = cluster.clock.now()
        let grant = try await granted(bob, request("bob"))
        #expect(grant.deadline == asked + .seconds(9))
        #expect(try await bob.renew(grant).grant != nil)
    }

    @Test func `a turn that came a while ago is asked for again, because its key can be gone since`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let waiting = try await cluster.waiter(bob, "bob")
        try cluster.delete("qq/web/1f")
        try await waiting.value
        // Neither a watch nor a renewal sees this, and the lease is far from its end.
        try cluster.delete(try #require(try cluster.keys().first))
        try cluster.put("qq/web/2f", lease: 0x2f)
        cluster.clock.pass(.seconds(2))
        #expect(try await bob.acquire(request("bob")).refusal?.leader == "lease 2f")
    }

    @Test func `a turn that was not taken counts no more once the place is waited for again`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let (ann, bob) = (try cluster.node(), try cluster.node())
        let refusal = try #require(try await bob.acquire(request("bob")).refusal)
        let waiting = try await cluster.waiter(bob, "bob")
        try cluster.delete("qq/web/1f")
        try await waiting.value
        // Something deletes bob's key, and ann leads.
        let key = try #require(try cluster.keys().first)
        try cluster.delete(key)
        let grant = try await granted(ann, request("ann"))
        let clock = cluster.clock
        let end = clock.now() + .seconds(1)
        let again = Task { try await bob.waitForTurn(request("bob"), behind: refusal, until: end) }
        try await waitUntil("bob waits again") { try cluster.keys().count == 2 }
        clock.pass(.seconds(1))
        try await again.value
        #expect(try await bob.acquire(request("bob")).refusal?.leader == "ann")
        #expect(try await ann.renew(grant).grant != nil)
    }

    // MARK: Compaction

    /// Compacts after reads, as often as `times`.
    private func compactAfterReads(_ times: Int) {
        let reads = Atomic(0)
        let cluster = cluster
        cluster.afterRange.withLock {
            $0 = { if reads.add(1, ordering: .relaxed).oldValue < times { try? cluster.compact() } }
        }
    }

    @Test func `a list whose revision is discarded between two pages is begun again`() async throws {
        for number in Int64(1)...1_100 { try cluster.put("qq/e\(number)/1f\(number)", lease: 0x1f) }
        try cluster.put("qq/web/2f", "ann", lease: 0x2f)
        compactAfterReads(1)
        #expect(try await cluster.node().list().map(\.leader) == ["ann"])
    }

    @Test func `a list that cannot be read at one revision says why`() async throws {
        for number in Int64(1)...600 { try cluster.put("qq/e\(number)/1f\(number)", lease: 0x1f) }
        compactAfterReads(.max)
        let error = try await #require(throws: CoordinationError.self) { try await cluster.node().list() }
        #expect(error.reason.contains("discards revisions") && error.isTransient)
    }

    @Test func `a state whose revision is discarded before its identities are read is read again`() async throws {
        try cluster.put("qq/web/2f", "ann", lease: 0x2f)
        compactAfterReads(1)
        #expect(try await cluster.node().read("web").leader == "ann")
    }
}
