import Simulation
import Testing

/// Schedules that are the same on every machine. New ones are for `make simulate`.
@Suite("Known seeds", .serialized)
struct KnownSeedsTests {
    @Test("no rule is broken", arguments: SimulatedSystems.all.map(\.name))
    func passes(name: String) throws {
        let system = try #require(SimulatedSystems.all.first { $0.name == name })
        var terms = 0
        for seed in UInt64(1)...4 {
            let result = SimulationResult.of(Schedule.draw(seed: seed, for: system), system)
            #expect(result.failure == nil, "seed \(seed):\n\(result.lines.suffix(60).joined(separator: "\n"))")
            terms += result.terms
        }
        #expect(terms > 50)
    }
}
