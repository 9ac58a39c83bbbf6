import Glibc
import Support
import Testing

@Suite("Leaving a session")
struct LeavingTests {
    @Test("Ctrl-D releases all leases and says so")
    func endOfInput() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web", "acquired web")
            try await person.run("acquire api", "acquired api")
            try await person.terminal.press("C-d")
            #expect(try await person.terminal.end() == .exited(0))
            let screen = try await person.terminal.screen()
            #expect(screen.contains("web: released") && screen.contains("api: released"), "\(screen)")
            // Not on the line of the prompt.
            #expect(screen.split(separator: "\n").filter { $0.contains("released") }.allSatisfy { $0.first?.isNumber == true }, "\(screen)")
            #expect(box.holder("web").isEmpty && box.holder("api").isEmpty)
        }
    }

    @Test("'exit' releases all leases, and Ctrl-D in the middle of a line does not leave")
    func exit() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web", "acquired web")
            try await person.terminal.type("exit")
            try await person.terminal.press("C-a", "C-d")
            try await person.terminal.wait(for: "a letter less") { AtPrompt.last($0).hasSuffix("> xit") }
            try await person.terminal.type("e")
            try await person.terminal.press("Enter")
            #expect(try await person.terminal.end() == .exited(0))
            #expect(try await person.terminal.screen().contains("web: released"))
            #expect(box.holder("web").isEmpty)
        }
    }

    @Test("leaving while a guarded command runs needs a confirmation: n stays, y leaves")
    func asked() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire job -- sleep 600 &", "[1]")
            try await waitUntil("the command runs") { box.living.contains { $0.name == "sleep" } }
            try await person.terminal.enter("exit")
            try await person.terminal.expect("End acquire job -- sleep 600 & and leave? [y/N]")
            try await person.terminal.enter("n")
            try await person.terminal.expectLast("file>")
            #expect(box.living.contains { $0.name == "sleep" })
            try await person.terminal.enter("exit")
            try await person.terminal.wait(for: "the second question") { $0.components(of: "[y/N]") == 2 }
            try await person.terminal.enter("y")
            #expect(try await person.terminal.end() == .exited(0))
            #expect(!box.living.contains { $0.name == "sleep" })
            #expect(box.holder("job").isEmpty)
        }
    }

    @Test("a signal releases all leases, even while a line is typed", arguments: [SIGTERM, SIGHUP])
    func signals(number: CInt) async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web", "acquired web")
            try await person.run("acquire job -- sleep 600 &", "[1]")
            try await waitUntil("the command runs") { box.living.contains { $0.name == "sleep" } }
            try await person.terminal.type("status half-")
            try await person.terminal.expect("half-")
            kill(person.terminal.pid, number)
            #expect(try await person.terminal.end() == .exited(128 + number))
            let screen = try await person.terminal.screen()
            #expect(screen.split(separator: "\n").contains { $0.hasSuffix("web: released") && !$0.contains("half-") }, "\(screen)")
            #expect(box.holder("web").isEmpty && box.holder("job").isEmpty)
            #expect(!box.living.contains { $0.name == "sleep" })
        }
    }

    @Test("a signal ends a command in the foreground first, then the session")
    func signalWhileWaiting() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("web")
            let runs: [(String, (Tmux) async throws -> Void)] = [
                ("acquire web --wait", { _ in try await waitUntil("qq waits") { try waiters("web", in: box) == 1 } }),
                ("watch web", { terminal in try await terminal.wait(for: "the watch") { !AtPrompt.last($0).hasPrefix("file") } }),
                ("acquire job -- cat", { _ in try await waitUntil("cat runs") { box.living.contains { $0.name == "cat" } } }),
            ]
            for (line, isRunning) in runs {
                let person = try await AtPrompt(in: box)
                try await person.run("acquire api", "acquired api")
                try await person.terminal.enter(line)
                try await isRunning(person.terminal)
                kill(person.terminal.pid, SIGTERM)
                #expect(try await person.terminal.end() == .exited(143), "\(line)")
                #expect(box.holder("api").isEmpty, "\(line)")
            }
            try await holder.terminate()
        }
    }

    @Test(
        "every way of leaving but SIGKILL restores the terminal, which stays usable even then",
        arguments: ["exit", "C-d", "TERM", "HUP", "KILL"])
    func modes(way: String) async throws {
        try await inSandbox { box in
            let terminal = try await Tmux(
                ["bash", "--norc", "--noprofile", "-i"], in: box, environment: ["PS1": "shell>", "QQ": Sandbox.binary])
            try await terminal.expectLast("shell>")
            try await terminal.enter("stty -a >before; $QQ repl; echo code $?; stty -a >after; echo done''now")
            try await terminal.expectLast("file>")
            try await terminal.enter("acquire web")
            try await terminal.expect("acquired web")
            let typed = way == "exit" ? "exit" : "half"
            try await terminal.type(typed)
            // Input that qq has not read would go to the shell.
            try await terminal.wait(for: "what was typed") { AtPrompt.last($0).hasSuffix("> " + typed) }
            switch way {
            case "exit": try await terminal.press("Enter")
            case "C-d": try await terminal.press("C-u", "C-d")
            default:
                let session = try await waitFor("the session") { box.living.first { $0.name == "qq" } }
                kill(session.pid, ["TERM": SIGTERM, "HUP": SIGHUP, "KILL": SIGKILL][way] ?? SIGTERM)
            }
            try await terminal.expect("donenow")
            // A killed session cannot restore the terminal; the shell does.
            if way != "KILL" { #expect(!box.read("before").isEmpty && box.read("before") == box.read("after")) }
            try await terminal.enter("echo usable''again")
            try await terminal.expect("usableagain")
            try await terminal.enter("exit")
            try await terminal.end()
        }
    }

    @Test("closing the window releases all leases")
    func closed() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web", "acquired web")
            try await person.run("acquire job -- sleep 600 &", "[1]")
            try await waitUntil("the command runs") { box.living.contains { $0.name == "sleep" } }
            try await person.terminal.close()
            try await waitUntil("all leases are released") { box.holder("web").isEmpty && box.holder("job").isEmpty && box.living.isEmpty }
        }
    }

    @Test("a session started in the background leaves the terminal alone until it is in the foreground")
    func behind() async throws {
        try await inSandbox { box in
            let shell = try await Tmux(
                ["bash", "--norc", "--noprofile", "-i"], in: box, environment: ["PS1": "shell>", "QQ": Sandbox.binary])
            try await shell.expectLast("shell>")
            try await shell.enter("$QQ repl &")
            try await waitUntil("qq is stopped") { box.living.contains { $0.name == "qq" && $0.isStopped } }
            try await shell.enter("echo still''here")
            try await shell.expectLine("stillhere")
            try await shell.enter("fg")
            try await shell.expectLast("file>")
            try await shell.enter("exit")
            try await shell.expectLast("shell>")
            try await shell.enter("exit")
            try await shell.end()
        }
    }

    @Test("Ctrl-C ends the wait for a server that does not answer, and leaves the lease to expire")
    func unreachable() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("acquire web --ttl 60s", "acquired web")
            let file = open(box.leaseFile("web"), O_RDONLY | O_CLOEXEC)
            defer { close(file) }
            try await waitUntil("the lock") { flock(file, LOCK_EX | LOCK_NB) == 0 }
            try await person.terminal.press("C-d")
            try await person.terminal.expect("still releasing web")
            try await person.terminal.press("C-c")
            #expect(try await person.terminal.end(within: .seconds(90)) == .exited(0))
            #expect(try await person.terminal.screen().contains("web: left to expire"))
        }
    }
}
