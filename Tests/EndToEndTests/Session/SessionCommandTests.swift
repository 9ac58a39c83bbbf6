import Glibc
import Support
import Testing

@Suite("Commands in a session")
struct SessionCommandTests {
    @Test("commands are the same as in the shell, and 'status' recognizes this session's leases")
    func commands() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web --id me", "acquired web for 15s, token 1, as me")
            try await person.run("status web", "me (us)")
            try await person.run("leases", "web  for ")
            try await person.run("acquire web", "web is held by this session already")
            try await person.run("status --held nobody", "nobody")
            try await person.run("release web", "released web")
            try await person.run("leases", "this session holds nothing")
            try await person.run("release web", "web is not ours")
            try await person.leave()
        }
    }

    @Test("another shell of this user can release a session's lease")
    func savedGrant() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web", "acquired web")
            #expect(try await box.run("status", "web", "--mine").code == 0)
            #expect(try await box.run("release", "web").code == 0)
            try await person.terminal.expect("web: lost: the lease was removed")
            try await person.terminal.expectLast("file>")
            try await person.leave()
        }
    }

    @Test("'jobs' lists background commands, and 'stop' ends one")
    func jobs() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("jobs", "nothing runs in the background")
            try await person.run("watch web &", "[1] watch web &")
            try await person.run("watch api &", "[2] watch api &")
            try await person.run("jobs", "[2] running")
            try await person.run("stop 1", "[1] ended with 0: watch web &")
            try await person.run("stop 1", "qq: no job '1'")
            try await person.run("stop", "qq: usage: stop N")
            try await person.run("stop %2", "[2] ended with 0")
            try await person.leave()
        }
    }

    @Test("'help' shows the commands that only a session has")
    func help() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box, rows: 60)
            try await person.run("help", "everything else: qq --help, man qq")
            try await person.run("help use", "use CONTEXT: choose a context")
            try await person.run("help release", "Release a lease acquired earlier.")
            try await person.run("status -h", "Usage: qq status")
            try await person.leave()
        }
    }

    @Test("mistakes are reported, and the session continues")
    func mistakes() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("staus web", "qq: did you mean status?")
            try await person.run("lease", "qq: did you mean leases?")
            try await person.run("status 'web", "qq: a quote is not closed")
            try await person.run("status web | cat", "qq: '|' is shell syntax")
            try await person.run("status $NOBODY", "qq: NOBODY is not set")
            try await person.run("repl", "qq: a session runs already")
            try await person.run("exit now", "qq: usage: exit")
            try await person.run("leases &", "qq: 'leases' does not run in the background")
            try await person.run("status -s nats://127.0.0.1:1 web --timeout 200ms --retries 0", "qq: cannot")
            try await person.leave()
        }
    }

    @Test("the flags of 'qq repl' apply to each line that does not override them")
    func flags() async throws {
        try await inSandbox { box in
            mkdir(box.path("elsewhere"), 0o755)
            let person = try await AtPrompt("--id", "me", in: box)
            try await person.run("acquire web", "as me")
            try await person.run("acquire api --id other", "as other")
            #expect(box.holder("web") == "me" && box.holder("api") == "other")
            try await person.run(
                "acquire job -s file://\(box.path("elsewhere")) -- sh -c 'echo $QQ_ID at $QQ_SERVER'", "at file://\(box.path("elsewhere"))")
            try await person.run("acquire job -- sh -c 'echo $QQ_ID at $QQ_SERVER'", "me at file://\(box.leases)")
            try await person.leave()
        }
    }

    @Test("a question can stay unanswered for longer than a lease, and leases are renewed until then")
    func question() async throws {
        try await inSandbox { box in
            #expect(
                try await box.run("acquire", "api", "--id", "other", "--ttl", "60s", environment: ["XDG_RUNTIME_DIR": box.path("home")])
                    .code == 0)
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web --ttl 2s", "acquired web")
            let token = box.read("leases/web.json").contains("\"token\": 1")
            try await person.terminal.enter("step-down api --force")
            try await person.terminal.expect("[y/N]")
            let asked = ContinuousClock.now
            try await waitUntil("longer than the lease lasts") { ContinuousClock.now - asked > .milliseconds(2500) }
            try await person.terminal.enter("y")
            try await person.terminal.expect("stepped down other from api")
            try await person.isBack()
            #expect(token && box.read("leases/web.json").contains("\"token\": 1") && !box.holder("web").isEmpty)
            #expect(try await !person.terminal.screen().contains("lost"))
            #expect(box.holder("api").isEmpty)
            try await person.leave()
        }
    }

    @Test("'fg' brings a background command to the foreground, and Ctrl-C ends it")
    func foreground() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("watch web &", "free")
            try await person.terminal.enter("fg 1")
            #expect(try await box.run("acquire", "web", "--id", "other").code == 0)
            try await person.terminal.expect("elected")
            #expect(try await !AtPrompt.last(person.terminal.screen()).hasPrefix("file"))
            try await person.terminal.press("C-c")
            try await person.terminal.expect("[1] ended with 0")
            try await person.isBack()
            try await person.run("jobs", "nothing runs in the background")
            try await person.leave()
        }
    }

    @Test("two commands that ask for one election do not lose each other's lease")
    func twice() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("web")
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web --wait &", "[1] acquire web --wait &")
            try await waitUntil("qq waits") { try waiters("web", in: box) == 1 }
            try await person.run("acquire web", "qq: this session waits for 'web' already")
            try await holder.terminate()
            try await person.terminal.expect("acquired web")
            try await person.terminal.wait(for: "web in the prompt") { AtPrompt.last($0).hasPrefix("file web ") }
            try await person.leave()
            #expect(box.holder("web").isEmpty)
        }
    }
}
