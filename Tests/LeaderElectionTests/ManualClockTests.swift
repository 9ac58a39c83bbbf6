import Synchronization
import Testing

@testable import LeaderElection

@Suite("Manual clock") struct ManualClockTests {
    @Test("sleepers wake in the order of their times, each when the one before has done its work") func order() async throws {
        let trial = Trial()
        let clock = trial.clock
        await clock.run {
            await withTaskGroup(of: Void.self) { group in
                for number in [5, 1, 4, 2, 3, 1] {
                    group.addTask {
                        try? await clock.sleep(for: .seconds(number))
                        trial.note("\(number) at \(clock.elapsed)")
                        if number < 3 {
                            try? await clock.sleep(for: .seconds(0.5))
                            trial.note("\(number) again at \(clock.elapsed)")
                        }
                    }
                }
                await clock.advance(by: .seconds(2.25))
                #expect(
                    trial.notes == [
                        "1 at 1.0 seconds", "1 at 1.0 seconds", "1 again at 1.5 seconds", "1 again at 1.5 seconds", "2 at 2.0 seconds",
                    ])
                #expect(clock.elapsed == .seconds(2.25))
                #expect(clock.sleeperCount == 4)
                await clock.advance(by: .seconds(10))
                #expect(trial.notes.suffix(4) == ["2 again at 2.5 seconds", "3 at 3.0 seconds", "4 at 4.0 seconds", "5 at 5.0 seconds"])
            }
        }
        #expect(clock.sleeperCount == 0)
    }

    @Test("a cancelled sleeper wakes at once") func cancelled() async throws {
        let clock = ManualClock()
        let task = Task(executorPreference: clock.executor) { try await clock.sleep(for: .seconds(1)) }
        await clock.settle()
        task.cancel()
        let result = await task.result
        #expect(throws: CancellationError.self) { try result.get() }
        #expect(clock.sleeperCount == 0)
    }

    @Test("a jump wakes nobody until the clock advances") func jumps() async throws {
        let clock = ManualClock()
        let task = Task(executorPreference: clock.executor) { (try? await clock.sleep(for: .seconds(1))) != nil }
        await clock.settle()
        clock.jump(by: .seconds(5))
        await clock.settle()
        #expect(clock.sleeperCount == 1)
        await clock.advance(by: .zero)
        #expect(clock.elapsed == .seconds(5))
        let hasSlept = await task.value
        #expect(hasSlept)
    }
}
