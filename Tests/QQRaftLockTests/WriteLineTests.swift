import QQCore
import Support
import Synchronization
import Testing

@testable import QQRaftLock

@Suite("One write at a time") struct WriteLineTests {
    private struct SystemClock: LeaseClock {
        func now() -> BootInstant {
            BootInstant(nanoseconds: UInt64(Self.began.duration(to: .now).nanoseconds) + 1_000_000_000)
        }

        private static let began = ContinuousClock.now

        func sleep(until deadline: BootInstant) async throws {
            let left = deadline.duration(since: now())
            if left > .zero { try await Task.sleep(for: min(left, .seconds(60))) }
            try Task.checkCancellation()
        }
    }

    /// How many are in, how many were at the most, and who.
    private final class Inside: Sendable {
        private struct Count {
            var now = 0
            var most = 0
            var names: [String] = []
        }

        private let count = Mutex(Count())
        var most: Int { count.withLock { $0.most } }
        var names: [String] { count.withLock { $0.names } }

        func enter(_ name: String = "") {
            count.withLock { count in
                count.names.append(name)
                count.now += 1
                count.most = max(count.most, count.now)
            }
        }

        func leave() { count.withLock { $0.now -= 1 } }
    }

    private let clock = SystemClock()

    @Test("one is in at a time") func exclusive() async {
        let (line, clock, inside) = (WriteLine(), clock, Inside())
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    guard await line.enter(until: clock.now() + .seconds(30), clock) else { return }
                    inside.enter()
                    await Task.yield()
                    inside.leave()
                    line.leave()
                }
            }
        }
        #expect(inside.most == 1)
        #expect(await line.enter(until: clock.now() + .seconds(1), clock))
    }

    @Test("whoever has the least time left goes first") func order() async throws {
        let (line, clock, inside) = (WriteLine(), clock, Inside())
        #expect(await line.enter(until: .distantFuture, clock))
        let now = clock.now()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (place, (name, seconds)) in [("new", 900), ("newer", 900), ("renewal", 600), ("urgent", 300)].enumerated() {
                group.addTask {
                    #expect(await line.enter(until: now + .seconds(seconds), clock))
                    inside.enter(name)
                    inside.leave()
                    line.leave()
                }
                try await waitUntil("\(name) to stand in line") { line.waiters == place + 1 }
            }
            line.leave()
            try await group.waitForAll()
        }
        #expect(inside.names == ["urgent", "renewal", "new", "newer"])
    }

    @Test("whoever waits too long does not get in, and stands in nobody's way") func deadline() async {
        let line = WriteLine()
        #expect(await line.enter(until: .distantFuture, clock))
        #expect(await !line.enter(until: clock.now() + .milliseconds(20), clock))
        #expect(await !line.enter(until: clock.now(), clock))
        line.leave()
        #expect(await line.enter(until: clock.now() + .seconds(10), clock))
    }

    @Test("nor does whoever is cancelled") func cancelled() async {
        let (line, clock) = (WriteLine(), clock)
        #expect(await line.enter(until: .distantFuture, clock))
        let waiting = Task { await line.enter(until: .distantFuture, clock) }
        try? await Task.sleep(for: .milliseconds(20))
        waiting.cancel()
        #expect(await !waiting.value)
        line.leave()
        #expect(await line.enter(until: clock.now() + .seconds(10), clock))
    }

    @Test("processes have one line to a cluster, in whatever order its nodes are named") func shared() {
        #expect(WriteLine.to(["a:1", "b:2"]) === WriteLine.to(["b:2", "a:1"]))
        #expect(WriteLine.to(["a:1"]) !== WriteLine.to(["b:2"]))
    }
}
