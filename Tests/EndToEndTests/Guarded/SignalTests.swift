import Glibc
import Support
import Testing

@Suite("Signals to qq")
struct SignalTests {
    @Test("signals to qq are forwarded to the command's process group", arguments: [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])
    func forwarded(_ signal: Int32) async throws {
        try await inSandbox { box in
            // The command itself and a child in its group both report the signal.
            let script =
                "trap 'echo parent; wait; exit 9' \(signal); (trap 'echo child; exit' \(signal); echo ready; while :; do sleep 0.01; done) & while :; do sleep 0.01; done"
            let run = try box.qq("acquire", "x", "--", "bash", "-c", script)
            try await waitUntil("the command is ready") { run.output.contains("ready") }
            run.child.signal(signal)
            let end = try await run.finish()
            #expect(end.ending == .exited(9))
            #expect(Set(end.lines) == ["ready", "parent", "child"])
        }
    }

    @Test("if a forwarded signal kills the command, qq exits with 128+n, and the lease is free")
    func deadly() async throws {
        try await inSandbox { box in
            for signal in [SIGTERM, SIGINT, SIGHUP] {
                let run = try await box.hold("x")
                run.child.signal(signal)
                #expect(try await run.finish().ending == .exited(128 + signal))
                #expect(try await box.run("status", "x").ending == .exited(1))
            }
        }
    }

    @Test("if the command survives a forwarded signal, the lease stays held")
    func ignored() async throws {
        try await inSandbox { box in
            let run = try box.qq(
                "acquire", "x", "--", "sh", "-c", "trap 'echo no' TERM; echo ready; while [ ! -e stop ]; do sleep 0.02; done; exit 5")
            try await waitUntil("the command is ready") { run.output.contains("ready") }
            run.child.signal(SIGTERM)
            try await waitUntil("the command got the signal") { run.output.contains("no") }
            #expect(try await box.run("status", "x").ending == .exited(0))
            try box.write("", to: "stop")
            #expect(try await run.finish().ending == .exited(5))
        }
    }

    @Test("a signal to qq's whole process group reaches the command once")
    func wholeGroup() async throws {
        try await inSandbox { box in
            let run = try box.qq(
                "acquire", "x", "--", "bash", "-c", "trap 'echo told' USR1; echo ready; while [ ! -e stop ]; do sleep 0.02; done")
            try await waitUntil("the command is ready") { run.output.contains("ready") }
            kill(-run.pid, SIGUSR1)
            try await waitUntil("the command got the signal") { run.output.contains("told") }
            try box.write("", to: "stop")
            #expect(try await run.finish().lines == ["ready", "told"])
        }
    }

    @Test("SIGTSTP stops the command and SIGCONT continues it, and the lease is renewed all the time")
    func stopped() async throws {
        try await inSandbox { box in
            let run = try box.qq(
                "acquire", "x", "--ttl", "3s", "--renew-every", "300ms", "--kill-after", "100ms", "--", Sandbox.stamp, box.path("stamps"),
                "--catch-term")
            _ = try await box.waitForTerms(1)
            run.child.signal(SIGTSTP)
            let command = try await waitFor("the command stops") {
                LivingProcess.below(run.pid).first { $0.name == "stamp" && $0.isStopped }
            }
            try await Task.sleep(for: .milliseconds(3500))
            #expect(LivingProcess(command.pid)?.isStopped == true)
            #expect(try await box.run("status", "x").ending == .exited(0))
            run.child.signal(SIGCONT)
            try await waitUntil("the command continues") { LivingProcess(command.pid)?.isStopped == false }
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
        }
    }
}
