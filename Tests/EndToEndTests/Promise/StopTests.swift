import Glibc
import Support
import Testing

@Suite("Stopped processes", .serialized)
struct StopTests {
    private static let tree = ["--child", "--daemon", "--forking", "--ignore-term"]

    private func holder(in box: Sandbox, ttl: String = "3s") async throws -> Started {
        let before = box.stamps().all.count
        let holder = try box.start(
            [Sandbox.binary, "acquire", "x", "--ttl", ttl, "--", Sandbox.stamp, box.path("stamps")] + Self.tree)
        try await waitUntil("all its processes run") {
            let stamps = box.stamps().all.dropFirst(before)
            return ["main", "daemon", "child", "forking"].allSatisfy { role in stamps.contains { $0.role == role } }
        }
        return holder
    }

    private func next(in box: Sandbox) throws -> Started {
        try box.start([Sandbox.binary, "acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "100"])
    }

    @Test("after SIGSTOP of qq its processes are dead before the lease ends and the next command starts, and qq reports the loss")
    func qqStopped() async throws {
        try await inSandbox(.heavy) { box in
            for round in 0..<4 {
                let holder = try await holder(in: box)
                let next = try next(in: box)
                try await box.waitForQueue(next)
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...400)))
                try await box.stop(holder, holding: "x")
                let stopped = bootNow()
                #expect(try await next.finish().ending == .exited(0))
                let stamps = box.stamps()
                #expect(stamps.terms.count == 2 * round + 2)
                #expect(stamps.violations.isEmpty)
                // The last renewal was before the stop, so the lease ended at most one TTL after the stop.
                let stoppedTerm = try #require(stamps.terms.dropFirst(2 * round).first)
                #expect(stoppedTerm.last < stopped + 3_000_000_000)
                kill(holder.pid, SIGCONT)
                let end = try await holder.finish()
                #expect(end.ending == .exited(79))
                #expect(end.errors.contains("lost x while the command ran"))
                #expect(box.living.isEmpty)
            }
        }
    }

    @Test("after SIGKILL of the guardian all processes are ended, and qq exits with 79")
    func guardianKilled() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await holder(in: box, ttl: "20s")
            let next = try next(in: box)
            try await box.waitForQueue(next)
            kill(try await box.guardian(of: holder).pid, SIGKILL)
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(end.errors.contains("the guardian was killed"))
            #expect(try await next.finish().ending == .exited(0))
            #expect(box.stamps().violations.isEmpty)
            #expect(box.living.isEmpty)
        }
    }

    @Test("after SIGSTOP of the guardian alone the command continues while qq renews, and qq ends it when the lease is lost")
    func guardianStopped() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try box.qq("acquire", "x", "--ttl", "2s", "--", Sandbox.stamp, box.path("stamps"), "--daemon")
            _ = try await box.waitForTerms(1)
            let guardian = try await box.guardian(of: holder)
            kill(guardian.pid, SIGSTOP)
            try await Task.sleep(for: .milliseconds(2500))
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(1))
            // When the lease is lost, qq ends the processes in the guardian's place.
            try box.write("", to: box.leaseFile("x"))
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(box.living.isEmpty)
        }
    }

    @Test("after SIGSTOP of qq and its guardian the next holder ends the survivors before its command starts")
    func bothStopped() async throws {
        try await inSandbox(.heavy) { box in
            for round in 0..<3 {
                let holder = try box.start(
                    [
                        Sandbox.binary, "acquire", "x", "--ttl", "3s", "--", Sandbox.stamp, box.path("stamps"), "--child", "--daemon",
                        "--ignore-term",
                    ])
                _ = try await box.waitForTerms(2 * round + 1)
                let guardian = try await box.guardian(of: holder)
                let next = try next(in: box)
                try await box.waitForQueue(next)
                kill(guardian.pid, SIGSTOP)
                try await box.stop(holder, holding: "x")
                let end = try await next.finish()
                #expect(end.ending == .exited(0))
                let stamps = box.stamps()
                #expect(stamps.terms.count == 2 * round + 2)
                #expect(stamps.violations.isEmpty)
                kill(guardian.pid, SIGCONT)
                holder.child.signal(SIGCONT)
                #expect(try await holder.finish().ending == .exited(79))
                #expect(box.stamps().violations.isEmpty)
                #expect(box.living.isEmpty)
            }
        }
    }

    @Test("after SIGSTOP of a waiter the others get their turn, and the waiter its own when it continues")
    func waiterStopped() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await box.hold("x")
            var queue: [Started] = []
            for place in 1...3 {
                queue.append(try next(in: box))
                try await box.waitForQueue(queue[place - 1], count: place)
            }
            kill(queue[2].pid, SIGSTOP)
            try await holder.terminate()
            for place in [0, 1] { #expect(try await queue[place].finish().ending == .exited(0)) }
            kill(queue[2].pid, SIGCONT)
            #expect(try await queue[2].finish().ending == .exited(0))
            #expect(box.stamps().terms.count == 3)
            #expect(box.stamps().violations.isEmpty)
        }
    }
}
