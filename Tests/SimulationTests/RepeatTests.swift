import Simulation
import Testing

@Suite("Worlds are repeatable", .serialized)
struct RepeatTests {
    @Test("the same seed gives the same history", arguments: [7] as [UInt64])
    func same(seed: UInt64) {
        for system in SimulatedSystems.all {
            let schedule = Schedule.draw(seed: seed, for: system)
            let first = SimulationResult.of(schedule, system)
            let second = SimulationResult.of(schedule, system)
            #expect(first.hash == second.hash, "\(system.name)")
            #expect(first.terms == second.terms, "\(system.name)")
        }
    }
}
