import Glibc
import Support
import Testing

// A virtual machine that was paused finds its wall clock set ahead when it resumes, and CLOCK_BOOTTIME as if no time had passed. A
// preloaded library makes it look like that to one qq: it adds the number in a file to CLOCK_REALTIME. Unlike a real step, this cancels
// no kernel timer, so the guardian is woken with a signal that means nothing to it.
@Suite("A machine that was paused", .serialized)
struct PauseTests {
    private static let library = """
        #define _GNU_SOURCE
        #include <fcntl.h>
        #include <stdint.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <sys/syscall.h>
        #include <time.h>
        #include <unistd.h>
        static volatile int64_t *seconds;
        __attribute__((constructor)) static void begin(void) {
            int fd = open(getenv("WALL_CLOCK_SHIFT"), O_RDONLY);
            void *memory = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
            if (memory != MAP_FAILED) seconds = memory;
            close(fd);
        }
        int clock_gettime(clockid_t clock, struct timespec *now) {
            int result = (int)syscall(SYS_clock_gettime, clock, now);
            if (result == 0 && clock == CLOCK_REALTIME && seconds) now->tv_sec += *seconds;
            return result;
        }

        """

    private func environment(in box: Sandbox) async throws -> [String: String] {
        let library = box.path("shift.so")
        try box.write(Self.library, to: "shift.c")
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        let compiled = try await box.start(
            ["sh", "-c", "clang \"$@\" || cc \"$@\"", "sh", "-shared", "-fPIC", "-o", library, box.path("shift.c")],
            environment: ["PATH": path]
        ).finish(within: .seconds(120))
        guard compiled.ending == .exited(0) else { throw CannotStart("no C compiler: \(compiled.errors)") }
        try box.write([UInt8](repeating: 0, count: 8), to: "shift")
        return ["LD_PRELOAD": library, "WALL_CLOCK_SHIFT": box.path("shift")]
    }

    private func setAhead(by seconds: UInt8, in box: Sandbox) {
        let descriptor = open(box.path("shift"), O_WRONLY | O_CLOEXEC)
        var bytes: [UInt8] = [seconds, 0, 0, 0, 0, 0, 0, 0]
        _ = pwrite(descriptor, &bytes, 8, 0)
        close(descriptor)
    }

    @Test("after a pause a command continues if a renewal shows that the lease is still held")
    func confirmed() async throws {
        try await inSandbox { box in
            let holder = try box.qq(
                "acquire", "x", "--ttl", "20s", "--", Sandbox.stamp, box.path("stamps"), "--catch-term",
                environment: try await environment(in: box))
            _ = try await box.waitForTerms(1)
            let guardian = try await box.guardian(of: holder)
            setAhead(by: 60, in: box)
            kill(guardian.pid, SIGCHLD)
            try await waitUntil("qq reports the pause: \(holder.errors)") { holder.errors.contains("the wall clock jumped ahead by ") }
            let since = bootNow()
            try await waitUntil("longer than a renewal can take") { bootNow() > since + 3_000_000_000 }
            #expect(holder.child.isRunning, "\(holder.errors)")
            holder.child.signal(SIGTERM)
            #expect(try await holder.finish().ending == .exited(0))
        }
    }

    @Test("after a pause without a successful renewal the command ends, however long the lease would last")
    func unconfirmed() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            let shifted = try await environment(in: box)
            let holder = try box.qq(
                "acquire", "x", "--ttl", "60s", "--", Sandbox.stamp, box.path("stamps"), "--daemon", "--ignore-term",
                environment: shifted.merging(["QQ_SERVER": "nats://127.0.0.1:\(proxy.port)"]) { $1 })
            _ = try await box.waitForTerms(1)
            let guardian = try await box.guardian(of: holder)
            proxy.silence()
            setAhead(by: 120, in: box)
            let paused = bootNow()
            kill(guardian.pid, SIGCHLD)
            #expect(try await holder.finish(within: .seconds(90)).ending == .exited(79))
            let last = try #require(box.stamps().all.last)
            #expect(last.at < paused + 4_000_000_000 + busyTime(since: paused), "continued for \(Double(last.at - paused) / 1e9) s")
        }
    }
}
