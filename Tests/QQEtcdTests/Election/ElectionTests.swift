import QQCore
import Support
import Synchronization
import Testing

@testable import QQEtcd

@Suite("Elections on etcd", .timeLimit(.minutes(10))) struct EtcdElectionTests {
    private let cluster = StoreCluster()

    @Test func `a free election is one key with the identity, under a lease of its own`() async throws {
        let grant = try await granted(try cluster.node(), request("ann"))
        #expect(try cluster.keys() == ["qq/web/\(grant.termID ?? "")"])
        let found = try await cluster.node().read("web")
        #expect(found.isLed && found.leader == "ann" && found.token == grant.token && found.isTerm(of: grant))
        #expect(found.isOwn == false && found.ttl == .seconds(9) && found.waiters == 0)
        #expect(grant.deadline == cluster.clock.now() + .seconds(9))
    }

    @Test func `a refused single try leaves neither key nor lease`() async throws {
        let grant = try await granted(try cluster.node(), request("ann"))
        let bob = try cluster.node()
        #expect(try await bob.acquire(request("bob")).refusal?.leader == "ann")
        #expect(await bob.leaveQueue(request("bob")) == nil)
        #expect(try cluster.keys() == ["qq/web/\(grant.termID ?? "")"] && cluster.leases() == 1)
    }

    @Test func `a lock of etcdctl keeps qq out, and is named by its lease`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let found = try #require(try await cluster.node().acquire(request("ann")).refusal)
        #expect(found.leader == "lease 1f" && found.termID == "1f" && found.details["kind"] == "lock")
    }

    @Test func `keys that are named by no lease keep nobody out`() async throws {
        try cluster.put("qq/web/config", "x")
        try cluster.put("qq/web/sub/1f", lease: 0x1f)
        _ = try await granted(try cluster.node(), request("ann"))
    }

    @Test func `a waiter leads after the one ahead, with a token above that of every term before`() async throws {
        let (ann, bob) = (try cluster.node(), try cluster.node())
        let first = try await granted(ann, request("ann"))
        let refusal = try #require(try await bob.acquire(request("bob")).refusal)
        let clock = cluster.clock
        let waiter = Task { try await bob.waitForTurn(request("bob"), behind: refusal, until: clock.now() + .seconds(60)) }
        try await waitUntil("bob waits") { try cluster.keys().count == 2 }
        #expect(try await cluster.node().read("web").details["contenders"] == .array(["bob"]))
        // A holder whose key is written after bob has entered: its token is above bob's create revision.
        let resumed = try await granted(try cluster.node(), request("ann", continuing: first))
        #expect(try #require(resumed.token) > (try #require(first.token)))
        #expect(try await ann.release(resumed) == .released)
        try await waiter.value
        let second = try await granted(bob, request("bob"))
        #expect(try #require(second.token) > (try #require(resumed.token)))
        #expect(try await cluster.node().read("web").token == second.token)
        #expect(await bob.leaveQueue(request("bob")) == nil)
        #expect(try cluster.keys().count == 1)
    }

    @Test func `a waiter whose key is deleted notices, and enters again`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let refusal = try #require(try await bob.acquire(request("bob")).refusal)
        let clock = cluster.clock
        let waiter = Task { try await bob.waitForTurn(request("bob"), behind: refusal, until: clock.now() + .seconds(60)) }
        try await waitUntil("bob waits") { try cluster.keys().count == 2 }
        try cluster.delete(try #require(try cluster.keys().first { $0 != "qq/web/1f" }))
        try await waiter.value
        #expect(try await bob.acquire(request("bob")).refusal?.leader == "lease 1f")
        #expect(try cluster.keys().count == 2)
    }

    @Test func `who gives up waiting leaves no key and no lease`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let refusal = try #require(try await bob.acquire(request("bob")).refusal)
        let clock = cluster.clock
        let waiter = Task { try await bob.waitForTurn(request("bob"), behind: refusal, until: clock.now() + .seconds(60)) }
        try await waitUntil("bob waits") { try cluster.keys().count == 2 }
        waiter.cancel()
        await #expect(throws: CoordinationError.self) { try await waiter.value }
        #expect(await bob.leaveQueue(request("bob")) == nil)
        #expect(try cluster.keys() == ["qq/web/1f"] && cluster.leases() == 1)
    }

    // MARK: Holding

    @Test func `a renewal counts from before it was sent`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        cluster.clock.pass(.seconds(3))
        #expect(try await ann.renew(grant).grant?.deadline == cluster.clock.now() + .seconds(9))
    }

    @Test func `a deleted key is a loss although its lease lives`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        try cluster.delete("qq/web/\(grant.termID ?? "")")
        #expect(try await ann.renew(grant).grant == nil)
    }

    @Test func `a lease that has ended is a loss, and its holder does not lead again by it`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        cluster.clock.pass(.seconds(10))
        #expect(try await ann.renew(grant).grant == nil)
        #expect(try await ann.read("web").phase == .free)
    }

    @Test func `a holder hears of its deleted key without a renewal`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        var changes = ann.changes(of: ["web"]).makeAsyncIterator()
        #expect(try await changes.next()?.isTerm(of: grant) == true)
        try cluster.delete("qq/web/\(grant.termID ?? "")")
        #expect(try await changes.next()?.phase == .free)
    }

    @Test func `a term that another process has resumed is lost`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        _ = try await granted(try cluster.node(), request("ann", continuing: grant))
        #expect(try await ann.read("web").isTerm(of: grant) == false)
        #expect(try await ann.renew(grant).grant == nil)
    }

    @Test func `a process that has lost a term to another one does not end it when it campaigns again`() async throws {
        let (first, second) = (try cluster.node(), try cluster.node())
        let grant = try await granted(first, request("ann"))
        let resumed = try await granted(second, request("ann", continuing: grant))
        // The first hears of it by its watch, without a renewal.
        #expect(try await first.read("web").isTerm(of: grant) == false)
        #expect(try await first.acquire(request("ann")).refusal != nil)
        #expect(try await second.renew(resumed).grant != nil)
        #expect(try await second.read("web").isTerm(of: resumed))
    }

    @Test func `a process that requests its lease anew ends the former term`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        let next = try await granted(ann, request("ann"))
        #expect(try #require(next.token) > (try #require(grant.token)))
        #expect(try cluster.keys() == ["qq/web/\(next.termID ?? "")"] && cluster.leases() == 1)
    }

    @Test func `another process releases with the grant alone`() async throws {
        let grant = try await granted(try cluster.node(), request("ann"))
        #expect(try await cluster.node().release(grant) == .released)
        #expect(try cluster.keys().isEmpty && cluster.leases() == 0)
        guard case .notHeld = try await cluster.node().release(grant) else { return #expect(Bool(false), "it is not held any more") }
    }

    @Test func `releasing one election does not touch another one of the same process`() async throws {
        let ann = try cluster.node()
        let grants = [try await granted(ann, request("ann", "a")), try await granted(ann, request("ann", "b"))]
        #expect(try await ann.release(grants[0]) == .released)
        #expect(try await ann.renew(grants[1]).grant != nil)
    }

    @Test func `a process resumes its own term, under the same lease`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        let resumed = try await granted(ann, request("ann", continuing: grant))
        #expect(resumed.termID == grant.termID)
        #expect(try #require(resumed.token) > (try #require(grant.token)))
        #expect(try cluster.leases() == 1)
    }

    // MARK: Uncertain answers

    @Test func `a resumption that was not carried out is repeated`() async throws {
        let grant = try await granted(try cluster.node(), request("ann"))
        let ann = try cluster.node()
        try cluster.fail("KV/Txn", .none)
        await #expect(throws: CoordinationError.self) { try await ann.acquire(request("ann", continuing: grant)) }
        let next = try await granted(ann, request("ann", continuing: grant))
        #expect(next.termID == grant.termID)
        #expect((try #require(next.token)) > (try #require(grant.token)))
        #expect(try cluster.keys().count == 1 && cluster.leases() == 1)
    }

    @Test func `a resumption that was carried out without an answer could be another process's, and ends by itself`() async throws {
        let grant = try await granted(try cluster.node(), request("ann"))
        let ann = try cluster.node()
        try cluster.fail("KV/Txn", .now)
        await #expect(throws: CoordinationError.self) { try await ann.acquire(request("ann", continuing: grant)) }
        #expect(try await ann.acquire(request("ann", continuing: grant)).refusal != nil)
        #expect(try await ann.acquire(request("ann")).refusal != nil)
        cluster.clock.pass(.seconds(11))
        let next = try await granted(ann, request("ann", continuing: grant))
        #expect((try #require(next.token)) > (try #require(grant.token)))
        #expect(try cluster.keys().count == 1 && cluster.leases() == 1)
    }

    @Test func `a term that one process fails to resume, and another one resumes, is not ended by the first`() async throws {
        let grant = try await granted(try cluster.node(), request("ann"))
        let (first, second) = (try cluster.node(), try cluster.node())
        try cluster.fail("KV/Txn", .none)
        await #expect(throws: CoordinationError.self) { try await first.acquire(request("ann", continuing: grant)) }
        let resumed = try await granted(second, request("ann", continuing: grant))
        #expect(try await first.acquire(request("ann")).refusal != nil)
        #expect(try await second.renew(resumed).grant != nil)
    }

    @Test func `an entry whose answer was lost is found by the next attempt`() async throws {
        let ann = try cluster.node()
        try cluster.fail("KV/Txn", .now)
        let error = try await #require(throws: CoordinationError.self) { try await ann.acquire(request("ann")) }
        #expect(error.isTransient)
        _ = try await granted(ann, request("ann"))
        #expect(try cluster.keys().count == 1 && cluster.leases() == 1)
    }

    @Test func `a lease of another program that has the chosen id by chance is not ended`() async throws {
        let ann = try cluster.node()
        try cluster.fail("Lease/LeaseGrant", .none, .leaseExists)
        await #expect(throws: CoordinationError.self) { try await ann.acquire(request("ann")) }
        _ = try await granted(ann, request("ann"))
        #expect(await ann.leaveQueue(request("ann")) == nil)
        let revocations = try cluster.calls()["Lease/LeaseRevoke"]
        #expect(revocations == nil)
        #expect(try cluster.leases() == 1)
    }

    @Test func `an entry that comes after it was taken back leaves nothing`() async throws {
        let ann = try cluster.node()
        try cluster.fail("KV/Txn", .later)
        await #expect(throws: CoordinationError.self) { try await ann.acquire(request("ann")) }
        #expect(await ann.leaveQueue(request("ann")) == nil)
        try cluster.with { store throws(EtcdServerError) in store.applyLateWrites() }
        #expect(try cluster.keys().isEmpty && cluster.leases() == 0)
        _ = try await granted(try cluster.node(), request("bob"))
    }

    @Test func `a full database refuses entries with the reason, and holders keep their leases`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        try cluster.with { store throws(EtcdServerError) in store.fill() }
        #expect(try await ann.renew(grant).grant != nil)
        let error = try await #require(throws: CoordinationError.self) { try await cluster.node().acquire(request("bob", "other")) }
        #expect(error.reason.contains("database is full"))
        #expect(try await ann.release(grant) == .released)
        let status = try #require(await ann.clusterStatus().endpoints.first)
        #expect(status.isReachable && !status.canGrant && status.details["alarms"] == .array(["NOSPACE"]))
    }

    // MARK: Stepping down

    @Test func `a holder that follows its lease is asked, and the request is deleted`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, request("ann"))
        var changes = ann.changes(of: ["web"]).makeAsyncIterator()
        #expect(try await changes.next()?.stepDownAskedBy == nil)
        let bob = try cluster.node()
        #expect(try await bob.askToStepDown(try await bob.read("web"), by: "bob", byForce: true) == .asked)
        let found = try #require(try await changes.next())
        #expect(found.stepDownAskedBy == "bob" && found.isTerm(of: grant))
        #expect(try cluster.keys() == ["qq/web/\(grant.termID ?? "")"] && cluster.leases() == 1)
    }

    @Test func `a request that another one has replaced is not answered by the end of that one`() async throws {
        try cluster.put("qq/web/1f", "somebody", lease: 0x1f)
        let bob = try cluster.node()
        let seen = try await bob.read("web")
        let isOver = Mutex(false)
        let asking = Task {
            defer { isOver.withLock { $0 = true } }
            return try await bob.askToStepDown(seen, by: "bob", byForce: false)
        }
        try await waitUntil("the request") { try cluster.keys().contains("qq/web.step-down") }
        try cluster.put("qq/web.step-down", "another", lease: 0x3f)
        try cluster.delete("qq/web.step-down")
        try await waitUntil("the request is made again") { try cluster.keys().contains("qq/web.step-down") }
        try await waitUntil("an end") {
            cluster.clock.passToNextDeadline()
            return isOver.withLock { $0 }
        }
        await #expect(throws: CoordinationError.self) { try await asking.value }
    }

    @Test func `a lock of etcdctl steps down by force alone`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let seen = try await bob.read("web")
        await #expect(throws: CoordinationError.self) { try await bob.askToStepDown(seen, by: "bob", byForce: false) }
        #expect(try cluster.keys() == ["qq/web/1f"])
        #expect(try await bob.askToStepDown(seen, by: "bob", byForce: true) == .done)
        #expect(try cluster.keys().isEmpty && cluster.leases() == 0)
    }

    @Test func `force spares what else hangs on the lease`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        try cluster.put("qq/other/1f", lease: 0x1f)
        try cluster.put("data", "x", lease: 0x1f)
        let bob = try cluster.node()
        #expect(try await bob.askToStepDown(try await bob.read("web"), by: "bob", byForce: true) == .done)
        #expect(try cluster.keys() == ["data", "qq/other/1f"])
    }

    @Test func `a leader that has changed since it was read is left alone`() async throws {
        try cluster.put("qq/web/1f", lease: 0x1f)
        let bob = try cluster.node()
        let seen = try await bob.read("web")
        try cluster.delete("qq/web/1f")
        try cluster.put("qq/web/2f", lease: 0x2f)
        guard case .changed = try await bob.askToStepDown(seen, by: "bob", byForce: true) else {
            return #expect(Bool(false), "the leader has changed")
        }
        #expect(try cluster.keys() == ["qq/web/2f"])
    }

    // MARK: Listing

    @Test func `a list has every election below the prefix, and nothing else`() async throws {
        _ = try await granted(try cluster.node(), request("ann", "a"))
        try cluster.put("qq/b/c/1f", lease: 0x1f)
        try cluster.put("qq/config", "x")
        try cluster.put("elsewhere/2f", lease: 0x2f)
        let found = try await cluster.node().list()
        #expect(found.map(\.name) == ["a", "b/c"] && found.map(\.leader) == ["ann", "lease 1f"])
    }
}
