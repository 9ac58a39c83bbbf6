import QQCore
import Support
import Testing

@testable import QQKubernetes

@Suite struct ElectionHoldingTests {
    private let bench = Bench()

    private func holder(ttl: Duration = .seconds(15)) async throws -> (Bench.Node, Grant) {
        let node = try bench.node()
        return (node, try granted(try await node.qq.acquire(request("a", ttl: ttl))))
    }

    private func expectLost(_ answer: RenewAnswer, _ location: SourceLocation = #_sourceLocation) {
        if case .renewed = answer { Issue.record("renewed", sourceLocation: location) }
    }

    private func edit(_ change: (inout LeaseRecord) -> Void) throws {
        var lease = try bench.lease()
        var record = lease.record
        change(&record)
        lease.write(record)
        try bench.store.put(lease.body)
    }

    // MARK: Renewing

    @Test func `a renewal is one request, and the lease counts from before it`() async throws {
        let (node, grant) = try await holder()
        bench.clock.pass(.seconds(5))
        bench.api.forgetCalls()
        bench.api.fail([.update], with: .slow(.seconds(1)))
        let sentAt = bench.clock.now()
        let extended = try renewed(try await node.qq.renew(grant))
        #expect(extended.deadline == sentAt + .seconds(15) && bench.api.calls.count == 1)
        #expect(extended.token == grant.token && extended.termID == grant.termID)
        #expect(bench.api.calls.first?.query.contains { $0.name == "timeout" } == true)
    }

    @Test func `a second renewal within one second does not extend the lease`() async throws {
        let (node, grant) = try await holder()
        bench.clock.pass(.milliseconds(300))
        #expect(try renewed(try await node.qq.renew(grant)).deadline == grant.deadline)
    }

    @Test func `a label edit does not end the term`() async throws {
        let (node, grant) = try await holder()
        bench.clock.pass(.seconds(5))
        bench.store.edit("web", labels: ["x": "y"])
        let extended = try renewed(try await node.qq.renew(grant))
        #expect(extended.deadline == bench.clock.now() + .seconds(15))
        #expect(try bench.lease().body["metadata"]?["labels"]?["x"] == "y")
    }

    @Test func `another holder, a cleared holder, a shorter duration and a deleted lease are losses`() async throws {
        for loss in 0..<5 {
            let bench = Bench()
            let node = try bench.node()
            let grant = try granted(try await node.qq.acquire(request("a")))
            bench.clock.pass(.seconds(5))
            var lease = try bench.lease()
            var record = lease.record
            switch loss {
            case 0: record = record.taken(by: "b", for: 15, at: bench.clock.wall)
            case 1: record.holder = nil
            case 2: record.duration = 1
            case 3:
                // client-go with our identity: it takes the lease for its own and keeps everything but the time.
                record.renewTime = LeaseRecord.text(bench.clock.wall)
            default: break
            }
            lease.write(record)
            if loss == 4 { bench.store.remove("web") } else { try bench.store.put(lease.body) }
            expectLost(try await node.qq.renew(grant))
            guard case .notHeld = try await node.qq.release(grant) else { throw CancellationError() }
            #expect(bench.store.lease("web").flatMap { LeaseObject($0) }?.record == (loss == 4 ? nil : record))
        }
    }

    @Test func `a lease that was deleted and made again is not renewed`() async throws {
        let (node, grant) = try await holder()
        bench.store.remove("web")
        try bench.put("b")
        expectLost(try await node.qq.renew(grant))
        #expect(bench.store.holder("web") == "b")
    }

    @Test func `a lease that was deleted is lost, and not taken by others, while finalizers still keep it`() async throws {
        let (node, grant) = try await holder()
        var json = try bench.lease().json
        var metadata = try #require(json["metadata"]?.objectValue)
        metadata["finalizers"] = ["example.com/keep"]
        json["metadata"] = .object(metadata)
        try bench.store.put(.object(json))
        bench.clock.pass(.seconds(5))
        let extended = try renewed(try await node.qq.renew(grant))
        _ = try await node.client.call(APIRequest(method: .delete, path: node.qq.calls.path + "/web"), until: .distantFuture)
        #expect(try bench.lease().isDeleting)
        bench.clock.pass(.seconds(5))
        guard case .lost(let state) = try await node.qq.renew(extended) else { throw CancellationError() }
        #expect(state.phase == .free)
        _ = try refused(try await bench.node().qq.acquire(request("b")))
        bench.store.remove("web")
        _ = try granted(try await bench.node().qq.acquire(request("b")))
    }

    @Test func `a store that was set back is a loss`() async throws {
        let (node, grant) = try await holder()
        let backup = bench.store.backUp()
        bench.clock.pass(.seconds(5))
        let extended = try renewed(try await node.qq.renew(grant))
        bench.store.restore(backup)
        bench.clock.pass(.seconds(5))
        expectLost(try await node.qq.renew(extended))
    }

    @Test(arguments: [LeaseAPI.Fault.timeout(applied: .yes), .closed(applied: .yes), .unavailable(applied: .yes)])
    func `a renewal that was carried out without an answer counts from when it was sent`(fault: LeaseAPI.Fault) async throws {
        let (node, grant) = try await holder()
        bench.clock.pass(.seconds(5))
        bench.api.fail([.update], with: fault)
        let sentAt = bench.clock.now()
        #expect(try renewed(try await node.qq.renew(grant)).deadline == sentAt + .seconds(15))
    }

    @Test func `a renewal that was not carried out does not extend the lease, and is sent again`() async throws {
        let (node, grant) = try await holder()
        bench.clock.pass(.seconds(5))
        bench.api.fail([.update], with: .timeout(applied: .later(nil)))
        let error = await #expect(throws: CoordinationError.self) { try await node.qq.renew(grant) }
        #expect(error?.isTransient == true && error?.isUncertain == false)
        bench.clock.pass(.seconds(2))
        // It is carried out late, before the next one.
        bench.store.applyPending()
        let sentAt = bench.clock.now()
        #expect(try renewed(try await node.qq.renew(grant)).deadline == sentAt + .seconds(15))
        // Or after it.
        bench.api.fail([.update], with: .timeout(applied: .later(nil)))
        bench.clock.pass(.seconds(2))
        _ = try? await node.qq.renew(grant)
        bench.clock.pass(.seconds(2))
        _ = try renewed(try await node.qq.renew(grant))
        let record = try bench.lease().record
        bench.store.applyPending()
        #expect(try bench.lease().record == record)
    }

    @Test func `a renewal that comes late does not take a lease back from another`() async throws {
        let (node, grant) = try await holder()
        bench.clock.pass(.seconds(5))
        bench.api.fail([.update], with: .timeout(applied: .later(nil)))
        _ = try? await node.qq.renew(grant)
        try edit { $0 = $0.taken(by: "b", for: 15, at: bench.clock.wall) }
        bench.store.applyPending()
        #expect(bench.store.holder("web") == "b")
        expectLost(try await node.qq.renew(grant))
    }

    @Test func `every call leaves time for another one within the lease`() async throws {
        let (node, grant) = try await holder()
        bench.clock.pass(.seconds(5))
        bench.api.fail([.update, .get], times: 2, with: .noAnswer())
        _ = try? await node.qq.renew(grant)
        #expect(bench.clock.now() < grant.deadline)
        _ = try renewed(try await node.qq.renew(grant))
    }

    // MARK: Releasing

    @Test func `a released lease is taken at once by others, and keeps its transitions`() async throws {
        let (node, grant) = try await holder()
        bench.clock.pass(.seconds(2))
        #expect(try await node.qq.release(grant) == .released)
        let lease = try bench.lease()
        #expect(lease.record.holder == nil && lease.record.duration == 1 && lease.record.transitions == 0)
        #expect(lease.annotation("qq/term") == nil && lease.annotation("qq/token") == nil)
        #expect(bench.clock.wall - (lease.record.renewedAt ?? .latest) >= .seconds(1))
        _ = try granted(try await bench.node().qq.acquire(request("b")))
    }

    @Test(arguments: [LeaseAPI.Application.yes, .no, .later(nil)])
    func `a release without an answer is settled`(application: LeaseAPI.Application) async throws {
        let (node, grant) = try await holder()
        bench.api.fail([.update], with: .timeout(applied: application))
        #expect(try await node.qq.release(grant) == .released)
        let record = try bench.lease().record
        #expect(record.holder == nil)
        bench.store.applyPending()
        #expect(try bench.lease().record == record)
    }

    @Test(arguments: [true, false]) func `a lease that has run out is not held any more`(isOwn: Bool) async throws {
        let (node, grant) = try await holder()
        bench.clock.pass(grant.ttl + .seconds(1))
        guard case .notHeld(let state) = try await (isOwn ? node : bench.node()).qq.release(grant) else { throw CancellationError() }
        #expect(state.phase == .free)
        #expect(try bench.lease().record.holder == nil)
    }

    @Test func `a release that comes late does not wipe another's lease`() async throws {
        let (node, grant) = try await holder()
        bench.api.fail([.update], times: nil, with: .timeout(applied: .later(nil)))
        await #expect(throws: CoordinationError.self) { try await node.qq.release(grant) }
        bench.api.clearFaults()
        bench.clock.pass(.seconds(40))
        _ = try granted(try await bench.node().qq.acquire(request("b")))
        bench.store.applyPending()
        #expect(bench.store.holder("web") == "b")
    }

    @Test func `a grant of an earlier command is released by its term, or by its token`() async throws {
        for hasTerm in [true, false] {
            let (_, grant) = try await holder()
            var saved = grant
            if !hasTerm { saved.termID = nil }
            #expect(try await bench.node().qq.release(saved) == .released)
            guard case .notHeld = try await bench.node().qq.release(saved) else { throw CancellationError() }
        }
    }

    // MARK: A holder that is wiped

    @Test func `a lease that client-go wiped is not taken while its qq might still work`() async throws {
        let (one, grant) = try await holder()
        bench.clock.pass(.seconds(5))
        let extended = try renewed(try await one.qq.renew(grant))
        // client-go releases what it finds, whoever holds it.
        try edit {
            ($0.holder, $0.duration) = (nil, 1)
            ($0.acquireTime, $0.renewTime) = (LeaseRecord.text(bench.clock.wall), LeaseRecord.text(bench.clock.wall))
        }
        let two = try bench.node()
        let state = try refused(try await two.qq.acquire(request("b")))
        #expect(state.phase == .expired && state.leader == "a" && state.refusal != nil)
        while bench.clock.now() < extended.deadline {
            _ = try refused(try await two.qq.acquire(request("b")))
            bench.clock.pass(.seconds(1))
        }
        bench.clock.pass(.seconds(1))
        _ = try granted(try await two.qq.acquire(request("b")))
        expectLost(try await one.qq.renew(extended))
    }

    @Test func `who was wiped may take the lease again`() async throws {
        let (one, grant) = try await holder()
        bench.clock.pass(.seconds(5))
        try edit { $0.holder = nil }
        guard case .lost(let state) = try await one.qq.renew(grant) else { throw CancellationError() }
        // Nobody has taken it over.
        #expect(state.phase == .free)
        _ = try granted(try await one.qq.acquire(request("a")))
    }

    @Test func `a waiter that saw the lease does not take it when it is deleted`() async throws {
        let (_, grant) = try await holder()
        let two = try bench.node()
        _ = try refused(try await two.qq.acquire(request("b")))
        bench.store.remove("web")
        #expect(try refused(try await two.qq.acquire(request("b"))).refusal != nil)
        while bench.clock.now() <= grant.deadline { bench.clock.pass(.seconds(1)) }
        _ = try granted(try await two.qq.acquire(request("b")))
    }
}
