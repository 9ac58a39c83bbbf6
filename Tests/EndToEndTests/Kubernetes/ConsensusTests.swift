import Glibc
import QQCore
import Support
import Testing

@Suite("qq and Consensus in the same election")
struct ConsensusTests {
    @Test("qq hands over to Consensus: within an interval when it releases, and when its lease ends otherwise", arguments: [true, false])
    func toConsensus(releases: Bool) async throws {
        try await onCluster(.heavy) { place in
            let holder = try place.qq(place.stamping(id: "q", ttl: "3s", work: ["--child", "--daemon"]))
            _ = try await place.box.waitForTerms(1)
            let node = try place.consensus("node")
            try await waitUntil("the node sees a leader") { place.server.api.count(.get, name: "x") > 1 }
            let left = bootNow()
            holder.child.signal(releases ? SIGTERM : SIGKILL)
            _ = try await holder.finish()
            try await place.waitForLeader(node)
            let took = node.beliefs[0].from - left
            #expect(took < (releases ? 900_000_000 : 4_000_000_000) + busyTime(since: left), "\(took / 1_000_000) ms")
            #expect(place.violations(peers: ["node"]) == [])
        }
    }

    @Test("Consensus hands over to a waiting qq: at once when it releases", arguments: [true, false])
    func fromConsensus(releases: Bool) async throws {
        try await onCluster(.heavy) { place in
            let node = try place.consensus("node")
            try await place.waitForLeader(node)
            let next = try place.qq(place.stamping(id: "q", work: ["--for", "50"]))
            try await place.box.waitForWaiter(next)
            let left = bootNow()
            if releases { node.cancel() } else { node.kill() }
            #expect(try await next.finish().ending == .exited(0))
            let term = try #require(place.box.stamps().terms.first)
            #expect(
                term.first < left + (releases ? 600_000_000 : 3_500_000_000) + busyTime(since: left),
                "\((Int(term.first) - Int(left)) / 1_000_000) ms")
            #expect(place.violations(peers: ["node"]) == [])
            // Consensus never raises it.
            #expect(place.lease()?["spec"]?["leaseTransitions"] == 1)
        }
    }

    @Test("tokens grow over terms of Consensus and over a deletion, although the transitions do not") func tokens() async throws {
        try await onCluster(.heavy) { place in
            func term() async throws {
                let run = try await place.qq(place.stamping(id: "q", work: ["--for", "5"])).finish()
                #expect(run.ending == .exited(0), "\(run.errors)")
            }
            try await term()
            let node = try place.consensus("node")
            try await place.waitForLeader(node)
            node.cancel()
            try await term()
            place.delete()
            try await term()
            #expect(place.box.stamps().terms.count == 3)
            #expect(place.box.stamps().offences == [])
        }
    }
}
