import Glibc
import Support
import Testing

/// The progress line of a waiter, without the time, which changes.
private let turn = "x: held by n1, waiting for its turn"

@Suite("The progress line") struct ProgressTests {
    /// A command on a screen of its own, followed by its exit code.
    private func onScreen(
        _ line: String, in box: Sandbox, columns: Int = 80, environment: [String: String] = [:]
    ) async throws -> Tmux {
        // A shell that is not ended by a Ctrl-C for the command.
        try await Tmux(
            ["sh", "-c", "trap : INT; \(line); echo code $?; exec sleep 600"], in: box, columns: columns,
            environment: ["QQ": Sandbox.binary].merging(environment) { $1 })
    }

    /// Acquires `x` with the id n1.
    private func hold(in box: Sandbox) async throws { #expect(try await box.run("acquire", "x", "--id", "n1", "--ttl", "60s").code == 0) }

    private func letGo(in box: Sandbox) async throws { #expect(try await box.run("release", "x", "--id", "n1").code == 0) }

    @Test("the progress line of acquire --wait names the holder, and disappears on election") func elected() async throws {
        try await inSandbox { box in
            try await hold(in: box)
            let screen = try await onScreen("$QQ acquire x --wait --id me", in: box)
            try await screen.expect(turn)
            // The time changes.
            let first = try await screen.screen()
            try await screen.wait(for: "another time") { $0 != first && $0.contains(turn) }
            try await letGo(in: box)
            let shown = try await screen.expect("code 0").split(separator: "\n")
            #expect(shown.count == 3 && shown[0].hasPrefix("acquired x for 15s") && shown[1].hasPrefix("qq: renew it"), "\(shown)")
        }
    }

    @Test("Ctrl-C erases the progress line", arguments: ["", " -- true"]) func interrupted(command: String) async throws {
        try await inSandbox { box in
            try await hold(in: box)
            let screen = try await onScreen("$QQ acquire x --wait" + command, in: box)
            try await screen.expect(turn)
            try await screen.press("C-c")
            #expect(try await screen.expect("code 130") == "code 130")
        }
    }

    @Test("the progress line is erased before a guarded command starts") func guarded() async throws {
        try await inSandbox { box in
            try await hold(in: box)
            let screen = try await onScreen("$QQ acquire x --wait -- sh -c 'printf work; sleep 1.2; echo \" done\"'", in: box)
            try await screen.expect(turn)
            try await letGo(in: box)
            #expect(try await screen.expect("code 0") == "work done\ncode 0")
        }
    }

    @Test("the progress line is erased before a hook starts") func hooks() async throws {
        try await inSandbox { box in
            try await hold(in: box)
            let hook = "--on-elected 'printf hook; sleep 1.2; echo \" done\"'"
            let screen = try await onScreen("$QQ keepalive x --id me --json \(hook) >/dev/null", in: box)
            try await screen.expect(turn)
            try await letGo(in: box)
            #expect(try await screen.expect("hook done") == "hook done")
            try await screen.press("C-c")
            try await screen.expect("code 0")
        }
    }

    @Test("keepalive shows the progress line until it leads, and not afterwards") func keepalive() async throws {
        try await inSandbox { box in
            try await hold(in: box)
            let screen = try await onScreen("$QQ keepalive x --id me", in: box)
            try await screen.expect(turn)
            try await letGo(in: box)
            try await screen.expect("elected")
            try await Task.sleep(for: .milliseconds(800))
            let lines = try await screen.screen().split(separator: "\n")
            #expect(lines.last?.contains("elected  token") == true, "\(lines)")
            #expect(lines.dropLast().allSatisfy { $0.hasPrefix("20") && $0.contains("Z  x  waiting  token") }, "\(lines)")
            try await screen.press("C-c")
            try await screen.expect("code 0")
        }
    }

    @Test("the progress line shows that a silent server is asked, and is erased before the error") func silentServer() async throws {
        try await inSandbox { box in
            let url = "nats://127.0.0.1:\(try Socket.silence(in: box))"
            for words in [
                "status x --retries 0", "release x --id me --retries 0", "step-down x --node me --retries 0", "cluster-status",
                "keepalive x --once --id me --retries 0", "context test",
            ] {
                let screen = try await onScreen("$QQ \(words) -s \(url) --timeout 4s >/dev/null", in: box)
                try await screen.expect("asking \(url)")
                let shown = try await screen.expect("code 69")
                #expect(shown.hasPrefix("qq: ") && !shown.contains("asking"), "\(words): \(shown)")
            }
        }
    }

    @Test("the progress line shows a retry, below the message with the reason") func tryingAgain() async throws {
        try await inSandbox { box in
            let url = "nats://127.0.0.1:\(try Socket.silence(in: box))"
            let screen = try await onScreen("$QQ status x -s \(url) --timeout 2s --retries 1 --backoff 2s..3s", in: box)
            let shown = try await screen.expect("trying again at \(url)").split(separator: "\n")
            #expect(shown.count == 2 && shown[0].hasPrefix("qq: ") && shown[0].contains("trying again in"), "\(shown)")
            let end = try await screen.expect("code 69")
            #expect(!end.contains("trying again at"), "\(end)")
        }
    }

    @Test("a signal that ends a command erases the progress line first", arguments: ["INT", "TERM", "HUP", "QUIT"])
    func signals(name: String) async throws {
        try await inSandbox { box in
            let url = "nats://127.0.0.1:\(try Socket.silence(in: box))"
            let at = try AtTerminal(
                ["sh", "-c", "ulimit -c 0; exec $QQ status x -s \(url) --timeout 20s"], in: box, environment: ["QQ": Sandbox.binary])
            try await at.expect("asking \(url)")
            at.child.signal(["INT": SIGINT, "TERM": SIGTERM, "HUP": SIGHUP, "QUIT": SIGQUIT][name] ?? SIGTERM)
            _ = try await at.ending()
            #expect(at.screen.hasSuffix("\r\u{1b}[K"), "\(at.screen.debugDescription)")
        }
    }

    @Test("Ctrl-Z erases the progress line and fg brings it back; with & it is never shown") func shell() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x", "--id", "n1")
            let screen = try await Tmux(
                ["bash", "--norc", "--noprofile", "-i"], in: box, environment: ["PS1": "ready> ", "QQ": Sandbox.binary])
            try await screen.expectLast("ready>")
            try await screen.enter("$QQ acquire x --wait")
            try await screen.expect(turn)
            try await screen.press("C-z")
            try await screen.expect("Stopped")
            #expect(try await !screen.expectLast("ready>").contains(turn))
            try await screen.enter("fg")
            try await screen.expect(turn)
            try await screen.press("C-c")
            #expect(try await !screen.expectLast("ready>").contains(turn))
            try await screen.enter("$QQ acquire x --wait &")
            try await waitUntil("qq waits") { try waiters("x", in: box) == 1 }
            try await Task.sleep(for: .milliseconds(900))
            #expect(try await !screen.screen(isWhole: true).contains(turn))
            try await screen.enter("kill %1; wait; exit")
            try await screen.end()
            try await holder.terminate()
        }
    }

    @Test("a question replaces the progress line") func question() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            #expect(try await box.run("acquire", "x", "--id", "n1", "--ttl", "60s", "-s", server.url).code == 0)
            proxy.conditions.delay = .milliseconds(300)
            let url = "nats://127.0.0.1:\(proxy.port)"
            let screen = try await onScreen("$QQ step-down x --force --id me -s \(url)", in: box)
            try await screen.expect("asking \(url)")
            let question = "Make n1 step down from x? This ends its work. [y/N]"
            #expect(try await screen.expect(question) == question)
            // No progress line replaces the question while it waits for an answer.
            try await Task.sleep(for: .milliseconds(900))
            #expect(try await screen.expect(question) == question)
            try await screen.enter("y")
            let shown = try await screen.expect("code 0")
            #expect(shown == "\(question) y\nstepped down n1 from x\ncode 0")
        }
    }

    @Test("the progress line never wraps, however narrow the terminal") func narrow() async throws {
        try await inSandbox { box in
            try await hold(in: box)
            let screen = try await onScreen("$QQ acquire x --wait", in: box, columns: 20)
            try await screen.expect("x: held ")
            for _ in 0..<20 { #expect(try await screen.screen().split(separator: "\n").count == 1) }
            try await screen.press("C-c")
            #expect(try await screen.expect("code 130") == "code 130")
        }
    }

    @Test("in a session the progress line appears in the foreground, and never at the prompt") func session() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x", "--id", "n1")
            let screen = try await Tmux([Sandbox.binary], in: box)
            try await screen.expect("file>")
            try await screen.enter("acquire x --wait &")
            try await waitUntil("qq waits") { try waiters("x", in: box) == 1 }
            try await Task.sleep(for: .milliseconds(900))
            #expect(try await !screen.screen().contains(turn))
            try await screen.enter("stop 1")
            try await screen.expect("[1] ended")
            try await screen.enter("acquire x --wait")
            try await screen.expect(turn)
            try await screen.press("C-c")
            #expect(try await !screen.expectLast("file>").contains(turn))
            try await screen.press("C-d")
            try await screen.end()
            try await holder.terminate()
        }
    }
}

@Suite("When there is no progress line, or a plain one") struct NoProgressTests {
    /// Every update of the progress line ends with this.
    private let mark = "\u{1b}[K"

    private func slow(in box: Sandbox) throws -> [String] {
        let url = "nats://127.0.0.1:\(try Socket.silence(in: box))"
        return [Sandbox.binary, "status", "x", "-s", url, "--timeout", "1s", "--retries", "0"]
    }

    @Test(
        "there is no progress line with --quiet, on a dumb terminal and without TERM",
        arguments: [([], ["TERM": "dumb"]), ([], ["TERM": ""]), (["--quiet"], ["TERM": "xterm"])] as [([String], [String: String])])
    func turnedOff(flags: [String], environment: [String: String]) async throws {
        try await inSandbox { box in
            let run = try AtTerminal(slow(in: box) + flags, in: box, environment: environment)
            #expect(try await run.ending() == .exited(69))
            #expect(!run.screen.contains(mark) && !run.screen.contains("asking"), "\(run.screen.debugDescription)")
            #expect(run.screen.contains("cannot read x"))
        }
    }

    @Test("there is no progress line in a pipe or a file, even if stdout is a terminal") func piped() async throws {
        try await inSandbox { box in
            let run = try await box.start(slow(in: box)).finish()
            #expect(run.code == 69 && run.errors.hasPrefix("qq: cannot read x") && !run.errors.contains(mark), "\(run.errors)")
            let words = try slow(in: box).joined(separator: " ")
            let terminal = try AtTerminal(["sh", "-c", "\(words) 2>errors"], in: box)
            #expect(try await terminal.ending() == .exited(69))
            #expect(terminal.screen.isEmpty && !box.read("errors").contains(mark), "\(terminal.screen.debugDescription)")
        }
    }

    @Test(
        "there is no progress line for a command that ends quickly",
        arguments: [["status", "x"], ["acquire", "x"], ["cluster-status"], ["acquire", "x", "--", "true"]])
    func fast(words: [String]) async throws {
        try await inSandbox { box in
            // A busy machine can take the half of a second after which the line appears.
            for _ in 0..<10 {
                let began = ContinuousClock.now
                let run = try AtTerminal([Sandbox.binary] + words, in: box)
                _ = try await run.ending()
                guard ContinuousClock.now - began < .milliseconds(450) else { continue }
                #expect(!run.screen.contains(mark), "\(run.screen.debugDescription)")
                return
            }
        }
    }

    @Test(
        "the progress line is plain if colours are turned off",
        arguments: [(["--color=never"], [:]), ([], ["NO_COLOR": "1"])] as [([String], [String: String])])
    func colors(flags: [String], environment: [String: String]) async throws {
        try await inSandbox { box in
            let plain = try AtTerminal(slow(in: box) + flags, in: box, environment: environment)
            try await plain.expect("asking nats://")
            #expect(try await plain.ending() == .exited(69))
            #expect(!plain.screen.contains("\u{1b}[2m") && !plain.screen.contains("\u{1b}[1"), "\(plain.screen.debugDescription)")
            #expect(plain.screen.contains("qq: cannot read x"))
        }
    }

    @Test("the progress line and the name of an error are coloured by default") func colored() async throws {
        try await inSandbox { box in
            let run = try AtTerminal(slow(in: box), in: box)
            #expect(try await run.ending() == .exited(69))
            #expect(
                run.screen.contains("\u{1b}[2m") && run.screen.contains("\u{1b}[1;31mqq:\u{1b}[0m cannot read x"),
                "\(run.screen.debugDescription)")
        }
    }

    @Test("the progress line is ASCII where other characters are missing", arguments: [["LC_ALL": "C"], ["TERM": "linux"]]) func plain(
        environment: [String: String]
    ) async throws {
        try await inSandbox { box in
            let run = try AtTerminal(slow(in: box), in: box, environment: environment)
            _ = try await run.ending()
            #expect(run.screen.contains("\rasking") == false && run.screen.contains(" asking nats://"))
            #expect(run.screen.utf8.allSatisfy { $0 < 0x80 }, "\(run.screen.debugDescription)")
        }
    }

    @Test("a message from the background does not stop qq, even with stty tostop") func writesFromBehind() async throws {
        try await inSandbox { box in
            let closed = try Proxy(to: 1, in: box)
            closed.refuse()
            let line = "stty tostop; $QQ acquire x -s nats://127.0.0.1:\(closed.port) --retries 2 -- true; echo code $?"
            let run = try AtTerminal(["bash", "-c", line], in: box, environment: ["QQ": Sandbox.binary])
            try await run.expect("trying again")
            try await run.expect("code 69")
            _ = try await run.ending()
        }
    }
}

extension Socket {
    /// A port that accepts connections and never sends a byte.
    static func silence(in box: Sandbox) throws -> UInt16 {
        let descriptor = try bind()
        guard listen(descriptor, 64) == 0 else { throw SocketError("listen", code: errno) }
        box.atClose { close(descriptor) }
        return port(of: descriptor)
    }
}
