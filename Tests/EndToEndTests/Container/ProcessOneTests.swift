import Glibc
import Support
import Testing

@Suite("As process 1 of a container", .enabled(if: containersArePossible, "this user can make no user namespace here"))
struct ProcessOneTests {
    @Test(
        "SIGTERM and SIGINT end every command, also while it asks a server that never answers",
        arguments: [
            "status x", "cluster-status", "acquire x", "release x --id me --token 1", "watch x", "keepalive x", "acquire x --wait -- true",
        ],
        [SIGTERM, SIGINT])
    func signals(_ command: String, _ signal: CInt) async throws {
        try await inSandbox { box in
            let silent = try Socket.bind()
            defer { close(silent) }
            listen(silent, 16)
            let qq = try box.startAsProcessOne("exec \"$QQ\" -s nats://127.0.0.1:\(Socket.port(of: silent)) --timeout 60s \(command)")
            let first = try await qq.initProcess()
            kill(first.pid, signal)
            let end = try await qq.finish(within: .seconds(90))
            #expect(end.ending != .exited(128 + SIGKILL), "\(end.errors)")
        }
    }

    @Test("SIGTERM reaches the command, whose exit code is the container's, and the lease is released")
    func guarded() async throws {
        try await inSandbox { box in
            let qq = try box.startAsProcessOne(
                "exec \"$QQ\" acquire x -- sh -c 'trap \"exit 7\" TERM; echo runs; while :; do sleep 0.05; done'")
            try await waitUntil("the command runs: \(qq.errors)") { qq.output.contains("runs") }
            kill(try await qq.initProcess().pid, SIGTERM)
            #expect(try await qq.finish().ending == .exited(7))
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test("what the command leaves behind is ended before the container ends with the command's exit code")
    func leftBehind() async throws {
        try await inSandbox { box in
            let end = try await box.startAsProcessOne("exec \"$QQ\" acquire x -- sh -c 'setsid sleep 600 & exit 4'").finish()
            #expect(end.ending == .exited(4), "\(end.errors)")
            #expect(end.errors.contains("left behind"), "\(end.errors)")
        }
    }

    @Test("orphans of the container are reaped while qq waits and while the command runs")
    func orphans() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            // One ends while qq begins, and the others later.
            let qq = try box.startAsProcessOne(
                "(sleep 0.1 &); sleep 0.1 & true & exec \"$QQ\" acquire x --wait -- sh -c 'echo runs; exec sleep 600'")
            try await box.waitForQueue(qq)
            let first = try await qq.initProcess()
            try await waitUntil("only qq is left: \(children(of: first.pid))") { children(of: first.pid).count == 1 }
            try await holder.terminate()
            try await waitUntil("the command runs: \(qq.errors)") { qq.output.contains("runs") }
            // As by `kubectl exec`: an orphan that is not a descendant of qq.
            let entered = try await box.start(
                ["nsenter", "-t", "\(first.pid)", "-U", "-p", "--preserve-credentials", "sh", "-c", "sleep 0.2 & echo $!"]
            ).finish()
            #expect(entered.ending == .exited(0), "\(entered.errors)")
            try await waitUntil("only qq is left: \(children(of: first.pid))") { children(of: first.pid).count == 1 }
            kill(first.pid, SIGTERM)
            #expect(try await qq.finish().ending == .exited(128 + SIGTERM))
        }
    }

    @Test("orphans of hooks are reaped while keepalive holds") func hooks() async throws {
        try await inSandbox { box in
            let qq = try box.startAsProcessOne("exec \"$QQ\" keepalive x --on-elected '(sleep 0.1 &); (sleep 0.2 &)'")
            let first = try await qq.initProcess()
            try await waitUntil("x is held: \(qq.errors)") { qq.output.contains("elected") }
            try await waitUntil("only qq is left: \(children(of: first.pid))") {
                children(of: first.pid).count == 1 && !LivingProcess.below(first.pid).contains { $0.name == "sleep" }
            }
            kill(first.pid, SIGTERM)
            #expect(try await qq.finish().ending == .exited(0), "\(qq.errors)")
        }
    }

    @Test("nothing of the command is left once qq is killed") func killed() async throws {
        try await inSandbox { box in
            let qq = try box.startAsProcessOne("exec \"$QQ\" acquire x -- sh -c 'trap \"\" TERM; setsid sleep 600 & echo runs; sleep 600'")
            try await waitUntil("the command runs: \(qq.errors)") { qq.output.contains("runs") }
            let first = try await qq.initProcess()
            let below = try #require(children(of: first.pid).first.flatMap { pid_t($0) })
            kill(below, SIGKILL)
            #expect(try await qq.finish().ending == .exited(128 + SIGKILL))
            #expect(box.living.isEmpty)
        }
    }

    @Test("the init shows no credentials") func secrets() async throws {
        try await inSandbox { box in
            let silent = try Socket.bind()
            defer { close(silent) }
            listen(silent, 16)
            let url = "nats://me:geheim@127.0.0.1:\(Socket.port(of: silent))"
            let qq = try box.startAsProcessOne("QQ_SERVER=\(url) NATS_PASSWORD=geheim exec \"$QQ\" -s \(url) status x --timeout 60s")
            let first = try await qq.initProcess()
            func shown(_ file: String) -> String { String(decoding: readBytes("/proc/\(first.pid)/\(file)") ?? [], as: UTF8.self) }
            try await waitUntil("its title") { shown("cmdline").hasPrefix("qq-init") }
            for file in ["cmdline", "environ"] { #expect(!shown(file).contains("geheim"), "\(file)") }
            kill(first.pid, SIGTERM)
            #expect(try await qq.finish().ending == .exited(128 + SIGTERM))
        }
    }

    @Test("Ctrl-C on the container's terminal reaches the command, and Ctrl-Z does not stop it for good") func terminal() async throws {
        try await inSandbox { box in
            let at = try AtTerminal(
                Sandbox.processOne
                    + [
                        Sandbox.binary, "acquire", "x", "--", "sh", "-c",
                        // A shell that starts a program just then (vfork) can be neither stopped nor interrupted.
                        "trap 'echo caught; exit 5' INT; trap 'echo continued' CONT; sleep 600 & echo ready; while :; do wait; done",
                    ],
                in: box)
            try await at.expect("ready")
            // No shell could continue what Ctrl-Z stops here.
            at.type("\u{1a}")
            try await at.expect("continued")
            at.type("\u{3}")
            try await at.expect("caught")
            #expect(try await at.ending() == .exited(5))
        }
    }

    @Test("without /proc no command is guarded, and everything else works") func noProc() async throws {
        try await inSandbox { box in
            func run(_ command: String) async throws -> Run {
                let script = "mount -t tmpfs none /proc && exec \"$QQ\" \(command)"
                return try await box.start(["unshare", "-Urpmf", "--kill-child", "sh", "-c", script], environment: ["QQ": Sandbox.binary])
                    .finish()
            }
            let guarded = try await run("acquire x -- touch ran")
            #expect(guarded.ending == .exited(78), "\(guarded.errors)")
            #expect(guarded.errors.contains("mount it: mount -t proc proc /proc"), "\(guarded.errors)")
            #expect(access(box.path("ran"), F_OK) != 0)
            for (command, code) in [("acquire x", 0), ("keepalive x --once", 0), ("status x --mine", 0), ("release x", 0), ("status x", 1)]
                as [(String, Int32)]
            {
                let end = try await run(command)
                #expect(end.ending == .exited(code), "\(command): \(end.errors)")
            }
        }
    }
}
