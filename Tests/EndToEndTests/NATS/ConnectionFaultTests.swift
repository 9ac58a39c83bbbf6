import Glibc
import QQCore
import Support
import Synchronization
import Testing

@Suite("Bad connections to NATS") struct ConnectionFaultTests {
    private func url(_ proxy: Proxy) -> String { "nats://127.0.0.1:\(proxy.port)" }

    @Test(
        "refused and reset connections are reported as failures, not as a refused lease",
        arguments: [Proxy.Conditions.Arrivals.refused, .reset])
    func refused(arrivals: Proxy.Conditions.Arrivals) async throws {
        try await inSandbox { box in
            let proxy = try Proxy(to: 1, in: box)
            proxy.conditions.arrivals = arrivals
            for words in [["status", "x"], ["acquire", "x", "--retries", "1", "--", "true"], ["cluster-status"]] {
                let run = try await box.qq(words, at: url(proxy), .v2).finish()
                #expect(run.ending == .exited(69), "\(words)")
                let told = run.errors + run.text
                #expect(
                    told.contains(arrivals == .refused ? "Connection refused" : "reset") || told.contains("closed the connection"),
                    "\(told)")
            }
        }
    }

    @Test("qq gives up in time on a server that accepts connections but never answers") func silentFromTheStart() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            proxy.silence()
            let began = ContinuousClock.now
            let run = try await box.qq(["status", "x"], at: url(proxy), .v2).finish()
            #expect(run.ending == .exited(69))
            #expect(run.errors.contains("no answer in time"), "\(run.errors)")
            #expect(ContinuousClock.now - began < .seconds(60))
        }
    }

    @Test(
        "qq exits with 65 on a server that does not speak the NATS protocol",
        arguments: [
            "SSH-2.0-OpenSSH_9.2p1\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\u{0}\u{1}\u{2}", "INFO {\"max_payload\":\"x\"}\r\n",
            "INFO \r\n",
        ])
    func garbageFirst(text: String) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            proxy.conditions.prefix = [.toClient: Array(text.utf8)]
            let run = try await box.qq(["status", "x"], at: url(proxy), .v2).finish()
            #expect(run.ending == .exited(65), "\(run.errors)")
            #expect(run.errors.contains("is this a NATS server?"), "\(run.errors)")
            #expect(!run.errors.contains("\u{0}"))
            // Another server, a real one, makes up for it.
            let both = url(proxy) + ",127.0.0.1:\(server.port)"
            #expect(try await box.qq(["status", "x"], at: both, .v2).finish().ending == .exited(1))
        }
    }

    @Test("garbage in mid-stream ends the connection, and the holder continues over the next one") func garbageWhileHolding() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            let client = try RawNATS(server.port)
            let election = ObservedElection(.v2, ttl: .seconds(12))
            let holder = try box.qq(election.acquire(["--renew-every", "1s"], id: "a", log: box.path("stamps")), at: url(proxy), .v2)
            _ = try await box.waitForTerms(1)
            for garbage in ["\u{0}\u{1}garbage\r\n", "MSG x 1 99999999999\r\n", "+OK\n", "-ERR 'Slow Consumer'\r\n"] {
                let before = proxy.accepted
                proxy.inject(Array(garbage.utf8))
                try await waitUntil("another connection is made") { proxy.accepted > before }
                let lease = try election.lease(client)
                try await waitUntil("a renewal") { try election.lease(client)?.revision != lease?.revision }
            }
            #expect(holder.child.isRunning && box.stamps().terms.count == 1, "\(holder.errors)")
            try await holder.terminate()
        }
    }

    @Test("qq pauses before it reconnects to a server that keeps cutting the connection") func thrownOut() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            let holder = try box.qq(["keepalive", "x", "--id", "a", "--ttl", "2s"], at: url(proxy), .v2)
            try await waitUntil("qq holds the lease: \(holder.errors)") { holder.output.contains("elected") }
            let before = proxy.accepted
            let end = ContinuousClock.now + .seconds(3)
            while ContinuousClock.now < end {
                proxy.cut()
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(proxy.accepted - before < 40, "\(proxy.accepted - before) connections in three seconds")
            try await holder.terminate()
        }
    }

    @Test("a slow connection is enough to acquire and renew leases") func slow() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            proxy.conditions.delay = .milliseconds(120)
            proxy.conditions.bytesPerSecond = 30_000
            let election = ObservedElection(.v2, ttl: .seconds(8))
            let run = try await box.qq(
                election.acquire(["--renew-every", "1s"], id: "a", log: box.path("stamps"), work: ["--for", "9000", "--every", "10"]),
                at: url(proxy), .v2
            ).finish(within: .seconds(90))
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(try election.lease(RawNATS(server.port)) == nil)
        }
    }

    @Test(
        "an acquire cut off after it was sent is resolved by reading: the command runs once, and no lease is left behind",
        arguments: zip(GoNode.Format.allCases, [NATSVersion.debian, .latest]))
    func cutInAcquire(format: GoNode.Format, version: NATSVersion) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(version, in: box)
            let client = try RawNATS(server.port)
            let election = ObservedElection(format, ttl: .seconds(10))
            try election.createBucket(client)
            let mute = Mute()
            let proxy = try Proxy(to: server.port, in: box) { _, direction, bytes in
                if direction == .toServer, String(decoding: bytes, as: UTF8.self).contains("HPUB \(election.subject) ") { mute.fire() }
            }
            mute.arm { proxy.silence([.toClient]) }
            let began = ContinuousClock.now
            let holder = try box.qq(
                election.acquire(["--timeout", "20s"], id: "a", log: box.path("stamps"), work: ["--for", "50"]), at: url(proxy), format)
            let first = try await waitFor("the lease without an answer: \(holder.errors)") { try election.lease(client) }
            #expect(box.stamps().all.isEmpty)
            try await mute.hasFired()
            mute.disarm()
            proxy.cut()
            proxy.pass()
            let run = try await holder.finish()
            #expect(run.ending == .exited(0), "\(run.errors)")
            // Long before the lost lease would have expired.
            #expect(ContinuousClock.now - began < .seconds(6) + busyTime(since: began))
            let stamps = box.stamps()
            #expect(stamps.terms.count == 1 && stamps.offences == [])
            #expect(stamps.terms.first.map { $0.token > first.revision } ?? false)
            #expect(try election.lease(client) == nil)
        }
    }

    @Test("an uncertain acquire that cannot be resolved runs no command, and qq exits with 69") func neverSettled() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let client = try RawNATS(server.port)
            let election = ObservedElection(.v2)
            try election.createBucket(client)
            let mute = Mute()
            let proxy = try Proxy(to: server.port, in: box) { _, direction, bytes in
                if direction == .toServer, String(decoding: bytes, as: UTF8.self).contains("HPUB \(election.subject) ") { mute.fire() }
            }
            mute.arm { proxy.silence([.toClient]) }
            let holder = try box.qq(
                election.acquire(["--retries", "1"], id: "a", log: box.path("stamps")), at: url(proxy), .v2)
            let lease = try await waitFor("the lease without an answer: \(holder.errors)") { try election.lease(client) }
            try await mute.hasFired()
            proxy.kill()
            // Another holder takes over when the lease has expired, whatever happens to the first process.
            let next = try box.qq(election.acquire(id: "b", log: box.path("next"), work: ["--for", "10"]), at: server.url, .v2)
            #expect(try await next.finish().ending == .exited(0))
            #expect(box.stamps("next").terms[0].first > lease.written + election.nanoseconds - 5_000_000)
            #expect(try await holder.finish().ending == .exited(69))
            #expect(box.stamps().all.isEmpty)
        }
    }

    @Test(
        "a renewal whose answer was lost is not mistaken for done when repeated, but written again", arguments: NATSVersion.allCases)
    func lostRenewal(version: NATSVersion) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(version, in: box)
            let client = try RawNATS(server.port)
            let proxy = try Proxy(to: server.port, in: box)
            let election = ObservedElection(.v2, ttl: .seconds(12))
            let holder = try box.qq(election.acquire(["--renew-every", "2s"], id: "a", log: box.path("stamps")), at: url(proxy), .v2)
            _ = try await box.waitForTerms(1)
            let first = try #require(try election.lease(client))
            try await Task.sleep(for: .milliseconds(800))
            // From here on the server receives qq's messages, and qq receives nothing.
            proxy.silence([.toClient])
            let lost = try await waitFor("a renewal that is not acknowledged") {
                try election.lease(client).flatMap { $0.revision == first.revision ? nil : $0 }
            }
            // Reading back should fail too.
            proxy.kill()
            try await waitUntil("the next renewal cannot be sent: \(holder.errors)") { holder.errors.contains("cannot renew x") }
            let back = bootNow()
            proxy.pass()
            let next = try await waitFor("a renewal that is stored: \(holder.errors)") {
                try election.lease(client).flatMap { $0.revision == lost.revision ? nil : $0 }
            }
            #expect(next.node == "a")
            #expect(next.written < back + 3_000_000_000 + busyTime(since: back), "\((next.written - back) / 1_000_000) ms")
            #expect(next.written < lost.written + election.nanoseconds)
            try await holder.terminate()
        }
    }
}

/// An action for a proxy's tap, given after the proxy has started.
final class Mute: Sendable {
    private struct State {
        var action: (@Sendable () -> Void)?
        var hasFired = false
    }

    private let state = Mutex(State())

    func arm(_ new: @escaping @Sendable () -> Void) { state.withLock { $0.action = new } }
    func disarm() { state.withLock { $0.action = nil } }

    func fire() {
        guard let action = state.withLock({ $0.action }) else { return }
        action()
        state.withLock { $0.hasFired = true }
    }

    /// The tap sees bytes after they were passed on, so the other end might answer before the action is done.
    func hasFired() async throws { try await waitUntil("the tap has fired") { state.withLock { $0.hasFired } } }
}
