import Glibc
import QQCore
import Support
import Testing

@Suite("status")
struct StatusTests {
    @Test("status shows who leads, one record a line, and exits with 0 if each election has a leader")
    func plain() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "a", "--id", "me", "--ttl", "100s")
            let one = try await box.run("status", "a")
            #expect(one.ending == .exited(0))
            let fields = one.text.dropLast().split(separator: "\t").map(String.init)
            #expect(fields.prefix(4) == ["a", "held", "me", "1"])
            let left = try #require(Double(fields.last ?? ""))
            #expect(left > 80 && left <= 100)
            let two = try await box.run("status", "a", "b")
            #expect(two.ending == .exited(1))
            #expect(two.lines.count == 2)
            #expect(two.lines.last == "b\tfree\t-\t-\t-")
            #expect(try await box.run("status", "b").ending == .exited(1))
            #expect(try await box.run("status").ending == .exited(64))
        }
    }

    @Test("status --json shows everything known of a guarded holder")
    func json() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x", "--id", "me")
            let waiter = try box.qq("acquire", "x", "--wait", "--", "true")
            try await waitUntil("the waiter queues") { try waiters("x", in: box) == 1 }
            let state = try object(try await box.run("status", "x", "--json").text)
            #expect(state["state"]?.stringValue == "held")
            #expect(state["leader"]?.stringValue == "me")
            #expect(state["token"]?.uint64Value == 1)
            #expect(state["alive"]?.boolValue == true)
            #expect(state["ttl"]?.doubleValue == 15)
            #expect(state["mine"]?.boolValue == false)
            #expect((state["waiters"]?.uint64Value ?? 0) >= 1)
            holder.child.signal(SIGKILL)
            _ = try await waiter.finish()
            let free = try object(try await box.run("status", "x", "--json").text)
            #expect(free["state"]?.stringValue == "free")
            #expect(free["leader"]?.isNull == true)
        }
    }

    @Test("status shows an ended lease as expired, with the last leader")
    func expired() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--id", "me", "--ttl", "100ms")
            try await Task.sleep(for: .milliseconds(150))
            let run = try await box.run("status", "x", "--json")
            #expect(run.ending == .exited(1))
            let state = try object(run.text)
            #expect(state["state"]?.stringValue == "expired")
            #expect(state["last_leader"]?.stringValue == "me")
            #expect(state["leader"]?.isNull == true)
        }
    }

    @Test("status --mine recognizes this user's lease by a saved grant, by --id, and inside a guarded command")
    func mine() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--id", "me")
            let elsewhere = ["XDG_RUNTIME_DIR": box.path("home")]
            #expect(try await box.run("status", "x", "--mine").ending == .exited(0))
            #expect(try await box.run("status", "x", "--mine", environment: elsewhere).ending == .exited(1))
            #expect(try await box.run("status", "x", "--mine", "--id", "me", environment: elsewhere).ending == .exited(0))
            #expect(try await box.run("status", "x", "--mine", "--id", "you").ending == .exited(1))
            let inside = try await box.run(
                "acquire", "y", "--", "sh", "-c", "\(Sandbox.binary) status y --mine && ! \(Sandbox.binary) status x --mine --id you",
                environment: elsewhere)
            #expect(inside.ending == .exited(0))
            #expect(try await box.run("status", "y", "--mine").ending == .exited(1))
        }
    }

    @Test("status --all lists, filters and pages in the order of names")
    func all() async throws {
        try await inSandbox { box in
            for (name, ttl) in [("web-1", "500s"), ("web-2", "60s"), ("db", "500s"), ("old", "500s")] {
                _ = try await box.run("acquire", name, "--id", "owner of \(name)", "--ttl", ttl)
            }
            _ = try await box.run("release", "old")
            func names(_ options: String...) async throws -> [String] {
                let run = try await box.start([Sandbox.binary, "status", "--all"] + options).finish()
                #expect(run.ending == .exited(0))
                return run.lines.map { String($0.prefix { $0 != "\t" }) }
            }
            let everything = try await names()
            let held = try await names("--held")
            let matching = try await names("--match", "web")
            let owned = try await names("--owner", "of db")
            let ending = try await names("--expires-within", "100s")
            let page = try await names("--limit", "2", "--offset", "1")
            let beyond = try await names("--offset", "9")
            #expect(everything == ["db", "old", "web-1", "web-2"])
            #expect(held == ["db", "web-1", "web-2"])
            #expect(matching == ["web-1", "web-2"])
            #expect(owned == ["db"])
            #expect(ending == ["web-2"])
            #expect(page == ["old", "web-1"])
            #expect(beyond == [])
            let list = try object(try await box.run("status", "--all", "--json").text)
            #expect(list["elections"]?.arrayValue?.count == 4)
            #expect(try await box.run("status", "--all", "--mine", environment: ["XDG_RUNTIME_DIR": box.path("home")]).ending == .exited(1))
        }
    }

    @Test("--mine shows only our elections, named or listed, in every form")
    func onlyMine() async throws {
        try await inSandbox { box in
            let elsewhere = ["XDG_RUNTIME_DIR": box.path("home")]
            _ = try await box.run("acquire", "ours", "--ttl", "500s")
            _ = try await box.run("acquire", "theirs", "--ttl", "500s", environment: elsewhere)
            func names(_ words: String...) async throws -> [String] {
                try await box.start([Sandbox.binary, "status"] + words).finish().lines.map { String($0.prefix { $0 != "\t" }) }
            }
            #expect(try await names("--all") == ["ours", "theirs"])
            #expect(try await names("--all", "--mine") == ["ours"])
            #expect(try await names("ours", "theirs", "--mine") == ["ours"])
            #expect(try await names("theirs", "--mine") == [])
            #expect(try await box.run("status", "ours", "theirs", "--mine").ending == .exited(1))
            #expect(try await box.run("status", "ours", "--mine").ending == .exited(0))
            #expect(try await box.run("status", "--all", "--mine").ending == .exited(0))
            let list = try object(try await box.run("status", "--all", "--mine", "--json").text)
            #expect(list["elections"]?.arrayValue?.compactMap { $0.objectValue?["name"]?.stringValue } == ["ours"])
            let one = try await box.run("status", "theirs", "--mine", "--json")
            #expect(try one.ending == .exited(1) && object(one.text)["mine"]?.boolValue == false)
            #expect(try await box.run("status", "ours", "theirs", "--owner", "nobody").ending == .exited(1))
        }
    }

    @Test("features that lease files lack exit with 80 and the reason")
    func unsupported() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--id", "me")
            let elsewhere = ["XDG_RUNTIME_DIR": box.path("home")]
            for words in [
                ["status", "x", "--advice"], ["release", "x", "--id", "me", "--cancel-wait"], ["step-down", "x", "--node", "me"],
            ] {
                let run = try await box.start([Sandbox.binary] + words, environment: elsewhere).finish()
                #expect(run.ending == .exited(80), "\(words)")
                #expect(run.errors.contains("lease file"), "\(run.errors)")
                #expect(run.output.isEmpty)
            }
        }
    }
}

@Suite("step-down")
struct StepDownTests {
    private func elsewhere(_ box: Sandbox) -> [String: String] { ["XDG_RUNTIME_DIR": box.path("home")] }

    @Test("step-down of this user's own lease needs no confirmation")
    func own() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--id", "me")
            let run = try await box.run("step-down", "x")
            #expect(run.ending == .exited(0))
            #expect(run.text == "x\tstepped-down\tme\n")
            #expect(names(in: box.path("run/qq")) == [])
            #expect(try await box.run("step-down", "x").ending == .exited(1))
        }
    }

    @Test("step-down of another holder's lease needs --force and --yes; otherwise it is refused and changes nothing")
    func denied() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--id", "me")
            let before = readText(box.leaseFile("x"))
            #expect(try await box.run("step-down", "x", environment: elsewhere(box)).ending == .exited(77))
            #expect(try await box.run("step-down", "x", "--yes", environment: elsewhere(box)).ending == .exited(77))
            #expect(try await box.run("step-down", "x", "--force", environment: elsewhere(box)).ending == .exited(77))
            #expect(
                try await box.run("step-down", "x", "--force", "--yes", "--node", "you", environment: elsewhere(box)).ending == .exited(1))
            #expect(
                try await box.run("step-down", "x", "--force", "--yes", "--token", "7", environment: elsewhere(box)).ending == .exited(1))
            #expect(readText(box.leaseFile("x")) == before)
            let run = try await box.run("step-down", "x", "--force", "--yes", "--node", "me", "--token", "1", environment: elsewhere(box))
            #expect(run.ending == .exited(0))
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test("step-down ends a guarded command and its processes before the lease is free")
    func guarded() async throws {
        try await inSandbox { box in
            let holder = try box.start(
                [
                    Sandbox.binary, "acquire", "x", "--kill-after", "300ms", "--", Sandbox.stamp, box.path("stamps"), "--daemon",
                    "--ignore-term",
                ])
            _ = try await box.waitForTerms(1)
            let next = try box.qq("acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "20")
            let run = try await box.run("step-down", "x", "--force", "--yes", "--json")
            #expect(run.ending == .exited(0))
            #expect(try object(run.text)["stepped_down"]?.boolValue == true)
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(end.errors.contains("to step down from x: ending the command"))
            #expect(try await next.finish().ending == .exited(0))
            #expect(box.stamps().violations.isEmpty)
            #expect(box.stamps().terms.count == 2)
        }
    }

    @Test("step-down gives up with 75 if the holder takes longer than --wait")
    func slow() async throws {
        try await inSandbox { box in
            let holder = try box.start(
                [
                    Sandbox.binary, "acquire", "x", "--ttl", "30s", "--kill-after", "3s", "--", Sandbox.stamp, box.path("stamps"),
                    "--ignore-term",
                ])
            _ = try await box.waitForTerms(1)
            #expect(try await box.run("step-down", "x", "--force", "--yes", "--wait", "200ms").ending == .exited(75))
            #expect(try await holder.finish().ending == .exited(79))
        }
    }
}
