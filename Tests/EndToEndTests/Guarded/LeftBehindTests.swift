import Glibc
import Support
import Testing

@Suite("Processes that a command leaves behind")
struct LeftBehindTests {
    @Test(
        "left-behind processes are dead before qq exits",
        arguments: [["--child"], ["--daemon"], ["--forking"], ["--child", "--daemon", "--forking"]])
    func gone(_ tree: [String]) async throws {
        try await inSandbox { box in
            let run = try await box.start(
                [Sandbox.binary, "acquire", "x", "--", Sandbox.stamp, box.path("stamps"), "--for", "1000", "--exit", "7"] + tree
            ).finish()
            let living = box.living
            #expect(run.ending == .exited(7))
            #expect(living.isEmpty)
            // A process that forks all the time might not be counted.
            if tree != ["--forking"] { #expect(run.errors.contains("left behind")) }
            #expect(box.stamps().all.contains { $0.role != "main" })
        }
    }

    @Test("left-behind processes get SIGTERM, and SIGKILL after --kill-after")
    func killAfter() async throws {
        try await inSandbox { box in
            let start = ContinuousClock.now
            let run = try await box.start(
                [
                    Sandbox.binary, "acquire", "x", "--kill-after", "3s", "--", Sandbox.stamp, box.path("stamps"), "--for", "1000",
                    "--daemon",
                    "--ignore-term",
                ]
            ).finish()
            #expect(box.living.isEmpty)
            #expect(run.ending == .exited(0))
            #expect(ContinuousClock.now - start >= .seconds(3))
            let daemon = try #require(box.stamps().all.last { $0.role == "daemon" })
            let main = try #require(box.stamps().all.last { $0.role == "main" })
            #expect(daemon.at > main.at + 500_000_000)
        }
    }

    @Test("left-behind processes that end on SIGTERM cause no delay")
    func goesByItself() async throws {
        try await inSandbox { box in
            let start = ContinuousClock.now
            let run = try await box.start(
                [Sandbox.binary, "acquire", "x", "--kill-after", "9s", "--", Sandbox.stamp, box.path("stamps"), "--for", "40", "--daemon"]
            ).finish()
            #expect(run.ending == .exited(0))
            #expect(ContinuousClock.now - start < .seconds(6) + busyTime(since: start))
        }
    }

    @Test("processes in a shell's background are ended too")
    func background() async throws {
        try await inSandbox { box in
            let run = try await box.run("acquire", "x", "--", "sh", "-c", "sleep 600 & setsid sleep 600 & (setsid sleep 600 &) ; exit 4")
            #expect(run.ending == .exited(4))
            #expect(box.living.isEmpty)
        }
    }

    @Test("left-behind processes keep the lease until they are dead, and the next command starts after them")
    func leaseHeld() async throws {
        try await inSandbox { box in
            let first = try box.start(
                [
                    Sandbox.binary, "acquire", "x", "--kill-after", "500ms", "--", Sandbox.stamp, box.path("stamps"), "--for", "30",
                    "--daemon",
                    "--ignore-term",
                ])
            _ = try await box.waitForTerms(1)
            let second = try box.qq("acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "30")
            #expect(try await first.finish().ending == .exited(0))
            #expect(try await second.finish().ending == .exited(0))
            #expect(box.stamps().terms.count == 2)
            #expect(box.stamps().violations.isEmpty)
        }
    }
}
