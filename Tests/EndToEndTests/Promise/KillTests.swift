import Glibc
import Support
import Testing

@Suite("When qq is killed", .serialized)
struct KillTests {
    private static let tree = ["--child", "--daemon", "--forking", "--ignore-term"]

    @Test("at random moments, everything that it started is gone before the next one works, long before the TTL")
    func randomMoments() async throws {
        try await inSandbox(.heavy) { box in
            var holder = try box.qq("acquire", "x", "--ttl", "30s", "--", Sandbox.stamp, box.path("stamps"))
            _ = try await box.waitForTerms(1)
            for round in 1...20 {
                let next = try box.start(
                    [Sandbox.binary, "acquire", "x", "--ttl", "30s", "--wait", "--", Sandbox.stamp, box.path("stamps")] + Self.tree)
                try await box.waitForQueue(next)
                try await Task.sleep(for: .microseconds(Int.random(in: 0...20_000)))
                let killed = bootNow()
                holder.child.signal(SIGKILL)
                let stamps = try await box.waitForTerms(round + 1)
                #expect(stamps.violations.isEmpty)
                // 30 s is what it would be without the kernel's word that the holder is dead.
                let takeover = Double(stamps.terms[round].first - killed) / 1e9
                #expect(takeover < 10, "took \(takeover) s")
                holder = next
            }
            holder.child.signal(SIGKILL)
            try await waitUntil("all is gone") { box.living.isEmpty }
            #expect(box.stamps().violations.isEmpty)
        }
    }

    @Test("and its guardian with it, what inherited the lease's lock is ended before the next one works")
    func bothAtOnce() async throws {
        try await inSandbox(.heavy) { box in
            for round in 0..<5 {
                let holder = try box.start(
                    [
                        Sandbox.binary, "acquire", "x", "--ttl", "3s", "--", Sandbox.stamp, box.path("stamps"), "--child", "--daemon",
                        "--ignore-term",
                    ])
                _ = try await box.waitForTerms(2 * round + 1)
                try await waitUntil("the orphan is at work") { box.stamps().count("daemon") > 0 }
                let guardian = try await box.guardian(of: holder)
                kill(guardian.pid, SIGKILL)
                holder.child.signal(SIGKILL)
                try await holder.child.wait()
                let next = try box.qq(
                    "acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "50")
                #expect(try await next.finish().ending == .exited(0))
                #expect(box.stamps().violations.isEmpty)
                try await waitUntil("all is gone") { box.living.isEmpty }
            }
        }
    }

    @Test("and its guardian with it, something that forks without end is ended, or nothing is granted")
    func bothAtOnceForking() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try box.start(
                [Sandbox.binary, "acquire", "x", "--ttl", "3s", "--", Sandbox.stamp, box.path("stamps")] + Self.tree)
            try await waitUntil("all of it is at work") { box.stamps().count("forking") > 3 && box.stamps().count("daemon") > 0 }
            let guardian = try await box.guardian(of: holder)
            kill(guardian.pid, SIGKILL)
            holder.child.signal(SIGKILL)
            try await holder.child.wait()
            let next = try await box.run(
                "acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "50", within: .seconds(60))
            #expect(next.ending == .exited(0) || next.ending == .exited(69))
            #expect(box.stamps().violations.isEmpty)
            // What a refusal leaves behind is not this test's to hold against anybody.
            _ = await box.close()
        }
    }

    @Test("while it waits, the others still get their turn")
    func waitersKilled() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await box.hold("x")
            var queue: [Started] = []
            for place in 1...6 {
                queue.append(try box.qq("acquire", "x", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "20"))
                try await box.waitForQueue(queue[place - 1], count: place)
            }
            for place in [0, 2, 5] {
                queue[place].child.signal(SIGKILL)
                try await queue[place].child.wait()
            }
            try await holder.terminate()
            for place in [1, 3, 4] { #expect(try await queue[place].finish().ending == .exited(0)) }
            let stamps = box.stamps()
            #expect(stamps.terms.count == 3)
            #expect(stamps.violations.isEmpty)
        }
    }

    @Test("waiters are served in the order in which they came")
    func inOrder() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await box.hold("x")
            var queue: [Started] = []
            for place in 1...5 {
                queue.append(try box.qq("acquire", "x", "--wait", "--", "sh", "-c", "echo \(place) >>\(box.path("order"))"))
                try await box.waitForQueue(queue[place - 1], count: place)
            }
            try await holder.terminate()
            for waiter in queue { #expect(try await waiter.finish().ending == .exited(0)) }
            #expect(box.read("order") == "1\n2\n3\n4\n5\n")
        }
    }
}
