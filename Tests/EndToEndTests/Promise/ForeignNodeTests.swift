import Glibc
import QQCore
import Support
import Testing

@Suite("Nodes of the Go package in the same election", .serialized)
struct ForeignNodeTests {
    @Test("a living qq never loses its lease to a Go node of either generation, and leaves it to them when it ends")
    func living() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try box.start([Sandbox.binary, "acquire", "x", "--ttl", "3s", "--", Sandbox.stamp, box.path("stamps")])
            _ = try await box.waitForTerms(1)
            let present = ForeignNode("go-present", .present, lasts: .seconds(3), at: box.leaseFile("x"))
            let old = ForeignNode("go-old", .old, lasts: .seconds(3), at: box.leaseFile("x"))
            let end = ContinuousClock.now + .seconds(7)
            while ContinuousClock.now < end {
                #expect(try !present.tryOnce(), "the present generation took the lease: \(readText(box.leaseFile("x")))")
                #expect(try !old.tryOnce(), "the old generation took the lease: \(readText(box.leaseFile("x")))")
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(holder.child.isRunning, "\(holder.errors)")
            try await holder.terminate()
            #expect(box.living.isEmpty)
            #expect(readText(box.leaseFile("x")).contains("\"holder\": \"\",\n  \"renewTime\": "))
            #expect(readText(box.leaseFile("x")).contains("\n  \"leaseDuration\": 3000000000"))
            #expect(try present.tryOnce())
            #expect(box.stamps().violations.isEmpty)
        }
    }

    @Test("a Go node's lease counts for the duration in its record, whatever this process's TTL", arguments: ["500ms", "60s"])
    func itsOwnDuration(ttl: String) async throws {
        try await inSandbox(.heavy) { box in
            let node = ForeignNode("go", .present, lasts: .seconds(5), at: box.leaseFile("x"))
            let start = bootNow()
            #expect(try node.tryOnce())
            let before = readText(box.leaseFile("x"))
            let refused = try await box.run("acquire", "x", "--ttl", ttl, "--", "true")
            #expect(refused.ending == .exited(1))
            #expect(refused.errors.contains("held by go"))
            #expect(readText(box.leaseFile("x")) == before)
            let state = try object(try await box.run("status", "x", "--json").text)
            #expect(state["ttl"]?.doubleValue == 5)
            let next = try await box.run("acquire", "x", "--ttl", ttl, "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "10")
            #expect(next.ending == .exited(0))
            let term = try #require(box.stamps().terms.first)
            #expect(term.first > start + 4_900_000_000)
            #expect(term.first < start + 20_000_000_000 + busyTime(since: start))
        }
    }

    @Test("a lease that a Go node released is granted at once", arguments: [ForeignNode.Generation.old, .present])
    func released(_ generation: ForeignNode.Generation) async throws {
        try await inSandbox { box in
            let node = ForeignNode("go", generation, lasts: .seconds(600), at: box.leaseFile("x"))
            #expect(try node.tryOnce())
            try node.release()
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
            #expect(try node.tryOnce(), "the Go node gets the lease that qq released")
        }
    }

    @Test(
        "a lease whose leaseDuration makes no sense counts for this process's TTL",
        arguments: ["\"10s\"", "-10000000000", "0", "10000000000.5", "1e300", "1e400", "9223372036854775807", "null"])
    func nonsense(_ value: String) async throws {
        try await inSandbox { box in
            try ForeignWriterTests.write(
                "{\n  \"holder\": \"go\",\n  \"renewTime\": \"\(WallTime.now().rfc3339Nano)\",\n  \"leaseDuration\": \(value)\n}\n",
                to: box.leaseFile("x"))
            #expect(try await box.run("status", "x").ending == .exited(0))
            #expect(try await box.run("acquire", "x", "--ttl", "600s", "--", "true").ending == .exited(1))
            #expect(try await box.run("acquire", "x", "--ttl", "1s", "--wait", "--", "true").ending == .exited(0))
        }
    }
}
