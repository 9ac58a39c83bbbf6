import Glibc
import QQCore
import Support
import Testing

@Suite("Junk in the lease key") struct JunkFaultTests {
    private static let junk = [
        "not JSON": "{", "empty": "", "wrong types": #"{"node_id":5,"epoch":"x"}"#, "no node": "{}", "an array": "[1,2]",
        "binary": "\u{0}\u{1}\u{7f}",
        "deep": String(repeating: "[", count: 5000),
    ]

    @Test(
        "junk in the lease key is reported, blocks waiters for one lease at most, and is then taken over", arguments: GoNode.Format.allCases
    )
    func takenOver(format: GoNode.Format) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let client = try RawNATS(server.port)
            // All at the same time, in elections of their own.
            var waiting: [(kind: String, election: ObservedElection, began: UInt64, written: UInt64, run: Started)] = []
            // Valid values that are as bad for a careless reader.
            let strange = [
                "huge": ObservedElection(format).value(node: String(repeating: "x", count: 100_000)),
                "no epoch after it": ObservedElection(format).value(node: "go", epoch: .max),
            ]
            for (number, (kind, text)) in Self.junk.merging(strange, uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }).enumerated()
            {
                let election = ObservedElection(format, name: "x\(number)")
                try election.createBucket(client)
                let began = bootNow()
                try client.put(election.key, text, in: election.bucket)
                let written = bootNow()
                let status = try await box.qq(["status", election.name, "--json"], at: server.url, format).finish()
                #expect(status.ending == .exited(strange[kind] == nil ? 65 : 0), "\(kind): \(status.errors)")
                let told = try JSONValue.parse(status.output)
                #expect(
                    (told["problem"]?.stringValue?.contains("cannot read the lease") ?? false) == (strange[kind] == nil),
                    "\(kind): \(status.text.prefix(300))")
                waiting.append(
                    (
                        kind, election, began, written,
                        try box.qq(
                            [
                                "acquire", election.name, "--id", "q", "--wait", "--", Sandbox.stamp, box.path("stamps-\(number)"), "--for",
                                "5",
                            ],
                            at: server.url, format)
                    ))
            }
            for (kind, election, began, written, run) in waiting {
                let end = try await run.finish()
                #expect(end.ending == .exited(0), "\(kind): \(end.errors)")
                let number = election.name.dropFirst()
                let first = try #require(box.stamps("stamps-\(number)").terms.first, "\(kind)").first
                #expect(first + 5_000_000 > began + election.nanoseconds, "\(kind)")
                #expect(
                    first < written + election.nanoseconds + 2_100_000_000 + busyTime(since: written),
                    "\(kind): \((first - written) / 1_000_000) ms")
            }
        }
    }

    @Test("junk written over a holder's lease ends its command, and another contender then leads", arguments: GoNode.Format.allCases)
    func overHolder(format: GoNode.Format) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let client = try RawNATS(server.port)
            let election = ObservedElection(format)
            let holder = try box.qq(
                election.acquire(id: "a", log: box.path("stamps"), work: ["--daemon", "--ignore-term"]), at: server.url, format)
            _ = try await box.waitForTerms(1)
            try client.put(election.key, "{", in: election.bucket)
            #expect(try await holder.finish().ending == .exited(79))
            let next = try box.qq(election.acquire(id: "b", log: box.path("stamps"), work: ["--for", "5"]), at: server.url, format)
            #expect(try await next.finish().ending == .exited(0))
            #expect(box.stamps().offences == [])
        }
    }

    @Test("junk in one lease does not keep keepalive from leading again, nor status --all from listing the others") func othersGoOn()
        async throws
    {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let client = try RawNATS(server.port)
            let bad = ObservedElection(.v2, name: "bad", ttl: .seconds(6))
            try bad.createBucket(client)
            let writer = try box.qq(["keepalive", "bad", "good", "--id", "q"], at: server.url, .v2)
            try await waitUntil("both leases are held: \(writer.output) \(writer.errors)") {
                writer.output.components(separatedBy: "elected").count == 3
            }
            try client.put(bad.key, "junk", in: bad.bucket)
            try await waitUntil("the lease is lost: \(writer.output)") { writer.output.contains("lost") }
            let all = try await box.start([Sandbox.binary, "status", "--all"], environment: ["QQ_SERVER": server.url]).finish()
            #expect(all.ending == .exited(65) && all.text.contains("good") && all.text.contains("bad"), "\(all.text) \(all.errors)")
            try await waitUntil("both leases are held again: \(writer.output)") {
                writer.output.components(separatedBy: "elected").count == 4
            }
            try await writer.terminate()
        }
    }

    @Test("v1: a holder whose clock is an hour off keeps its lease for its TTL, neither less nor forever", arguments: [-3600, 3600])
    func skew(seconds: Int) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let client = try RawNATS(server.port)
            // Longer than any pause between renewals, even on a busy machine.
            let election = ObservedElection(.v1, ttl: .seconds(6))
            try election.createBucket(client)
            var value: String { election.value(node: "go", expiresIn: election.ttl + .seconds(seconds)) }
            var began = bootNow()
            var revision = try client.put(election.key, value, in: election.bucket)
            var written = bootNow()
            let next = try box.qq(election.acquire(id: "q", log: box.path("stamps"), work: ["--for", "5"]), at: server.url, .v1)
            try await box.waitForWaiter(next)
            // While the holder renews, nobody takes the lease, although it has expired by this machine's clock.
            for _ in 0..<6 {
                try await Task.sleep(for: .milliseconds(600))
                began = bootNow()
                revision = try client.put(election.key, value, in: election.bucket, expected: revision)
                written = bootNow()
            }
            #expect(box.stamps().all.isEmpty && next.child.isRunning)
            #expect(try await next.finish().ending == .exited(0))
            let first = try #require(box.stamps().terms.first).first
            #expect(first + 5_000_000 > began + election.nanoseconds)
            // When the server removes the key, the lease is free, whatever its value says.
            let longest = seconds > 0 ? election.maxAge : election.ttl
            #expect(
                first < written + UInt64(longest / .nanoseconds(1)) + 1_100_000_000 + busyTime(since: written),
                "\((first - written) / 1_000_000) ms")
        }
    }
}
