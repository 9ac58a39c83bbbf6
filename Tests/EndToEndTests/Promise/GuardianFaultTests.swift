import Glibc
import QQCore
import Support
import Testing

/// Whatever happens to a guardian, it never leaves a running command without a lease, a lease without a command, or a qq that does not end.
@Suite("A stopped, frozen or killed guardian", .serialized)
struct GuardianFaultTests {
    private static let tree = ["--child", "--daemon", "--ignore-term"]

    private func work(in box: Sandbox, ttl: String = "9s", options: [String] = [], tree: [String] = Self.tree) async throws -> Started {
        let holder = try box.start(
            [Sandbox.binary, "acquire", "x", "--ttl", ttl] + options + ["--", Sandbox.stamp, box.path("stamps")] + tree)
        try await waitUntil("the command runs: \(holder.errors)") {
            box.stamps().count("main") > 0 && (!tree.contains("--daemon") || box.stamps().count("daemon") > 0)
        }
        return holder
    }

    private func isAtWork(_ box: Sandbox) -> Bool { box.living.contains { $0.name == "stamp" } }

    // MARK: Names

    @Test("a guardian is not a target of signals to every qq: its name and command line differ, and name the election")
    func name() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("backup")
            let guardian = try await box.guardian(of: holder)
            let line = (readBytes("/proc/\(guardian.pid)/cmdline") ?? []).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            #expect(line == ["lease-guardian backup"])
            for pattern in [["qq"], ["-f", "qq acquire"], ["-f", "qq"], ["-x", "qq"]] {
                let found = try await box.start(["pgrep"] + pattern).finish()
                #expect(!found.lines.contains("\(guardian.pid)"), "pgrep \(pattern)")
                if pattern != ["-x", "qq"] { #expect(found.lines.contains("\(holder.pid)"), "pgrep \(pattern)") }
            }
            try await holder.terminate()
        }
    }

    @Test("a guardian shows neither the arguments nor the environment of qq")
    func secrets() async throws {
        try await inSandbox { box in
            let holder = try box.start(
                [Sandbox.binary, "acquire", "x", "--", "sh", "-c", "echo held; exec sleep 6000", "hunter2"],
                environment: ["PASSWORD": "hunter3"])
            try await waitUntil("the lease is held") { holder.output.contains("held") }
            let guardian = try await box.guardian(of: holder)
            for file in ["cmdline", "environ"] {
                let text = String(decoding: readBytes("/proc/\(guardian.pid)/\(file)") ?? [], as: UTF8.self)
                #expect(!text.contains("hunter"), "\(file)")
            }
            try await holder.terminate()
        }
    }

    // MARK: Stopped

    @Test("if the guardian is stopped when the lease is lost, qq ends the command within a second")
    func stoppedAtLoss() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await work(in: box)
            let guardian = try await box.guardian(of: holder)
            kill(guardian.pid, SIGSTOP)
            let lost = bootNow()
            try box.write("", to: box.leaseFile("x"))
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(end.errors.contains("the guardian does not answer"))
            #expect(!isAtWork(box))
            let last = try #require(box.stamps().all.last)
            #expect(last.at < lost + 2_000_000_000 + busyTime(since: lost), "continued for \(Double(last.at - lost) / 1e9) s")
        }
    }

    @Test("if the guardian is stopped when a step-down is asked for, qq still ends the command", arguments: GoNode.Format.allCases)
    func stoppedAtStepDown(format: GoNode.Format) async throws {
        try await onNATS(.latest, format, .heavy) { place in
            let box = place.box
            let holder = try place.qq(
                "acquire", "x", "--ttl", "9s", "--kill-after", "500ms", "--", Sandbox.stamp, box.path("stamps"), "--daemon")
            _ = try await box.waitForTerms(1)
            let guardian = try await box.guardian(of: holder)
            kill(guardian.pid, SIGSTOP)
            let asked = bootNow()
            let stepDown = try place.qq("step-down", "x", "--yes", "--force")
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            _ = try await stepDown.finish()
            let last = try #require(box.stamps().all.last)
            #expect(last.at < asked + 3_000_000_000 + busyTime(since: asked), "continued for \(Double(last.at - asked) / 1e9) s")
        }
    }

    @Test("a stopped guardian does not keep SIGTERM from the command")
    func stoppedAtSignal() async throws {
        try await inSandbox { box in
            let holder = try await work(in: box, tree: ["--catch-term", "--exit", "5"])
            let guardian = try await box.guardian(of: holder)
            kill(guardian.pid, SIGSTOP)
            holder.child.signal(SIGTERM)
            try await waitUntil("the command has got it") { box.stamps().all.contains { $0.what == .end } }
            // The guardian cannot report the command's end either.
            #expect(try await holder.finish().ending == .exited(5))
            #expect(box.living.isEmpty)
        }
    }

    @Test("a guardian stopped for longer than the lease does not end a command whose lease was renewed")
    func stoppedAndContinued() async throws {
        try await inSandbox { box in
            let holder = try await work(in: box, ttl: "2s", tree: ["--catch-term"])
            let guardian = try await box.guardian(of: holder)
            for _ in 0..<3 {
                kill(guardian.pid, SIGSTOP)
                let since = bootNow()
                try await waitUntil("longer than the lease lasted") { bootNow() > since + 2_300_000_000 }
                kill(guardian.pid, SIGCONT)
                // A guardian that continues reads all pending input before it acts on signals.
                try await waitUntil("the guardian continues") { LivingProcess(guardian.pid)?.isStopped == false }
            }
            #expect(holder.child.isRunning, "\(holder.errors)")
            #expect(!holder.errors.contains("not renewed"))
            #expect(isAtWork(box))
            holder.child.signal(SIGTERM)
            #expect(try await holder.finish().ending == .exited(0))
        }
    }

    // MARK: Frozen

    @Test("a frozen guardian keeps neither the command nor qq running", .enabled(if: isRoot, "freezing takes root"))
    func frozen() async throws {
        try await inSandbox(.heavy) { box in
            guard let freezer = Freezer("qq-test-\(getpid())-\(Int.random(in: 0..<Int.max))") else {
                print("skipped: cannot create a cgroup here that can be frozen")
                return
            }
            box.atClose {
                freezer.thaw()
                freezer.remove()
            }
            let holder = try await work(in: box)
            let guardian = try await box.guardian(of: holder)
            #expect(freezer.add(guardian.pid))
            #expect(freezer.freeze())
            let lost = bootNow()
            try box.write("", to: box.leaseFile("x"))
            #expect(try await holder.finish().ending == .exited(79))
            #expect(!isAtWork(box))
            let last = try #require(box.stamps().all.last)
            #expect(last.at < lost + 2_000_000_000 + busyTime(since: lost), "continued for \(Double(last.at - lost) / 1e9) s")
            freezer.thaw()
            try await waitUntil("the guardian has ended") { LivingProcess(guardian.pid) == nil }
            try await waitUntil("the cgroup is empty") { freezer.remove() }
        }
    }

    // MARK: Killed

    @Test("if the guardian is killed while qq waits, the campaign ends: never a leader without a command")
    func killedWhileWaiting() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            let waiter = try box.qq("acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"))
            try await box.waitForQueue(waiter)
            kill(try await box.guardian(of: waiter).pid, SIGKILL)
            let end = try await waiter.finish()
            #expect(end.ending == .exited(69))
            #expect(end.errors.contains("its guardian was killed"))
            try await holder.terminate()
            #expect(try await box.run("status", "x").ending == .exited(1))
            #expect(box.stamps().all.isEmpty)
        }
    }

    @Test(
        "if the guardian is killed while hooks run, qq releases the lease and says why",
        arguments: GoNode.Format.allCases)
    func killedWhilePreparing(format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { place in
            let box = place.box
            let waiter = try place.qq(
                "acquire", "x", "--on-elected", "echo >\(box.path("elected")); exec sleep 600", "--on-lost",
                "echo $QQ_EVENT >\(box.path("lost"))", "--",
                Sandbox.stamp, box.path("stamps"))
            try await waitUntil("the hook runs") { access(box.path("elected"), F_OK) == 0 }
            kill(try await box.guardian(of: waiter).pid, SIGKILL)
            let end = try await waiter.finish(within: .seconds(90))
            #expect(end.ending == .exited(79))
            #expect(end.errors.contains("its guardian was killed"))
            #expect(box.read("lost") == "released\n")
            #expect(box.stamps().all.isEmpty)
            #expect(try place.lease() == nil)
        }
    }

    @Test(
        "if a killed guardian leaves a process that cannot be killed, the lease is kept until that process ends",
        .enabled(if: isRoot, "turning into another user takes root"))
    func killedWithSurvivor() async throws {
        try await inSandbox { box in
            // Runs qq as a user who is not allowed to signal a set-uid program.
            let user: uid_t = 65534
            for path in [box.folder, box.leases, box.path("run"), box.path("state"), box.path("home")] { chown(path, user, user) }
            let program = box.path("owner-stamp")
            try box.write(readBytes(Sandbox.stamp) ?? [], to: program, mode: 0o755)
            chmod(program, 0o4755)
            let nobody = ["setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups"]
            let holder = try box.start(
                nobody + [Sandbox.binary, "acquire", "x", "--ttl", "2s", "--", program, box.path("stamps"), "--owner"])
            try await waitUntil("the command runs: \(holder.errors)") { box.stamps().count("main") > 0 }
            let guardian = try await box.guardian(of: holder)
            let survivor = try #require(LivingProcess.below(guardian.pid).first)
            kill(guardian.pid, SIGKILL)
            try await waitUntil("qq reports it: \(holder.errors)") {
                holder.errors.contains("cannot kill process \(survivor.pid)")
            }
            let since = bootNow()
            try await waitUntil("longer than the lease lasts") { bootNow() > since + 2_500_000_000 }
            let other = try await box.start(nobody + [Sandbox.binary, "acquire", "x", "--", "true"]).finish()
            #expect(other.ending == .exited(1), "\(other.errors)")
            #expect(holder.child.isRunning, "\(holder.errors)")
            kill(survivor.pid, SIGKILL)
            #expect(try await holder.finish().ending == .exited(79))
            #expect(try await box.start(nobody + [Sandbox.binary, "acquire", "x", "--", "true"]).finish().ending == .exited(0))
        }
    }

    // MARK: An exec that hangs

    @Test("a guardian whose command hangs in exec still acts on the deadline and on signals")
    func hangingExec() async throws {
        try await inSandbox { box in
            let program = box.path("leased")
            try box.write(readBytes(Sandbox.stamp) ?? [], to: program, mode: 0o755)
            // An open of this file, and so exec, waits until this process releases its file lease, for up to 45 s.
            guard let lease = FileLease(program) else {
                print("skipped: the file system has no leases")
                return
            }
            defer { lease.release() }
            let holder = try box.qq("acquire", "x", "--ttl", "2s", "--", program, box.path("stamps"))
            let guardian = try await box.guardian(of: holder)
            let hanging = try await waitFor("the command hangs") { LivingProcess.below(guardian.pid).first }
            kill(holder.pid, SIGSTOP)
            let stopped = bootNow()
            try await waitUntil("the command is ended") { LivingProcess(hanging.pid) == nil }
            #expect(bootNow() < stopped + 2_000_000_000 + busyTime(since: stopped))
            kill(holder.pid, SIGCONT)
            #expect(try await holder.finish().ending == .exited(79))

            let second = try box.qq("acquire", "x", "--ttl", "20s", "--wait", "--", program, box.path("stamps"))
            let other = try await box.guardian(of: second)
            _ = try await waitFor("the command hangs") { LivingProcess.below(other.pid).first }
            second.child.signal(SIGTERM)
            #expect(try await second.finish(within: .seconds(90)).ending == .exited(128 + SIGTERM))
            #expect(box.stamps().all.isEmpty)
        }
    }
}
