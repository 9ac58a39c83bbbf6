import QQCore
import Support
import Synchronization
import Testing

@testable import QQNetwork

@Suite("Deadlines of calls") struct DeadlinesTests {
    private let clock = SystemClock()
    private var deadlines: Deadlines { Deadlines(clock, on: { globalConcurrentExecutor }) }

    /// When each call was ended.
    private final class Ends: Sendable {
        private let ends = Mutex<[Int: BootInstant]>([:])
        private let clock = SystemClock()

        func note(_ call: Int) { ends.withLock { $0[call] = clock.now() } }
        subscript(_ call: Int) -> BootInstant? { ends.withLock { $0[call] } }
    }

    @Test("each call is given up at its own deadline, in whatever order the calls come") func ends() async throws {
        let deadlines = deadlines
        let ends = Ends()
        let start = clock.now()
        let times = [300, 100, 600_000, 200, 100].map { start + .milliseconds($0) }
        for (call, time) in times.enumerated() { _ = deadlines.watch(until: time) { ends.note(call) } }
        for call in [0, 1, 3, 4] {
            let end = try await waitFor("the end of call \(call)") { ends[call] }
            #expect(end >= times[call])
        }
        #expect(ends[2] == nil)
    }

    @Test("a call whose deadline was cancelled is not ended") func answered() async throws {
        let deadlines = deadlines
        let ends = Ends()
        let soon = clock.now() + .seconds(2)
        deadlines.forget(deadlines.watch(until: soon) { ends.note(1) })
        _ = deadlines.watch(until: soon + .milliseconds(1)) { ends.note(2) }
        try await waitUntil("the last one has ended") { ends[2] != nil }
        #expect(ends[1] == nil)
    }

    @Test("deadlines still work after all watched calls have ended") func again() async throws {
        let deadlines = deadlines
        let ends = Ends()
        for call in 0..<3 {
            _ = deadlines.watch(until: clock.now() + .milliseconds(20)) { ends.note(call) }
            try await waitUntil("call \(call) has ended") { ends[call] != nil }
        }
    }
}
