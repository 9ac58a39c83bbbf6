import QQCore
import Synchronization
import Testing

/// Many processes contend for slots at the same time, with requests that fail and answers that are lost.
@Suite("Never more than N", .timeLimit(.minutes(10)))
struct SlotModelTests {
    /// The processes at work, by the number of slots that they were given.
    final class Work: Sendable {
        private struct State {
            var slots: Set<String> = []
            var counts: [Int: Int] = [:]
            var most = 0
            var terms = 0
            var problems: [String] = []
        }

        private let state = Mutex(State())

        var problems: [String] { state.withLock { $0.problems } }
        var most: Int { state.withLock { $0.most } }
        var terms: Int { state.withLock { $0.terms } }

        func begin(_ slot: String, of count: Int) {
            state.withLock { state in
                if !state.slots.insert(slot).inserted { state.problems.append("two are at work in \(slot)") }
                state.counts[count, default: 0] += 1
                let all = state.counts.values.reduce(0, +)
                if all > count { state.problems.append("\(all) are at work, one of them with --slots \(count)") }
                if all > state.counts[count, default: 0] { state.problems.append("\(count) slots are in use beside another number") }
                state.most = max(state.most, all)
                state.terms += 1
            }
        }

        func end(_ slot: String, of count: Int) {
            state.withLock { state in
                state.slots.remove(slot)
                state.counts[count, default: 0] -= 1
            }
        }
    }

    /// Loses requests and answers, reproducibly for each process.
    private final class Faults: Sendable {
        private let state: Mutex<UInt64>
        private let rate: UInt64
        private let isOver = Mutex(false)

        init(seed: UInt64, percent: UInt64) {
            state = Mutex(seed &* 0x9E37_79B9_7F4A_7C15 | 1)
            rate = percent
        }

        func end() { isOver.withLock { $0 = true } }

        private func number() -> UInt64 {
            state.withLock { state in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return state >> 33
            }
        }

        func next(_ call: TableCoordinator.Call) async -> TableCoordinator.Fault? {
            for _ in 0..<(number() % 3) { await Task.yield() }
            guard !isOver.withLock({ $0 }), number() % 100 < rate else { return nil }
            return number() % 2 == 0 ? .before(down) : .after(uncertain)
        }
    }

    /// - Parameter isDone: the work under a term ends when this returns true.
    private func campaign(
        _ table: SlotTable, _ process: Int, of count: Int, terms: Int, _ work: Work, percent: UInt64,
        until isDone: @escaping @Sendable () -> Bool = { true }
    ) async throws {
        let faults = Faults(seed: UInt64(process), percent: percent)
        let base = try TableCoordinator(table, process) { await faults.next($0) }
        var request = AcquireRequest(name: "web", identity: "p\(process)", ttl: .seconds(600))
        request.wantsLivenessLock = true
        for _ in 0..<terms {
            let retry = RetryPolicy(maximumRetries: nil, initial: .microseconds(100), maximum: .milliseconds(2), jitter: 0)
            var configuration = LeaseSession.Configuration(
                request: request, renewEvery: .seconds(200), retry: retry, waiting: .forever)
            configuration.shortestTurn = .milliseconds(1)
            let driver = SessionDriver(
                configuration, coordinator: SlotContender(base, count: count, clock: BootClock()), clock: BootClock())
            let (grants, post) = AsyncStream.makeStream(of: Grant.self)
            let worker = Task {
                for await grant in grants {
                    work.begin(grant.name, of: count)
                    repeat { try? await Task.sleep(for: .microseconds(300)) } while !isDone()
                    work.end(grant.name, of: count)
                    driver.stop()
                }
            }
            _ = await driver.run { event, _ in if case .elected(let grant) = event { post.yield(grant) } }
            post.finish()
            await worker.value
        }
        // What could not be given up in the last campaign would expire. The table has no time, so it is given up here.
        faults.end()
        for (name, holder) in table.holders where holder.process == process { _ = table.release(name, token: holder.token) }
    }

    @Test("contenders that lose requests and answers are never more than N at work", arguments: [1, 2, 3, 5])
    func sameNumber(count: Int) async throws {
        let (table, work) = (SlotTable(), Work())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for process in 1...8 {
                group.addTask { try await campaign(table, process, of: count, terms: 12, work, percent: 10) }
            }
            try await group.waitForAll()
        }
        #expect(work.problems == [])
        #expect(work.most <= count)
        #expect(work.terms >= 48)
        #expect(table.waiters == 0)
    }

    @Test("N contenders are at work at the same time", arguments: [1, 2, 3, 5])
    func allSlots(count: Int) async throws {
        let (table, work) = (SlotTable(), Work())
        let clock = BootClock()
        let end = clock.now() + .seconds(60)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for process in 1...8 {
                group.addTask {
                    // Nobody's work ends before all slots were in use once.
                    try await campaign(table, process, of: count, terms: 1, work, percent: 0) { work.most == count || clock.now() >= end }
                }
            }
            try await group.waitForAll()
        }
        #expect(work.problems == [])
        #expect(work.most == count)
        #expect(work.terms == 8)
        #expect(table.holders.isEmpty && table.waiters == 0)
    }

    @Test("contenders with different numbers of slots are never at work together")
    func differentNumbers() async throws {
        let (table, work) = (SlotTable(), Work())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for process in 1...8 {
                let count = process % 2 == 0 ? 2 : 3
                group.addTask { try await campaign(table, process, of: count, terms: 30, work, percent: 5) }
            }
            try await group.waitForAll()
        }
        #expect(work.problems == [])
        #expect(work.terms > 0)
    }
}
