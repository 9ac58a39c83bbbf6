import Glibc
import Support
import Testing

@Suite("Notification of the service manager") struct NotificationTests {
    private func listener(in box: Sandbox) throws -> NotifyListener { try NotifyListener(box.path("notify")) }

    /// Waits for a line of a message that begins with this text.
    @discardableResult
    private func wait(for text: String, from listener: NotifyListener, _ run: Started) async throws -> String {
        try await waitFor("\(text) in \(listener.lines), \(run.errors)") { listener.lines.first { $0.hasPrefix(text) } }
    }

    @Test("keepalive is ready once it leads, shows since when, and reports its end") func keepalive() async throws {
        try await inSandbox { box in
            let listener = try listener(in: box)
            let run = try box.qq("keepalive", "x", environment: ["NOTIFY_SOCKET": listener.address])
            try await wait(for: "STATUS=leading x since 20", from: listener, run)
            #expect(listener.lines.contains("READY=1"))
            #expect(!listener.lines.contains("STOPPING=1"))
            try await run.terminate()
            #expect(listener.lines.contains("STOPPING=1") && listener.lines.contains("STATUS=releasing x"), "\(listener.lines)")
            #expect(listener.lines.count { $0 == "READY=1" } == 1 && listener.lines.count { $0 == "STOPPING=1" } == 1)
            #expect(listener.lines.last?.hasPrefix("STATUS=released x at ") == true, "\(listener.lines)")
        }
    }

    @Test("a standby is ready while it waits, and shows the holder", arguments: [["keepalive", "x"], ["acquire", "x", "--wait"]])
    func standby(words: [String]) async throws {
        let command = words[0] == "acquire" ? ["--", "true"] : []
        try await inSandbox { box in
            let holder = try await box.hold("x", "--id", "first")
            let listener = try listener(in: box)
            let run = try box.start(
                [Sandbox.binary] + words + ["--id", "second"] + command, environment: ["NOTIFY_SOCKET": listener.address])
            try await wait(for: "STATUS=waiting for x, held by first since 20", from: listener, run)
            #expect(listener.lines.contains("READY=1"))
            try await holder.terminate()
            try await wait(for: "STATUS=leading x since 20", from: listener, run)
            if words[0] == "keepalive" { run.child.signal(SIGTERM) }
            #expect(try await run.finish().code == 0)
        }
    }

    @Test("several elections are counted") func several() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("b")
            let listener = try listener(in: box)
            let run = try box.qq("keepalive", "a", "b", "c", environment: ["NOTIFY_SOCKET": listener.address])
            try await wait(for: "STATUS=leading 2 of 3 elections, waiting for 1", from: listener, run)
            try await waitUntil("READY=1") { listener.lines.contains("READY=1") }
            try await holder.terminate()
            try await wait(for: "STATUS=leading 3 of 3 elections", from: listener, run)
            try await run.terminate()
        }
    }

    @Test("neither the command nor hooks get the variables, and the command's end is reported") func variables() async throws {
        try await inSandbox { box in
            let listener = try listener(in: box)
            let print = "env >>\(box.path("seen"))"
            let run = try await box.run(
                "acquire", "x", "--wait", "--on-elected", print, "--on-lost", print, "--", "sh", "-c", print,
                environment: ["NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "60000000"])
            #expect(run.code == 0, "\(run.errors)")
            let seen = box.read("seen")
            #expect(seen.split(separator: "\n").count { $0.hasPrefix("QQ_EVENT=") } == 3)
            #expect(!seen.contains("NOTIFY_SOCKET") && !seen.contains("WATCHDOG_"))
            let lines = listener.lines
            #expect(lines.contains("READY=1") && lines.contains("WATCHDOG=1"), "\(lines)")
            #expect(lines.contains { $0.hasPrefix("STATUS=leading x since ") } && lines.contains("STOPPING=1"), "\(lines)")
        }
    }

    @Test("--notify=command passes the variables to the command alone, and leaves readiness to it") func command() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x", "--id", "first")
            let listener = try listener(in: box)
            let run = try box.start(
                [
                    Sandbox.binary, "acquire", "x", "--wait", "--notify=command", "--on-elected", "env >\(box.path("hook"))", "--", "sh",
                    "-c",
                    "env >\(box.path("seen")); echo started; exec sleep 600",
                ],
                environment: ["NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"])
            try await wait(for: "STATUS=waiting for x, held by first", from: listener, run)
            try await holder.terminate()
            try await waitUntil("the command runs: \(run.errors)") { run.output.contains("started") }
            let seen = box.read("seen").split(separator: "\n")
            #expect(seen.contains("NOTIFY_SOCKET=\(listener.address)") && seen.contains("WATCHDOG_USEC=20000"))
            #expect(!seen.contains { $0.hasPrefix("WATCHDOG_PID=") })
            #expect(box.read("hook").contains("QQ_EVENT=elected") && !box.read("hook").contains("NOTIFY_SOCKET"))
            try await run.terminate()
            let lines = listener.lines
            #expect(lines.allSatisfy { $0.hasPrefix("STATUS=") }, "\(lines)")
            #expect(lines.last?.hasPrefix("STATUS=leading x since ") == true, "\(lines)")
        }
    }

    // MARK: A service of which qq is not the main process

    @Test(
        "a script of a service runs qq: nothing is sent, and the command and hooks see the variables",
        arguments: [[], ["--notify=command"]])
    func foreign(flags: [String]) async throws {
        try await inSandbox { box in
            let listener = try listener(in: box)
            let print = "env >>\(box.path("seen"))"
            let given = [
                "NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1", "SYSTEMD_EXEC_PID": "1",
            ]
            let run = try await box.start(
                [Sandbox.binary, "acquire", "x", "--on-elected", print] + flags + ["--", "sh", "-c", print], environment: given
            ).finish()
            #expect(run.code == 0, "\(run.errors)")
            #expect(listener.messages.isEmpty, "\(listener.messages)")
            let seen = box.read("seen").split(separator: "\n").map(String.init)
            for (name, value) in given { #expect(seen.count { $0 == "\(name)=\(value)" } == 2, "\(name): \(seen)") }
        }
    }

    @Test("the process that systemd started reports, as SYSTEMD_EXEC_PID names it") func named() async throws {
        try await inSandbox { box in
            let listener = try listener(in: box)
            let run = try await box.start(
                ["sh", "-c", "SYSTEMD_EXEC_PID=$$ exec \"$0\" acquire x -- printenv NOTIFY_SOCKET", Sandbox.binary],
                environment: ["NOTIFY_SOCKET": listener.address]
            ).finish()
            #expect(run.code == 1 && run.output.isEmpty, "\(run.text) \(run.errors)")
            #expect(listener.lines.contains("READY=1") && listener.lines.contains("STOPPING=1"), "\(listener.lines)")
        }
    }

    @Test("acquire without a command does not report") func withoutCommand() async throws {
        try await inSandbox { box in
            let listener = try listener(in: box)
            let run = try await box.run("acquire", "x", environment: ["NOTIFY_SOCKET": listener.address])
            #expect(run.code == 0, "\(run.errors)")
            #expect(listener.messages.isEmpty, "\(listener.messages)")
            #expect(try await box.run("release", "x").code == 0)
        }
    }

    @Test("lines of a script for qq do not report, and their commands see the variables") func session() async throws {
        try await inSandbox { box in
            let listener = try listener(in: box)
            try box.write("acquire x\nrelease x\nacquire x -- printenv NOTIFY_SOCKET\n", to: "script")
            let run = try await box.run("repl", "-f", box.path("script"), environment: ["NOTIFY_SOCKET": listener.address])
            #expect(run.code == 0, "\(run.errors)")
            #expect(run.lines.last == listener.address, "\(run.text)")
            #expect(listener.messages.isEmpty, "\(listener.messages)")
        }
    }

    @Test("a contender that is refused does not become ready") func refused() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            let listener = try listener(in: box)
            let run = try await box.run("acquire", "x", "--", "true", environment: ["NOTIFY_SOCKET": listener.address])
            #expect(run.code == 1)
            #expect(!listener.lines.contains("READY=1"), "\(listener.lines)")
            try await holder.terminate()
        }
    }

    @Test("an abstract socket gets the messages") func abstract() async throws {
        try await inSandbox { box in
            let listener = try NotifyListener("@qq" + box.folder)
            let run = try box.qq("keepalive", "x", environment: ["NOTIFY_SOCKET": listener.address])
            try await wait(for: "READY=1", from: listener, run)
            try await run.terminate()
        }
    }

    // MARK: The watchdog

    /// A keepalive that is watched, with its socket.
    private func watched(_ name: String, in box: Sandbox) async throws -> (Started, NotifyListener) {
        let listener = try NotifyListener(box.path("notify-\(name)"))
        let run = try box.qq("keepalive", name, environment: ["NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "100000"])
        try await waitUntil("\(name) beats: \(listener.lines) \(run.errors)") { listener.lines.count { $0 == "WATCHDOG=1" } >= 3 }
        return (run, listener)
    }

    @Test("a stopped process is silent, and goes on when it is continued") func stopped() async throws {
        try await inSandbox { box in
            let (first, one) = try await watched("x", in: box)
            let (second, two) = try await watched("y", in: box)
            try await box.stop(first, holding: "x")
            let (before, others) = (one.lines.count, two.lines.count)
            try await waitUntil("the other process beats") { two.lines.count >= others + 20 }
            #expect(one.lines.count == before)
            first.child.signal(SIGCONT)
            try await waitUntil("it beats again") { one.lines.count >= before + 3 }
            for run in [first, second] { try await run.terminate() }
        }
    }

    @Test("a waiter and a guarded run answer the watchdog") func guarded() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            let listener = try listener(in: box)
            let run = try box.qq(
                "acquire", "x", "--wait", "--", "sh", "-c", "echo started; exec sleep 600",
                environment: ["NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "100000"])
            func beats() -> Int { listener.lines.count { $0 == "WATCHDOG=1" } }
            try await waitUntil("the waiter beats: \(run.errors)") { listener.lines.contains("READY=1") && beats() >= 3 }
            try await holder.terminate()
            try await waitUntil("the command runs: \(run.errors)") { run.output.contains("started") }
            let before = beats()
            try await waitUntil("the holder beats") { beats() >= before + 3 }
            try await run.terminate()
        }
    }

    // MARK: A manager that does not read

    @Test("a full socket does not delay renewals, and gets the messages once it is read") func full() async throws {
        try await inSandbox { box in
            let listener = try listener(in: box)
            try listener.fill()
            let run = try box.qq(
                "keepalive", "x", "--ttl", "2s", environment: ["NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "20000"])
            try await waitUntil("it leads: \(run.errors)") { run.output.contains("elected") }
            #expect(try await box.outlivesItsDeadline("x"))
            #expect(!listener.messages.isEmpty && listener.messages.prefix(10).allSatisfy { $0 == "FILL=1" })
            try await wait(for: "READY=1", from: listener, run)
            try await wait(for: "STATUS=leading x since ", from: listener, run)
            try await run.terminate()
        }
    }

    @Test("a socket that is gone is reported once, and with -v only", arguments: [true, false]) func missing(verbose: Bool) async throws {
        try await inSandbox { box in
            let run = try await box.start(
                [Sandbox.binary, "acquire", "x"] + (verbose ? ["-v"] : []) + ["--", "true"],
                environment: ["NOTIFY_SOCKET": box.path("nothing"), "WATCHDOG_USEC": "20000"]
            ).finish()
            #expect(run.code == 0)
            let notes = run.errors.split(separator: "\n").count { $0.contains("cannot notify the service manager: No such file") }
            #expect(notes == (verbose ? 1 : 0), "\(run.errors)")
        }
    }
}
