import QQCore
import Support
import Testing

@testable import QQCLI

/// A Quorum Quest server, and `qq` configured to use it.
struct QuestPlace {
    let box: Sandbox
    let server: QuorumQuestServer

    var environment: [String: String] { ["QQ_SERVER": server.url] }

    func run(_ words: String..., within limit: Duration = waitingTime) async throws -> Run {
        try await box.start([Sandbox.binary] + words, environment: environment).finish(within: limit)
    }

    func qq(_ words: String...) throws -> Started { try box.start([Sandbox.binary] + words, environment: environment) }
}

/// A server's default settings with some changes.
func serverSettings(_ change: (inout GRPCServerSettings) -> Void) -> GRPCServerSettings {
    var settings = GRPCServerSettings()
    change(&settings)
    return settings
}

func onQuorumQuest(
    _ load: Gate.Load = .light, _ settings: GRPCServerSettings = GRPCServerSettings(), _ body: (QuestPlace) async throws -> Void
) async throws {
    try await inSandbox(load) { box in
        try await body(QuestPlace(box: box, server: try await QuorumQuestServer.start(settings, in: box)))
    }
}

@Suite("A lease on Quorum Quest")
struct QuorumQuestTests {
    @Test("acquire runs a command once, without a token, and releases the lease") func guarded() async throws {
        try await onQuorumQuest { quest in
            let run = try await quest.run(
                "acquire", "billing/staging", "--id", "me", "--", "sh", "-c", #"echo "$QQ_ID|$QQ_TOKEN|$QQ_NAME|$QQ_TTL""#)
            #expect(run.ending == .exited(0))
            #expect(run.text == "me||billing/staging|15\n")
            #expect(run.errors == "")
            #expect(quest.server.holder("billing", "staging") == nil)
            #expect(quest.server.calls.ids == ["me"])
            #expect(quest.server.calls["TryAcquireLock"] == 1 && quest.server.calls["ReleaseLock"] == 1)
        }
    }

    @Test("acquire is refused a lease that another holder has, or waits for it") func contended() async throws {
        try await onQuorumQuest { quest in
            quest.server.grant("x", to: "other", for: .seconds(60))
            let refused = try await quest.run("acquire", "x", "--", "true")
            #expect(refused.ending == .exited(1))
            #expect(refused.errors.contains("not ours; this system does not say who holds it"), "\(refused.errors)")
            #expect(try await quest.run("acquire", "x", "--wait=500ms", "--", "true").ending == .exited(75))
            let waiter = try quest.qq("acquire", "x", "--wait", "--", "echo", "turn")
            try await waitUntil("the waiter has asked") { quest.server.calls["TryAcquireLock"] >= 4 }
            quest.server.forget("x")
            let run = try await waiter.finish()
            #expect(run.ending == .exited(0) && run.text == "turn\n")
            // No request was sent under an id that is not the contender's own.
            #expect(!quest.server.calls.ids.contains("other"))
        }
    }

    @Test("one line of a script acquires a lease and another releases it; between them it is known to be this user's") func grants()
        async throws
    {
        try await onQuorumQuest { quest in
            #expect(try await quest.run("acquire", "x", "--id", "me", "--ttl", "60s").ending == .exited(0))
            let mine = try await quest.run("status", "x", "--json")
            #expect(mine.ending == .exited(0))
            let state = try object(mine.text)
            #expect(state["state"] == "held" && state["leader"] == "me" && state["mine"] == true && state["token"]?.isNull == true)
            #expect(try await quest.run("status", "x", "--mine").ending == .exited(0))
            #expect((quest.server.remaining("x") ?? .zero) <= .seconds(61))
            // Without the saved grant the state is unknown.
            let elsewhere = ["QQ_SERVER": quest.server.url, "XDG_RUNTIME_DIR": quest.box.path("elsewhere")]
            let unknown = try await quest.box.run("status", "x", environment: elsewhere)
            #expect(unknown.ending == .exited(80) && unknown.text.hasPrefix("x\tunknown\t-"))
            #expect(try await quest.box.run("status", "x", "--mine", environment: elsewhere).ending == .exited(1))
            #expect(try await quest.run("release", "x").ending == .exited(0))
            #expect(quest.server.holder("x") == nil)
            #expect(try await quest.run("status", "x", "--mine").ending == .exited(1))
            #expect(try await quest.run("release", "x").ending == .exited(1))
            #expect(quest.server.calls.ids == ["me"])
        }
    }

    @Test("a keepalive's lease continues however often the server ends the connection") func connectionAge() async throws {
        try await onQuorumQuest(
            .light,
            serverSettings {
                $0.connectionAge = .milliseconds(700)
                $0.connectionGrace = .seconds(10)
            }
        ) { quest in
            let run = try quest.qq("keepalive", "x", "--ttl", "20s", "--renew-every", "200ms", "--json")
            try await waitUntil("the lease is renewed over many connections: \(run.output) \(run.errors)") {
                quest.server.connections >= 5 && quest.server.calls["KeepAlive"] >= 15
            }
            #expect(quest.server.holder("x") != nil)
            try await run.terminate()
            let events = try run.output.split(separator: "\n").compactMap { try object(String($0))["event"]?.stringValue }
            #expect(events.filter { $0 != "renewed" } == ["elected", "released"])
            #expect(run.errors == "")
            #expect(quest.server.calls["TryAcquireLock"] == 1)
        }
    }

    @Test("a lease outlives a store that fails for less than the lease, and ends with one that fails for longer") func storeDead()
        async throws
    {
        try await onQuorumQuest { quest in
            let holder = try quest.qq("acquire", "x", "--ttl", "6s", "--", "sh", "-c", "echo held; exec sleep 600")
            try await waitUntil("the lease is held") { holder.output.contains("held") }
            quest.server.setStore(.dead())
            let asked = quest.server.calls["KeepAlive"]
            try await waitUntil("a renewal is refused") { quest.server.calls["KeepAlive"] > asked }
            quest.server.setStore(.alive)
            try await Task.sleep(for: .seconds(5))
            #expect(holder.child.isRunning && quest.server.holder("x") != nil)
            quest.server.setStore(.dead())
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(end.errors.contains("a failed store"), "\(end.errors)")
        }
    }

    @Test("a lease that a hung store grants late is not kept") func storeHung() async throws {
        try await onQuorumQuest { quest in
            quest.server.setStore(.hung(acquire: .seconds(3), others: .seconds(2)))
            let run = try await quest.run("acquire", "x", "--ttl", "30s", "--retries", "0", "--timeout", "8s", "--", "echo", "ran")
            #expect(run.ending == .exited(69), "\(run.errors)")
            #expect(run.text == "")
            quest.server.setStore(.alive)
            try await waitUntil("the lease is released") { quest.server.calls["ReleaseLock"] >= 1 && quest.server.holder("x") == nil }
        }
    }

    @Test("Quorum Quest's limits are named, and nothing is asked for") func unsupported() async throws {
        try await onQuorumQuest { quest in
            for words in [
                ["acquire", "x", "--require-token"], ["status", "--all"], ["step-down", "x", "--force", "--yes"],
                ["acquire", "x", "--priority", "3"], ["release", "x", "--cancel-wait", "--id", "me"],
            ] {
                let run = try await quest.box.start([Sandbox.binary] + words, environment: quest.environment).finish()
                #expect(run.ending == .exited(80), "\(words): \(run.ending) \(run.errors)")
                #expect(run.errors.contains("Quorum Quest"))
            }
            #expect(try await quest.run("acquire", "x", "--ttl", "1500ms").ending == .exited(64))
            #expect(try await quest.run("acquire", "a:b").ending == .exited(64))
            #expect(quest.server.calls["TryAcquireLock"] == 0)
        }
    }

    @Test("acquire uses the server that answers, and cluster-status reports each") func endpoints() async throws {
        try await onQuorumQuest { quest in
            let dead = try await QuorumQuestServer.start(in: quest.box)
            await dead.kill()
            let both = ["QQ_SERVER": "qq://127.0.0.1:\(dead.port),127.0.0.1:\(quest.server.port)"]
            #expect(try await quest.box.run("acquire", "x", "--", "true", environment: both).ending == .exited(0))
            let run = try await quest.box.run("cluster-status", "--json", environment: both)
            #expect(run.ending == .exited(0))
            let endpoints = try object(run.text)["endpoints"]?.arrayValue ?? []
            #expect(endpoints.map { $0["reachable"] } == [false, true])
            #expect(endpoints.last?["services"]?.arrayValue?.contains(.string(QuorumQuestServer.service)) == true)
        }
    }

    @Test("over TLS a lease is acquired only from the right server") func tls() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            var settings = GRPCServerSettings()
            settings.tls = .init(certificates)
            let server = try await QuorumQuestServer.start(settings, in: box)
            let here = ["QQ_SERVER": server.url]
            let good = try await box.run("acquire", "x", "--tls-ca", certificates.authority, "--", "true", environment: here)
            #expect(good.ending == .exited(0), "\(good.errors)")
            let stranger = try await box.run("acquire", "x", "--retries", "0", "--", "true", environment: here)
            #expect(stranger.ending == .exited(78))
            #expect(stranger.errors.contains("not signed by a trusted authority"), "\(stranger.errors)")
            let wrong = try await box.run(
                "acquire", "x", "--tls-ca", certificates.authority, "--tls-name", "elsewhere", "--", "true", environment: here)
            #expect(wrong.ending == .exited(78))
            #expect(wrong.errors.contains("is not for elsewhere"), "\(wrong.errors)")
        }
    }

    @Test("two contenders never work at the same time, despite a proxy that cuts connections") func neverTwo() async throws {
        try await onQuorumQuest(.heavy) { quest in
            let proxy = try Proxy(to: quest.server.port, in: quest.box)
            let url = "qq://127.0.0.1:\(proxy.port)"
            // mkdir succeeds for one process at a time.
            let work = "mkdir busy || echo two >>offences; echo $$ >>done; sleep 0.05; rmdir busy"
            let all = try (0..<5).map { _ in
                try quest.box.start(
                    [
                        "sh", "-c",
                        #"i=0; while [ $i -lt 4 ]; do "$0" acquire x --ttl 2s --wait --retries 100 -- sh -c "$1" && i=$((i+1)); done"#,
                        Sandbox.binary, work,
                    ], environment: ["QQ_SERVER": url])
            }
            for _ in 0..<6 {
                try await Task.sleep(for: .milliseconds(700))
                proxy.cut()
            }
            for contender in all { #expect(try await contender.finish(within: .seconds(120)).ending == .exited(0)) }
            #expect(quest.box.read("offences") == "")
            #expect(quest.box.read("done").split(separator: "\n").count >= 20)
        }
    }
}
