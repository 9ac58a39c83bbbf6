import Glibc
import Support
import Testing

/// How a holder is cut off from the server.
enum CutOff: String, CaseIterable, CustomTestStringConvertible {
    case nothingPasses = "nothing passes"
    case nothingArrives = "nothing arrives at the server"
    case nothingReturns = "nothing comes back"
    case goneAndRefused = "the connection is cut, and refused from then on"

    var testDescription: String { rawValue }

    func apply(to proxy: Proxy) {
        switch self {
        case .nothingPasses: proxy.silence()
        case .nothingArrives: proxy.silence([.toServer])
        case .nothingReturns: proxy.silence([.toClient])
        case .goneAndRefused: proxy.kill()
        }
    }
}

@Suite("A holder cut off from NATS") struct PartitionPromiseTests {
    @Test(
        "a holder that is cut off has ended its processes before its lease ends, and the next holder starts immediately afterwards",
        arguments: CutOff.allCases, GoNode.Format.allCases)
    func partition(cutOff: CutOff, format: GoNode.Format) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            let client = try RawNATS(server.port)
            let election = ObservedElection(format, ttl: .seconds(3))
            let tree = ["--child", "--daemon", "--ignore-term"]
            let holder = try box.qq(
                election.acquire(id: "held", log: box.path("stamps"), work: tree), at: "nats://127.0.0.1:\(proxy.port)", format)
            _ = try await box.waitForTerms(1)
            let next = try box.qq(election.acquire(id: "next", log: box.path("stamps"), work: ["--for", "50"]), at: server.url, format)
            let first = try election.lease(client)
            try await waitUntil("a renewal") { try election.lease(client)?.revision != first?.revision }
            try await box.waitForWaiter(next)
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...700)))
            cutOff.apply(to: proxy)
            let acknowledged = try #require(try election.lease(client))
            var last = acknowledged
            try await waitUntil("the next holder's command runs") {
                if let lease = try election.lease(client), lease.node == "held" { last = lease }
                return box.stamps().terms.count == 2
            }
            let stamps = box.stamps()
            #expect(stamps.offences == [])
            #expect(stamps.terms[0].last < acknowledged.written + election.nanoseconds)
            // The lease ends one TTL after the server took the last renewal, whether or not the holder got the answer.
            let over = last.written + election.nanoseconds
            #expect(stamps.terms[1].first + 5_000_000 > over)
            #expect(
                stamps.terms[1].first < over + 2_000_000_000 + busyTime(since: over),
                "\((stamps.terms[1].first - over) / 1_000_000) ms late")
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(end.errors.contains("lost x while the command ran"))
            #expect(try await next.finish().ending == .exited(0))
        }
    }
}
