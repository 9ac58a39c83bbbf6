import QQCore
import Testing

@testable import QQConsul

@Suite("Waiting and watching on Consul") struct ConsulWaitingTests {
    private let bench = Bench()

    @Test func `a waiter asks again when the holder has released`() async throws {
        let holder = try bench.node()
        let grant = try granted(await holder.qq.acquire(request("ann")))
        let node = try bench.node()
        let blocker = try refused(await node.qq.acquire(request("bob")))
        async let turn: Void = node.qq.waitForTurn(request("bob"), behind: blocker, until: .distantFuture)
        _ = try await holder.qq.release(grant)
        try await turn
        _ = try granted(await node.qq.acquire(request("bob")))
    }

    @Test func `after a crash the next one leads when the session and its lock-delay have ended, and is told of both`() async throws {
        let began = bench.clock.now()
        _ = try granted(await bench.node().qq.acquire(request("ann")))
        let node = try bench.node(letsTimePass: true)
        var blocker = try refused(await node.qq.acquire(request("bob")))
        try await node.qq.waitForTurn(request("bob"), behind: blocker, until: .distantFuture)
        #expect(bench.clock.now() >= began + .seconds(30))
        blocker = try refused(await node.qq.acquire(request("bob")))
        let refusal = try #require(blocker.refusal)
        #expect(
            refusal.contains("nobody can have it for another")
                && blocker.details["delay_left"]?.doubleValue.map { $0 > 14 && $0 <= 15 } == true)
        try await node.qq.waitForTurn(request("bob"), behind: blocker, until: .distantFuture)
        _ = try granted(await node.qq.acquire(request("bob")))
        #expect(bench.clock.now() >= began + .seconds(45) && bench.clock.now() < began + .seconds(46))
    }

    @Test func `a lock-delay whose beginning was not seen is asked about at a pace`() async throws {
        let grant = try granted(await bench.node().qq.acquire(request("ann")))
        bench.store.destroy(try #require(grant.termID))
        let node = try bench.node()
        var asked = 0
        while asked < 100 {
            asked += 1
            guard case .refused(let blocker) = try await node.qq.acquire(request("bob")) else { break }
            #expect(blocker.refusal?.contains("up to 1m") == true)
            try await node.qq.waitForTurn(request("bob"), behind: blocker, until: .distantFuture)
        }
        #expect(asked == 16)
        #expect(bench.store.sessions.count == 1, "one session is kept for all attempts")
    }

    @Test func `a wait ends at its deadline`() async throws {
        let holder = try bench.node()
        _ = try granted(await holder.qq.acquire(request("ann")))
        let node = try bench.node(letsTimePass: true)
        let blocker = try refused(await node.qq.acquire(request("bob")))
        let end = bench.clock.now() + .seconds(2)
        try await node.qq.waitForTurn(request("bob"), behind: blocker, until: end)
        #expect(bench.clock.now() >= end && bench.clock.now() < end + .seconds(1))
    }

    // MARK: Watching

    @Test func `a watch shows the present state and then each change`() async throws {
        let holder = try bench.node()
        let grant = try granted(await holder.qq.acquire(request("ann")))
        var states = try bench.node().qq.changes(of: ["web"]).makeAsyncIterator()
        #expect(try await states.next()?.leader == "ann")
        _ = try await holder.qq.release(grant)
        #expect(try await states.next()?.phase == .free)
        _ = try granted(await bench.node().qq.acquire(request("bob")))
        #expect(try await states.next()?.leader == "bob")
    }

    @Test func `a holder sees that its session has ended`() async throws {
        let holder = try bench.node()
        let grant = try granted(await holder.qq.acquire(request("ann")))
        var states = holder.qq.changes(of: ["web"]).makeAsyncIterator()
        #expect(try await states.next()?.isTerm(of: grant) == true)
        bench.store.destroy(try #require(grant.termID))
        let found = try #require(try await states.next())
        #expect(!found.isTerm(of: grant) && found.phase == .free)
    }

    @Test func `a plain put is no change of leader for the holder`() async throws {
        let holder = try bench.node()
        let grant = try granted(await holder.qq.acquire(request("ann")))
        var states = holder.qq.changes(of: ["web"]).makeAsyncIterator()
        #expect(try await states.next()?.isTerm(of: grant) == true)
        bench.store.put("web/.lock", "anyone")
        _ = try await holder.qq.askToStepDown(try await holder.qq.read("web"), by: "bob", byForce: false)
        let found = try #require(try await states.next())
        #expect(found.isTerm(of: grant) && found.stepDownAskedBy == "bob")
    }

    // MARK: Stepping down

    @Test func `a qq is asked by a key next to its own, which its release deletes`() async throws {
        let holder = try bench.node()
        let grant = try granted(await holder.qq.acquire(request("ann")))
        var states = holder.qq.changes(of: ["web"]).makeAsyncIterator()
        _ = try await states.next()
        let other = try bench.node()
        let before = bench.store.key("web/.lock")?.modifyIndex
        #expect(try await other.qq.askToStepDown(try await other.qq.read("web"), by: "bob", byForce: false) == .asked)
        #expect(bench.store.key("web/.lock")?.modifyIndex == before)
        #expect(try await states.next()?.stepDownAskedBy == "bob")
        #expect(try await holder.qq.release(grant) == .released)
        #expect(bench.store.key("web/.lock.step-down") == nil)
    }

    @Test func `a request to an earlier term asks nobody`() async throws {
        let holder = try bench.node()
        let grant = try granted(await holder.qq.acquire(request("ann")))
        let seen = try await holder.qq.read("web")
        _ = try await holder.qq.askToStepDown(seen, by: "bob", byForce: false)
        _ = try await bench.node().qq.release(grant)
        let next = try bench.node()
        let present = try granted(await next.qq.acquire(request("cat")))
        var states = next.qq.changes(of: ["web"]).makeAsyncIterator()
        let found = try #require(try await states.next())
        #expect(found.isTerm(of: present) && found.stepDownAskedBy == nil)
        #expect(bench.store.key("web/.lock.step-down") == nil)
        #expect(try await next.qq.askToStepDown(seen, by: "bob", byForce: true).isChanged)
    }

    @Test func `the session of consul lock is destroyed by force alone, and its lock-delay keeps the next one out`() async throws {
        let foreign = bench.store.lockAsConsul("web/.lock")
        let node = try bench.node()
        let seen = try await node.qq.read("web")
        let error = try await #require(throws: CoordinationError.self) {
            try await node.qq.askToStepDown(seen, by: "bob", byForce: false)
        }
        #expect(error.hint?.contains("--force") == true)
        #expect(try await node.qq.askToStepDown(seen, by: "bob", byForce: true) == .done)
        #expect(bench.store.sessions[foreign] == nil && bench.store.key("web/.lock") != nil)
        #expect(try refused(await node.qq.acquire(request("bob"))).refusal?.contains("lock-delay") == true)
    }

    @Test func `a name that is a whole key is watched alone, and its holder is ended by force alone`() async throws {
        let holder = try bench.node("consul://store?key=")
        let grant = try granted(await holder.qq.acquire(request("ann", "service/leader")))
        #expect(bench.store.key("service/leader")?.session == grant.termID)
        let other = try bench.node("consul://store?key=")
        let seen = try await other.qq.read("service/leader")
        let error = try await #require(throws: CoordinationError.self) {
            try await other.qq.askToStepDown(seen, by: "bob", byForce: false)
        }
        #expect(error.reason.contains("whole key"))
        #expect(try await other.qq.askToStepDown(seen, by: "bob", byForce: true) == .done)
        _ = try lost(await holder.qq.renew(grant))
    }

    // MARK: Listing

    @Test func `a list has the elections of the prefix, and shows semaphores as such`() async throws {
        let node = try bench.node("consul://store/jobs")
        _ = try granted(await node.qq.acquire(request("ann", "web")))
        _ = try granted(await node.qq.acquire(request("ann", "a/b")))
        _ = bench.store.lockAsConsul("jobs/mail/.lock")
        bench.store.put("jobs/pool/.lock", "{}", flags: ConsulRules.semaphoreFlags)
        bench.store.put("jobs/data/.lock", "x", flags: 5)
        bench.store.put("jobs/web/note", "x")
        _ = bench.store.lockAsConsul("other/.lock")
        let found = try await node.qq.list()
        #expect(found.map(\.name) == ["a/b", "mail", "pool", "web"])
        #expect(found.map { $0.details["kind"] } == ["qq", "lock", "semaphore", "qq"])
        #expect(found.map(\.phase) == [.held, .held, .unknown, .held])
    }
}
