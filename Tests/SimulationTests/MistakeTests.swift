import Simulation
import Testing

@Suite("What is wrong is found")
struct MistakeTests {
    /// Seeds that are tried for each mistake.
    private static let mostSeeds: UInt64 = 200

    @Test("a coordinator with a mistake breaks the rule, in a schedule that gets smaller", arguments: Mistake.allCases)
    func found(mistake: Mistake) throws {
        let system = mistake.system
        for seed in 1...Self.mostSeeds {
            let schedule = Schedule.draw(seed: seed, for: system)
            guard let failure = SimulationResult.of(schedule, system, keeping: 1).failure else { continue }
            #expect(mistake.rules.contains(failure.rule), "seed \(seed): \(failure.rule): \(failure.words)")
            // Tasks that spin cost seconds.
            guard mistake != .spins else { return }
            let small = Shrinker.shrink(schedule, system, failure.rule)
            #expect(small.faults.count <= schedule.faults.count && small.end <= schedule.end)
            let again = SimulationResult.of(small, system)
            #expect(again.failure?.rule == failure.rule)
            return
        }
        Issue.record("not found in \(Self.mostSeeds) seeds")
    }
}
