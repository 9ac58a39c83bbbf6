import Glibc
import Support
import Testing

@Suite("A guarded command in a session")
struct GuardedInSessionTests {
    @Test("a guarded command gets the session's terminal and gives it back")
    func terminal() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web", "acquired web")
            try await person.terminal.enter("acquire job -- sh -c 'echo asking; read answer; echo got $answer as $QQ_NAME; exit 3'")
            try await person.terminal.expectLine("asking")
            try await person.terminal.enter("an answer")
            try await person.terminal.expect("got an answer as job")
            try await person.isBack()
            try await person.run("leases", "web  for ")
            #expect(box.holder("job").isEmpty)
            try await person.leave()
        }
    }

    @Test("the session restores terminal settings that a guarded command has changed")
    func modes() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire job -- sh -c 'stty -echo -icanon -isig; kill -9 $$'", "file>")
            try await person.terminal.enter("acquire job -- cat")
            try await waitUntil("cat runs") { box.living.contains { $0.name == "cat" } }
            try await person.terminal.enter("shown twice")
            try await person.terminal.expect("shown twice\nshown twice")
            try await person.terminal.press("C-d")
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("while a guarded command has the terminal nothing else is printed; events follow afterwards")
    func quiet() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web", "acquired web")
            try await person.run("watch web --exec ': >seen' &", "[1]")
            try await person.terminal.enter("acquire job -- sh -c 'echo at work; read line; echo done''now'")
            try await person.terminal.expectLine("at work")
            #expect(try await box.run("release", "web").code == 0)
            try await waitUntil("the release is seen") { access(box.path("seen"), F_OK) == 0 }
            #expect(try await person.terminal.screen().hasSuffix("at work"))
            try await person.terminal.enter("")
            let screen = try await person.terminal.expect("web: lost: ")
            let lines = screen.split(separator: "\n").map { String($0) }
            let done = try #require(lines.firstIndex { $0.hasPrefix("donenow") })
            let lost = try #require(lines.firstIndex { $0.contains("web: lost") })
            #expect(done < lost, "\(screen)")
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("Ctrl-Z stops a guarded command and 'fg' continues it, and its lease is kept")
    func suspend() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            let often = "--ttl 3s --renew-every 300ms --kill-after 100ms"
            try await person.terminal.enter("acquire job \(often) -- sh -c 'echo at work; read line; echo got $line'")
            try await person.terminal.expectLine("at work")
            try await person.terminal.press("C-z")
            try await person.terminal.expect("[1] stopped: acquire job")
            try await person.isBack()
            try await person.run("jobs", "[1] stopped  ")
            let asked = ContinuousClock.now
            try await waitUntil("longer than the lease lasts") { ContinuousClock.now - asked > .milliseconds(3500) }
            #expect(!box.holder("job").isEmpty)
            try await person.terminal.enter("fg 1")
            try await person.terminal.type("a line")
            try await person.terminal.press("Enter")
            try await person.terminal.expect("got a line")
            try await person.isBack()
            try await person.run("jobs", "nothing runs in the background")
            try await person.leave()
        }
    }

    @Test("a background command that reads the terminal is stopped and reported")
    func readsBehind() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire job -- sh -c 'read line; echo got $line' &", "[1] stopped, it needs the terminal")
            try await person.terminal.enter("fg 1")
            try await person.terminal.enter("a line")
            try await person.terminal.expect("got a line")
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("a guarded command does not outlive a killed session", arguments: [false, true])
    func killed(isInBackground: Bool) async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            let command = "acquire job --ttl 30s -- \(Sandbox.stamp) \(box.path("stamps")) --child --daemon --ignore-term"
            try await person.terminal.enter(command + (isInBackground ? " &" : ""))
            _ = try await box.waitForTerms(1)
            kill(person.terminal.pid, SIGKILL)
            try await person.terminal.end()
            try await waitUntil("only the terminal is left") { box.living.allSatisfy { $0.name.hasPrefix("tmux") } }
            let next = try await box.run("acquire", "job", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "20")
            #expect(next.ending == .exited(0))
            #expect(box.stamps().violations.isEmpty)
        }
    }

    @Test("a guarded command does not get the session's credentials, and messages do not show them")
    func hidden() async throws {
        try await inSandbox { box in
            let secret = "nats://me:hunter2@127.0.0.1:1"
            let person = try await AtPrompt(in: box, prompt: "nats>", environment: ["QQ_SERVER": secret, "QQ_NATS_TOKEN": "token"])
            try await person.terminal.enter("acquire job -s \(box.server) -- sh -c 'env | grep -c -e hunter -e QQ_NATS -e LIFELINE'")
            try await person.terminal.expectLine("0")
            try await person.isBack()
            try await person.run("acquire job --timeout 200ms --retries 0 -- true", "qq: cannot")
            #expect(try await !person.terminal.screen().contains("hunter2"))
            try await person.leave()
        }
    }
}
