import Glibc
import QQCore
import Support
import Testing

/// How a holder's time ends.
enum Departure: String, CaseIterable, CustomTestStringConvertible {
    case release = "released"
    case crash = "killed"
    case stepDown = "asked to step down"
    case deletion = "its lease deleted"

    var testDescription: String { rawValue }
}

@Suite("qq and client-go in the same election")
struct ClientGoTests {
    @Test(
        "qq hands over to client-go: at once when it releases, and when its lease ends otherwise", arguments: [Departure.release, .crash])
    func toClientGo(departure: Departure) async throws {
        try await onCluster(.heavy) { place in
            let holder = try place.qq(place.stamping(id: "q", work: ["--child", "--daemon"]))
            _ = try await place.box.waitForTerms(1)
            let peer = try place.clientGo("go")
            try await waitUntil("the peer sees a leader") { place.server.api.count(.get, name: "x") > 2 }
            let left = bootNow()
            if departure == .release { holder.child.signal(SIGTERM) } else { holder.child.signal(SIGKILL) }
            try await place.waitForLeader(peer)
            let took = peer.beliefs[0].from - left
            // A candidate looks every 0.4 to 0.88 s.
            #expect(took < (departure == .release ? 1_200_000_000 : 4_200_000_000) + busyTime(since: left), "\(took / 1_000_000) ms")
            _ = try await holder.finish()
            #expect(place.violations(peers: ["go"]) == [])
            #expect((place.box.stamps().all.map(\.at).max() ?? 0) < peer.beliefs[0].from)
            if departure == .release { #expect(place.lease()?["spec"]?["leaseTransitions"] == 1) }
        }
    }

    @Test("client-go hands over to a waiting qq, which runs its command only then", arguments: [true, false])
    func fromClientGo(releases: Bool) async throws {
        try await onCluster(.heavy) { place in
            let peer = try place.clientGo("go") { $0.releasesOnCancel = releases }
            try await place.waitForLeader(peer)
            let next = try place.qq(place.stamping(id: "q", work: ["--for", "50"]))
            try await place.box.waitForWaiter(next)
            let asked = bootNow()
            peer.cancel()
            let cancelled = bootNow()
            #expect(try await next.finish().ending == .exited(0))
            let term = try #require(place.box.stamps().terms.first)
            if releases {
                #expect(
                    term.first < cancelled + 500_000_000 + busyTime(since: cancelled),
                    "\((Int(term.first) - Int(cancelled)) / 1_000_000) ms")
            } else {
                #expect(term.first < asked + 3_500_000_000 + busyTime(since: asked))
            }
            #expect(place.violations(peers: ["go"]) == [])
        }
    }

    @Test("a qq that starts after a client-go leader was killed waits until that one's lease has ended") func crashed() async throws {
        try await onCluster(.heavy) { place in
            let peer = try place.clientGo("go")
            try await place.waitForLeader(peer)
            peer.kill()
            let refused = try await place.run("acquire", "x", "--ttl", "2s", "--", "true")
            #expect(refused.ending == .exited(1) && refused.errors.contains("held by go"), "\(refused.errors)")
            let next = try await place.qq(place.stamping(id: "q", work: ["--for", "20"])).finish()
            #expect(next.ending == .exited(0), "\(next.errors)")
            #expect(place.violations(peers: ["go"]) == [])
        }
    }

    @Test("a deleted lease is a loss for qq, and client-go makes it anew") func deleted() async throws {
        try await onCluster(.heavy) { place in
            let holder = try place.qq(place.stamping(id: "q"))
            _ = try await place.box.waitForTerms(1)
            let peer = try place.clientGo("go")
            try await waitUntil("the peer sees a leader") { place.server.api.count(.get, name: "x") > 2 }
            place.delete()
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("lost x"), "\(run.errors)")
            try await place.waitForLeader(peer)
            #expect(place.violations(peers: ["go"]) == [])
            #expect(place.holder() == "go")
        }
    }

    @Test("a leader whose lease is deleted makes it again, and a waiting qq does not get between") func peersDeletion() async throws {
        try await onCluster(.heavy) { place in
            let peer = try place.clientGo("go")
            try await place.waitForLeader(peer)
            let next = try place.qq(place.stamping(id: "q", work: ["--for", "50"]))
            try await place.box.waitForWaiter(next)
            // Either may be first. Never both.
            place.delete()
            try await waitUntil("the lease exists again") { place.lease() != nil }
            try await waitUntil("one of them leads", within: .seconds(90)) { place.holder() == "go" || place.box.stamps().terms.count == 1 }
            peer.cancel()
            #expect(try await next.finish().ending == .exited(0))
            #expect(place.violations(peers: ["go"]) == [])
        }
    }

    @Test("a lease of qq that a client-go leader wiped is a loss, and no other qq leads before it would have ended") func wiped()
        async throws
    {
        try await onCluster(.heavy) { place in
            // qq takes over from a leader, which then releases without looking.
            let peer = try place.clientGo("go")
            try await place.waitForLeader(peer)
            let holder = try place.qq(place.stamping(id: "q", ttl: "3s", work: ["--child", "--ignore-term"]))
            try await place.box.waitForWaiter(holder)
            peer.pause()
            _ = try await place.box.waitForTerms(1)
            let next = try place.qq(place.stamping(id: "next", ttl: "3s", work: ["--for", "20"]))
            try await place.box.waitForWaiter(next)
            place.wipe()
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("lost x while the command ran"), "\(run.errors)")
            #expect(try await next.finish().ending == .exited(0), "\(next.errors)")
            #expect(place.box.stamps().offences == [])
            peer.kill()
        }
    }

    @Test("step-down --force outlasts a client-go leader, says how long that takes, and leaves the lease free") func outlasted()
        async throws
    {
        try await onCluster(.heavy) { place in
            let peer = try place.clientGo("go")
            try await place.waitForLeader(peer)
            let refused = try await place.run("step-down", "x", "--yes")
            #expect(refused.code != 0 && peer.isLeader, "\(refused.ending) \(refused.text) \(refused.errors)")
            let run = try await place.run("step-down", "x", "--force", "--yes", "-v")
            #expect(run.ending == .exited(0), "\(run.text) \(run.errors)")
            #expect(!peer.isLeader, "it still believes that it leads")
            #expect(place.holder() == "", "\(run.errors)")
            #expect(run.errors.contains("which takes up to"), "\(run.errors)")
            // Only a cleared holder would not have stopped it: it takes such a lease again.
            #expect(peer.hasEnded)
        }
    }

    @Test("a qq that another qq asks to step down ends its command before client-go can lead") func askedToStepDown() async throws {
        try await onCluster(.heavy) { place in
            let holder = try place.qq(place.stamping(id: "q", ttl: "3s", work: ["--child", "--daemon"]))
            _ = try await place.box.waitForTerms(1)
            let peer = try place.clientGo("go")
            try await waitUntil("the peer sees a leader") { place.server.api.count(.get, name: "x") > 2 }
            let asked = try await place.run("step-down", "x", "--force", "--yes")
            #expect(asked.ending == .exited(0), "\(asked.text) \(asked.errors)")
            _ = try await holder.finish()
            try await place.waitForLeader(peer)
            #expect((place.box.stamps().all.map(\.at).max() ?? 0) < peer.beliefs[0].from)
            #expect(place.violations(peers: ["go"]) == [])
        }
    }

    @Test("a client-go leader that was stopped and resumed beside qq does not get its lease back") func resumed() async throws {
        try await onCluster(.heavy) { place in
            let peer = try place.clientGo("go")
            try await place.waitForLeader(peer)
            let holder = try place.qq(place.stamping(id: "q"))
            try await place.box.waitForWaiter(holder)
            peer.pause()
            _ = try await place.box.waitForTerms(1)
            peer.resume()
            #expect(peer.isLeader, "by its own rules; nothing that qq does can prevent this")
            try await waitUntil("the peer has ended") { peer.hasEnded }
            #expect(holder.child.isRunning && place.holder() == "q")
            try await holder.terminate()
            #expect(place.violations(peers: ["go"]) == [])
        }
    }
}
