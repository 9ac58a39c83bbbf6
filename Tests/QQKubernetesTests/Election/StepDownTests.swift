import QQCore
import Support
import Synchronization
import Testing

@testable import QQKubernetes

@Suite struct ElectionStepDownTests {
    private let bench = Bench()

    private func outlasting(_ answer: StepDownAnswer, _ location: SourceLocation = #_sourceLocation) throws -> Outlasting {
        guard case .outlast(let outlasting) = answer else {
            Issue.record("\(answer)", sourceLocation: location)
            throw CancellationError()
        }
        return outlasting
    }

    @Test func `a qq is asked, and nothing else is written`() async throws {
        let (holder, admin) = (try bench.node(), try bench.node())
        let grant = try granted(try await holder.qq.acquire(request("a")))
        let seen = try await admin.qq.read("web")
        #expect(try await admin.qq.askToStepDown(seen, by: "admin", byForce: false) == .asked)
        let lease = try bench.lease()
        #expect(lease.stepDownAskedBy == "admin" && lease.record.holder == "a")
        #expect(try await admin.qq.read("web").stepDownAskedBy == "admin")
        // Its holder goes on until it has ended its work.
        #expect(try renewed(try await holder.qq.renew(grant)).token == grant.token)
        #expect(try await holder.qq.release(grant) == .released)
        // The request was for that term.
        _ = try granted(try await admin.qq.acquire(request("b")))
        #expect(try await admin.qq.read("web").stepDownAskedBy == nil)
    }

    @Test func `who leads with another program is not asked`() async throws {
        try bench.put("go")
        let admin = try bench.node()
        let seen = try await admin.qq.read("web")
        await #expect(throws: CoordinationError.self) { try await admin.qq.askToStepDown(seen, by: "admin", byForce: false) }
        #expect(bench.api.count(.update) == 0)
    }

    @Test func `another term than the one that was seen is left alone`() async throws {
        try bench.put("go")
        let admin = try bench.node()
        let seen = try await admin.qq.read("web")
        bench.clock.pass(.seconds(1))
        try bench.put("other", transitions: 4)
        guard case .changed(let now) = try await admin.qq.askToStepDown(seen, by: "admin", byForce: true) else { throw CancellationError() }
        #expect(now.leader == "other" && bench.api.count(.update) == 0)
    }

    @Test func `a client-go leader is outlasted: the lease is held for twice its duration, then given up`() async throws {
        try bench.put("go", duration: 6)
        let admin = try bench.node()
        let seen = try await admin.qq.read("web")
        let plan = try outlasting(try await admin.qq.askToStepDown(seen, by: "admin", byForce: true))
        #expect(plan.duration == .seconds(12) && bench.store.holder("web") == "go")
        let began = bench.clock.now()
        let store = bench.store
        let seenHolders = Box<Set<String>>()
        seenHolders.value = []
        admin.client.set(before: { _ in seenHolders.value?.insert(store.holder("web") ?? "") }, after: nil)
        let collected = StageList()
        #expect(try await plan.run { collected.add($0) } == .done)
        #expect(collected.all == [.holding(.seconds(12))])
        #expect(seenHolders.value == ["go", plan.identity])
        #expect(bench.clock.now().duration(since: began) >= .seconds(12) && bench.clock.now().duration(since: began) < .seconds(14))
        let lease = try bench.lease()
        #expect(lease.record.holder == nil && lease.record.transitions == 4 && lease.annotation("qq/term") == nil)
    }

    @Test func `a leader that wipes the lease does not cut the time short`() async throws {
        try bench.put("go", duration: 6)
        let admin = try bench.node()
        let seen = try await admin.qq.read("web")
        let plan = try outlasting(try await admin.qq.askToStepDown(seen, by: "admin", byForce: true))
        let began = bench.clock.now()
        let bench = bench
        let isWiped = Box<Bool>()
        admin.client.set(
            before: { _ in
                guard isWiped.value == nil, bench.store.holder("web") == plan.identity, var lease = try? bench.lease() else { return }
                isWiped.value = true
                var record = lease.record
                (record.holder, record.duration) = (nil, 1)
                lease.write(record)
                try? bench.store.put(lease.body)
            }, after: nil)
        #expect(try await plan.run { _ in } == .done)
        #expect(isWiped.value == true && bench.clock.now().duration(since: began) >= .seconds(12))
        #expect(try bench.lease().record.holder == nil)
    }

    @Test func `a leader that takes the lease back is reported`() async throws {
        try bench.put("go", duration: 6)
        let admin = try bench.node()
        let seen = try await admin.qq.read("web")
        let plan = try outlasting(try await admin.qq.askToStepDown(seen, by: "admin", byForce: true))
        let bench = bench
        admin.client.set(
            before: { _ in
                guard bench.store.holder("web") == plan.identity, var lease = try? bench.lease() else { return }
                lease.write(lease.record.taken(by: "go", for: 6, at: bench.clock.wall))
                try? bench.store.put(lease.body)
            }, after: nil)
        guard case .changed(let now) = try await plan.run({ _ in }) else { throw CancellationError() }
        #expect(now.leader == "go" && bench.store.holder("web") == "go")
    }

    @Test func `who is interrupted leaves the lease to expire`() async throws {
        try bench.put("go", duration: 6)
        let admin = try bench.node()
        let seen = try await admin.qq.read("web")
        let plan = try outlasting(try await admin.qq.askToStepDown(seen, by: "admin", byForce: true))
        let running = Task { try await plan.run { _ in withUnsafeCurrentTask { $0?.cancel() } } }
        await #expect(throws: CoordinationError.self) { try await running.value }
        #expect(bench.store.holder("web") == plan.identity)
    }

    @Test func `a leader is outlasted under an identity that no client-go contender can have`() async throws {
        try bench.put("pod", duration: 6)
        let admin = try bench.node()
        let seen = try await admin.qq.read("web")
        for given in ["pod", "pod-b"] {
            let plan = try outlasting(try await admin.qq.askToStepDown(seen, by: given, byForce: true))
            #expect(plan.identity != given && Identity.isOurAlone(plan.identity))
        }
        let alone = Identity.generated()
        #expect(try outlasting(try await admin.qq.askToStepDown(seen, by: alone, byForce: true)).identity == alone)
    }

    @Test func `a qq that does not let go is outlasted by force, for one lease`() async throws {
        let (holder, admin) = (try bench.node(), try bench.node())
        let grant = try granted(try await holder.qq.acquire(request("a", ttl: .seconds(6))))
        let seen = try await admin.qq.read("web")
        let plan = try outlasting(try await admin.qq.askToStepDown(seen, by: "admin", byForce: true))
        #expect(try bench.lease().stepDownAskedBy == "admin")
        let collected = StageList()
        #expect(try await plan.run { collected.add($0) } == .done)
        #expect(collected.all == [.asking(.seconds(6)), .holding(.seconds(6))])
        #expect(bench.clock.now() > grant.deadline)
        guard case .lost = try await holder.qq.renew(grant) else { throw CancellationError() }
    }

    @Test func `a qq that lets go is not outlasted`() async throws {
        let (holder, admin) = (try bench.node(), try bench.node())
        let grant = try granted(try await holder.qq.acquire(request("a", ttl: .seconds(6))))
        let seen = try await admin.qq.read("web")
        let plan = try outlasting(try await admin.qq.askToStepDown(seen, by: "admin", byForce: true))
        _ = try await holder.qq.release(grant)
        #expect(try await plan.run { _ in } == .done)
        #expect(try bench.lease().record.holder == nil)
    }

    @Test func `our lease that no process renews is released at once`() async throws {
        let (holder, admin) = (try bench.node(), try bench.node())
        _ = try granted(try await holder.qq.acquire(request("a", attended: false)))
        var seen = try await admin.qq.read("web")
        await #expect(throws: CoordinationError.self) { try await admin.qq.askToStepDown(seen, by: "b", byForce: false) }
        seen.isOwn = true
        #expect(try await admin.qq.askToStepDown(seen, by: "a", byForce: true) == .done)
        #expect(try bench.lease().record.holder == nil)
    }

    @Test func `our lease that a process renews is asked for, because its work has to end first`() async throws {
        let (holder, admin) = (try bench.node(), try bench.node())
        _ = try granted(try await holder.qq.acquire(request("a")))
        var seen = try await admin.qq.read("web")
        seen.isOwn = true
        #expect(try await admin.qq.askToStepDown(seen, by: "a", byForce: true) == .asked)
        #expect(try bench.lease().record.holder == "a")
    }
}

private final class StageList: Sendable {
    private let stages = Mutex<[Outlasting.Stage]>([])
    var all: [Outlasting.Stage] { stages.withLock { $0 } }

    func add(_ stage: Outlasting.Stage) { stages.withLock { $0.append(stage) } }
}

@Suite struct ElectionListTests {
    private let bench = Bench()

    @Test func `a list has all pages, elections or not, with labels selected by the server`() async throws {
        for index in 0..<1003 { try bench.put(index % 2 == 0 ? "h\(index)" : nil, name: "l\(index)") }
        bench.store.edit("l7", labels: ["app": "seven"])
        let node = try bench.node()
        let all = try await node.qq.list()
        #expect(all.count == 1003 && all.map(\.name) == all.map(\.name).sorted())
        #expect(try await node.qq.list(ElectionFilter(labels: "app=seven")).map(\.name) == ["l7"])
        #expect(try await node.qq.list(ElectionFilter(name: "l100", isLed: true)).map(\.name) == ["l100", "l1000", "l1002"])
        #expect(all.first { $0.name == "l0" }?.details["transitions"] == 3)
    }

    @Test func `a list that takes too long is begun anew`() async throws {
        for index in 0..<501 { try bench.put("h", name: "l\(index)") }
        bench.api.fail([.list], skip: 1, times: 1, with: .expired)
        #expect(try await bench.node().qq.list().count == 501)
        bench.api.fail([.list], times: nil, with: .expired)
        await #expect(throws: CoordinationError.self) { try await bench.node().qq.list() }
    }

    @Test func `reading writes nothing`() async throws {
        try bench.put("go")
        let node = try bench.node()
        _ = try await node.qq.read("web")
        _ = try await node.qq.list()
        _ = await node.qq.leaveQueue(request("a"))
        #expect(try await node.qq.read("nothing").phase == .free)
        #expect(bench.api.calls.allSatisfy { $0.method == "GET" })
    }
}
