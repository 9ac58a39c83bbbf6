import Glibc
import QQCore
import Support
import Testing

@Suite("Stand-in for consul lock") struct ConsulLockTests {
    /// Method and path of requests, with sessions and indexes replaced.
    private func shape(_ request: String) -> String {
        var text = request.replacing(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/, with: "SESSION")
        text = text.replacing(/(cas|index)=[1-9][0-9]*/) { "\($0.output.1)=N" }
        return text
    }

    /// The calls of one recorded run, without the blocking queries by which it notices a loss: when these are sent is a race.
    private func recorded(_ client: String, _ calls: ClosedRange<Int>) throws -> [String] {
        let all = try ConsulRecording.read().lines.compactMap { line -> (Int, String)? in
            guard let call = line.call, line.status != nil, line.scenario == "consul lock", call.hasPrefix(client + " ") else { return nil }
            return Int(call.dropFirst(2)).map { ($0, "\(line.method ?? "") \(line.path)") }
        }
        return all.filter { calls.contains($0.0) }.sorted { $0.0 < $1.0 }.map { shape($0.1) }.filter { !isMonitoring($0) }
    }

    private func isMonitoring(_ call: String) -> Bool { call.contains("consistent=&index=N") }

    /// What the real one printed, by the line of the recording.
    private func recordedOutput(of number: Int) throws -> [String] {
        let line = try #require(try ConsulRecording.read().lines.first { $0.number == number })
        return try #require(line.whole["output"]?.stringValue).split(separator: "\n").map { String($0) }
    }

    @Test func `a lock makes the recorded calls in their order`() async throws {
        try await inSandbox { box in
            let server = try await ConsulServer.start(in: box)
            let lock = ConsulLock("x", "exit 7", at: server.port, in: box)
            #expect(try await lock.ended() == 0)
            let calls = server.store.requests.map(shape).filter { !isMonitoring($0) }
            // The session is destroyed beside the reading of the key, whose order is a race too.
            #expect(calls.sorted() == (try recorded("A", 1...10)).sorted(), "\(calls)")
            #expect(Array(calls.prefix(5)) == Array(try recorded("A", 1...10).prefix(5)))
            #expect(server.store.keys.isEmpty && server.store.sessions.isEmpty)
            #expect(lock.output == (try recordedOutput(of: 122)).filter { $0 != "CONSUL_LOCK_HELD=true" })
        }
    }

    @Test func `a second lock waits until the first one releases, and the first leaves the key to it`() async throws {
        try await inSandbox { box in
            let server = try await ConsulServer.start(in: box)
            let first = ConsulLock("x", "while [ ! -e \(box.path("go")) ]; do sleep 0.01; done", at: server.port, in: box)
            try await waitUntil("the first lock") { first.isHolding }
            let second = ConsulLock("x", "true", at: server.port, in: box)
            try await waitUntil("a waiter") { server.store.requests.contains { $0.contains("index=") && $0.contains("wait=15000ms") } }
            #expect(second.child == nil)
            try box.write("", to: "go")
            #expect(try await first.ended() == 0)
            #expect(try await second.ended() == 0)
            #expect(server.store.sessions.isEmpty)
        }
    }

    @Test func `a lock whose session is destroyed ends its command and exits with 0`() async throws {
        try await inSandbox { box in
            let server = try await ConsulServer.start(in: box)
            let lock = ConsulLock("z", "exec sleep 60", at: server.port, in: box)
            try await waitUntil("the lock") { lock.isHolding }
            server.store.destroySession(try #require(lock.session))
            #expect(try await lock.ended() == 0)
            #expect(lock.output.map { $0.replacing(/pid [0-9]+/, with: "pid N") } == (try recordedOutput(of: 305)))
            #expect(lock.child?.ending == .died(signal: SIGTERM))
            // The lock-delay of 15 s stays, although the key is removed.
            #expect(server.store.isDelayed("z/.lock") && server.store.keys.isEmpty)
        }
    }

    @Test func `a killed lock leaves its command running and its key held`() async throws {
        try await inSandbox { box in
            let server = try await ConsulServer.start(in: box)
            let lock = ConsulLock("z", "exec sleep 60", at: server.port, in: box)
            try await waitUntil("the lock") { lock.isHolding }
            lock.kill()
            let requests = server.store.requests.count
            try await waitUntil("closed connections") { server.openConnections == 0 }
            #expect(lock.isHolding && server.store.holder("z/.lock") == lock.session)
            #expect(server.store.requests.count - requests <= 1)
            lock.child?.signal(SIGKILL)
            try await lock.child?.wait()
        }
    }

    @Test func `keys of another use and other limits are refused with the recorded messages`() async throws {
        try await inSandbox { box in
            let server = try await ConsulServer.start(in: box)
            server.store.put("y/.lock", "by hand")
            let lock = ConsulLock("y", "true", at: server.port, in: box)
            #expect(try await lock.ended() == 1)
            #expect(lock.output.last == "Lock acquisition failed: Existing key does not match lock use")

            var settings = ConsulLock.Settings()
            settings.limit = 2
            let holder = ConsulLock("sem", "exec sleep 60", at: server.port, settings, in: box)
            try await waitUntil("a holder") { holder.isHolding }
            settings.limit = 3
            let other = ConsulLock("sem", "true", at: server.port, settings, in: box)
            #expect(try await other.ended() == 1)
            #expect(other.output.last == "Lock acquisition failed: semaphore limit conflict (lock: 2, local: 3)")
            let plain = ConsulLock("sem", "true", at: server.port, in: box)
            #expect(try await plain.ended() == 1)
            #expect(plain.output.last == "Lock acquisition failed: Existing key does not match lock use")
            holder.interrupt()
            #expect(try await holder.ended() == 0)
        }
    }

    @Test func `a semaphore of two lets two commands run, and the third one after them`() async throws {
        try await inSandbox { box in
            let server = try await ConsulServer.start(in: box)
            var settings = ConsulLock.Settings()
            settings.limit = 2
            let command = "while [ ! -e \(box.path("go")) ]; do sleep 0.01; done"
            let locks = (0..<3).map { _ in ConsulLock("sem", command, at: server.port, settings, in: box) }
            try await waitUntil("two holders") { locks.filter(\.isHolding).count == 2 }
            try await waitUntil("three contenders") { server.store.keys.count == 4 }
            #expect(locks.filter(\.isHolding).count == 2)
            try box.write("", to: "go")
            for lock in locks { #expect(try await lock.ended() == 0) }
            #expect(server.store.keys.isEmpty && server.store.sessions.isEmpty)
        }
    }

    @Test func `a token without agent:read is refused as recorded`() async throws {
        let line = try #require(try ConsulRecording.read().lines.first { $0.whole["exit"] != nil })
        try await inSandbox { box in
            let rights = ConsulStore.Rights(keys: ["qq/": .write], session: .write)
            let server = try await ConsulServer.start(ConsulStore(access: .init(["LOCK": rights])), in: box)
            var settings = ConsulLock.Settings()
            settings.token = "LOCK"
            let lock = ConsulLock("qq/x", "true", at: server.port, settings, in: box)
            #expect(try await lock.ended() == 1)
            #expect(lock.output.map { $0 + "\n" } == [line.whole["output"]?.stringValue])
        }
    }
}
