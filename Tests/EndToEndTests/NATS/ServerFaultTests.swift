import Glibc
import QQCore
import Support
import Testing

@Suite("A failing NATS server") struct ServerFaultTests {
    @Test("a holder continues in the same term when the server is killed and restarted with its store", arguments: NATSVersion.allCases)
    func restarted(version: NATSVersion) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(version, in: box)
            let election = ObservedElection(.v2, ttl: .seconds(12))
            let holder = try box.qq(election.acquire(id: "a", log: box.path("stamps")), at: server.url, .v2)
            _ = try await box.waitForTerms(1)
            let before = try election.lease(RawNATS(server.port))
            try await server.restart(killed: true)
            let client = try RawNATS(server.port)
            try await waitUntil("a renewal: \(holder.errors)") {
                guard let lease = try? election.lease(client) else { return false }
                return lease.node == "a" && lease.revision > before?.revision ?? 0
            }
            try await Task.sleep(for: .seconds(12))
            #expect(holder.child.isRunning, "\(holder.errors)")
            #expect(box.stamps().terms.count == 1)
            try await holder.terminate()
            #expect(try election.lease(client) == nil)
        }
    }

    @Test("a holder immediately notices a server restarted without its store, and stops")
    func storeLost() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let election = ObservedElection(.v2, ttl: .seconds(12))
            let holder = try box.qq(
                election.acquire(id: "a", log: box.path("stamps"), work: ["--daemon", "--ignore-term"]), at: server.url, .v2)
            _ = try await box.waitForTerms(1)
            server.kill()
            try await server.start {
                $0.hasJetStream = false
                $0.extra = "jetstream { store_dir: \"\(box.path("empty"))\" }"
            }
            let back = ContinuousClock.now
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(end.errors.contains("the lease was removed"), "\(end.errors)")
            #expect(ContinuousClock.now - back < .seconds(6) + busyTime(since: back))
            #expect(try RawNATS(server.port).streamNames().isEmpty)
        }
    }

    @Test("keepalive creates the bucket again and leads again on a server restarted without its store") func storeLostKeepalive()
        async throws
    {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let holder = try box.qq(["keepalive", "x", "--id", "a", "--ttl", "3s"], at: server.url, .v2)
            try await waitUntil("qq leads: \(holder.errors)") { holder.output.contains("elected") }
            server.kill()
            try await server.start {
                $0.hasJetStream = false
                $0.extra = "jetstream { store_dir: \"\(box.path("empty"))\" }"
            }
            let election = ObservedElection(.v2, ttl: .seconds(3))
            let client = try RawNATS(server.port)
            try await waitUntil("qq leads again: \(holder.output) \(holder.errors)") { (try? election.lease(client))?.node == "a" }
            try await waitUntil("keepalive reports both: \(holder.output)") {
                holder.output.contains("lost") && holder.output.components(separatedBy: "elected").count == 3
            }
            try await holder.terminate()
        }
    }

    @Test("if the server is stopped for longer than the TTL, the command is dead in time, and a waiter leads afterwards")
    func paused() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let election = ObservedElection(.v2)
            let holder = try box.qq(
                election.acquire(id: "a", log: box.path("stamps"), work: ["--daemon", "--ignore-term"]), at: server.url, .v2)
            _ = try await box.waitForTerms(1)
            let next = try box.qq(election.acquire(id: "b", log: box.path("stamps"), work: ["--for", "20"]), at: server.url, .v2)
            try await box.waitForWaiter(next)
            try await server.pause()
            let paused = bootNow()
            #expect(try await holder.finish().ending == .exited(79))
            #expect(box.stamps().terms[0].last < paused + election.nanoseconds)
            server.resume()
            #expect(try await next.finish().ending == .exited(0))
            #expect(box.stamps().offences == [])
        }
    }

    @Test("a holder that loses its permission to write stops before its lease ends, and says why") func writingForbidden() async throws {
        try await inSandbox { box in
            var settings = NATSSettings()
            func users(_ deny: String) -> String {
                "accounts { A { jetstream: enabled, users: [{ user: u, password: p, permissions: { publish: { deny: [\(deny)] } } }] } }"
            }
            settings.extra = users("")
            let server = try await NATSServer.start(.latest, settings, in: box)
            // A server that chose free ports when it started cannot reload with those ports.
            try await server.restart()
            let election = ObservedElection(.v2, ttl: .seconds(3))
            let holder = try box.start(
                [Sandbox.binary] + election.acquire(id: "a", log: box.path("stamps"), work: ["--daemon", "--ignore-term"]),
                environment: ["QQ_SERVER": "nats://u:p@127.0.0.1:\(server.port)"])
            _ = try await box.waitForTerms(1)
            try server.reload { $0.extra = users("\"\(election.subject)\"") }
            try await waitUntil("the server has reloaded: \(server.log.suffix(1000))") {
                server.log.contains("Reloaded server configuration")
            }
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(end.errors.contains("not allowed to publish"), "\(end.errors)")
            let renewed = try election.lease(RawNATS(server.port, as: .user("u", password: "p")))
            if let renewed { #expect(box.stamps().terms[0].last < renewed.written + election.nanoseconds) }
        }
    }

    @Test("watch continues after the server was killed and restarted, and misses no new leader") func watchGoesOn() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let election = ObservedElection(.v2, ttl: .seconds(30))
            try election.createBucket(try RawNATS(server.port))
            let watcher = try box.qq(["watch", "x"], at: server.url, .v2)
            try await waitUntil("watch has started: \(watcher.errors)") { !watcher.output.isEmpty }
            for round in 0..<2 {
                try await server.restart(killed: true)
                try RawNATS(server.port).put(election.key, election.value(node: "node-\(round)"), in: election.bucket)
                try await waitUntil("watch shows the new leader: \(watcher.output) \(watcher.errors)") {
                    watcher.output.contains("node-\(round)")
                }
            }
            try await watcher.terminate()
        }
    }

    @Test("a watch that the server cuts off for being slow reconnects and shows the last leader") func slowConsumer() async throws {
        try await inSandbox { box in
            var settings = NATSSettings()
            settings.maxPayload = 60_000
            settings.extra = "max_pending: 100000\nwrite_deadline: \"200ms\""
            let server = try await NATSServer.start(.latest, settings, in: box)
            let client = try RawNATS(server.port)
            let election = ObservedElection(.v2, ttl: .seconds(30))
            // While there is no bucket, watch subscribes to the key's subject, without a consumer's flow control.
            let watcher = try box.qq(["watch", "x"], at: server.url, .v2)
            try await waitUntil("watch subscribes: \(watcher.output) \(watcher.errors)") {
                let connections = try server.page("/connz?subs=1")["connections"]?.arrayValue ?? []
                return connections.contains { $0["subscriptions_list"]?.arrayValue?.contains(.string(election.subject)) ?? false }
            }
            watcher.child.signal(SIGSTOP)
            let text = String(repeating: " ", count: 50_000)
            try await waitUntil("the server has cut it off", within: .seconds(120)) {
                for _ in 0..<100 { try client.publish(election.subject, text) }
                return server.log.contains("Slow Consumer")
            }
            try election.createBucket(client)
            try client.put(election.key, election.value(node: "last", epoch: 9), in: election.bucket)
            watcher.child.signal(SIGCONT)
            try await waitUntil("watch shows the last leader: \(watcher.output) \(watcher.errors)") { watcher.output.contains("last") }
            try await watcher.terminate()
        }
    }
}
