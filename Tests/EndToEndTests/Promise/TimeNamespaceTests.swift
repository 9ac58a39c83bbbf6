import Glibc
import Support
import Testing

private let timeNamespacesArePossible = system("unshare -T --boottime 20 true 2>/dev/null") == 0

@Suite("In another time namespace", .serialized, .enabled(if: timeNamespacesArePossible, "the kernel grants no time namespace here"))
struct TimeNamespaceTests {
    private func inNamespace(_ seconds: Int, _ words: [String]) -> [String] {
        ["unshare", "-T", "--boottime", String(seconds)] + words
    }

    @Test("a contender in another time namespace neither ends a living holder nor takes its lease", arguments: [20, 1_000_000])
    func contender(seconds: Int) async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await box.hold("x", "--ttl", "3s")
            let end = ContinuousClock.now + .seconds(5)
            while ContinuousClock.now < end {
                let run = try await box.start(
                    inNamespace(seconds, [Sandbox.binary, "acquire", "x", "--ttl", "3s", "--", "touch", box.path("ran")])
                ).finish()
                #expect(run.ending == .exited(1), "\(run.errors)")
                try await Task.sleep(for: .milliseconds(200))
            }
            #expect(holder.child.isRunning, "\(holder.errors)")
            #expect(access(box.path("ran"), F_OK) != 0)
            try await holder.terminate()
        }
    }

    @Test("a holder in another time namespace keeps its lease beside contenders outside", arguments: [20, 1_000_000])
    func holder(seconds: Int) async throws {
        try await inSandbox(.heavy) { box in
            let work = "echo $$ >'\(box.path("pid"))'; exec sleep 600"
            let holder = try box.start(
                inNamespace(seconds, [Sandbox.binary, "acquire", "x", "--ttl", "3s", "--", "sh", "-c", work]))
            try await waitUntil("qq holds the lease: \(holder.errors)") { box.read("pid").hasSuffix("\n") }
            let end = ContinuousClock.now + .seconds(5)
            while ContinuousClock.now < end {
                #expect(try await box.run("acquire", "x", "--ttl", "3s", "--", "touch", box.path("ran")).ending == .exited(1))
                try await Task.sleep(for: .milliseconds(200))
            }
            #expect(holder.child.isRunning, "\(holder.errors)")
            #expect(access(box.path("ran"), F_OK) != 0)
            holder.child.signal(SIGKILL)
            // The kernel shows that all its processes are dead.
            let next = try await box.run(
                "acquire", "x", "--ttl", "3s", "--wait", "--", "sh", "-c",
                "kill -0 $(cat '\(box.path("pid"))') 2>/dev/null && echo alive; true")
            #expect(next.ending == .exited(0))
            #expect(next.text.isEmpty, "the previous term's command was still running")
        }
    }

    @Test("a lease without a holder expires after its TTL, and not days later")
    func dead() async throws {
        try await inSandbox(.heavy) { box in
            let taken = try await box.start(inNamespace(1_000_000, [Sandbox.binary, "acquire", "x", "--id", "there", "--ttl", "5s"]))
                .finish()
            #expect(taken.ending == .exited(0))
            let state = try object(try await box.run("status", "x", "--json").text)
            let left = try #require(state["expires_in"]?.doubleValue)
            #expect(left <= 5)
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(1))
            #expect(try await box.run("acquire", "x", "--wait", "--", "true").ending == .exited(0))
        }
    }

    @Test("a command is not guarded by the clock of another time namespace")
    func betweenTwo() async throws {
        try await inSandbox { box in
            // Simulates a kernel that leaves a process that execs in its old namespace.
            try box.write(
                "#define _GNU_SOURCE\n#include <sched.h>\n__attribute__((constructor)) static void leave(void) { unshare(0x80); }\n",
                to: "leave.c")
            let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
            let compiled = try await box.start(
                ["sh", "-c", "clang \"$@\" || cc \"$@\"", "sh", "-shared", "-fPIC", "-o", box.path("leave.so"), box.path("leave.c")],
                environment: ["PATH": path]
            ).finish(within: .seconds(120))
            guard compiled.ending == .exited(0) else { throw CannotStart("no C compiler: \(compiled.errors)") }
            let run = try await box.run(
                "acquire", "x", "--", "touch", box.path("ran"), environment: ["LD_PRELOAD": box.path("leave.so")])
            #expect(run.ending == .exited(78), "\(run.errors)")
            #expect(run.errors.contains("another time namespace"))
            #expect(access(box.path("ran"), F_OK) != 0)
        }
    }

    @Test("a saved grant is renewed and released from another time namespace")
    func grant() async throws {
        try await inSandbox { box in
            let taken = try await box.start(inNamespace(1_000_000, [Sandbox.binary, "acquire", "x", "--ttl", "60s"])).finish()
            #expect(taken.ending == .exited(0))
            #expect(try await box.run("keepalive", "x", "--once").ending == .exited(0))
            #expect(try await box.run("status", "x", "--mine").ending == .exited(0))
            let released = try await box.start(inNamespace(20, [Sandbox.binary, "release", "x"])).finish()
            #expect(released.ending == .exited(0))
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }
}
