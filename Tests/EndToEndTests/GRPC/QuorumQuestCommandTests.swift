import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("Commands on Quorum Quest")
struct QuorumQuestCommandTests {
    @Test("commands on Quorum Quest print the JSON that qq-json(5) documents") func schemas() async throws {
        try await onQuorumQuest { quest in
            try checkSchema(try await quest.run("acquire", "x", "--json", "--ttl", "60s").text, Schemas.acquire)
            try checkSchema(try await quest.run("acquire", "x", "--json", "--id", "other").text, Schemas.acquire)
            try checkSchema(try await quest.run("acquire", "x", "--json", "--id", "other", "--wait=300ms").text, Schemas.acquire)
            try checkSchema(try await quest.run("keepalive", "x", "--once", "--json").text, Schemas.keepalive)
            try checkSchema(try await quest.run("status", "x", "--json").text, Schemas.status)
            try checkSchema(try await quest.run("status", "nobody", "--json").text, Schemas.status)
            let list = try object(try await quest.run("status", "x", "nobody", "--json").text)
            #expect(list["system"] == "quorum-quest")
            for election in try #require(list["elections"]?.arrayValue) {
                #expect(schemaProblems(try #require(election.objectValue), Schemas.status) == [])
            }
            try checkSchema(try await quest.run("watch", "x", "--until", "led", "--json").text, Schemas.watch)
            try checkSchema(try await quest.run("step-down", "x", "--json").text, Schemas.stepDown)
            try checkSchema(try await quest.run("release", "x", "--json").text, Schemas.release)
            #expect(try await quest.run("acquire", "x", "--ttl", "60s").ending == .exited(0))
            try checkSchema(try await quest.run("release", "x", "--json").text, Schemas.release)
            let cluster = try object(try await quest.run("cluster-status", "--json").text)
            #expect(schemaProblems(cluster, Schemas.clusterStatus) == [])
            for endpoint in try #require(cluster["endpoints"]?.arrayValue) {
                #expect(schemaProblems(try #require(endpoint.objectValue), Schemas.endpoint) == [])
            }
        }
    }

    @Test("keepalive prints documented events for waiting, election, failures, loss and release") func keepaliveSchema() async throws {
        try await onQuorumQuest { quest in
            quest.server.grant("x", to: "other", for: .seconds(60))
            let run = try quest.qq("keepalive", "x", "--id", "me", "--ttl", "2s", "--json")
            try await waitUntil("qq waits: \(run.errors)") { run.eventNames.contains("waiting") }
            quest.server.forget("x")
            try await waitUntil("qq leads: \(run.output) \(run.errors)") { run.eventNames.contains("renewed") }
            quest.server.grant("x", to: "other", for: .seconds(60))
            try await waitUntil("qq has lost the lease: \(run.output) \(run.errors)") { run.eventNames.contains("lost") }
            #expect(run.eventNames.contains("retrying"))
            quest.server.forget("x")
            try await waitUntil("qq leads again: \(run.output) \(run.errors)") { run.eventNames.count { $0 == "elected" } == 2 }
            try await run.terminate()
            #expect(run.eventNames.last == "released")
            try checkSchema(run.output, Schemas.keepalive, lines: run.output.split(separator: "\n").count)
            #expect(quest.server.calls.ids == ["me"])
        }
    }

    @Test("commands that read send the server no requests: reading neither starts, shortens nor extends a lease") func readingAsksNothing()
        async throws
    {
        try await onQuorumQuest { quest in
            quest.server.grant("theirs", to: "other", for: .seconds(60))
            #expect(try await quest.run("acquire", "ours", "--id", "me", "--ttl", "60s").ending == .exited(0))
            let before = quest.server.calls
            let end = try #require(quest.end(of: "ours", by: "me"))
            for name in ["ours", "theirs", "nobody's"] {
                for words in [["status", name], ["status", name, "--mine"], ["watch", name, "--for", "1500ms"]] {
                    let run = try await quest.run(words)
                    #expect([.exited(0), .exited(1), .exited(80)].contains(run.ending), "\(words): \(run.errors)")
                }
            }
            #expect(try await quest.run("status", "ours", "--mine").ending == .exited(0))
            #expect(try await quest.run("step-down", "theirs", "--force", "--yes").ending == .exited(80))
            _ = try await quest.run("cluster-status")
            _ = try await quest.run("__complete", "elections")
            #expect(quest.server.calls == before)
            #expect(quest.server.holder("theirs") == "other" && quest.server.holder("nobody's") == nil)
            let after = try #require(quest.end(of: "ours", by: "me"))
            #expect(max(after, end) - min(after, end) < 1_000_000_000)
        }
    }

    @Test("reading does not shorten the lease of a keepalive that runs at the same time") func readingBesideHolder() async throws {
        try await onQuorumQuest { quest in
            let holder = try quest.qq("keepalive", "x", "--id", "me", "--ttl", "20s", "--renew-every", "6s", "--json")
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, holder)
            let (end, renewals) = (try #require(quest.end(of: "x", by: "me")), quest.server.calls["KeepAlive"])
            for words in [["status", "x"], ["status", "x", "--mine"], ["watch", "x", "--until", "changed", "--for", "50ms"]] {
                _ = try await quest.run(words)
            }
            // The lease dates from the holder's last renewal or a later one.
            #expect(try #require(quest.end(of: "x", by: "me")) + 20_000_000 > end)
            #expect(quest.server.calls["KeepAlive"] <= renewals + 1)
            try await holder.terminate()
            #expect(!holder.output.contains("lost"))
        }
    }

    @Test("watch reports when this user's lease begins and ends") func watch() async throws {
        try await onQuorumQuest { quest in
            let watch = try quest.qq("watch", "x", "--json")
            try await waitUntil("watch has started: \(watch.errors)") { watch.output.contains("unknown") }
            #expect(try await quest.run("acquire", "x", "--id", "me", "--ttl", "60s").ending == .exited(0))
            try await waitUntil("the election is reported: \(watch.output)") { watch.output.contains("elected") }
            #expect(try await quest.run("release", "x").ending == .exited(0))
            try await waitUntil("the release is reported: \(watch.output)") { watch.output.contains("released") }
            try await watch.terminate()
            let events = try watch.output.split(separator: "\n").map { try object($0) }
            #expect(events.map { $0["event"]?.stringValue } == ["state", "elected", "released"])
            #expect(events[1]["leader"] == "me" && events[2]["leader"]?.isNull == true)
        }
    }

    @Test("step-down releases this user's lease and no other") func stepDown() async throws {
        try await onQuorumQuest { quest in
            #expect(try await quest.run("acquire", "x", "--id", "me", "--ttl", "60s").ending == .exited(0))
            let run = try await quest.run("step-down", "x")
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(quest.server.holder("x") == nil)
            #expect(try await quest.run("status", "x", "--mine").ending == .exited(1))
            quest.server.grant("x", to: "other", for: .seconds(60))
            #expect(try await quest.run("step-down", "x").ending == .exited(80))
            #expect(quest.server.holder("x") == "other" && quest.server.calls.ids == ["me"])
        }
    }

    @Test("keepalive --once renews an acquired lease under the id it was acquired with") func once() async throws {
        try await onQuorumQuest { quest in
            #expect(try await quest.run("keepalive", "x", "--once").ending == .exited(1))
            #expect(quest.server.calls.all == 0)
            #expect(try await quest.run("acquire", "x", "--id", "me", "--ttl", "20s").ending == .exited(0))
            let end = try #require(quest.end(of: "x", by: "me"))
            #expect(try await quest.run("keepalive", "x", "--once").ending == .exited(0))
            #expect(try #require(quest.end(of: "x", by: "me")) > end)
            #expect(quest.server.calls["KeepAlive", "me"] == 1 && quest.server.calls["TryAcquireLock"] == 1)
            // If the store has lost the lease, it is acquired again.
            quest.server.forget("x")
            #expect(try await quest.run("keepalive", "x", "--once", "--ttl", "8s").ending == .exited(0))
            #expect(quest.server.holder("x") == "me")
            // A refusal is not believed until our lease has expired.
            quest.server.grant("x", to: "other", for: .seconds(60))
            let doubted = try await quest.run("keepalive", "x", "--once", "--retries", "0")
            #expect(doubted.ending == .exited(69) && doubted.errors.contains("a failed store"), "\(doubted.errors)")
            try await waitUntil("our lease has expired") { try object(readGrant(quest))["deadline"]?.uint64Value ?? 0 < bootNow() }
            let believed = try await quest.run("keepalive", "x", "--once")
            #expect(believed.ending == .exited(1), "\(believed.errors)")
            #expect(quest.server.holder("x") == "other" && quest.server.calls.ids == ["me"])
            #expect(try await quest.run("status", "x", "--mine").ending == .exited(1))
        }
    }

    private func readGrant(_ quest: QuestPlace) -> String {
        names(in: quest.box.path("run/qq")).first.map { quest.box.read("run/qq/" + $0) } ?? "{}"
    }

    @Test("keepalive resumes a lease that acquire took") func goesOn() async throws {
        try await onQuorumQuest { quest in
            #expect(try await quest.run("acquire", "x", "--id", "me", "--ttl", "20s").ending == .exited(0))
            let run = try quest.qq("keepalive", "x", "--json")
            try await waitUntil("qq leads: \(run.output) \(run.errors)") { run.eventNames.contains("elected") }
            #expect(quest.server.holder("x") == "me" && quest.server.calls.ids == ["me"])
            try await run.terminate()
            #expect(run.eventNames == ["elected", "released"] && quest.server.holder("x") == nil)
        }
    }

    @Test("keepalive of many elections renews each of them and releases all at the end") func many() async throws {
        try await onQuorumQuest { quest in
            let all = (1...20).map { "e\($0)" }
            let run = try quest.qq(["keepalive"] + all + ["--id", "me", "--ttl", "3s", "--json"])
            try await waitUntil("all leases are renewed: \(run.output) \(run.errors)") {
                quest.server.calls["KeepAlive"] >= 40 && all.allSatisfy { quest.server.holder($0) == "me" }
            }
            #expect(quest.server.connections == 1)
            try await run.terminate()
            #expect(all.allSatisfy { quest.server.holder($0) == nil })
            #expect(!run.eventNames.contains("lost") && run.errors == "")
        }
    }

    @Test("release with --id alone releases that id's lease, and names what the server does not reveal") func releaseByID() async throws {
        try await onQuorumQuest { quest in
            quest.server.grant("x", to: "me", for: .seconds(60))
            let other = try await quest.run("release", "x", "--id", "other")
            #expect(other.ending == .exited(1) && other.errors.contains("the server does not show whether it was"), "\(other.errors)")
            #expect(quest.server.holder("x") == "me")
            #expect(quest.server.calls["ReleaseLock", "other"] == 1)
            let mine = try await quest.run("release", "x", "--id", "me")
            #expect(mine.ending == .exited(0) && mine.text == "x\treleased\n", "\(mine.errors)")
            #expect(quest.server.holder("x") == nil)
            let again = try await quest.run("release", "x", "--id", "me")
            #expect(again.ending == .exited(1) && again.errors.contains("the server does not show whether it was"), "\(again.errors)")
            try checkSchema(try await quest.run("release", "x", "--id", "me", "--json").text, Schemas.release)
            // Without a grant or an id there is nothing to release.
            let calls = quest.server.calls
            let none = try await quest.run("release", "x")
            #expect(none.ending == .exited(1) && none.errors.contains("name the lease with --id"), "\(none.errors)")
            #expect(quest.server.calls == calls)
        }
    }

    @Test("release of an expired lease fails and leaves the next holder's lease alone") func releaseTooLate() async throws {
        try await onQuorumQuest { quest in
            #expect(try await quest.run("acquire", "x", "--id", "me", "--ttl", "1s").ending == .exited(0))
            try await waitUntil("the lease has expired") { quest.server.holder("x") == nil }
            quest.server.grant("x", to: "other", for: .seconds(60))
            let run = try await quest.run("release", "x")
            #expect(run.ending == .exited(1), "\(run.errors)")
            #expect(quest.server.holder("x") == "other" && quest.server.calls.ids == ["me"])
            #expect(names(in: quest.box.path("run/qq")).isEmpty)
        }
    }

    @Test(
        "invalid election names are refused before any request is sent",
        arguments: ["", "/", "a/", "/b", "a/b/c", "a:b", "a/b:c", "a\u{1}b"])
    func refusedNames(name: String) async throws {
        try await onQuorumQuest { quest in
            for words in [
                ["acquire", name], ["release", name], ["keepalive", name], ["status", name], ["watch", name], ["step-down", name],
            ] {
                let run = try await quest.run(words)
                #expect(run.ending == .exited(64), "\(words): \(run.ending) \(run.errors)")
                #expect(!run.errors.contains("\u{1}"))
            }
            #expect(quest.server.calls.all == 0)
        }
    }

    @Test("TTLs that are not a whole number of seconds, or too long, are refused", arguments: ["500ms", "1500ms", "1ns", "3000000000s"])
    func refusedTTLs(ttl: String) async throws {
        try await onQuorumQuest { quest in
            for words in [
                ["acquire", "x", "--ttl", ttl], ["acquire", "x", "--ttl", ttl, "--", "true"], ["keepalive", "x", "--ttl", ttl],
            ] {
                let run = try await quest.run(words)
                #expect(run.ending == .exited(64), "\(words): \(run.ending) \(run.errors)")
            }
            #expect(quest.server.calls.all == 0)
        }
    }

    @Test("elections of different services and domains are independent") func domains() async throws {
        try await onQuorumQuest { quest in
            for name in ["x", "x/staging", "production/x"] {
                let run = try await quest.run("acquire", name, "--ttl", "60s")
                #expect(run.ending == .exited(0), "\(run.errors)")
            }
            // The name of the default domain means the same as no domain.
            let same = try await quest.run("acquire", "x/production", "--id", "other")
            #expect(same.ending == .exited(1), "\(same.errors)")
            #expect(quest.server.holder("x") != nil && quest.server.holder("x", "staging") != nil)
        }
    }

    @Test("cluster-status reports a server without reflection, one with another service, and one that is down") func endpoints()
        async throws
    {
        try await inSandbox { box in
            let plain = try await QuorumQuestServer.start(reflects: false, in: box)
            let raft = try await RaftLockCluster.start(in: box)
            let run = try await box.run("cluster-status", "--json", environment: ["QQ_SERVER": plain.url])
            #expect(run.ending == .exited(0), "\(run.errors)")
            let other = raft.url.split(separator: "/").last.map { "qq://" + $0 } ?? ""
            let wrong = try await box.run("cluster-status", "--json", environment: ["QQ_SERVER": other])
            #expect([.exited(0), .exited(1)].contains(wrong.ending), "\(wrong.errors)")
            let asked = try await box.run("acquire", "x", "--retries", "0", "--", "true", environment: ["QQ_SERVER": other])
            #expect(asked.ending == .exited(65) && asked.errors.contains("is that the right server"), "\(asked.errors)")
            await plain.kill()
            let gone = try await box.run("cluster-status", "--json", environment: ["QQ_SERVER": plain.url])
            #expect(gone.ending == .exited(69) && gone.errors.contains("Connection refused"), "\(gone.errors)")
            #expect(try object(gone.text)["endpoints"]?.arrayValue?.map { $0["reachable"] } == [false])
        }
    }
}
