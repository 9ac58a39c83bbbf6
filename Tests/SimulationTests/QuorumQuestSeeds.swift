import Simulation
import Testing

@Suite("Seeds of Quorum Quest")
struct QuorumQuestSeeds {
    /// A server that was cut off from its store answered yes to a release. The store carried it out when it was reached again, and ended the lease that the
    /// same contender had been granted meanwhile, through another server.
    @Test("a late release ends no lease that was granted after it", arguments: [200_753] as [UInt64])
    func lateRelease(seed: UInt64) {
        let result = SimulationResult.of(Schedule.draw(seed: seed, for: .quorumQuest), .quorumQuest)
        #expect(result.failure == nil, "\(result.lines.suffix(40).joined(separator: "\n"))")
    }
}
