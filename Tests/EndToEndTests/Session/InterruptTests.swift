import Glibc
import Support
import Testing

@Suite("Ctrl-C in a session")
struct InterruptTests {
    @Test("Ctrl-C drops the typed line and prompts on the next one")
    func line() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            let terminal = person.terminal
            try await terminal.type("acquire web")
            // The kernel drops what has not been read when Ctrl-C comes.
            try await terminal.expectLast("file> acquire web")
            try await terminal.press("C-a", "C-c")
            try await terminal.wait(for: "a new prompt") { $0 == "file> acquire web^C\nfile>" }
            try await terminal.press("C-c")
            try await terminal.wait(for: "another one") { $0 == "file> acquire web^C\nfile> ^C\nfile>" }
            try await person.run("leases", "this session holds nothing")
            try await terminal.press("Up")
            try await terminal.expectLast("file> leases")
            try await terminal.press("C-c")
            try await person.leave()
            #expect(box.holder("web").isEmpty)
        }
    }

    @Test("Ctrl-C ends 'watch' but not the session")
    func watch() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire api", "acquired api")
            try await person.terminal.enter("watch web")
            try await person.terminal.wait(for: "the watch") { $0.contains("web") && !AtPrompt.last($0).hasPrefix("file") }
            try await person.terminal.press("C-c")
            try await person.terminal.wait(for: "the prompt") { AtPrompt.last($0).hasPrefix("file api ") && $0.hasSuffix(">") }
            try await person.run("release api", "released api")
            try await person.leave()
        }
    }

    @Test("Ctrl-C ends the wait for an election and leaves the queue")
    func waiting() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("web")
            let person = try await AtPrompt(in: box)
            try await person.terminal.enter("acquire web --wait")
            try await waitUntil("qq waits") { try waiters("web", in: box) == 1 }
            try await person.terminal.press("C-c")
            try await person.terminal.expectLast("file>")
            try await waitUntil("no process waits") { try waiters("web", in: box) == 0 }
            try await holder.terminate()
            try await person.run("status web", "nobody")
            try await person.leave()
            #expect(box.holder("web").isEmpty)
        }
    }

    @Test("Ctrl-C goes to a guarded command that has the terminal")
    func guarded() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web", "acquired web")
            try await person.terminal.enter("acquire job -- sh -c 'echo at work; exec sleep 600'")
            try await person.terminal.expectLine("at work")
            try await person.terminal.press("C-c")
            try await person.terminal.wait(for: "a prompt on a line of its own") { AtPrompt.last($0).hasPrefix("file web ") }
            try await waitUntil("the command has ended") { !box.living.contains { $0.name == "sleep" } }
            #expect(box.holder("job").isEmpty && !box.holder("web").isEmpty)
            try await person.leave()
        }
    }

    @Test("Ctrl-C answers no to leaving, and Ctrl-Z does not stop renewals")
    func others() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            let terminal = person.terminal
            try await person.run("acquire web --ttl 2s", "acquired web")
            try await terminal.press("C-z")
            try await terminal.type("leases")
            try await terminal.press("Enter")
            try await terminal.expect("web  for ")
            try await person.isBack()
            try await person.run("acquire job -- sleep 600 &", "[1]")
            try await waitUntil("the command runs") { box.living.contains { $0.name == "sleep" } }
            try await terminal.press("C-d")
            try await terminal.expect("and leave? [y/N]")
            // The question can stay open: leases are renewed.
            let asked = ContinuousClock.now
            try await waitUntil("longer than the lease lasts") { ContinuousClock.now - asked > .milliseconds(2500) }
            try await terminal.press("C-c")
            try await terminal.wait(for: "the prompt") { AtPrompt.last($0).hasPrefix("file web ") && $0.hasSuffix(">") }
            try await person.run("stop 1", "[1] ended with 143")
            #expect(!box.holder("web").isEmpty)
            try await person.leave()
        }
    }
}
