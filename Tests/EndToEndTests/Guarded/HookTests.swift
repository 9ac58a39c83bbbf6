import Glibc
import Support
import Testing

@Suite("Hooks of a guarded command")
struct HookTests {
    @Test("hooks run before and after the command, one after the other, in the order given")
    func order() async throws {
        try await inSandbox { box in
            let run = try await box.run(
                "acquire", "x", "--on-elected", "echo up1 >>log", "--on-elected", "sleep 0.05; echo up2 >>log", "--on-change",
                "echo change $QQ_EVENT >>log", "--on-lost", "echo down >>log", "--", "sh", "-c", "echo work >>log; exit 3")
            #expect(run.ending == .exited(3))
            #expect(box.read("log") == "up1\nup2\nchange elected\nwork\ndown\nchange released\n")
        }
    }

    @Test("hooks have the lease in their environment, and it is held while they run")
    func environment() async throws {
        try await inSandbox { box in
            let command = "echo $QQ_NAME $QQ_ID $QQ_TOKEN $QQ_SERVER $QQ_TTL $QQ_EVENT $QQ_LEADER"
            let run = try await box.run(
                "acquire", "x", "--id", "me", "--on-elected", command + " >>log", "--on-lost",
                command + " >>log; \(Sandbox.binary) status x >>log",
                "--", "true")
            #expect(run.ending == .exited(0))
            let lines = box.read("log").split(separator: "\n").map(String.init)
            #expect(lines.prefix(2) == ["x me 1 \(box.server) 15 elected me", "x me 1 \(box.server) 15 released me"])
            #expect(lines.last?.hasPrefix("x\theld\tme\t1\t") == true)
        }
    }

    @Test("failing hooks are reported, and change nothing else")
    func failure() async throws {
        try await inSandbox { box in
            let run = try await box.run(
                "acquire", "x", "--on-elected", "exit 9", "--on-lost", "kill -TERM $$", "--", "sh", "-c", "echo work; exit 4")
            #expect(run.ending == .exited(4))
            #expect(run.text == "work\n")
            #expect(run.errors.contains("hook 'exit 9' failed: exit code 9"))
            #expect(run.errors.contains("died of signal 15"))
        }
    }

    @Test("the exit code of a hook is not lost to the reaping of the orphans that it leaves while it runs")
    func orphansDuringHook() async throws {
        try await inSandbox { box in
            let run = try await box.run(
                "acquire", "x", "--on-elected", "(sleep 0.05 &); (sleep 0.1 &); sleep 0.2; exit 9", "--", "true")
            #expect(run.ending == .exited(0))
            #expect(run.errors.contains("failed: exit code 9"), "\(run.errors)")
        }
    }

    @Test("hooks that take too long are ended with all processes that they started")
    func timeLimit() async throws {
        try await inSandbox { box in
            let start = ContinuousClock.now
            let run = try await box.run(
                "acquire", "x", "--hook-timeout", "300ms", "--on-elected", "sleep 600 & sleep 600", "--", "echo", "work",
                within: .seconds(90))
            #expect(run.ending == .exited(0))
            #expect(run.text == "work\n")
            #expect(run.errors.contains("longer than 300ms"))
            #expect(ContinuousClock.now - start < .seconds(15) + busyTime(since: start))
        }
    }

    @Test("hooks write to stderr, so that stdout is the command's alone")
    func output() async throws {
        try await inSandbox { box in
            let run = try await box.run("acquire", "x", "--on-elected", "echo from the hook", "--", "echo", "from the command")
            #expect(run.text == "from the command\n")
            #expect(run.errors == "from the hook\n")
        }
    }

    @Test("hooks for a loss run after the command has been ended")
    func loss() async throws {
        try await inSandbox { box in
            let run = try box.start(
                [
                    Sandbox.binary, "acquire", "x", "--ttl", "2s", "--on-lost", "echo lost $QQ_EVENT \"[$QQ_LEADER]\" >>log", "--",
                    Sandbox.stamp,
                    box.path("stamps"),
                ])
            _ = try await box.waitForTerms(1)
            try box.write("", to: box.leaseFile("x"))
            #expect(try await run.finish().ending == .exited(79))
            #expect(box.read("log") == "lost lost []\n")
        }
    }

    @Test("hooks for a loss never overlap the hooks for the election, which a loss ends")
    func overlap() async throws {
        try await inSandbox { box in
            let run = try box.qq(
                "acquire", "x", "--ttl", "9s", "--on-elected", "echo begin >>log; sleep 30; echo end >>log", "--on-elected",
                "echo second >>log",
                "--on-lost", "echo lost >>log", "--on-lost", "echo lost again >>log", "--", "touch", "ran")
            try await waitUntil("the hook runs") { box.read("log") == "begin\n" }
            try box.write("", to: box.leaseFile("x"))
            #expect(try await run.finish().ending == .exited(79))
            #expect(box.read("log") == "begin\nlost\nlost again\n")
            #expect(access(box.path("ran"), F_OK) != 0)
        }
    }

    @Test("hooks do not delay SIGTERM: the running hook is ended, and the next steps follow")
    func terminated() async throws {
        try await inSandbox { box in
            let before = try box.qq(
                "acquire", "x", "--on-elected", "echo begin >>log; sleep 60", "--on-lost", "echo $QQ_EVENT >>log", "--", "touch", "ran")
            try await waitUntil("the hook runs") { box.read("log") == "begin\n" }
            before.child.signal(SIGTERM)
            #expect(try await before.finish().ending == .exited(143))
            #expect(box.read("log") == "begin\nreleased\n")
            #expect(access(box.path("ran"), F_OK) != 0)

            let after = try box.qq(
                "acquire", "x", "--on-lost", "echo going >>log; sleep 60", "--on-lost", "echo gone >>log", "--", "sh", "-c", "exit 3")
            try await waitUntil("the hook runs") { box.read("log").contains("going") }
            after.child.signal(SIGTERM)
            #expect(try await after.finish().ending == .exited(3))
            #expect(box.read("log").hasSuffix("going\ngone\n"))
            #expect(try await box.run("status", "x").ending == .exited(1))

            let keepalive = try box.qq(
                "keepalive", "x", "--on-elected", "echo up >>log; sleep 60", "--on-lost", "echo $QQ_EVENT again >>log")
            try await waitUntil("the hook runs") { box.read("log").contains("up") }
            keepalive.child.signal(SIGTERM)
            #expect(try await keepalive.finish().ending == .exited(0))
            #expect(box.read("log").hasSuffix("up\nreleased again\n"))
        }
    }

    @Test("processes that hooks started are reaped while the command runs")
    func zombies() async throws {
        try await inSandbox { box in
            let run = try box.qq(
                "acquire", "x", "--on-elected", "(sleep 0.3; echo >ended) & (sleep 0.1 &) ; true", "--", "sh", "-c",
                "echo held; exec sleep 600")
            try await waitUntil("the lease is held") { run.output.contains("held") }
            try await waitUntil("the hook's child has ended") { access(box.path("ended"), F_OK) == 0 }
            try await waitUntil("no zombie below qq") {
                readText("/proc/\(run.pid)/task/\(run.pid)/children").split(separator: " ").allSatisfy { child in
                    !readText("/proc/\(child)/stat").contains(") Z ")
                }
            }
            try await run.terminate()
        }
    }

    @Test("hooks do not run if the lease was not acquired")
    func notElected() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            _ = try await box.run(
                "acquire", "x", "--on-elected", "touch log", "--on-lost", "touch log", "--on-change", "touch log", "--", "true")
            #expect(access(box.path("log"), F_OK) != 0)
            try await holder.terminate()
        }
    }
}
