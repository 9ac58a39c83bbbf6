import Glibc
import Support
import Testing

@Suite("A guarded command at a terminal")
struct TerminalTests {
    private func qq(options: [String] = [], _ command: [String], in box: Sandbox) throws -> AtTerminal {
        try AtTerminal([Sandbox.binary, "acquire", "x"] + options + ["--"] + command, in: box)
    }

    @Test("a guarded command is the foreground group and reads what is typed")
    func foreground() async throws {
        try await inSandbox { box in
            let run = try qq(
                [
                    "sh", "-c",
                    "read -r pid name state parent group session tty foreground rest </proc/self/stat; [ $group = $foreground ] && echo in front; read line; echo got $line; exit 3",
                ], in: box)
            try await run.expect("in front")
            run.type("something\n")
            try await run.expect("got something")
            let ending = try await run.ending()
            #expect(ending == .exited(3))
        }
    }

    @Test("Ctrl-C ends the command, and the shell sees that qq was interrupted")
    func interrupt() async throws {
        try await inSandbox { box in
            let run = try qq(["sh", "-c", "echo ready; exec sleep 600"], in: box)
            try await run.expect("ready")
            run.type(Terminal.interrupt)
            let ending = try await run.ending()
            #expect(ending == .died(signal: SIGINT) || ending == .exited(130))
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test("a Ctrl-C that the command handles does not end qq")
    func interruptHandled() async throws {
        try await inSandbox { box in
            let run = try qq(["bash", "-c", "trap 'echo handled; exit 4' INT; echo ready; while :; do sleep 0.05; done"], in: box)
            try await run.expect("ready")
            run.type(Terminal.interrupt)
            try await run.expect("handled")
            let ending = try await run.ending()
            #expect(ending == .exited(4))
        }
    }

    @Test("Ctrl-C ends a waiting qq")
    func interruptWaiting() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            let run = try qq(options: ["--wait"], ["true"], in: box)
            try await waitUntil("qq waits") { try waiters("x", in: box) == 1 }
            run.type(Terminal.interrupt)
            let ending = try await run.ending()
            #expect(ending == .died(signal: SIGINT) || ending == .exited(130))
            try await holder.terminate()
        }
    }

    @Test("a change of the window's size reaches the command")
    func windowSize() async throws {
        try await inSandbox { box in
            let script = "trap 'stty size; echo changed' WINCH; trap exit INT; stty size; while :; do sleep 0.05; done"
            let run = try qq(["bash", "-c", script], in: box)
            try await run.expect("24 80")
            run.terminal.resize(rows: 40, columns: 132)
            try await run.expect("40 132")
            // While `stty` runs, bash might handle the interrupt itself.
            try await run.expect("changed")
            run.type(Terminal.interrupt)
            _ = try await run.ending()
        }
    }

    @Test("closing the terminal ends the command and the lease")
    func hangup() async throws {
        try await inSandbox { box in
            var run: AtTerminal? = try qq([Sandbox.stamp, box.path("stamps"), "--child"], in: box)
            let child = try #require(run?.child)
            _ = try await box.waitForTerms(1)
            run = nil
            let ending = try await child.wait()
            #expect(ending == .died(signal: SIGHUP) || ending == .exited(129))
            #expect(box.living.isEmpty)
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test("SIGKILL of the front process ends everything")
    func frontKilled() async throws {
        try await inSandbox { box in
            let run = try qq(
                options: ["--ttl", "30s"], [Sandbox.stamp, box.path("stamps"), "--child", "--daemon", "--ignore-term"], in: box)
            _ = try await box.waitForTerms(1)
            run.child.signal(SIGKILL)
            _ = try await run.ending()
            let next = try await box.run("acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "20")
            #expect(next.ending == .exited(0))
            #expect(box.stamps().violations.isEmpty)
            try await waitUntil("no process is left") { box.living.isEmpty }
        }
    }

    @Test("the front process reports a refusal, with its exit code")
    func refused() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            let run = try qq(options: ["-E", "9"], ["true"], in: box)
            try await run.expect("x is held by")
            let ending = try await run.ending()
            #expect(ending == .exited(9))
            try await holder.terminate()
        }
    }

    @Test("status prints a table at a terminal")
    func table() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--id", "me")
            let run = try AtTerminal([Sandbox.binary, "--color=never", "status", "x"], in: box)
            try await run.expect("ELECTION")
            try await run.expect("me (us)")
            _ = try await run.ending()
        }
    }

    @Test("step-down of another holder's lease asks first, and only y confirms")
    func confirmation() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--id", "me")
            for (answer, code) in [("n", Int32(77)), ("", 77), ("y", 0)] {
                let run = try AtTerminal(
                    [Sandbox.binary, "step-down", "x", "--force"], in: box, environment: ["XDG_RUNTIME_DIR": box.path("home")])
                try await run.expect("[y/N]")
                run.type(answer + "\n")
                let ending = try await run.ending()
                #expect(ending == .exited(code), "\(answer)")
            }
        }
    }
}
