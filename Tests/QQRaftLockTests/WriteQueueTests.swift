import QQCore
import Support
import Synchronization
import Testing

@testable import QQRaftLock

@Suite("The queue for writes") struct WriteQueueTests {
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

    /// The number of writes inside, the highest number so far, and their names.
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

    @Test("one write is inside at a time") func exclusive() async {
        let (writeQueue, clock, inside) = (WriteQueue(), clock, Inside())
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    guard await writeQueue.enter(until: clock.now() + .seconds(90), clock) else { return }
                    inside.enter()
                    await Task.yield()
                    inside.leave()
                    writeQueue.leave()
                }
            }
        }
        #expect(inside.most == 1)
        #expect(await writeQueue.enter(until: clock.now() + .seconds(60), clock))
    }

    @Test("the write with the least time left goes first") func order() async throws {
        let (writeQueue, clock, inside) = (WriteQueue(), clock, Inside())
        #expect(await writeQueue.enter(until: .distantFuture, clock))
        let now = clock.now()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (place, (name, seconds)) in [("new", 900), ("newer", 900), ("renewal", 600), ("urgent", 300)].enumerated() {
                group.addTask {
                    #expect(await writeQueue.enter(until: now + .seconds(seconds), clock))
                    inside.enter(name)
                    inside.leave()
                    writeQueue.leave()
                }
                try await waitUntil("\(name) to enter the queue") { writeQueue.waiters == place + 1 }
            }
            writeQueue.leave()
            try await group.waitForAll()
        }
        #expect(inside.names == ["urgent", "renewal", "new", "newer"])
    }

    @Test("a write whose deadline passes does not get in and does not block others") func deadline() async {
        let writeQueue = WriteQueue()
        #expect(await writeQueue.enter(until: .distantFuture, clock))
        #expect(await !writeQueue.enter(until: clock.now() + .milliseconds(20), clock))
        #expect(await !writeQueue.enter(until: clock.now(), clock))
        writeQueue.leave()
        #expect(await writeQueue.enter(until: clock.now() + .seconds(60), clock))
    }

    @Test("a cancelled write does not get in and does not block others") func cancelled() async {
        let (writeQueue, clock) = (WriteQueue(), clock)
        #expect(await writeQueue.enter(until: .distantFuture, clock))
        let waiting = Task { await writeQueue.enter(until: .distantFuture, clock) }
        try? await Task.sleep(for: .milliseconds(20))
        waiting.cancel()
        #expect(await !waiting.value)
        writeQueue.leave()
        #expect(await writeQueue.enter(until: clock.now() + .seconds(60), clock))
    }

    @Test("a process has one write queue for a cluster, in whatever order its nodes are named") func shared() {
        #expect(WriteQueue.to(["a:1", "b:2"]) === WriteQueue.to(["b:2", "a:1"]))
        #expect(WriteQueue.to(["a:1"]) !== WriteQueue.to(["b:2"]))
    }
}
