import Glibc
import Support
import Testing

// faketime(1) preloads a library that shifts the result of clock_gettime(2). With DONT_FAKE_MONOTONIC it leaves CLOCK_MONOTONIC and
// CLOCK_BOOTTIME alone, like a step of the wall clock. But it still shifts the absolute times of timerfd_settime(2) on every clock (as of
// 0.9.10), which a step of the wall clock would not do. This call therefore bypasses faketime. The first test checks these assumptions;
// without them the others would prove nothing.
@Suite("A wrong wall clock", .serialized)
struct ClockTests {
    private static let passage = """
        #define _GNU_SOURCE
        #include <sys/syscall.h>
        #include <sys/timerfd.h>
        #include <unistd.h>
        int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old) {
            return (int)syscall(SYS_timerfd_settime, fd, flags, new, old);
        }

        """

    /// A library, built in the sandbox, whose timers bypass faketime.
    private func passage(in box: Sandbox) async throws -> String {
        let library = box.path("passage.so")
        if access(library, F_OK) == 0 { return library }
        try box.write(Self.passage, to: "passage.c")
        // clang comes with the Swift toolchain.
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        let compiled = try await box.start(
            ["sh", "-c", "clang \"$@\" || cc \"$@\"", "sh", "-shared", "-fPIC", "-o", library, box.path("passage.c")],
            environment: ["PATH": path]
        ).finish(within: .seconds(120))
        guard compiled.ending == .exited(0) else { throw CannotStart("no C compiler: \(compiled.errors)") }
        return library
    }

    private func faked(_ shift: String, _ words: [String], in box: Sandbox) async throws -> Started {
        let environment = [
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "LD_PRELOAD": try await passage(in: box),
        ]
        do {
            return try box.start(["faketime", "-f", shift] + words, environment: environment)
        } catch is CannotStart {
            throw CannotStart("faketime is missing: apt-get install faketime")
        }
    }

    /// The qq below faketime(1), which keeps running as its parent.
    private func qq(below faketime: Started) async throws -> pid_t {
        try await waitFor("qq below faketime") { LivingProcess.below(faketime.pid).first { $0.name == "qq" }?.pid }
    }

    @Test("the tests shift the wall clock, and the boot clock stays right")
    func ground() async throws {
        try await inSandbox(.heavy) { box in
            let before = bootNow()
            let run = try await faked("-5h", [Sandbox.stamp, box.path("stamps"), "--for", "20"], in: box)
            #expect(try await run.finish().ending == .exited(0))
            let stamps = box.stamps().all
            #expect(stamps.count > 1)
            #expect(stamps.allSatisfy { $0.at > before && $0.at < bootNow() })
            var now = time(nil)
            let there = try await faked("-5h", ["date", "+%s"], in: box).finish()
            now -= time_t(there.text.dropLast()) ?? 0
            #expect((17_990...18_010).contains(now))
        }
    }

    @Test("a wrong wall clock does not take the lease from a living holder", arguments: ["+5h", "-5h", "+3000d", "-3000d"])
    func noTakeover(_ shift: String) async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await box.hold("x", "--ttl", "3s")
            let run = try await faked(shift, [Sandbox.binary, "acquire", "x", "--ttl", "3s", "--", "touch", box.path("ran")], in: box)
                .finish()
            #expect(run.ending == .exited(1))
            #expect(access(box.path("ran"), F_OK) != 0)
            #expect(holder.child.isRunning)
            try await holder.terminate()
        }
    }

    @Test("a wrong wall clock does not cost a holder its lease", arguments: ["+5h", "-5h"])
    func noLoss(_ shift: String) async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await faked(
                shift, [Sandbox.binary, "acquire", "x", "--ttl", "5s", "--", Sandbox.stamp, box.path("stamps"), "--for", "6500"], in: box
            )
            _ = try await box.waitForTerms(1)
            let other = try box.start(
                [Sandbox.binary, "acquire", "x", "--ttl", "3s", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "50"])
            #expect(try await box.run("status", "x").ending == .exited(0))
            #expect(try await holder.finish().ending == .exited(0))
            #expect(try await other.finish().ending == .exited(0))
            #expect(box.stamps().terms.count == 2)
            #expect(box.stamps().violations.isEmpty)
        }
    }

    @Test("a wrong wall clock of a killed holder does not delay the next one", arguments: ["+5h", "-5h"])
    func takeover(_ shift: String) async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await faked(
                shift, [Sandbox.binary, "acquire", "x", "--ttl", "30s", "--", Sandbox.stamp, box.path("stamps"), "--daemon"], in: box)
            _ = try await box.waitForTerms(1)
            let next = try box.qq("acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "20")
            try await box.waitForQueue(next)
            let killed = bootNow()
            kill(try await qq(below: holder), SIGKILL)
            #expect(try await next.finish().ending == .exited(0))
            let stamps = box.stamps()
            #expect(stamps.violations.isEmpty)
            try #require(stamps.terms.count == 2)
            #expect(stamps.terms[1].first < killed + 10_000_000_000 + busyTime(since: killed))
        }
    }

    @Test("a Go package's lease renewed in the future is refused with an error and left alone")
    func fromTheFuture() async throws {
        try await inSandbox { box in
            let text = ForeignWriterTests.goRecord("go-node", ago: -36000)
            try ForeignWriterTests.write(text, to: box.leaseFile("x"))
            let run = try await box.run("acquire", "x", "--", "true")
            #expect(run.ending == .exited(65))
            #expect(run.errors.contains("from now"))
            #expect(readText(box.leaseFile("x")) == text)
        }
    }
}
