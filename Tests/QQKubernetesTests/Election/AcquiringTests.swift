import QQCore
import Support
import Testing

@testable import QQKubernetes

@Suite struct ElectionAcquiringTests {
    @Test func `a lease that is not there is created and taken, and its token can be read from the first record on`() async throws {
        let bench = Bench()
        let (one, other) = (try bench.node(), try bench.node())
        let grant = try granted(try await one.qq.acquire(request("a")))
        let lease = try bench.lease()
        #expect(lease.record.holder == "a" && lease.record.transitions == 0 && lease.record.duration == 15)
        #expect(lease.record.acquireTime == lease.record.renewTime)
        let token = try #require(grant.token)
        #expect(lease.annotation("qq/token") == "\(token)")
        let seen = try await other.qq.read("web")
        #expect(seen.token == token && seen.termID == grant.termID && seen.leader == "a" && seen.phase == .held && seen.isTerm(of: grant))
        #expect(seen.isOwn == nil)
        let own = try await one.qq.read("web")
        #expect(own.isOwn == true)
        let blocker = try refused(try await other.qq.acquire(request("b")))
        #expect(blocker.leader == "a" && blocker.refusal == nil)
    }

    @Test func `tokens grow over releases, take-overs by others and deletions`() async throws {
        let bench = Bench()
        let node = try bench.node()
        var tokens: [FencingToken] = []
        for step in 0..<4 {
            let grant = try granted(try await node.qq.acquire(request("a")))
            tokens.append(try #require(grant.token))
            #expect(try await node.qq.release(grant) == .released)
            if step == 1 {
                try bench.put("client-go")
                _ = try refused(try await node.qq.acquire(request("a")))
                bench.clock.pass(.seconds(16))
            }
            if step == 2 { bench.store.remove("web") }
        }
        #expect(tokens == tokens.sorted() && Set(tokens).count == 4)
    }

    @Test func `a lease of another is taken with all that is not ours kept`() async throws {
        let bench = Bench()
        try bench.put(nil)
        let grant = try granted(try await bench.node().qq.acquire(request("a")))
        let lease = try bench.lease()
        #expect(lease.annotation("other") == "kept" && lease.body["metadata"]?["labels"] == ["app": "x"])
        #expect(lease.record.transitions == 4 && lease.mark?.id == grant.termID)
    }

    @Test func `a single try does not take what ended just now, and says why`() async throws {
        let bench = Bench()
        try bench.put("old", renewed: .seconds(20))
        let state = try refused(try await bench.node(hasDate: false).qq.acquire(request("a")))
        #expect(state.phase == .expired && state.leader == "old" && state.refusal?.contains("--wait") == true)
        #expect(bench.api.count(.update) == 0)
    }

    @Test func `a single try takes what ended more than a whole lease ago`() async throws {
        let bench = Bench()
        try bench.put("old")
        bench.clock.pass(.seconds(31))
        _ = try granted(try await bench.node().qq.acquire(request("a")))
    }

    @Test func `a holder whose clock is slow does not pass for dead`() async throws {
        let bench = Bench()
        let slow = try bench.node(skew: .seconds(-3600))
        let grant = try granted(try await slow.qq.acquire(request("a")))
        _ = try refused(try await bench.node().qq.acquire(request("b")))
        _ = try renewed(try await slow.qq.renew(grant))
    }

    @Test func `a lease that is seen without change for its duration is taken`() async throws {
        let bench = Bench()
        let node = try bench.node(hasDate: false)
        try bench.put("old", renewed: .seconds(1))
        _ = try refused(try await node.qq.acquire(request("a")))
        bench.clock.pass(.milliseconds(14_900))
        _ = try refused(try await node.qq.acquire(request("a")))
        bench.clock.pass(.milliseconds(200))
        _ = try granted(try await node.qq.acquire(request("a")))
    }

    @Test func `a lease under our own identity that is not our term is another's`() async throws {
        let bench = Bench()
        let (one, two) = (try bench.node(), try bench.node())
        _ = try granted(try await one.qq.acquire(request("pod")))
        let state = try refused(try await two.qq.acquire(request("pod")))
        #expect(state.leader == "pod" && state.isOwn != true)
        try bench.put("pod", name: "other")
        _ = try refused(try await two.qq.acquire(request("pod", "other")))
    }

    @Test func `a saved grant is resumed with its token, and ends the term of the process that saved it`() async throws {
        let bench = Bench()
        let (one, two) = (try bench.node(), try bench.node())
        let grant = try granted(try await one.qq.acquire(request("a", attended: false)))
        bench.clock.pass(.seconds(3))
        let resumed = try granted(try await two.qq.acquire(request("a", continuing: grant)))
        #expect(resumed.token == grant.token && resumed.termID != grant.termID)
        #expect(resumed.deadline == bench.clock.now() + .seconds(15))
        #expect(try bench.lease().mark?.isAttended == true)
        guard case .lost = try await one.qq.renew(grant) else { throw CancellationError() }
        guard case .notHeld = try await one.qq.release(grant) else { throw CancellationError() }
        #expect(bench.store.holder("web") == "a")
    }

    @Test func `a grant that is resumed within the second of its last renewal differs for client-go`() async throws {
        let bench = Bench()
        let grant = try granted(try await bench.node().qq.acquire(request("a", attended: false)))
        let before = try bench.lease().record
        _ = try granted(try await bench.node().qq.acquire(request("a", continuing: grant)))
        #expect(!(try bench.lease().record.looksSame(as: before)))
    }

    @Test func `a grant that is resumed again and again within a second differs from every record before`() async throws {
        let bench = Bench()
        var grant = try granted(try await bench.node().qq.acquire(request("a", attended: false)))
        var before = [try bench.lease().record]
        for step in 0..<30 {
            let ttl = [Duration.seconds(15), .seconds(15), .seconds(5), .seconds(30)][step % 4]
            grant = try granted(try await bench.node().qq.acquire(request("a", ttl: ttl, continuing: grant)))
            let record = try bench.lease().record
            #expect(!before.contains { record.looksSame(as: $0) })
            before.append(record)
        }
    }

    @Test func `an answer that a watch has overtaken is not taken for a store that was set back`() async throws {
        let bench = Bench()
        try bench.put("b")
        let node = try bench.node()
        let bell = Bell()
        node.qq.listen("web", bell)
        defer { node.qq.stopListening("web", bell) }
        let (qq, store, clock) = (node.qq, bench.store, bench.clock)
        node.client.set(before: nil) { _ in
            guard var free = store.lease("web").flatMap({ LeaseObject($0) }) else { return }
            free.release(wall: clock.wall)
            try? store.put(free.body)
            clock.pass(.milliseconds(1))
            if let event = store.lease("web").flatMap({ LeaseObject($0) }) { qq.received(.changed(event)) }
        }
        _ = try await qq.readLease("web", within: .seconds(1))
        #expect(qq.electionState("web").phase == .free)
    }

    @Test func `where the role names its leases, the lease is created by PUT`() async throws {
        let bench = Bench {
            $0.grants = [LeaseAPI.Grant("sa", [.get, .create, .update], names: ["web"])]
        }
        let node = try bench.node(as: .init("sa"))
        let grant = try granted(try await node.qq.acquire(request("a")))
        #expect(try await node.qq.release(grant) == .released)
    }

    @Test func `a user without rights is told so`() async throws {
        let bench = Bench()
        await #expect(throws: CoordinationError.self) { try await bench.node(as: .init("nobody")).qq.acquire(request("a")) }
    }

    // MARK: Races

    @Test func `of two that create the lease at the same time one leads`() async throws {
        let bench = Bench()
        let (one, two) = (try bench.node(), try bench.node())
        let other = Box<AcquireAnswer>()
        one.client.set(
            before: { request in
                if request.method == .post { other.value = try? await two.qq.acquire(QQKubernetesTests.request("b")) }
            }, after: nil)
        let blocker = try refused(try await one.qq.acquire(request("a")))
        #expect(blocker.leader == "b")
        _ = try granted(try #require(other.value))
    }

    @Test func `of two that take the lease at the same time one leads`() async throws {
        let bench = Bench()
        try bench.put(nil)
        let (one, two) = (try bench.node(), try bench.node())
        let other = Box<AcquireAnswer>()
        one.client.set(
            before: { request in
                if request.method == .put, other.value == nil { other.value = try? await two.qq.acquire(QQKubernetesTests.request("b")) }
            }, after: nil)
        #expect(try refused(try await one.qq.acquire(request("a"))).leader == "b")
    }

    @Test func `a label edit in between does not keep a free lease from being taken`() async throws {
        let bench = Bench()
        try bench.put(nil)
        bench.api.fail([.update], times: 2, with: .conflict)
        _ = try granted(try await bench.node().qq.acquire(request("a")))
    }

    // MARK: Uncertain writes

    @Test(arguments: [LeaseAPI.Fault.timeout(applied: .yes), .closed(applied: .yes), .unavailable(applied: .yes), .noAnswer(applied: .yes)])
    func `a write that was carried out without an answer is found by reading`(fault: LeaseAPI.Fault) async throws {
        let bench = Bench()
        try bench.put(nil)
        bench.api.fail([.update], with: fault)
        let node = try bench.node()
        let sentAt = bench.clock.now()
        let grant = try granted(try await node.qq.acquire(request("a")))
        #expect(grant.deadline == sentAt + .seconds(15))
        #expect(try await bench.node().qq.read("web").isTerm(of: grant))
    }

    @Test func `a creation without an answer is tried again`() async throws {
        let bench = Bench()
        bench.api.fail([.create], with: .timeout(applied: .yes))
        _ = try granted(try await bench.node().qq.acquire(request("a")))
    }

    @Test func `a write that is carried out late fails once another came first`() async throws {
        let bench = Bench()
        try bench.put(nil)
        bench.api.fail([.update], with: .timeout(applied: .later(nil)))
        let node = try bench.node()
        let error = await #expect(throws: CoordinationError.self) { try await node.qq.acquire(request("a")) }
        #expect(error?.isUncertain == true)
        let grant = try granted(try await node.qq.acquire(request("a")))
        bench.store.applyPending()
        #expect(try bench.lease().mark?.id == grant.termID)
    }

    @Test func `a write that is carried out late counts as a leftover of ours`() async throws {
        let bench = Bench()
        try bench.put(nil)
        bench.api.fail([.update], with: .timeout(applied: .later(nil)))
        let node = try bench.node()
        _ = try? await node.qq.acquire(request("a"))
        bench.store.applyPending()
        let found = try await node.qq.read("web")
        #expect(found.isOwn == true && found.leader == "a")
        let grant = try granted(try await node.qq.acquire(request("a")))
        #expect(try bench.lease().mark?.id == grant.termID)
    }

    @Test func `a write without an answer is forgotten once the lease has another version`() async throws {
        let bench = Bench()
        try bench.put(nil)
        bench.api.fail([.update], with: .timeout(applied: .later(nil)))
        let node = try bench.node()
        _ = try? await node.qq.acquire(request("a"))
        try bench.put("go")
        _ = try refused(try await node.qq.acquire(request("a")))
        bench.store.applyPending()
        #expect(bench.store.holder("web") == "go")
        bench.api.forgetCalls()
        #expect(await node.qq.leaveQueue(request("a")) == nil)
        #expect(bench.api.calls.isEmpty)
        // Nothing is uncertain about a failure to read.
        bench.api.fail([.get], with: .unavailable())
        let error = await #expect(throws: CoordinationError.self) { try await node.qq.acquire(request("a")) }
        #expect(error?.isUncertain == false)
    }

    @Test func `who calls off a request without an answer leaves no lease behind`() async throws {
        let bench = Bench()
        try bench.put(nil)
        bench.api.fail([.update], with: .timeout(applied: .later(nil)))
        let node = try bench.node()
        _ = try? await node.qq.acquire(request("a"))
        #expect(await node.qq.leaveQueue(request("a")) == nil)
        bench.store.applyPending()
        #expect(try bench.lease().record.holder == nil)
        // Carried out before it was called off.
        bench.api.fail([.update], with: .timeout(applied: .later(nil)))
        _ = try? await node.qq.acquire(request("a"))
        bench.store.applyPending()
        #expect(await node.qq.leaveQueue(request("a")) == nil)
        #expect(try bench.lease().record.holder == nil)
    }
}

/// A value that a hook of a test leaves.
final class Box<Value: Sendable>: @unchecked Sendable {
    var value: Value?
}
