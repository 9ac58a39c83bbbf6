import QQCore
import Synchronization
import Testing

@Suite("A contender for slots", .timeLimit(.minutes(10)))
struct SlotContenderTests {
    private static let ttl = Duration.seconds(600)

    private func request(_ process: Int, _ name: String = "web") -> AcquireRequest {
        AcquireRequest(name: name, identity: "p\(process)", ttl: Self.ttl)
    }

    private func contender(
        _ table: SlotTable, _ process: Int, of count: Int, lacking: [Capability: String] = [:],
        fault: @escaping @Sendable (TableCoordinator.Call) async -> TableCoordinator.Fault? = { _ in nil }
    ) throws -> (SlotContender, TableCoordinator) {
        let base = try TableCoordinator(table, process, lacking: lacking, fault: fault)
        return (SlotContender(base, count: count, clock: BootClock()), base)
    }

    private func granted(_ answer: AcquireAnswer) -> Grant? { if case .granted(let grant, _) = answer { grant } else { nil } }
    private func refused(_ answer: AcquireAnswer) -> ElectionState? { if case .refused(let state) = answer { state } else { nil } }

    @Test("each contender gets another slot, and the one after the last is refused with the states of all slots")
    func distinct() async throws {
        let table = SlotTable()
        for process in 1...3 {
            let (slots, _) = try contender(table, process, of: 3)
            #expect(granted(try await slots.acquire(request(process)))?.name == "web-slot-\(process)-of-3")
        }
        let (late, _) = try contender(table, 4, of: 3)
        let state = try #require(refused(try await late.acquire(request(4))))
        #expect(state.name == "web")
        #expect(state.slots.map(\.leader) == ["p1", "p2", "p3"])
        #expect(state.isLed)
    }

    @Test("a slot that is released goes to the next contender, with a greater token")
    func released() async throws {
        let table = SlotTable()
        let (one, _) = try contender(table, 1, of: 2)
        let (two, _) = try contender(table, 2, of: 2)
        let (three, _) = try contender(table, 3, of: 2)
        let first = try #require(granted(try await one.acquire(request(1))))
        _ = try await two.acquire(request(2))
        #expect(try await one.release(first) == .released)
        let next = try #require(granted(try await three.acquire(request(3))))
        #expect(next.name == first.name)
        #expect(try #require(next.token) > #require(first.token))
    }

    @Test("another number of slots is refused while a slot is held, in both directions", arguments: [(2, 3), (3, 2), (1, 100)])
    func otherNumber(first: Int, second: Int) async throws {
        let table = SlotTable()
        let (one, _) = try contender(table, 1, of: first)
        let (two, base) = try contender(table, 2, of: second)
        let grant = try #require(granted(try await one.acquire(request(1))))
        let error = await #expect(throws: CoordinationError.self) { try await two.acquire(request(2)) }
        #expect(error?.kind == .configuration)
        #expect(error?.reason.contains("slot 1 of \(first) is held by p1") == true)
        #expect(error?.hint?.contains("--slots \(first)") == true)
        #expect(base.calls == [.list])
        _ = try await one.release(grant)
        #expect(granted(try await two.acquire(request(2)))?.name == "web-slot-1-of-\(second)")
    }

    @Test("a name that is held without slots has no slots; other names have nothing to do with it")
    func plainHolder() async throws {
        let table = SlotTable()
        _ = table.acquire("web", 9, "plain")
        _ = table.acquire("web2", 9, "plain")
        _ = table.acquire("my-web-slot-1-of-9", 9, "plain")
        let (one, _) = try contender(table, 1, of: 2)
        let error = await #expect(throws: CoordinationError.self) { try await one.acquire(request(1)) }
        #expect(error?.kind == .configuration && error?.reason.contains("held by plain without slots") == true)
        _ = table.release("web", token: 1)
        #expect(granted(try await one.acquire(request(1))) != nil)
    }

    @Test("of two contenders with different numbers at the same time, the second list of one shows the other: its slot is given back")
    func race() async throws {
        let table = SlotTable()
        // The other contender is granted its slot between the first list and the request.
        let (one, _) = try contender(table, 1, of: 2) { call in
            if case .acquire = call { _ = table.acquire("web-slot-3-of-3", 9, "other") }
            return nil
        }
        let error = await #expect(throws: CoordinationError.self) { try await one.acquire(request(1)) }
        #expect(error?.kind == .configuration)
        #expect(table.holders.keys.sorted() == ["web-slot-3-of-3"])
    }

    @Test("a grant that cannot be checked is given back, and asked for again")
    func unchecked() async throws {
        let table = SlotTable()
        let lists = Mutex(0)
        let (one, _) = try contender(table, 1, of: 2) { call in
            guard call == .list else { return nil }
            return lists.withLock {
                $0 += 1
                return $0
            } == 2 ? .before(down) : nil
        }
        let error = await #expect(throws: CoordinationError.self) { try await one.acquire(request(1)) }
        #expect(error?.kind == .unavailable && error?.isUncertain == false)
        #expect(table.holders.isEmpty)
        #expect(granted(try await one.acquire(request(1)))?.name == "web-slot-1-of-2")
    }

    @Test("a grant that can neither be checked nor given back is found again: no second slot is taken")
    func uncheckedAndKept() async throws {
        let table = SlotTable()
        let lists = Mutex(0)
        let (one, _) = try contender(table, 1, of: 3) { call in
            switch call {
            case .list:
                lists.withLock {
                    $0 += 1
                    return $0
                } == 2 ? .before(down) : nil
            case .release: lists.withLock { $0 } == 2 ? .before(down) : nil
            default: nil
            }
        }
        _ = await #expect(throws: CoordinationError.self) { try await one.acquire(request(1)) }
        #expect(table.holders.count == 1)
        #expect(granted(try await one.acquire(request(1)))?.name == "web-slot-1-of-3")
        #expect(table.holders.count == 1)
    }

    @Test("a request without an answer is resolved by reading its slot, and repeated for the same slot")
    func uncertainRequest() async throws {
        let table = SlotTable()
        _ = table.acquire("web-slot-1-of-3", 9, "other")
        let isFirst = Mutex(true)
        let (one, _) = try contender(table, 1, of: 3) { call in
            guard call == .acquire("web-slot-2-of-3") else { return nil }
            return isFirst.withLock { first in
                defer { first = false }
                return first ? .after(uncertain) : nil
            }
        }
        let error = await #expect(throws: CoordinationError.self) { try await one.acquire(request(1)) }
        #expect(error?.isUncertain == true)
        let found = try await one.read("web")
        #expect(found.name == "web-slot-2-of-3" && found.leader == "p1")
        // Slot 1 is free meanwhile, and even so slot 2 is asked for first.
        _ = table.release("web-slot-1-of-3", token: 1)
        #expect(granted(try await one.acquire(request(1)))?.name == "web-slot-2-of-3")
        #expect(table.holders.keys.sorted() == ["web-slot-2-of-3"])
        #expect(try await one.read("web").name == "web-slot-2-of-3")
    }

    @Test("a slot of another process with the same identity is not given back, where a system does not tell whose a term is")
    func sameIdentity() async throws {
        let table = SlotTable()
        _ = table.acquire("web-slot-1-of-2", 9, "p1")
        let base = try TableCoordinator(table, 1, knowsOwn: false) { call in
            if case .acquire = call { .before(down) } else { nil }
        }
        let one = SlotContender(base, count: 2, clock: BootClock())
        let error = await #expect(throws: CoordinationError.self) { try await one.acquire(request(1)) }
        #expect(error?.isTransient == true)
        #expect(await one.leaveQueue(request(1)) == nil)
        #expect(base.calls.contains(.read("web-slot-1-of-2")))
        #expect(table.holder("web-slot-1-of-2")?.process == 9)
    }

    @Test("a command that outlives the lease of its slot keeps out those with another number of slots, and nobody else")
    func outlived() async throws {
        var left = ElectionState(name: "web-slot-1-of-3", phase: .expired)
        (left.leader, left.alive) = ("p9", true)
        let other = SlotContender(try TableCoordinator(SlotTable(), 1, remains: [left]), count: 4, clock: BootClock())
        let error = await #expect(throws: CoordinationError.self) { try await other.acquire(request(1)) }
        #expect(error?.kind == .configuration && error?.reason.contains("slot 1 of 3 is held by p9") == true)
        let same = SlotContender(try TableCoordinator(SlotTable(), 1, remains: [left]), count: 3, clock: BootClock())
        #expect(granted(try await same.acquire(request(1))) != nil)
        left.alive = false
        let later = SlotContender(try TableCoordinator(SlotTable(), 1, remains: [left]), count: 4, clock: BootClock())
        #expect(granted(try await later.acquire(request(1))) != nil)
    }

    @Test("a slot that was lost is asked for first")
    func lost() async throws {
        let table = SlotTable()
        let (one, _) = try contender(table, 1, of: 2)
        _ = table.acquire("web-slot-1-of-2", 9, "other")
        #expect(granted(try await one.acquire(request(1)))?.name == "web-slot-2-of-2")
        _ = table.release("web-slot-1-of-2", token: 1)
        #expect(granted(try await one.acquire(request(1)))?.name == "web-slot-2-of-2")
    }

    @Test("a saved grant of a slot is continued in that slot")
    func continued() async throws {
        let table = SlotTable()
        let (one, _) = try contender(table, 1, of: 3)
        _ = table.acquire("web-slot-3-of-3", 1, "p1")
        var asked = request(1)
        asked.continuing = Grant(
            name: "web-slot-3-of-3", identity: "p1", token: FencingToken(1), ttl: Self.ttl, deadline: .distantFuture, acquiredAt: someTime,
            expiresAt: someTime)
        #expect(granted(try await one.acquire(asked))?.name == "web-slot-3-of-3")
        #expect(table.holders.count == 1)
    }

    @Test("without a list, or without the right to it, the slots are tried in their order", arguments: [true, false])
    func unlisted(isDenied: Bool) async throws {
        let table = SlotTable()
        _ = table.acquire("web-slot-1-of-3", 9, "other")
        let (one, base) = try contender(table, 1, of: 3, lacking: isDenied ? [:] : [.listElections: "no"]) { call in
            call == .list ? .before(denied) : nil
        }
        #expect(granted(try await one.acquire(request(1)))?.name == "web-slot-2-of-3")
        #expect(base.calls.filter { $0 != .list } == [.acquire("web-slot-1-of-3"), .acquire("web-slot-2-of-3"), .leave("web-slot-1-of-3")])
    }

    @Test("a list that fails otherwise is a failure of the request, before anything is asked for")
    func listFails() async throws {
        let table = SlotTable()
        let (one, base) = try contender(table, 1, of: 3) { $0 == .list ? .before(down) : nil }
        let error = await #expect(throws: CoordinationError.self) { try await one.acquire(request(1)) }
        #expect(error?.kind == down.kind && error?.reason == down.reason && base.calls == [.list])
    }

    @Test("waiting for all slots ends when one is free, and no place in another queue is left behind")
    func waiting() async throws {
        let table = SlotTable()
        for number in 1...3 { _ = table.acquire("web-slot-\(number)-of-3", 9, "other") }
        let (one, _) = try contender(table, 1, of: 3)
        let blocker = try #require(refused(try await one.acquire(request(1))))
        let waiting = Task { try await one.waitForTurn(request(1), behind: blocker, until: .distantFuture) }
        try await eventually("a place in each queue") { (1...3).allSatisfy { table.isWaiting(1, for: "web-slot-\($0)-of-3") } }
        _ = table.release("web-slot-2-of-3", token: 2)
        try await waiting.value
        #expect(granted(try await one.acquire(request(1)))?.name == "web-slot-2-of-3")
        #expect(table.waiters == 0)
        // Nothing is granted to it that it does not hold.
        _ = table.release("web-slot-1-of-3", token: 1)
        #expect(table.holder("web-slot-1-of-3") == nil)
    }

    @Test("if the queues of two slots grant at the same time, one of the two is given back")
    func twoTurns() async throws {
        let table = SlotTable()
        for number in 1...2 { _ = table.acquire("web-slot-\(number)-of-2", 9, "other") }
        let (one, _) = try contender(table, 1, of: 2)
        let blocker = try #require(refused(try await one.acquire(request(1))))
        let waiting = Task { try await one.waitForTurn(request(1), behind: blocker, until: .distantFuture) }
        try await eventually("a place in each queue") { (1...2).allSatisfy { table.isWaiting(1, for: "web-slot-\($0)-of-2") } }
        _ = table.release("web-slot-1-of-2", token: 1)
        _ = table.release("web-slot-2-of-2", token: 2)
        try await waiting.value
        #expect(table.holders.count == 2)
        let grant = try #require(granted(try await one.acquire(request(1))))
        #expect(table.holders.map(\.key) == [grant.name])
    }

    @Test("a wait that is called off, and the end of the campaign, leave all queues")
    func calledOff() async throws {
        let table = SlotTable()
        for number in 1...2 { _ = table.acquire("web-slot-\(number)-of-2", 9, "other") }
        let (one, _) = try contender(table, 1, of: 2)
        let blocker = try #require(refused(try await one.acquire(request(1))))
        let waiting = Task { try await one.waitForTurn(request(1), behind: blocker, until: .distantFuture) }
        try await eventually("a place in each queue") { table.waiters == 2 }
        waiting.cancel()
        _ = try? await waiting.value
        #expect(await one.leaveQueue(request(1)) == nil)
        #expect(table.waiters == 0)
    }

    @Test("a name that fits alone, but not with its slots, is refused, and the hint says why")
    func longName() throws {
        let (one, _) = try contender(SlotTable(), 1, of: 3)
        try one.validate(name: "web", identity: "p1", ttl: Self.ttl)
        let error = #expect(throws: CoordinationError.self) {
            try one.validate(name: String(repeating: "w", count: 25), identity: "p1", ttl: Self.ttl)
        }
        #expect(error?.hint?.contains("--slots") == true)
    }

    @Test("a session watches and renews the slot that it holds, and after a loss the slot that it is granted then")
    func session() async throws {
        let table = SlotTable()
        _ = table.acquire("web-slot-1-of-2", 9, "other")
        let (one, base) = try contender(table, 1, of: 2)
        let configuration = LeaseSession.Configuration(
            request: request(1), renewEvery: .milliseconds(20), retry: RetryPolicy(initial: .milliseconds(1), jitter: 0), waiting: .forever,
            campaignsAgain: true)
        let driver = SessionDriver(configuration, coordinator: one, clock: BootClock())
        let elected = Mutex<[String]>([])
        let running = Task {
            await driver.run { event, _ in
                if case .elected(let grant) = event { elected.withLock { $0.append(grant.name) } }
            }
        }
        try await eventually("the watch of the slot") { base.watches.contains("web-slot-2-of-2") }
        // It is taken away, and given to another process; slot 1 becomes free.
        let holder = try #require(table.holder("web-slot-2-of-2"))
        _ = table.release("web-slot-2-of-2", token: holder.token)
        _ = table.acquire("web-slot-2-of-2", 8, "thief")
        _ = table.release("web-slot-1-of-2", token: 1)
        try await eventually("the watch of another slot") { base.watches.contains("web-slot-1-of-2") || elected.withLock { $0.count } > 1 }
        driver.stop()
        #expect(await running.value == .stopped)
        #expect(elected.withLock { $0.first } == "web-slot-2-of-2")
        #expect(!base.watches.contains("web"))
        #expect(table.holders.values.allSatisfy { $0.process != 1 })
    }
}
