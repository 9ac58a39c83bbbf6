import Glibc
import Testing
import Traits

@testable import QQKubernetes

@Suite(.ownThread) struct ElectionModelTests {
    /// `MODEL_SEEDS=FROM-TO` tries others.
    private static let seeds: [UInt64] = {
        let words = getenv("MODEL_SEEDS").map { String(cString: $0) }?.split(separator: "-").compactMap { UInt64($0) } ?? []
        return words.count == 2 ? Array(words[0]...words[1]) : Array(1...8)
    }()

    private func run(_ options: ElectionModel.Options) async throws {
        var (grants, renewals) = (0, 0)
        for seed in Self.seeds {
            let model = try ElectionModel(seed: seed, options)
            do { try await model.run() } catch {
                Issue.record("seed \(seed): \(error)")
                return
            }
            (grants, renewals) = (grants + model.grants, renewals + model.renewals)
        }
        #expect(grants > Self.seeds.count * 3 && renewals > Self.seeds.count * 3)
    }

    @Test func `no two lead at once, whatever happens between any two requests`() async throws { try await run(.init()) }

    @Test func `no two lead at once beside client-go`() async throws { try await run(.init(hasClientGo: true)) }

    @Test func `no two lead at once when something clears the lease of a holder`() async throws { try await run(.init(wipes: true)) }
}
