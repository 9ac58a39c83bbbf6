import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("A failing Quorum Quest store")
struct QuorumQuestStoreTests {
    @Test("a lease that the store has lost is acquired again under the same id") func forgotten() async throws {
        try await onQuorumQuest { quest in
            let run = try quest.qq("keepalive", "x", "--id", "me", "--ttl", "30s", "--renew-every", "500ms", "--json")
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, run)
            for _ in 0..<3 {
                quest.server.forget("x")
                try await waitUntil("the lease is acquired again: \(run.errors)") { quest.server.holder("x") == "me" }
            }
            #expect(quest.server.calls["TryAcquireLock", "me"] == 4)
            try await run.terminate()
            #expect(run.eventNames.filter { $0 != "renewed" } == ["elected", "released"], "\(run.errors)")
        }
    }

    @Test("a lost lease that another holder took is not acquired again: the command ends in time, with 79") func takenByAnother()
        async throws
    {
        try await onQuorumQuest { quest in
            let holder = try quest.qq(["acquire", "x", "--id", "me", "--ttl", "5s"] + quest.stamping("--daemon", "--ignore-term"))
            _ = try await quest.box.waitForTerms(1)
            let renewed = quest.server.calls["KeepAlive", "me"]
            try await quest.waitForCall("KeepAlive", by: "me", after: renewed, holder)
            let end = try #require(quest.end(of: "x", by: "me"))
            quest.server.grant("x", to: "other", for: .seconds(60))
            let run = try await holder.finish()
            #expect(run.ending == .exited(79))
            #expect(run.errors.contains("a failed store"), "\(run.errors)")
            #expect(try #require(quest.box.stamps().terms.first).last < end)
            // The lease was asked for again, and not granted.
            #expect(quest.server.calls["TryAcquireLock", "me"] > 1)
            #expect(quest.server.holder("x") == "other")
            #expect(quest.server.calls.ids == ["me"])
        }
    }

    @Test("if the store fails for longer than the lease, the command is dead before the lease ends by the server's clock") func dead()
        async throws
    {
        try await onQuorumQuest { quest in
            let holder = try quest.qq(
                ["acquire", "x", "--id", "me", "--ttl", "5s"] + quest.stamping("--child", "--daemon", "--ignore-term"))
            _ = try await quest.box.waitForTerms(1)
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, holder)
            let end = try #require(quest.end(of: "x", by: "me"))
            quest.server.setStore(.dead())
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("a failed store"), "\(run.errors)")
            #expect(try #require(quest.box.stamps().terms.first).last < end)
            #expect(quest.server.calls["KeepAlive", "me"] > 3, "qq keeps asking")
        }
    }

    @Test("qq reports a release that the store cannot take, and can repeat it later") func deadAtRelease() async throws {
        try await onQuorumQuest { quest in
            #expect(try await quest.run("acquire", "x", "--id", "me", "--ttl", "60s").ending == .exited(0))
            quest.server.setStore(.dead())
            let run = try await quest.run("release", "x", "--retries", "1")
            #expect(run.ending == .exited(69) && run.text == "")
            #expect(run.errors.contains("a failed store"), "\(run.errors)")
            quest.server.setStore(.alive)
            #expect(quest.server.holder("x") == "me")
            #expect(try await quest.run("release", "x").ending == .exited(0))
            #expect(quest.server.holder("x") == nil)
        }
    }

    @Test("a command that has ended keeps its exit code, and qq reports that its lease remains") func deadAtCommandEnd() async throws {
        try await onQuorumQuest { quest in
            let holder = try quest.qq("acquire", "x", "--ttl", "30s", "--", "sh", "-c", "echo held; until [ -e go ]; do sleep 0.02; done")
            try await waitUntil("the lease is held: \(holder.errors)") { holder.output.contains("held") }
            quest.server.setStore(.dead())
            try quest.box.write("", to: "go")
            let run = try await holder.finish()
            #expect(run.ending == .exited(0))
            #expect(
                run.errors.contains("a failed store") && run.errors.contains("the lease of x remains until it expires"), "\(run.errors)")
        }
    }

    @Test(
        "an acquire that a hung store refuses late or never answers exits with 69, and a late grant is released",
        arguments: ["5s", "1s"])
    func hungAcquire(timeout: String) async throws {
        try await onQuorumQuest { quest in
            quest.server.setStore(.hung(acquire: .milliseconds(1500), others: .milliseconds(600)))
            let run = try await quest.run(
                "acquire", "x", "--id", "me", "--ttl", "60s", "--retries", "0", "--timeout", timeout, "--", "echo", "ran")
            #expect(run.ending == .exited(69) && run.text == "", "\(run.errors)")
            #expect(run.errors.contains(timeout == "1s" ? "no answer in time" : "the server's store does not answer"), "\(run.errors)")
            #expect(quest.server.calls["TryAcquireLock", "me"] == 1 && quest.server.calls["ReleaseLock", "me"] >= 1)
            quest.server.setStore(.alive)
            // The store carries out the pending requests in order: it grants the lease and releases it.
            #expect(quest.server.holder("x") == nil)
            #expect(try await quest.run("acquire", "x", "--id", "next", "--", "true").ending == .exited(0))
        }
    }

    @Test("a store that hangs for less than the lease causes no loss") func hungForAShortTime() async throws {
        try await onQuorumQuest { quest in
            let run = try quest.qq("keepalive", "x", "--id", "me", "--ttl", "20s", "--renew-every", "1s", "--json")
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, run)
            quest.server.setStore(.hung())
            try await quest.waitForCall("KeepAlive", by: "me", after: quest.server.calls["KeepAlive"], run)
            try await Task.sleep(for: .seconds(1))
            quest.server.setStore(.alive)
            let renewed = run.eventNames.count { $0 == "renewed" }
            try await waitUntil("the lease is renewed: \(run.errors)") { run.eventNames.count { $0 == "renewed" } > renewed + 1 }
            try await run.terminate()
            #expect(run.eventNames.filter { $0 != "renewed" } == ["elected", "released"], "\(run.errors)")
        }
    }

    @Test("a store that hangs for longer than the lease does not grant it to the holder that lost it") func hungForALongTime() async throws
    {
        try await onQuorumQuest { quest in
            let holder = try quest.qq(["acquire", "x", "--id", "me", "--ttl", "5s"] + quest.stamping("--daemon", "--ignore-term"))
            _ = try await quest.box.waitForTerms(1)
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, holder)
            let end = try #require(quest.end(of: "x", by: "me"))
            // Answered late enough for the second request, which could be granted late, to be sent.
            quest.server.setStore(.hung(acquire: .seconds(9), others: .milliseconds(200)))
            let run = try await holder.finish()
            #expect(run.ending == .exited(79), "\(run.errors)")
            #expect(try #require(quest.box.stamps().terms.first).last < end)
            #expect(quest.server.calls["TryAcquireLock", "me"] > 1)
            quest.server.setStore(.alive)
            #expect(quest.server.holder("x") == nil)
        }
    }
}
