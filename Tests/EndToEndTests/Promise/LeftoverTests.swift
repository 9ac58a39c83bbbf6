import Glibc
import QQCore
import Support
import Testing

/// qq and its guardian are killed or stopped in the same instant, and the command's children have closed all that they inherited.
@Suite("Processes left by earlier terms on this machine", .serialized)
struct LeftoverTests {
    enum Fault: CaseIterable { case killed, stopped }

    private func strike(_ fault: Fault, _ holder: Started, in box: Sandbox) async throws -> pid_t {
        let guardian = try await box.guardian(of: holder).pid
        let number = fault == .killed ? SIGKILL : SIGSTOP
        // Stopped first, because a qq that sees its guardian die ends everything within a millisecond.
        holder.child.signal(SIGSTOP)
        kill(guardian, number)
        holder.child.signal(number)
        return guardian
    }

    private func settle(_ fault: Fault, _ holder: Started, _ guardian: pid_t) async throws {
        if fault == .killed {
            try await holder.child.wait()
        } else {
            kill(guardian, SIGCONT)
            holder.child.signal(SIGCONT)
            #expect(try await holder.finish().ending == .exited(79))
        }
    }

    @Test(
        "on lease files, left-behind processes never run beside the next term, even with all descriptors closed", arguments: Fault.allCases)
    func onFiles(fault: Fault) async throws {
        try await inSandbox(.heavy) { box in
            for round in 0..<3 {
                let before = box.stamps().count("closing")
                let holder = try box.start(
                    [
                        Sandbox.binary, "acquire", "x", "--ttl", "2s", "--", Sandbox.stamp, box.path("stamps"), "--closing", "--daemon",
                        "--ignore-term",
                    ])
                try await waitUntil("all its processes run: \(holder.errors)") { box.stamps().count("closing") > before }
                let guardian = try await strike(fault, holder, in: box)
                let next = try box.qq("acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "50")
                let end = try await next.finish()
                #expect(end.ending == .exited(0), "\(end.errors)")
                #expect(box.stamps().violations.isEmpty)
                #expect(box.stamps().terms.count == 2 * round + 2)
                try await settle(fault, holder, guardian)
                #expect(!box.living.contains { $0.name == "stamp" })
            }
        }
    }

    @Test(
        "on NATS, left-behind processes never run beside the next term, and are reported", arguments: Fault.allCases, GoNode.Format.allCases
    )
    func onNATS(fault: Fault, format: GoNode.Format) async throws {
        try await EndToEndTests.onNATS(.latest, format, .heavy) { place in
            let box = place.box
            // The name is unique, because other tests with an election of the same name would end the unguarded processes.
            let name = "left-\(UInt32.random(in: 0 ... .max))"
            let holder = try place.qq(
                "acquire", name, "--id", "one", "--ttl", "2s", "--", Sandbox.stamp, box.path("stamps"), "--closing", "--daemon",
                "--ignore-term")
            try await waitUntil("all its processes run: \(holder.errors)") { box.stamps().count("closing") > 0 }
            let guardian = try await strike(fault, holder, in: box)
            let next = try place.qq(
                "acquire", name, "--id", "two", "--ttl", "2s", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "50")
            let end = try await next.finish()
            #expect(end.ending == .exited(0), "\(end.errors)")
            #expect(end.errors.contains("an earlier term of \(name) had left behind"))
            #expect(box.stamps().violations.isEmpty)
            #expect(box.stamps().terms.count == 2)
            try await settle(fault, holder, guardian)
            #expect(!box.living.contains { $0.name == "stamp" })
        }
    }

    @Test("a process without descriptors and environment is found below a stopped guardian")
    func bareBelowGuardian() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try box.start(
                [Sandbox.binary, "acquire", "x", "--ttl", "2s", "--", Sandbox.stamp, box.path("stamps"), "--bare", "--ignore-term"])
            try await waitUntil("all its processes run: \(holder.errors)") { box.stamps().count("bare") > 0 }
            let guardian = try await strike(.stopped, holder, in: box)
            let end = try await box.run("acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "50")
            #expect(end.ending == .exited(0), "\(end.errors)")
            #expect(box.stamps().violations.isEmpty)
            try await settle(.stopped, holder, guardian)
        }
    }

    @Test(
        "a process without descriptors, environment and parent is found in its cgroup",
        .enabled(if: isRoot, "making cgroups takes root"))
    func bareInCgroup() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try box.start(
                [Sandbox.binary, "acquire", "x", "--ttl", "2s", "--", Sandbox.stamp, box.path("stamps"), "--bare", "--ignore-term"])
            try await waitUntil("all its processes run: \(holder.errors)") { box.stamps().count("bare") > 0 }
            let bare = try #require(box.stamps().all.last { $0.role == "bare" })
            guard readText("/proc/\(bare.pid)/cgroup").contains("/qq-") else {
                print("skipped: qq cannot create a cgroup here")
                holder.child.signal(SIGTERM)
                _ = try await holder.finish()
                return
            }
            _ = try await strike(.killed, holder, in: box)
            try await holder.child.wait()
            let end = try await box.run("acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "50")
            #expect(end.ending == .exited(0), "\(end.errors)")
            #expect(box.stamps().violations.isEmpty)
            #expect(box.living.isEmpty)
        }
    }

    @Test("processes of another election, waiting contenders and processes that look similar are left alone")
    func others() async throws {
        try await inSandbox { box in
            let other = try await box.hold("y")
            let waiter = try box.qq("acquire", "y", "--wait", "--", "true")
            try await box.waitForQueue(waiter, for: "y")
            // A command of a command: it works under z and x, whatever runs inside.
            let nested = try box.qq("acquire", "z", "--", Sandbox.binary, "acquire", "x", "--", "sh", "-c", "echo held; exec sleep 600")
            try await waitUntil("the lease is held") { nested.output.contains("held") }
            for _ in 0..<3 {
                let run = try await box.run("acquire", "w", "--", "true")
                #expect(run.ending == .exited(0))
                #expect(!run.errors.contains("left behind"))
            }
            #expect(other.child.isRunning && waiter.child.isRunning && nested.child.isRunning)
            try await other.terminate()
            #expect(try await waiter.finish().ending == .exited(0))
            try await nested.terminate()
        }
    }

    @Test("a left-behind process is found by its outer term's mark, although an inner term marked it too")
    func nested() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try box.qq(
                "acquire", "x", "--ttl", "2s", "--", Sandbox.binary, "acquire", "inner", "--ttl", "30s", "--", Sandbox.stamp,
                box.path("stamps"),
                "--closing", "--ignore-term")
            try await waitUntil("all its processes run: \(holder.errors)") { box.stamps().count("closing") > 0 }
            for process in LivingProcess.below(holder.pid) where process.name == "qq" || process.name == "lease-guardian" {
                kill(process.pid, SIGKILL)
            }
            holder.child.signal(SIGKILL)
            try await holder.child.wait()
            let end = try await box.run("acquire", "x", "--wait", "--", "true")
            #expect(end.ending == .exited(0), "\(end.errors)")
            #expect(!box.living.contains { $0.name == "stamp" })
        }
    }

    @Test("after a clean end there is no search for left-behind processes")
    func clean() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--", "true")
            #expect(box.read("leases/x.json").contains("\"cleanFor\": "))
            let run = try await box.run("acquire", "x", "--", "true")
            #expect(run.errors.isEmpty)
        }
    }
}
