import Glibc
import Support
import Testing

@Suite("A lease held by another process")
struct ConflictTests {
    @Test("a command is not run while another holder has the lease, and qq exits with 1")
    func refused() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            let run = try await box.run("acquire", "x", "--", "touch", box.path("ran"))
            #expect(run.ending == .exited(1))
            #expect(run.output.isEmpty)
            #expect(run.errors.hasPrefix("qq: x is held by "))
            #expect(access(box.path("ran"), F_OK) != 0)
            try await holder.terminate()
        }
    }

    @Test("-E sets the exit code of a refusal, and --skip-ok makes it a silent 0")
    func chosenCode() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            #expect(try await box.run("acquire", "x", "-E", "200", "--", "true").ending == .exited(200))
            #expect(try await box.run("acquire", "x", "--conflict-exit-code=0", "--", "false").ending == .exited(0))
            let skipped = try await box.run("acquire", "x", "--skip-ok", "--", "touch", box.path("ran"))
            #expect(skipped.ending == .exited(0))
            #expect(skipped.output.isEmpty && skipped.errors.isEmpty)
            let quiet = try await box.run("-q", "acquire", "x", "--", "touch", box.path("ran"))
            #expect(quiet.ending == .exited(1))
            #expect(quiet.errors.isEmpty)
            #expect(access(box.path("ran"), F_OK) != 0)
            try await holder.terminate()
        }
    }

    @Test("--wait=DURATION gives up with 75 after that time, and not sooner")
    func waitsOnlySoLong() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            let start = ContinuousClock.now
            let run = try await box.run("acquire", "x", "--wait=600ms", "--", "true")
            #expect(run.ending == .exited(75))
            #expect(run.errors.contains("gave up waiting for x"))
            #expect(ContinuousClock.now - start >= .milliseconds(600))
            #expect(try await box.run("acquire", "x", "--wait=0s", "--", "true").ending == .exited(75))
            try await holder.terminate()
        }
    }

    @Test("-E and --skip-ok count for a wait that was in vain")
    func chosenCodeAfterWait() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            for words in [["--", "touch", box.path("ran")], []] {
                let skipped = try await box.start([Sandbox.binary, "acquire", "x", "--wait=200ms", "--skip-ok"] + words).finish()
                #expect(skipped.ending == .exited(0))
                #expect(skipped.output.isEmpty && skipped.errors.isEmpty)
                let chosen = try await box.start([Sandbox.binary, "acquire", "x", "--wait=200ms", "-E", "33"] + words).finish()
                #expect(chosen.ending == .exited(33))
                #expect(chosen.errors.hasPrefix("qq: gave up waiting for x: it is held by "), "\(chosen.errors)")
            }
            #expect(access(box.path("ran"), F_OK) != 0)
            try await holder.terminate()
        }
    }

    @Test("--wait runs the command as soon as the holder releases the lease")
    func waitsForTheTurn() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x", "--ttl", "600s")
            let waiter = try box.qq("acquire", "x", "--wait", "--", "echo", "my turn")
            try await waitUntil("the waiter queues") { try waiters("x", in: box) == 1 }
            #expect(waiter.child.isRunning)
            try await holder.terminate()
            let run = try await waiter.finish(within: .seconds(90))
            #expect(run.ending == .exited(0))
            #expect(run.text == "my turn\n")
        }
    }

    @Test("a waiter ends on a signal and leaves the queue")
    func waiterEnded() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            for signal in [SIGTERM, SIGINT, SIGHUP] {
                let waiter = try box.qq("acquire", "x", "--wait", "--", "touch", box.path("ran"))
                try await waitUntil("the waiter queues") { try waiters("x", in: box) == 1 }
                waiter.child.signal(signal)
                #expect(try await waiter.finish().ending == .exited(128 + signal))
            }
            try await holder.terminate()
            #expect(access(box.path("ran"), F_OK) != 0)
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
        }
    }

    @Test("a held election does not affect other elections")
    func otherElections() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            #expect(try await box.run("acquire", "y", "--", "true").ending == .exited(0))
            try await holder.terminate()
        }
    }

    @Test("--min-hold keeps the lease after a short command, and then releases it")
    func minimumHold() async throws {
        try await inSandbox { box in
            let start = ContinuousClock.now
            let holder = try box.qq("acquire", "x", "--min-hold", "4s", "--", "sh", "-c", "echo done; exit 3")
            try await waitUntil("the command has ended") { holder.output.contains("done") }
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(1))
            #expect(try await holder.finish().ending == .exited(3))
            #expect(ContinuousClock.now - start >= .seconds(4))
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
        }
    }

    @Test("--max-run ends a command that runs too long, with all that it started, with 124, and releases the lease")
    func maximumRun() async throws {
        try await inSandbox { box in
            let run = try await box.run(
                "acquire", "x", "--max-run", "1s", "--kill-after", "300ms", "--ttl", "4s", "--", "sh", "-c",
                "trap '' TERM; (trap '' TERM; sleep 600) & echo $! >child; echo $$ >parent; while :; do sleep 1; done")
            #expect(run.ending == .exited(124))
            #expect(run.errors.contains("the command has run longer than 1s (--max-run): ending it"), "\(run.errors)")
            for file in ["child", "parent"] {
                let pid = try #require(pid_t(box.read(file).trimmingPrefix(" ").prefix { $0 != "\n" }))
                #expect(kill(pid, 0) != 0, "\(file) \(pid) lives")
            }
            #expect(box.holder("x").isEmpty)
            #expect(try await box.run("acquire", "x", "--max-run", "60s", "--", "sh", "-c", "exit 5").ending == .exited(5))
        }
    }

    @Test("the holder's own identity does not get another process past its running command")
    func sameIdentity() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x", "--id", "me")
            #expect(try await box.run("acquire", "x", "--id", "me", "--", "touch", box.path("ran")).ending == .exited(1))
            #expect(access(box.path("ran"), F_OK) != 0)
            try await holder.terminate()
        }
    }
}

/// Number of processes that wait for a lock of the election's side file, according to the kernel.
func waiters(_ name: String, in box: Sandbox) throws -> Int {
    var information = stat()
    guard stat(box.leases + "/.\(name).lock", &information) == 0 else { return 0 }
    let inode = ":\(information.st_ino)"
    return readText("/proc/locks").split(separator: "\n").count { line in
        line.contains("->") && line.split(separator: " ").contains { $0.hasSuffix(inode) }
    }
}
