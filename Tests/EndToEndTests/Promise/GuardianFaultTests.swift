import Glibc
import QQCore
import Support
import Testing

/// What happens to a guardian must never leave a command at work without its lease, a lease without its command, or a qq that does not end.
@Suite("A guardian that is stopped, frozen or killed", .serialized)
struct GuardianFaultTests {
    private static let tree = ["--child", "--daemon", "--ignore-term"]

    private func work(in box: Sandbox, ttl: String = "9s", options: [String] = [], tree: [String] = Self.tree) async throws -> Started {
        let holder = try box.start(
            [Sandbox.binary, "acquire", "x", "--ttl", ttl] + options + ["--", Sandbox.stamp, box.path("stamps")] + tree)
        try await waitUntil("it works: \(holder.errors)") {
            box.stamps().count("main") > 0 && (!tree.contains("--daemon") || box.stamps().count("daemon") > 0)
        }
        return holder
    }

    private func isAtWork(_ box: Sandbox) -> Bool { box.living.contains { $0.name == "stamp" } }

    // MARK: Names

    @Test("is no target of what is sent to every qq: its name and its command line are other words, and name the election")
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

    @Test("shows neither the words nor the environment that qq was started with")
    func secrets() async throws {
        try await inSandbox { box in
            let holder = try box.start(
                [Sandbox.binary, "acquire", "x", "--", "sh", "-c", "echo held; exec sleep 600", "hunter2"],
                environment: ["PASSWORD": "hunter3"])
            try await waitUntil("held") { holder.output.contains("held") }
            let guardian = try await box.guardian(of: holder)
            for file in ["cmdline", "environ"] {
                let text = String(decoding: readBytes("/proc/\(guardian.pid)/\(file)") ?? [], as: UTF8.self)
                #expect(!text.contains("hunter"), "\(file)")
            }
            try await holder.terminate()
        }
    }

    // MARK: Stopped

    @Test("that is stopped when leadership is lost never keeps the command at work: qq ends it within a second")
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
            #expect(last.at < lost + 2_000_000_000, "worked on for \(Double(last.at - lost) / 1e9) s")
        }
    }

    @Test("that is stopped when a step-down is asked for never keeps the command at work", arguments: GoNode.Format.allCases)
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
            #expect(last.at < asked + 3_000_000_000, "worked on for \(Double(last.at - asked) / 1e9) s")
        }
    }

    @Test("that is stopped does not keep SIGTERM from the command")
    func stoppedAtSignal() async throws {
        try await inSandbox { box in
            let holder = try await work(in: box, tree: ["--catch-term", "--exit", "5"])
            let guardian = try await box.guardian(of: holder)
            kill(guardian.pid, SIGSTOP)
            holder.child.signal(SIGTERM)
            try await waitUntil("the command has taken it") { box.stamps().all.contains { $0.what == .end } }
            // The guardian is not there to tell of the command's end either.
            #expect(try await holder.finish().ending == .exited(5))
            #expect(box.living.isEmpty)
        }
    }

    @Test("that was stopped for longer than the lease lasted never ends a command whose lease was renewed meanwhile")
    func stoppedAndContinued() async throws {
        try await inSandbox { box in
            let holder = try await work(in: box, ttl: "2s", tree: ["--catch-term"])
            let guardian = try await box.guardian(of: holder)
            for _ in 0..<3 {
                kill(guardian.pid, SIGSTOP)
                let since = bootNow()
                try await waitUntil("longer than the lease lasted") { bootNow() > since + 2_300_000_000 }
                kill(guardian.pid, SIGCONT)
                // Signals are answered by a guardian that has read all that waited for it.
                try await waitUntil("it goes on") { LivingProcess(guardian.pid)?.isStopped == false }
            }
            #expect(holder.child.isRunning, "\(holder.errors)")
            #expect(!holder.errors.contains("not renewed"))
            #expect(isAtWork(box))
            holder.child.signal(SIGTERM)
            #expect(try await holder.finish().ending == .exited(0))
        }
    }

    // MARK: Frozen

    @Test("that is frozen never keeps the command at work, and never keeps qq", .enabled(if: isRoot, "freezing takes root"))
    func frozen() async throws {
        try await inSandbox(.heavy) { box in
            guard let freezer = Freezer("qq-test-\(getpid())-\(Int.random(in: 0..<Int.max))") else {
                print("skipped: no cgroup may be made here that can be frozen")
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
            #expect(last.at < lost + 2_000_000_000, "worked on for \(Double(last.at - lost) / 1e9) s")
            freezer.thaw()
            try await waitUntil("the guardian is gone") { LivingProcess(guardian.pid) == nil }
            try await waitUntil("the cgroup is empty") { freezer.remove() }
        }
    }

    // MARK: Killed

    @Test("that is killed while qq waits ends the campaign: never a leader that does not work")
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
        "that is killed while hooks run gives the lease back, and says so: never a leader that does not work",
        arguments: GoNode.Format.allCases)
    func killedWhilePreparing(format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { place in
            let box = place.box
            let waiter = try place.qq(
                "acquire", "x", "--on-elected", "echo >\(box.path("elected")); exec sleep 60", "--on-lost",
                "echo $QQ_EVENT >\(box.path("lost"))", "--",
                Sandbox.stamp, box.path("stamps"))
            try await waitUntil("the hook runs") { access(box.path("elected"), F_OK) == 0 }
            kill(try await box.guardian(of: waiter).pid, SIGKILL)
            let end = try await waiter.finish(within: .seconds(10))
            #expect(end.ending == .exited(79))
            #expect(end.errors.contains("its guardian was killed"))
            #expect(box.read("lost") == "released\n")
            #expect(box.stamps().all.isEmpty)
            #expect(try place.lease() == nil)
        }
    }

    @Test(
        "that is killed while a process lives that may not be: the lease is never given up beside it",
        .enabled(if: isRoot, "turning into another user takes root"))
    func killedWithSurvivor() async throws {
        try await inSandbox { box in
            // For a user who may not signal what a set-uid program has become.
            let user: uid_t = 65534
            for path in [box.folder, box.leases, box.path("run"), box.path("state"), box.path("home")] { chown(path, user, user) }
            let program = box.path("owner-stamp")
            try box.write(readBytes(Sandbox.stamp) ?? [], to: program, mode: 0o755)
            chmod(program, 0o4755)
            let nobody = ["setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups"]
            let holder = try box.start(
                nobody + [Sandbox.binary, "acquire", "x", "--ttl", "2s", "--", program, box.path("stamps"), "--owner"])
            try await waitUntil("it works: \(holder.errors)") { box.stamps().count("main") > 0 }
            let guardian = try await box.guardian(of: holder)
            let survivor = try #require(LivingProcess.below(guardian.pid).first)
            kill(guardian.pid, SIGKILL)
            try await waitUntil("it is told of: \(holder.errors)") {
                holder.errors.contains("process \(survivor.pid) cannot be ended from here")
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

    @Test("whose command hangs in exec is never deaf to the deadline, nor to a signal")
    func hangingExec() async throws {
        try await inSandbox { box in
            let program = box.path("leased")
            try box.write(readBytes(Sandbox.stamp) ?? [], to: program, mode: 0o755)
            // Whoever opens it, and exec does, waits until this process lets go: for 45 s, unless it does before.
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
            try await waitUntil("it is ended in time") { LivingProcess(hanging.pid) == nil }
            #expect(bootNow() < stopped + 2_000_000_000)
            kill(holder.pid, SIGCONT)
            #expect(try await holder.finish().ending == .exited(79))

            let second = try box.qq("acquire", "x", "--ttl", "20s", "--wait", "--", program, box.path("stamps"))
            let other = try await box.guardian(of: second)
            _ = try await waitFor("the command hangs") { LivingProcess.below(other.pid).first }
            second.child.signal(SIGTERM)
            #expect(try await second.finish(within: .seconds(8)).ending == .exited(128 + SIGTERM))
            #expect(box.stamps().all.isEmpty)
        }
    }
}
