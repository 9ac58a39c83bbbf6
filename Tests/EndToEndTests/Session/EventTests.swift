import Glibc
import Support
import Testing

@Suite("Events while a line is typed")
struct EventTests {
    /// The line with this text, and whether it begins with a time of day.
    private func line(_ text: String, on screen: String) -> (line: String, hasTime: Bool)? {
        guard let line = screen.split(separator: "\n").first(where: { $0.contains(text) }) else { return nil }
        let clock = line.split { $0 == " " || $0 == "T" }.first { $0.filter { $0 == ":" }.count == 2 }
        return (String(line), clock?.first?.isNumber == true)
    }

    @Test("an event appears above the line with its time, and the line can then be entered")
    func watched() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            let terminal = person.terminal
            try await person.run("watch web &", "[1] watch web &")
            try await terminal.expect("free")
            try await terminal.type("status we")
            try await terminal.expectLast("file> status we")
            #expect(try await box.run("acquire", "web", "--id", "other").code == 0)
            let elected = try await terminal.expect("elected")
            #expect(line("elected", on: elected)?.hasTime == true, "\(elected)")
            try await terminal.expectLast("file> status we")
            #expect(try await box.run("release", "web", "--id", "other").code == 0)
            try await terminal.expect("released")
            let screen = try await terminal.expectLast("file> status we")
            #expect(screen.components(of: "file> status we") == 1, "\(screen)")
            #expect(try await terminal.cursor.column == "file> status we".count)
            try await terminal.type("b")
            try await terminal.press("Enter")
            try await terminal.expect("ELECTION")
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("an event leaves the cursor in the middle of the line")
    func cursor() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            let terminal = person.terminal
            try await person.run("watch web &", "free")
            try await terminal.type("staus web")
            try await terminal.press("C-a", "Right", "Right", "Right")
            #expect(try await box.run("acquire", "web", "--id", "other").code == 0)
            try await terminal.expect("elected")
            try await terminal.type("t")
            try await terminal.expectLast("file> status web")
            try await terminal.press("Enter")
            try await terminal.expect("ELECTION")
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("an event leaves a line of several rows complete")
    func wrapped() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box, columns: 30)
            let terminal = person.terminal
            try await person.run("watch web &", "free")
            let line = "acquire an-election-that-needs-three-rows-on-a-narrow-terminal"
            try await terminal.type(line)
            try await terminal.expectLast("file> " + line)
            try await terminal.press("C-a", "Right")
            for turn in 1...3 {
                #expect(try await box.run("acquire", "web", "--id", "other\(turn)").code == 0)
                try await terminal.expect("other\(turn)")
                let screen = try await terminal.expectLast("file> " + line)
                #expect(screen.components(of: "an-election-that") == 1, "\(screen)")
                #expect(try await terminal.cursor.column == "file> a".count)
                #expect(try await box.run("release", "web").code == 0)
            }
            try await terminal.press("Enter")
            try await waitUntil("the line was read as it was typed") { !box.holder(String(line.dropFirst("acquire ".count))).isEmpty }
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("an event does not end a search in the history")
    func search() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            let terminal = person.terminal
            try await person.run("acquire web --ttl 6s", "acquired web")
            try await person.run("watch api &", "free")
            try await terminal.press("C-r")
            try await terminal.type("acq")
            try await terminal.expectLast("(reverse-i-search)`acq': acquire web --ttl 6s")
            #expect(try await box.run("acquire", "api", "--id", "other").code == 0)
            try await terminal.expect("elected")
            try await terminal.expectLast("(reverse-i-search)`acq': acquire web --ttl 6s")
            try await terminal.press("C-c")
            try await terminal.wait(for: "the prompt") { AtPrompt.last($0).hasPrefix("file web ") && AtPrompt.last($0).hasSuffix(">") }
            try await person.leave()
        }
    }

    @Test("a request to step down is reported, and followed")
    func stepDown() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web", "acquired web")
            try await person.terminal.type("stat")
            #expect(try await box.run("step-down", "web", "--force", "--yes", environment: ["XDG_RUNTIME_DIR": box.path("home")]).code == 0)
            let screen = try await person.terminal.expect("to step down; releasing it")
            #expect(line("to step down; releasing it", on: screen)?.hasTime == true, "\(screen)")
            try await person.terminal.expectLast("file> stat")
            #expect(box.holder("web").isEmpty)
            try await person.terminal.press("C-c")
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("a lease that another process overwrites is lost immediately")
    func lost() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web", "acquired web")
            try await person.terminal.type("status ")
            try ForeignWriterTests.write(ForeignWriterTests.goRecord("intruder"), to: box.leaseFile("web"))
            let screen = try await person.terminal.expect("web: lost: taken over by intruder")
            #expect(line("web: lost", on: screen)?.hasTime == true, "\(screen)")
            try await person.terminal.expectLast("file> status")
            try await person.terminal.type("web")
            try await person.terminal.press("Enter")
            try await person.terminal.expect("ELECTION")
            try await person.isBack()
            try await person.leave()
            #expect(box.holder("web") == "intruder")
        }
    }

    @Test("a lease taken over while the session was stopped is reported lost as soon as it continues")
    func stopped() async throws {
        try await inSandbox { box in
            // Not tmux's own child, which tmux would continue.
            let terminal = try await Tmux(["sh", "-c", "\(Sandbox.binary) repl; exit $?"], in: box)
            try await terminal.expectLast("file>")
            try await terminal.enter("acquire web --ttl 2s")
            try await terminal.expect("acquired web")
            let session = try await waitFor("the session") { box.living.first { $0.name == "qq" } }
            try await waitUntil("the session is stopped, but not while it changes the file") {
                kill(session.pid, SIGSTOP)
                while LivingProcess(session.pid)?.isStopped == false { usleep(100) }
                let file = open(box.leaseFile("web"), O_RDONLY | O_CLOEXEC)
                defer { close(file) }
                if flock(file, LOCK_EX | LOCK_NB) == 0 { return true }
                kill(session.pid, SIGCONT)
                return false
            }
            let other = try await box.run("acquire", "web", "--id", "other", "--ttl", "60s", "--wait")
            #expect(other.code == 0, "\(other.errors)")
            kill(session.pid, SIGCONT)
            try await terminal.expect("web: lost: ")
            try await terminal.expectLast("file>")
            try await terminal.enter("exit")
            #expect(try await terminal.end() == .exited(0))
            #expect(box.holder("web") == "other")
        }
    }
}
