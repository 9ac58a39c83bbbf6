import Glibc
import Support
import Testing

@Suite("qq on a real Consul", .enabled(if: ConsulProgram.path != nil, Comment(rawValue: ConsulProgram.missing)))
struct RealConsulElectionTests {
    @Test("qq and consul lock keep each other out of one key") func beside() async throws {
        try await inSandbox(.heavy) { box in
            let server = try await RealConsul.start(in: box)
            let environment = ["QQ_SERVER": "consul://" + server.address]
            let consul = [try #require(ConsulProgram.path), "lock", "-http-addr=" + server.address]
            let run = try await box.run("acquire", "x", "--", "sh", "-c", "echo $QQ_TOKEN; exit 7", environment: environment)
            #expect(run.ending == .exited(7) && (UInt64(run.text.dropLast()) ?? 0) > 0, "\(run.text) \(run.errors)")

            let holder = try box.start(
                [Sandbox.binary, "acquire", "x", "--", "sh", "-c", "echo held; exec sleep 600"], environment: environment)
            try await waitUntil("it is held: \(holder.errors)") { holder.output.contains("held") }
            let refused = try await box.start(consul + ["-timeout=1s", "x", "true"]).finish(within: .seconds(120))
            #expect(refused.ending != .exited(0), "\(refused.text)")
            #expect(try await box.run("status", "x", environment: environment).ending == .exited(0))
            holder.child.signal(SIGTERM)
            _ = try await holder.finish()

            let lock = try box.start(consul + ["x", "touch \(box.path("locked")); exec sleep 600"])
            try await waitUntil("the lock of consul: \(lock.output) \(lock.errors)", within: .seconds(120)) {
                readBytes(box.path("locked")) != nil
            }
            #expect(try await box.run("acquire", "x", "--", "true", environment: environment).ending == .exited(1))
            lock.child.signal(SIGTERM)
            _ = try await lock.finish(within: .seconds(120))
            try await waitUntil("the key is free") { !box.living.contains { $0.name == "sleep" } }
            #expect(
                try await box.run("acquire", "x", "--wait=60s", "--", "true", environment: environment, within: .seconds(120)).ending
                    == .exited(0))
        }
    }

    @Test("slots of qq and consul lock -n are never more than the limit, and each release lets the other kind in") func slots() async throws
    {
        try await inSandbox(.heavy) { box in
            let server = try await RealConsul.start(in: box)
            let environment = ["QQ_SERVER": "consul://" + server.address]
            let consul = [try #require(ConsulProgram.path), "lock", "-http-addr=" + server.address, "-n=2", "-verbose"]
            func lock(_ number: Int) throws -> Started {
                try box.start(consul + ["x", "touch \(box.path("locked-\(number)")); exec sleep 600"])
            }
            func hasLocked(_ number: Int) -> Bool { readBytes(box.path("locked-\(number)")) != nil }

            let holder = try await box.hold("x-slot-1-of-2", "--id", "q", environment: environment)
            let first = try lock(1)
            try await waitUntil("the first lock: \(first.output) \(first.errors)", within: .seconds(120)) { hasLocked(1) }
            let full = try await box.run("acquire", "x-slot-2-of-2", "--id", "next", "--", "true", environment: environment)
            #expect(full.ending == .exited(1) && full.errors.contains("onsul lock"), "\(full.errors)")
            let second = try lock(2)
            try await waitUntil("the second one waits: \(second.output) \(second.errors)", within: .seconds(120)) {
                second.output.contains("Attempting lock acquisition")
            }
            #expect(!hasLocked(2))
            try await holder.terminate()
            try await waitUntil("a release of qq lets it in: \(second.output) \(second.errors)", within: .seconds(120)) { hasLocked(2) }

            let waiter = try box.start(
                [Sandbox.binary, "acquire", "x-slot-2-of-2", "--id", "next", "--wait", "--", "sh", "-c", "echo held; exec sleep 600"],
                environment: environment)
            #expect(try await box.run("status", "x-slot-2-of-2", environment: environment).ending == .exited(0))
            #expect(!waiter.output.contains("held"))
            first.child.signal(SIGTERM)
            _ = try await first.finish(within: .seconds(120))
            try await waitUntil("a release of consul lock lets qq in: \(waiter.errors)", within: .seconds(120)) {
                waiter.output.contains("held")
            }
            try await waiter.terminate()
            second.child.signal(SIGTERM)
            let last = try await second.finish(within: .seconds(120))
            #expect(last.text.contains("Cleanup succeeded"), "qq has left nothing behind: \(last.text)")
            // consul lock ends its shell alone, which has become the command.
            try await waitUntil("no command is left") { !box.living.contains { $0.name == "sleep" } }
        }
    }
}
