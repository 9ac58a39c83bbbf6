import Glibc
import QQCore
import Support
import Testing

@Suite("Other writers of the lease file", .serialized)
struct ForeignWriterTests {
    /// The exact bytes that the Go package writes.
    static func goRecord(_ holder: String, ago: Double = 0) -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var seconds = now.tv_sec - Int(ago)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ number: CInt) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let nanoseconds = String(repeating: "0", count: 9 - "\(now.tv_nsec)".count) + "\(now.tv_nsec)"
        let time =
            "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(nanoseconds)Z"
        return "{\n  \"holder\": \"\(holder)\",\n  \"renewTime\": \"\(time)\"\n}\n"
    }

    /// Changes a file as the Go package does: in place, under flock.
    static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw CannotStart("cannot open \(path)") }
        defer { close(descriptor) }
        flock(descriptor, LOCK_EX)
        ftruncate(descriptor, 0)
        let bytes = Array(text.utf8)
        guard pwrite(descriptor, bytes, bytes.count, 0) == bytes.count else { throw CannotStart("cannot write \(path)") }
    }

    private func holderAtWork(in box: Sandbox) async throws -> Started {
        let holder = try box.start(
            [
                Sandbox.binary, "acquire", "x", "--ttl", "3s", "--", Sandbox.stamp, box.path("stamps"), "--child", "--daemon", "--forking",
                "--ignore-term",
            ])
        _ = try await box.waitForTerms(1)
        return holder
    }

    private func expectLoss(_ holder: Started, in box: Sandbox, nextWithin limit: Duration = .seconds(20)) async throws {
        let end = try await holder.finish()
        #expect(end.ending == .exited(79))
        #expect(end.errors.contains("lost x while the command ran"))
        #expect(box.living.isEmpty)
        let next = try await box.run(
            "acquire", "x", "--ttl", "3s", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "50", within: limit)
        #expect(next.ending == .exited(0))
        #expect(box.stamps().terms.count == 2)
        #expect(box.stamps().violations.isEmpty)
    }

    @Test("a command is ended if another process empties its lease file")
    func emptied() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await holderAtWork(in: box)
            try Self.write("", to: box.leaseFile("x"))
            try await expectLoss(holder, in: box)
        }
    }

    @Test("a command is ended if its lease file is removed")
    func removed() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await holderAtWork(in: box)
            unlink(box.leaseFile("x"))
            try await expectLoss(holder, in: box)
        }
    }

    @Test("a command is ended if a Go node takes its lease, and the Go node's lease counts for its TTL")
    func overwritten() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await holderAtWork(in: box)
            try Self.write(Self.goRecord("go-node"), to: box.leaseFile("x"))
            try await expectLoss(holder, in: box)
        }
    }

    @Test("a command ends with its lease if the lease file is corrupted, and the file is left as it is")
    func broken() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await holderAtWork(in: box)
            try Self.write("{ this is not JSON", to: box.leaseFile("x"))
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(box.living.isEmpty)
            #expect(readText(box.leaseFile("x")) == "{ this is not JSON")
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(65))
        }
    }

    @Test("a waiter is not granted the lease while the processes of a holder without lease file are being ended")
    func askedMeanwhile() async throws {
        try await inSandbox(.heavy) { box in
            // Waiters that ask at the very moment when the record disappears.
            let holder = try await holderAtWork(in: box)
            let waiters = try (0..<4).map { _ in
                try box.start([
                    Sandbox.binary, "acquire", "x", "--ttl", "3s", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "20",
                ])
            }
            try await waitUntil("all waiters wait") { try EndToEndTests.waiters("x", in: box) >= 4 }
            unlink(box.leaseFile("x"))
            #expect(try await holder.finish().ending == .exited(79))
            for waiter in waiters { #expect(try await waiter.finish().ending == .exited(0)) }
            #expect(box.stamps().terms.count == 5)
            #expect(box.stamps().violations.isEmpty)
        }
    }

    @Test("a Go node's lease counts until its TTL is over, and is then taken over")
    func goHolder() async throws {
        try await inSandbox { box in
            let start = bootNow()
            try Self.write(Self.goRecord("go-node"), to: box.leaseFile("x"))
            let refused = try await box.run("acquire", "x", "--ttl", "2s", "--", "true")
            #expect(refused.ending == .exited(1))
            #expect(refused.errors.contains("go-node"))
            let next = try await box.run("acquire", "x", "--ttl", "2s", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "10")
            #expect(next.ending == .exited(0))
            let term = try #require(box.stamps().terms.first)
            #expect(term.first > start + 1_800_000_000)
        }
    }

    @Test("a new holder that keeps unknown fields of a dead holder's record counts until its lease ends")
    func keptFields() async throws {
        try await inSandbox(.heavy) { box in
            let holder = try await holderAtWork(in: box)
            holder.child.signal(SIGKILL)
            _ = try await holder.finish()
            try await waitUntil("its processes are dead") { box.living.isEmpty }
            let old = readText(box.leaseFile("x"))
            #expect(old.contains("\"locked\": true"))
            let lines = old.split(separator: "\n", omittingEmptySubsequences: false).map { line in
                if line.hasPrefix("  \"holder\": ") { return "  \"holder\": \"script\"," }
                if line.hasPrefix("  \"renewTime\": ") { return "  \"renewTime\": \"\(WallTime.now().rfc3339Nano)\"," }
                if line.hasPrefix("  \"leaseDuration\": ") { return "  \"leaseDuration\": 60000000000," }
                return String(line)
            }
            try Self.write(lines.joined(separator: "\n"), to: box.leaseFile("x"))
            let refused = try await box.run("acquire", "x", "--", "true")
            #expect(refused.ending == .exited(1))
            #expect(refused.errors.contains("held by script"), "\(refused.errors)")
            #expect(try await box.run("status", "x").ending == .exited(0))
        }
    }

    @Test("a token that another writer dropped is not issued again")
    func tokenDropped() async throws {
        try await inSandbox { box in
            func token() async throws -> String {
                try await box.run("acquire", "x", "--ttl", "1s", "--wait", "--", "sh", "-c", "echo $QQ_TOKEN").text
            }
            #expect(try await token() == "1\n")
            #expect(try await token() == "2\n")
            try Self.write(Self.goRecord("go-node", ago: 100), to: box.leaseFile("x"))
            #expect(try await token() == "3\n")
            unlink(box.leaseFile("x"))
            #expect(try await token() == "4\n")
            try Self.write("", to: box.leaseFile("x"))
            #expect(try await token() == "5\n")
        }
    }
}
