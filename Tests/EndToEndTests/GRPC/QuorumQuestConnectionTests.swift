import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("Bad connections to Quorum Quest")
struct QuorumQuestConnectionTests {
    @Test("refused and reset connections are reported as such", arguments: [Proxy.Conditions.Arrivals.refused, .reset])
    func refused(arrivals: Proxy.Conditions.Arrivals) async throws {
        try await onQuorumQuest { quest in
            let proxy = try quest.proxy()
            proxy.conditions.arrivals = arrivals
            for words in [
                ["acquire", "x", "--retries", "1", "--", "true"], ["cluster-status"], ["release", "x", "--id", "me", "--retries", "0"],
            ] {
                let run = try await quest.run(words, at: proxy.questURL)
                #expect(run.ending == .exited(69), "\(words): \(run.ending)")
                // The error of a reset depends on how far the connection had come.
                let reasons = arrivals == .refused ? ["Connection refused"] : ["reset", "closed", "ended the connection without an answer"]
                #expect(reasons.contains { run.errors.contains($0) }, "\(run.errors)")
            }
        }
    }

    @Test("qq gives up in time on a server that accepts connections but never answers") func silent() async throws {
        try await onQuorumQuest { quest in
            let proxy = try quest.proxy()
            proxy.silence()
            let began = ContinuousClock.now
            let run = try await quest.run(["acquire", "x", "--timeout", "1s", "--retries", "1", "--", "true"], at: proxy.questURL)
            #expect(run.ending == .exited(69) && run.errors.contains("no answer in time"), "\(run.errors)")
            #expect(ContinuousClock.now - began < .seconds(8) + busyTime(since: began))
            let status = try await quest.run(["cluster-status", "--timeout", "1s"], at: proxy.questURL)
            #expect(status.ending == .exited(69), "\(status.errors)")
        }
    }

    private static let junk = [
        "SSH-2.0-OpenSSH_9.2p1\r\n", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "\u{0}\u{1}\u{2}",
        "INFO {\"server_id\":\"x\"}\r\n", "\u{7f}ELF" + String(repeating: "\u{1}", count: 5000),
    ]

    @Test("qq immediately reports a server that does not speak gRPC, in words", arguments: junk)
    func garbage(text: String) async throws {
        try await onQuorumQuest { quest in
            let proxy = try quest.proxy()
            proxy.conditions.prefix = [.toClient: Array(text.utf8)]
            for words in [["acquire", "x", "--retries", "0", "--", "true"], ["cluster-status"]] {
                let began = ContinuousClock.now
                let run = try await quest.run(words, at: proxy.questURL)
                #expect([.exited(65), .exited(69)].contains(run.ending), "\(words): \(run.ending) \(run.errors)")
                #expect(!run.errors.contains("\u{0}") && !run.errors.contains("\u{1}"))
                #expect(run.errors.contains("does not speak HTTP/2") || run.errors.contains("no answer in time"), "\(run.errors)")
                #expect(run.errors.utf8.count < 400, "\(run.errors)")
                #expect(ContinuousClock.now - began < .seconds(7) + busyTime(since: began))
            }
            // Another server, a real one, makes up for it.
            let both = proxy.questURL + ",127.0.0.1:\(quest.server.port)"
            let run = try await quest.run(["acquire", "x", "--", "true"], at: both)
            #expect(run.ending == .exited(0), "\(run.errors)")
        }
    }

    @Test("garbage in mid-stream ends the connection, and the lease continues over the next one") func garbageWhileHolding() async throws {
        try await onQuorumQuest { quest in
            let proxy = try quest.proxy()
            let run = try quest.qq(
                ["keepalive", "x", "--id", "me", "--ttl", "30s", "--renew-every", "300ms", "--json"], at: proxy.questURL)
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, run)
            for garbage in ["\u{0}\u{1}garbage\r\n", "HTTP/1.1 200 OK\r\n\r\n", String(repeating: "x", count: 50_000)] {
                let (accepted, calls) = (proxy.accepted, quest.server.calls["KeepAlive"])
                proxy.inject(Array(garbage.utf8))
                try await waitUntil("another connection is made: \(run.errors)") { proxy.accepted > accepted }
                try await quest.waitForCall("KeepAlive", by: "me", after: calls + 1, run)
            }
            try await run.terminate()
            #expect(run.eventNames.filter { !["renewed", "retrying"].contains($0) } == ["elected", "released"], "\(run.errors)")
        }
    }

    @Test("a slow connection is enough to acquire, renew and release a lease") func slow() async throws {
        try await onQuorumQuest { quest in
            let proxy = try quest.proxy()
            proxy.conditions.delay = .milliseconds(120)
            proxy.conditions.bytesPerSecond = 20_000
            let run = try await quest.run(
                ["acquire", "x", "--id", "me", "--ttl", "6s", "--renew-every", "1s"] + quest.stamping("--for", "7000", "--every", "10"),
                at: proxy.questURL)
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(quest.box.stamps().terms.count == 1)
            #expect(quest.server.calls["KeepAlive"] >= 2 && quest.server.holder("x") == nil)
        }
    }

    @Test("qq waits for a slow server to take a release") func slowRelease() async throws {
        try await onQuorumQuest { quest in
            #expect(try await quest.run("acquire", "x", "--id", "me", "--ttl", "60s").ending == .exited(0))
            quest.server.change { $0.delay = .milliseconds(1300) }
            let run = try await quest.run("release", "x")
            #expect(run.ending == .exited(0) && run.text == "x\treleased\n", "\(run.errors)")
            #expect(quest.server.holder("x") == nil)
        }
    }

    @Test("a keep-alive cut off before its answer is repeated over a new connection, and the lease continues") func cutInKeepalive()
        async throws
    {
        try await onQuorumQuest { quest in
            let run = try quest.qq("keepalive", "x", "--id", "me", "--ttl", "30s", "--renew-every", "400ms", "--json")
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, run)
            for _ in 0..<5 {
                let (calls, connections) = (quest.server.calls["KeepAlive"], quest.server.connections)
                quest.server.change { $0.lost["KeepAlive"] = 1 }
                try await quest.waitForCall("KeepAlive", by: "me", after: calls, run)
                quest.server.cutConnections()
                let renewed = run.eventNames.count
                try await waitUntil("the lease is renewed: \(run.errors)") { run.eventNames.count > renewed }
                #expect(quest.server.connections > connections)
            }
            try await run.terminate()
            // A busy machine can miss the time of a request once more.
            #expect(run.eventNames.filter { $0 != "renewed" && $0 != "retrying" } == ["elected", "released"], "\(run.errors)")
            #expect(quest.server.calls["TryAcquireLock"] == 1)
        }
    }

    @Test("an acquire cut off before its answer is repeated, and the command runs only once") func cutInAcquire() async throws {
        try await onQuorumQuest { quest in
            quest.server.change { $0.lost["TryAcquireLock"] = 1 }
            let run = try quest.qq(["acquire", "x", "--id", "me", "--ttl", "60s"] + quest.stamping("--for", "50"))
            try await waitUntil("the lease is granted, and its answer lost") { quest.server.holder("x") == "me" }
            #expect(quest.box.stamps().all.isEmpty)
            quest.server.cutConnections()
            let end = try await run.finish()
            #expect(end.ending == .exited(0), "\(end.errors)")
            #expect(quest.box.stamps().terms.count == 1 && quest.server.holder("x") == nil)
        }
    }

    @Test("hundreds of renewals over dozens of connections, as in half an hour with the real server, cause no other events") func age()
        async throws
    {
        try await onQuorumQuest(
            .heavy,
            serverSettings {
                $0.connectionAge = .milliseconds(250)
                $0.connectionGrace = .seconds(10)
            }
        ) { quest in
            let run = try quest.qq("keepalive", "x", "--id", "me", "--ttl", "30s", "--renew-every", "25ms", "--json")
            try await waitUntil("the lease is renewed over many connections: \(run.errors)", within: .seconds(90)) {
                quest.server.connections >= 30 && quest.server.calls["KeepAlive"] >= 300
            }
            try await run.terminate()
            // A busy machine can miss the time of a request once more.
            #expect(run.eventNames.filter { $0 != "renewed" && $0 != "retrying" } == ["elected", "released"])
            #expect(run.eventNames.count >= 300)
            #expect(run.errors == "" && quest.server.calls["TryAcquireLock"] == 1)
        }
    }

    @Test("GOAWAY while a call waits for its answer does not lose the call") func goAwayInFlight() async throws {
        try await onQuorumQuest(
            .light,
            serverSettings {
                $0.connectionAge = .milliseconds(300)
                $0.connectionGrace = .seconds(20)
            }
        ) { quest in
            quest.server.change { $0.delay = .milliseconds(800) }
            let run = try quest.qq("keepalive", "x", "--id", "me", "--ttl", "30s", "--renew-every", "300ms", "--json")
            try await waitUntil("the lease is renewed: \(run.errors)") { run.eventNames.count { $0 == "renewed" } >= 6 }
            // Each answer came after its connection had announced its end, and at most one request was repeated.
            #expect(quest.server.calls["KeepAlive"] <= run.eventNames.count { $0 == "renewed" } + 1)
            #expect(quest.server.connections >= 5)
            try await run.terminate()
            // A busy machine can miss the time of a request once more.
            #expect(run.eventNames.filter { $0 != "renewed" && $0 != "retrying" } == ["elected", "released"], "\(run.errors)")
            #expect(run.errors == "")
        }
    }

    @Test("a server killed and restarted within the lease costs only some retries") func restart() async throws {
        try await onQuorumQuest { quest in
            let run = try quest.qq("keepalive", "x", "--id", "me", "--ttl", "30s", "--renew-every", "500ms", "--json")
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, run)
            await quest.server.kill()
            try await waitUntil("a renewal fails: \(run.errors)") { run.eventNames.contains("retrying") }
            #expect(run.errors.contains("Connection refused"), "\(run.errors)")
            let calls = quest.server.calls["KeepAlive"]
            try await quest.server.start()
            try await quest.waitForCall("KeepAlive", by: "me", after: calls + 1, run)
            await quest.server.stop()
            try await quest.server.start()
            try await quest.waitForCall("KeepAlive", by: "me", after: calls + 3, run)
            try await run.terminate()
            #expect(run.eventNames.filter { !["renewed", "retrying"].contains($0) } == ["elected", "released"])
        }
    }

    @Test("a server outage longer than the lease ends a command, and keepalive leads again afterwards") func longAway()
        async throws
    {
        try await onQuorumQuest { quest in
            let keeper = try quest.qq("keepalive", "kept", "--ttl", "2s", "--json")
            let holder = try quest.qq(["acquire", "x", "--id", "me", "--ttl", "5s"] + quest.stamping("--daemon", "--ignore-term"))
            _ = try await quest.box.waitForTerms(1)
            try await waitUntil("qq leads: \(keeper.errors)") { keeper.eventNames.contains("elected") }
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, holder)
            let end = try #require(quest.end(of: "x", by: "me"))
            await quest.server.kill()
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("lost x while the command ran"), "\(run.errors)")
            #expect(try #require(quest.box.stamps().terms.first).last < end)
            try await waitUntil("qq has lost the lease: \(keeper.output)") { keeper.eventNames.contains("lost") }
            try await quest.server.start()
            try await waitUntil("qq leads again: \(keeper.output) \(keeper.errors)") { keeper.eventNames.count { $0 == "elected" } == 2 }
            try await keeper.terminate()
        }
    }

    @Test("if all of several servers are down, qq reports it for each") func allDown() async throws {
        try await onQuorumQuest { quest in
            let (one, other) = (try quest.proxy(), try quest.proxy())
            let both = one.questURL + ",127.0.0.1:\(other.port)"
            one.kill()
            other.kill()
            let run = try await quest.run(["acquire", "x", "--retries", "1", "--", "true"], at: both)
            #expect(run.ending == .exited(69) && run.errors.contains("Connection refused"), "\(run.errors)")
            let status = try await quest.run(["cluster-status", "--json"], at: both)
            #expect(status.ending == .exited(69))
            let endpoints = try object(status.text)["endpoints"]?.arrayValue ?? []
            #expect(endpoints.count == 2 && endpoints.allSatisfy { $0["reachable"] == false && $0["problem"]?.stringValue != nil })
        }
    }

    @Test("with several servers of one store, a holder keeps its lease when one of them fails", arguments: CutOff.allCases)
    func oneOfTwo(cutOff: CutOff) async throws {
        try await onQuorumQuest { quest in
            let (one, other) = (try quest.proxy(), try quest.proxy())
            let both = one.questURL + ",127.0.0.1:\(other.port)"
            let run = try quest.qq(["keepalive", "x", "--id", "me", "--ttl", "30s", "--renew-every", "500ms", "--json"], at: both)
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, run)
            #expect(one.accepted == 1 && other.accepted == 0)
            cutOff.apply(to: one)
            try await waitUntil("the other server is asked: \(run.errors)") { other.accepted == 1 }
            let renewed = run.eventNames.count { $0 == "renewed" }
            try await waitUntil("the lease is renewed there: \(run.errors)") { run.eventNames.count { $0 == "renewed" } > renewed + 2 }
            try await run.terminate()
            // A busy machine can miss the time of a request once more.
            #expect(run.eventNames.filter { $0 != "renewed" && $0 != "retrying" } == ["elected", "released"], "\(run.errors)")
            #expect(quest.server.holder("x") == nil)
        }
    }

    @Test("keepalive loses its lease while its packets are dropped, and leads again when they pass")
    func blackHole() async throws {
        try await onQuorumQuest { quest in
            let proxy = try quest.proxy()
            let run = try quest.qq(["keepalive", "x", "--id", "me", "--ttl", "2s", "--json"], at: proxy.questURL)
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, run)
            proxy.silence()
            try await waitUntil("qq has lost the lease: \(run.output) \(run.errors)") { run.eventNames.contains("lost") }
            #expect(run.errors.contains("no answer in time"), "\(run.errors)")
            proxy.pass()
            try await waitUntil("qq leads again: \(run.output) \(run.errors)") { run.eventNames.count { $0 == "elected" } == 2 }
            try await run.terminate()
        }
    }
}
