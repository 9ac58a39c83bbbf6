import QQCore
import Support
import Testing

@testable import QQEtcd

@Suite("Former leaders of the cluster that still answer keep-alives", .timeLimit(.minutes(10))) struct FormerLeaderTests {
    private let cluster = StoreCluster()

    /// Elects another leader, of which these members do not know.
    private func elect(without members: [Int]) throws {
        try cluster.with { store throws(EtcdServerError) in
            store.faults.formerLeaders = Dictionary(uniqueKeysWithValues: members.map { ($0, store.term) })
            store.lead(2)
        }
    }

    @Test func `a renewal that a former leader answers does not count, and is sent to another member`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        try elect(without: [0])
        cluster.clock.pass(.seconds(6))
        let renewed = try #require(try await ann.renew(grant).grant)
        #expect(renewed.deadline == cluster.clock.now() + .seconds(9))
        // The new leader has given the lease its TTL and a second: without a renewal it ends before what the answer of the former one promised.
        cluster.clock.pass(.seconds(8))
        #expect(try cluster.keys().count == 1)
    }

    @Test func `a holder that reaches nothing but former leaders does not believe them`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        try elect(without: [0, 1, 2])
        let error = try await #require(throws: CoordinationError.self) { try await ann.renew(grant) }
        #expect(error.isTransient)
    }

    @Test func `a waiter's turn counts from a renewal by the present leader`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let refusal = try #require(try await bob.acquire(request("bob")).refusal)
        let clock = cluster.clock
        let waiting = Task { try await bob.waitForTurn(request("bob"), behind: refusal, until: clock.now() + .seconds(600)) }
        try await waitUntil("bob waits") { try cluster.keys().count == 2 }
        try elect(without: [0])
        // It renews every 3 s, and a former leader answers.
        for _ in 1...2 {
            let calls = try cluster.calls()["Lease/LeaseKeepAlive"] ?? 0
            clock.pass(.milliseconds(3_500))
            try await waitUntil("a renewal") { (try cluster.calls()["Lease/LeaseKeepAlive"] ?? 0) > calls }
        }
        try cluster.delete("qq/web/1f")
        try await waiting.value
        let grant = try await granted(bob, request("bob"))
        clock.pass(grant.deadline.duration(since: clock.now()) - .milliseconds(1))
        #expect(try cluster.keys().count == 1, "a lease that is believed in exists")
    }

    @Test func `a term is not resumed by a renewal that a former leader answers`() async throws {
        let grant = try await granted(try cluster.node(), request("ann"))
        try elect(without: [0])
        cluster.clock.pass(.seconds(6))
        let resumed = try await granted(try cluster.node(), request("ann", continuing: grant))
        cluster.clock.pass(resumed.deadline.duration(since: cluster.clock.now()) - .milliseconds(1))
        #expect(try cluster.keys().count == 1)
    }
}
