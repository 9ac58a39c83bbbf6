import Glibc
import Support
import Testing

@Suite("Never two over NATS, on one server") struct ContenderPromiseTests {
    @Test(
        "contenders take their terms one at a time, with growing tokens, and each gets its share",
        arguments: zip(GoNode.Format.allCases, [NATSVersion.debian, .latest]))
    func contenders(format: GoNode.Format, version: NATSVersion) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(version, in: box)
            let election = ObservedElection(format, ttl: .seconds(6))
            let all = try box.contenders(10, terms: 6, election, at: server.url)
            for contender in all { _ = try await contender.finish(within: .seconds(120)) }
            let stamps = box.stamps()
            #expect(stamps.offences == [])
            #expect(stamps.terms.count == 60)
            #expect(box.codes == [0: 60])
            #expect(try election.lease(RawNATS(server.port)) == nil, "the last holder has released the lease")
        }
    }

    @Test("contenders with one identity take their terms one at a time") func sameIdentity() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let election = ObservedElection(.v2, ttl: .seconds(6))
            let all = try (0..<6).map { _ in
                try box.qq(election.acquire(id: "host", log: box.path("stamps"), work: ["--for", "20"]), at: server.url, .v2)
            }
            for contender in all { #expect(try await contender.finish(within: .seconds(120)).ending == .exited(0)) }
            let stamps = box.stamps()
            #expect(stamps.offences == [])
            #expect(stamps.terms.count == 6)
        }
    }

    @Test("contenders take turns while qq is killed and stopped at random", arguments: GoNode.Format.allCases)
    func storm(format: GoNode.Format) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let election = ObservedElection(format)
            let all = try box.contenders(5, election, at: server.url, work: "--for 150 --child --daemon --ignore-term")
            let end = ContinuousClock.now + .seconds(14)
            var kills = 0
            // Longer on a busy machine, until there is something to judge.
            while ContinuousClock.now < end || (kills == 0 || box.stamps().terms.count < 4) && ContinuousClock.now < end + waitingTime {
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...700)))
                guard let victim = box.contending.randomElement() else { continue }
                if Bool.random() {
                    kill(victim.pid, SIGKILL)
                    kills += 1
                } else {
                    kill(victim.pid, SIGSTOP)
                    Task {
                        try await Task.sleep(for: .milliseconds(Int.random(in: 50...3000)))
                        kill(victim.pid, SIGCONT)
                    }
                }
            }
            try box.write("", to: "stop")
            for contender in all { _ = try await contender.finish(within: .seconds(120)) }
            let stamps = box.stamps()
            #expect(stamps.offences == [])
            #expect(kills > 0 && stamps.terms.count > 3)
            let codes = box.codes
            #expect(Set(codes.keys).isSubset(of: [0, 79, 128 + SIGKILL]), "\(codes)")
        }
    }
}
