import QQCore
import Testing

@testable import QQConsul

@Suite("Slots on Consul") struct ConsulSlotTests {
    private let bench = Bench()

    private func slot(_ number: Int, of count: Int = 2) -> String { Slot(number, of: count, election: "web").name }

    private func take(_ identity: String, _ number: Int, of count: Int = 2) async throws -> Grant {
        try granted(await bench.node().qq.acquire(request(identity, slot(number, of: count))))
    }

    // MARK: Holding

    @Test func `a slot has a contender, an entry in the semaphore, a key of its own, and one token in all of them`() async throws {
        let grant = try await take("ann", 1)
        let session = try #require(grant.termID)
        let lock = try #require(bench.store.key("web/.lock"))
        #expect(String(decoding: lock.value, as: UTF8.self) == #"{"Limit":2,"Holders":{"\#(session)":true}}"#)
        #expect(lock.flags == ConsulRules.semaphoreFlags && lock.session == nil)
        for key in ["web/\(session)", "web/.slot-1-of-2"] {
            let found = try #require(bench.store.key(key))
            #expect(found.session == session && found.flags == ConsulRules.semaphoreFlags && found.modifyIndex <= lock.modifyIndex)
        }
        let seen = try await bench.node().qq.read(slot(1))
        #expect(seen.leader == "ann" && seen.token == grant.token && seen.isTerm(of: grant) && seen.details["kind"] == "qq")
    }

    @Test func `each slot has one holder, and no more are let in than there are slots`() async throws {
        let first = try await take("ann", 1)
        #expect(try refused(await bench.node().qq.acquire(request("bob", slot(1)))).leader == "ann")
        let second = try await take("bob", 2)
        #expect(first.termID != second.termID && bench.store.holders("web").count == 2)
        for number in [1, 2] { _ = try refused(await bench.node().qq.acquire(request("cat", slot(number)))) }
        _ = try renewed(await bench.node().qq.renew(first))
    }

    @Test func `the token of a slot grows from term to term, and other slots do not change it`() async throws {
        var last: UInt64 = 0
        let other = try await take("bob", 2)
        for _ in 0..<4 {
            let grant = try await take("ann", 1)
            let token = try #require(grant.token?.value)
            #expect(token > last)
            last = token
            #expect(try await bench.node().qq.release(grant) == .released)
        }
        #expect(try await bench.node().qq.read(slot(2)).token == other.token)
    }

    @Test func `a release leaves nothing behind, and nobody waits`() async throws {
        let first = try await take("ann", 1)
        let second = try await take("bob", 2)
        #expect(try await bench.node().qq.release(first) == .released)
        #expect(bench.store.holders("web") == [second.termID])
        let third = try await take("cat", 1)
        for grant in [second, third] { #expect(try await bench.node().qq.release(grant) == .released) }
        #expect(bench.store.keys.isEmpty && bench.store.sessions.isEmpty, "\(bench.store.keys)")
    }

    @Test func `processes of which none gives way to the other at first get all slots in the end`() async throws {
        let count = 8
        let tokens = try await withThrowingTaskGroup(of: Grant.self) { group in
            for number in 1...count {
                group.addTask { try granted(await bench.node().qq.acquire(request("id\(number)", slot(number, of: count)))) }
            }
            return try await group.reduce(into: Set<UInt64>()) { $0.insert($1.token?.value ?? 0) }
        }
        #expect(tokens.count == count && bench.store.holders("web").count == count)
    }

    @Test func `a transaction whose answer was lost is found by reading`() async throws {
        let node = try bench.node()
        node.agent.set { $0.path == "/v1/txn" ? .lostAnswer : .normal }
        let grant = try granted(await node.qq.acquire(request("ann", slot(1))))
        #expect(grant.token?.value == bench.store.key("web/.slot-1-of-2")?.modifyIndex)
        #expect(try await node.qq.release(grant) == .released)
        #expect(bench.store.keys.isEmpty && bench.store.sessions.isEmpty)
    }

    @Test func `a transaction that comes late finds its session gone`() async throws {
        let node = try bench.node()
        node.agent.set { $0.path == "/v1/txn" ? .late : .normal }
        _ = try await #require(throws: CoordinationError.self) { try await node.qq.acquire(request("ann", slot(1))) }
        node.agent.heal()
        node.agent.deliver()
        #expect(bench.store.keys.isEmpty)
    }

    @Test func `a saved grant is resumed beside the holders of all other slots, and the process that had it loses the term`() async throws {
        let first = try bench.node()
        let grant = try granted(await first.qq.acquire(request("ann", slot(1), attended: false)))
        let other = try await take("bob", 2)
        let second = try bench.node()
        let resumed = try granted(await second.qq.acquire(request("ann", slot(1), continuing: grant)))
        #expect(try #require(resumed.token) > #require(grant.token) && resumed.termID == grant.termID)
        _ = try lost(await first.qq.renew(grant))
        #expect(try await first.qq.release(grant).isNotHeld)
        _ = try renewed(await second.qq.renew(resumed))
        #expect(bench.store.holders("web") == [grant.termID, other.termID])
    }

    @Test func `a holder that .lock no longer names has lost its slot, which stays taken`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(request("ann", slot(1))))
        bench.store.put("web/.lock", #"{"Limit":2,"Holders":{}}"#, flags: ConsulRules.semaphoreFlags)
        #expect(try await !node.qq.read(slot(1)).isTerm(of: grant))
        _ = try lost(await node.qq.renew(grant))
        _ = try refused(await bench.node().qq.acquire(request("bob", slot(1))))
        _ = try await take("bob", 2)
    }

    // MARK: Ends without a release

    @Test func `a dead holder is pruned, and its own slot is free after the lock-delay`() async throws {
        let grant = try await take("ann", 1)
        _ = try await take("bob", 2)
        bench.store.destroy(try #require(grant.termID))
        let node = try bench.node()
        #expect(try refused(await node.qq.acquire(request("cat", slot(1)))).refusal?.contains("lock-delay") == true)
        _ = try refused(await node.qq.acquire(request("cat", slot(2))))
        bench.clock.pass(.seconds(15))
        _ = try granted(await node.qq.acquire(request("cat", slot(1))))
        #expect(bench.store.key("web/\(try #require(grant.termID))") == nil, "the key of the dead contender is deleted")
    }

    @Test func `a session that was left to itself ends no sooner than its lease, and then counts no more`() async throws {
        let grant = try await take("ann", 1)
        bench.clock.pass(grant.deadline.duration(since: bench.clock.now()) + .seconds(14))
        _ = try refused(await bench.node().qq.acquire(request("cat", slot(1))))
        bench.clock.pass(.seconds(17))
        _ = try await take("cat", 1)
    }

    // MARK: Beside consul lock -n

    @Test func `consul lock -n and qq together are never more than there are slots`() async throws {
        let foreign = bench.store.contendAsConsul("web", limit: 2)
        #expect(foreign.isHolder)
        let grant = try await take("ann", 1)
        #expect(!bench.store.contendAsConsul("web", limit: 2).isHolder)
        _ = try refused(await bench.node().qq.acquire(request("bob", slot(2))))
        let seen = try await bench.node().qq.read(slot(2))
        #expect(seen.termID == foreign.session && seen.leader?.hasPrefix("Consul lock") == true && seen.isLed && seen.token == nil)
        #expect(seen.details["kind"] == "semaphore")
        #expect(try await bench.node().qq.release(grant) == .released)
        #expect(bench.store.contendAsConsul("web", limit: 2).isHolder)
        #expect(try refused(await bench.node().qq.acquire(request("bob", slot(1)))).termID != nil)
    }

    @Test func `a holder without a number leaves every number to others that ask for it`() async throws {
        let foreign = bench.store.contendAsConsul("web", limit: 2)
        #expect(try await bench.node().qq.read(slot(2)).termID == foreign.session)
        _ = try await take("ann", 2)
        #expect(try await bench.node().qq.read(slot(1)).termID == foreign.session)
        _ = try refused(await bench.node().qq.acquire(request("bob", slot(1))))
    }

    @Test func `beside holders without a number, a slot within its lock-delay counts as held`() async throws {
        let first = try await take("ann", 1, of: 3)
        #expect(bench.store.contendAsConsul("web", limit: 3).isHolder)
        _ = try await take("bob", 2, of: 3)
        bench.store.destroy(try #require(first.termID))
        let node = try bench.node()
        // The command of ann might still run: with those of bob and consul lock these are three.
        #expect(try refused(await node.qq.acquire(request("cat", slot(3, of: 3)))).refusal?.contains("lock-delay") == true)
        bench.clock.pass(.seconds(14))
        _ = try refused(await node.qq.acquire(request("cat", slot(3, of: 3))))
        bench.clock.pass(.seconds(1))
        _ = try granted(await node.qq.acquire(request("cat", slot(3, of: 3))))
        #expect(bench.store.key("web/.slot-1-of-3") == nil && bench.store.holders("web").count == 3)
    }

    @Test func `a waiter for a slot is called when any holder of the semaphore has gone`() async throws {
        let foreign = bench.store.contendAsConsul("web", limit: 2)
        let grant = try await take("ann", 1)
        let node = try bench.node()
        let blocker = try refused(await node.qq.acquire(request("bob", slot(2))))
        #expect(blocker.termID == foreign.session)
        async let turn: Void = node.qq.waitForTurn(request("bob", slot(2)), behind: blocker, until: .distantFuture)
        #expect(try await bench.node().qq.release(grant) == .released)
        try await turn
        _ = try granted(await node.qq.acquire(request("bob", slot(2))))
    }

    // MARK: What cannot be

    @Test func `another number of slots is refused while anyone is bound to the present one`() async throws {
        let grant = try await take("ann", 1)
        var error = try await #require(throws: CoordinationError.self) { try await take("bob", 1, of: 3) }
        #expect(error.kind == .configuration && error.reason.contains("has 2 slots, and not 3"), "\(error)")
        #expect(error.hint?.contains("same number") == true)
        #expect(try await bench.node().qq.release(grant) == .released)
        _ = try await take("bob", 1, of: 3)
        error = try await #require(throws: CoordinationError.self) { try await take("ann", 1) }
        #expect(error.reason.contains("has 3 slots, and not 2"))
    }

    @Test func `a lock on the prefix of a semaphore is refused, and so are slots on that of a lock`() async throws {
        let grant = try await take("ann", 1)
        var error = try await #require(throws: CoordinationError.self) { try await bench.node().qq.acquire(request("bob", "web")) }
        #expect(error.reason.contains("semaphore"))
        #expect(try await bench.node().qq.release(grant) == .released)
        _ = try granted(await bench.node().qq.acquire(request("bob", "web")))
        error = try await #require(throws: CoordinationError.self) { try await take("ann", 1) }
        #expect(error.reason.contains("that of a lock"))
    }

    @Test(arguments: ["{}", #"{"Limit":0}"#, #"{"Limit":-1,"Holders":{}}"#, #"{"Limit":2,"Holders":[]}"#, "no JSON", "[]"])
    func `a semaphore that cannot be understood is left alone`(value: String) async throws {
        bench.store.put("web/.lock", value, flags: ConsulRules.semaphoreFlags)
        let error = try await #require(throws: CoordinationError.self) { try await take("ann", 1) }
        #expect(error.reason.contains("not understood") && bench.store.key("web/.lock").map { $0.value == Array(value.utf8) } == true)
    }

    @Test func `keys with an ending of their own have no slots`() throws {
        let node = try bench.node("consul://store?key=leader")
        let error = try #require(throws: CoordinationError.self) {
            try node.qq.validate(name: slot(1), identity: "ann", ttl: .seconds(15))
        }
        #expect(error.kind == .unsupported && node.qq.slot(named: slot(1)) == nil)
    }

    // MARK: Stepping down, watching and listing

    @Test func `the holder of one slot is asked, and the others are not`() async throws {
        let holder = try bench.node()
        let grant = try granted(await holder.qq.acquire(request("ann", slot(1))))
        _ = try await take("bob", 2)
        var states = holder.qq.changes(of: [slot(1)]).makeAsyncIterator()
        #expect(try await states.next()?.isTerm(of: grant) == true)
        let other = try bench.node()
        #expect(try await other.qq.askToStepDown(try await other.qq.read(slot(1)), by: "cat", byForce: false) == .asked)
        #expect(try await states.next()?.stepDownAskedBy == "cat")
        #expect(try await holder.qq.release(grant) == .released)
        #expect(bench.store.key("web/.slot-1-of-2.step-down") == nil && bench.store.holders("web").count == 1)
    }

    @Test func `a holder whose session is ended by force keeps its place in the semaphore until its work must be dead`() async throws {
        let holder = try bench.node()
        let grant = try granted(await holder.qq.acquire(request("ann", slot(1))))
        let other = try await take("bob", 2)
        let node = try bench.node()
        #expect(try await node.qq.askToStepDown(try await node.qq.read(slot(1)), by: "cat", byForce: true) == .done)
        _ = try lost(await holder.qq.renew(grant))
        // consul lock -n knows no lock-delay.
        #expect(!bench.store.contendAsConsul("web", limit: 2).isHolder)
        bench.clock.pass(.milliseconds(14_900))
        _ = try renewed(await bench.node().qq.renew(other))
        #expect(!bench.store.contendAsConsul("web", limit: 2).isHolder)
        #expect(try refused(await node.qq.acquire(request("cat", slot(1)))).refusal?.contains("lock-delay") == true)
        bench.clock.pass(.milliseconds(100))
        let next = try granted(await node.qq.acquire(request("cat", slot(1))))
        #expect(bench.store.holders("web") == [other.termID, next.termID])
        #expect(!bench.store.contendAsConsul("web", limit: 2).isHolder)
    }

    @Test func `a holder of consul lock -n is ended by force alone, and its place is kept for a while`() async throws {
        let foreign = bench.store.contendAsConsul("web", limit: 2)
        let node = try bench.node()
        let seen = try await node.qq.read(slot(2))
        let error = try await #require(throws: CoordinationError.self) {
            try await node.qq.askToStepDown(seen, by: "cat", byForce: false)
        }
        #expect(error.hint?.contains("--force") == true)
        #expect(try await node.qq.askToStepDown(seen, by: "cat", byForce: true) == .done)
        #expect(bench.store.sessions[foreign.session] == nil && bench.store.holders("web").count == 1)
        bench.clock.pass(.seconds(31))
        #expect(bench.store.holders("web").isEmpty)
        _ = try await take("ann", 1)
        _ = try await take("bob", 2)
    }

    @Test func `the place of an ended holder without a number is kept, also if it was shown at a slot within its lock-delay`() async throws
    {
        let grant = try await take("ann", 2)
        bench.store.destroy(try #require(grant.termID))
        let foreign = [bench.store.contendAsConsul("web", limit: 2), bench.store.contendAsConsul("web", limit: 2)]
        #expect(foreign.allSatisfy { $0.isHolder })
        let node = try bench.node()
        let seen = try await node.qq.read(slot(2))
        let other = try #require(foreign.first { $0.session != seen.termID }).session
        #expect(foreign.contains { $0.session == seen.termID })
        bench.clock.pass(.seconds(14))
        #expect(try await node.qq.askToStepDown(seen, by: "cat", byForce: true) == .done)
        // The lock-delay of ann's key is over, and that of the holder that was ended is not.
        bench.clock.pass(.seconds(2))
        bench.store.renew(other)
        for number in [1, 2] { _ = try refused(await node.qq.acquire(request("cat", slot(number)))) }
        bench.clock.pass(.seconds(14))
        bench.store.renew(other)
        bench.clock.pass(.seconds(16))
        _ = try granted(await node.qq.acquire(request("cat", slot(1))))
        #expect(bench.store.holders("web").contains(other))
    }

    @Test func `a release that leaves processes behind keeps everybody out of its place for the lock-delay`() async throws {
        let holder = try bench.node()
        var grant = try granted(await holder.qq.acquire(request("ann", slot(1))))
        let other = try await take("bob", 2)
        grant.leavesProcesses = true
        #expect(try await holder.qq.release(grant) == .released)
        #expect(!bench.store.contendAsConsul("web", limit: 2).isHolder)
        _ = try refused(await bench.node().qq.acquire(request("cat", slot(1))))
        bench.clock.pass(.seconds(14))
        _ = try renewed(await bench.node().qq.renew(other))
        #expect(!bench.store.contendAsConsul("web", limit: 2).isHolder)
        // The session that stands in for it has the lock-delay as its TTL.
        bench.clock.pass(.seconds(17))
        #expect(bench.store.contendAsConsul("web", limit: 2).isHolder && bench.store.holders("web").count == 2)
    }

    @Test func `a watch shows a slot as its holders come and go, and not those of others`() async throws {
        let grant = try await take("ann", 1)
        var states = try bench.node().qq.changes(of: [slot(1)]).makeAsyncIterator()
        #expect(try await states.next()?.leader == "ann")
        _ = try await take("bob", 2)
        #expect(try await bench.node().qq.release(grant) == .released)
        #expect(try await states.next()?.phase == .free)
        _ = try await take("cat", 1)
        #expect(try await states.next()?.leader == "cat")
    }

    @Test func `a list has the slots of semaphores, held or not, and the elections beside them`() async throws {
        _ = try await take("ann", 1, of: 3)
        _ = bench.store.contendAsConsul("web", limit: 3)
        _ = try granted(await bench.node().qq.acquire(request("ann", "mail")))
        let found = try await bench.node().qq.list()
        #expect(found.map(\.name) == ["mail", slot(1, of: 3), slot(2, of: 3), slot(3, of: 3)])
        #expect(found.map(\.isLed) == [true, true, false, true])
        #expect(try await bench.node().qq.list(ElectionFilter(isLed: true)).count == 3)
        #expect(try await bench.node().qq.list(ElectionFilter(name: "web-slot-")).count == 3)
        #expect(try await bench.node().qq.list(ElectionFilter(name: "b-slot-2-of")).map(\.name) == [slot(2, of: 3)])
        let node = try bench.node()
        #expect(try await node.qq.list(ElectionFilter(name: "eb-slot-4-of-3")).isEmpty)
        #expect(try await node.qq.list(ElectionFilter(name: "ma")).map(\.name) == ["mail"])
        #expect(node.agent.log.count { $0.hasSuffix("/v1/kv/web/") } == 1, "the slots of other names are not read")
    }

    @Test func `a part of a name can be one of a slot's name`() {
        for text in ["web", "eb-sl", "-slot-", "web-slot-1", "b-slot-12-of-20", "-of-", "2-of", "of", "7"] {
            #expect(Slot.name(of: "web", canContain: text), "\(text)")
        }
        for text in ["mail", "xweb-slot-1", "web2-slot-1", "slots"] { #expect(!Slot.name(of: "web", canContain: text), "\(text)") }
    }

    @Test func `the elections of two slots are told apart by processes of this machine`() throws {
        let node = try bench.node()
        #expect(
            node.qq.electionKeys(slot(1)) != node.qq.electionKeys(slot(2)) && node.qq.electionKind(slot(1)) != node.qq.electionKind(slot(2))
        )
    }
}
