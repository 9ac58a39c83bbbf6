import Simulation
import Testing

@Suite("Seeds that once broke a rule")
struct SeedTests {
    /// By system: what was wrong is mended, in the code or in the model. Worlds are drawn in another way since, so that each is only one more world now.
    private static let known: [(system: String, seeds: [UInt64])] = [
        // A resumed term; a command that cannot be run; paused virtual machines.
        ("reference", [4, 169, 430, 1382]),
        // Waiters with an identity given by --id and a lease of one second, none of which ever led.
        ("raftlock", [145, 150, 151]),
        // The guardian of a leader was killed; a second write that failed left a lease file that nobody could read.
        ("files", [12, 205, 499]),
        // A release that a hung store carried out after the next grant.
        ("quorum-quest", [200_753]),
        // A release without an answer ended the session with which another process had resumed the term.
        ("consul", [310_324_855]),
    ]

    @Test("break none", arguments: known.flatMap { entry in entry.seeds.map { (entry.system, $0) } })
    func kept(system name: String, seed: UInt64) throws {
        let system = try #require(SimulatedSystems.all.first { $0.name == name })
        let result = SimulationResult.of(Schedule.draw(seed: seed, for: system), system)
        #expect(result.failure == nil, "\(result.failure.map { "\($0.rule.rawValue): \($0.words)" } ?? "")")
        #expect(result.terms > 0)
    }
}
