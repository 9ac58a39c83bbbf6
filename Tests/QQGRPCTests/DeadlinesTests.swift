import GRPCCore
import QQCore
import Support
import Testing

@testable import QQGRPC

@Suite("Deadlines of calls") struct DeadlinesTests {
    private let clock = SystemClock()
    private var deadlines: Deadlines { Deadlines(clock, on: { globalConcurrentExecutor }, failure: Late()) }

    private struct Late: Error {}

    @Test("each call is given up at its own deadline, in whatever order the calls come") func ends() async throws {
        let deadlines = deadlines
        let start = clock.now()
        let answers = [300, 100, 600_000, 200, 100].map { (FirstAnswer(), Duration.milliseconds($0)) }
        for (answer, left) in answers { _ = deadlines.watch(answer, until: start + left) }
        for (place, (answer, left)) in answers.enumerated() where place != 2 {
            await #expect(throws: Late.self) { try await answer.wait().get() }
            #expect(clock.now() >= start + left)
        }
        answers[2].0.give(.success([1]))
        #expect(try await answers[2].0.wait().get() == [1])
    }

    @Test("an answer that came before the deadline stays, and a cancelled deadline gives none") func answered() async throws {
        let deadlines = deadlines
        let (answered, forgotten, last) = (FirstAnswer(), FirstAnswer(), FirstAnswer())
        let soon = clock.now() + .seconds(1)
        _ = deadlines.watch(answered, until: soon)
        answered.give(.success([1]))
        deadlines.forget(deadlines.watch(forgotten, until: soon))
        _ = deadlines.watch(last, until: soon + .milliseconds(1))
        await #expect(throws: Late.self) { try await last.wait().get() }
        #expect(try await answered.wait().get() == [1])
        forgotten.give(.success([2]))
        #expect(try await forgotten.wait().get() == [2])
    }

    @Test("deadlines still work after all watched calls have ended") func again() async {
        let deadlines = deadlines
        for _ in 0..<3 {
            let answer = FirstAnswer()
            _ = deadlines.watch(answer, until: clock.now() + .milliseconds(20))
            await #expect(throws: Late.self) { try await answer.wait().get() }
        }
    }
}
