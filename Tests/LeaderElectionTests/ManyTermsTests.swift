import Foundation
import Synchronization
import Testing

@testable import LeaderElection

@Suite("Many terms") struct ManyTermsTests {
    @Test("ten thousand terms of one election leave nothing behind") func terms() async throws {
        let memory = InMemoryElections()
        let terms = Remains()
        let election = try Election("backup", in: memory, options: .init(pause: .seconds(1)))
        await memory.clock.run {
            let task = Task(executorPreference: memory.clock.executor) { try? await election.run { terms.add($0) } }
            await memory.clock.advance(by: .seconds(9999.5))
            #expect(terms.count == 10_000)
            #expect(terms.living <= 1)
            task.cancel()
            await task.value
        }
        #expect(terms.living == 0)
        #expect(memory.clock.sleeperCount == 0)
    }

    // In a process of its own, since other tests use memory meanwhile. Sanitizers keep freed memory.
    @Test("nine thousand terms need no more memory than one thousand", .enabled(if: getenv("QQ_UNIT_TESTS_ONLY") == nil))
    func residentMemory() async {
        await #expect(processExitsWith: .success) {
            let memory = InMemoryElections()
            let election = try Election("backup", in: memory, options: .init(pause: .seconds(1)))
            await memory.clock.run {
                let task = Task(executorPreference: memory.clock.executor) { try? await election.run { _ in } }
                await memory.clock.advance(by: .seconds(999.5))
                let before = ManyTermsTests.residentKilobytes()
                await memory.clock.advance(by: .seconds(9000))
                #expect(before > 0)
                #expect(ManyTermsTests.residentKilobytes() - before < 4000)
                task.cancel()
                await task.value
            }
        }
    }

    @Test("elections leave nothing behind either") func elections() async throws {
        let memory = InMemoryElections()
        let terms = Remains()
        final class WeakElection {
            weak var election: Election?
            init(_ election: Election) { self.election = election }
        }
        var all: [WeakElection] = []
        for number in 0..<1000 {
            let election = try Election("backup-\(number % 10)", in: memory)
            all.append(WeakElection(election))
            try await election.withLeadership { terms.add($0) }
        }
        await memory.clock.settle()
        #expect(terms.count == 1000)
        #expect(terms.living == 0)
        #expect(all.allSatisfy { $0.election == nil })
        #expect(memory.clock.sleeperCount == 0)
    }

    /// The terms that still exist.
    final class Remains: Sendable {
        private struct WeakTerm: Sendable { weak var term: Term? }
        private struct State {
            var count = 0
            /// One in fifty: weak references need memory themselves.
            var sample: [WeakTerm] = []
        }

        private let state = Mutex(State())

        var count: Int { state.withLock { $0.count } }
        var living: Int { state.withLock { $0.sample.count { $0.term != nil } } }

        func add(_ lease: Lease) {
            state.withLock { state in
                if state.count % 50 == 0 { state.sample.append(WeakTerm(term: lease.term)) }
                state.count += 1
            }
        }
    }

    private static func residentKilobytes() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        return line.split(separator: " ").compactMap { Int($0) }.first ?? 0
    }
}
