import QQCore
import Support
import Testing

@Suite("Real Consul", .enabled(if: ConsulProgram.path != nil, Comment(rawValue: ConsulProgram.missing))) struct RealConsulTests {
    private func start(_ words: [String], in box: Sandbox) throws -> Child {
        var launch = box.launch([try #require(ConsulProgram.path)] + words)
        launch.output = .file(box.path("out"))
        launch.errors = .file(box.path("out"))
        return try Child(launch)
    }

    @Test func `the real consul lock and its stand-in exclude each other at a test agent`() async throws {
        try await inSandbox { box in
            let server = try await ConsulServer.start(in: box)
            let wait = "while [ ! -e \(box.path("go")) ]; do sleep 0.01; done"
            let real = try start(["lock", "-http-addr=\(server.address)", "-verbose", "x", "touch \(box.path("held")); " + wait], in: box)
            try await waitUntil("the real lock: \(box.read("out"))") { readBytes(box.path("held")) != nil }
            let lock = ConsulLock("x", "true", at: server.port, in: box)
            try await waitUntil("a waiter") { server.store.requests.contains { $0.contains("index=") && $0.contains("wait=15000ms") } }
            #expect(lock.child == nil)
            try box.write("", to: "go")
            #expect(try await real.wait() == .exited(0))
            #expect(try await lock.ended() == 0)
            #expect(server.store.sessions.isEmpty)
        }
    }

    @Test(arguments: [1, 2]) func `the stand-in and the real consul lock exclude each other at a real agent`(limit: Int) async throws {
        try await inSandbox(.heavy) { box in
            let server = try await RealConsul.start(in: box)
            var settings = ConsulLock.Settings()
            settings.limit = limit
            let wait = "while [ ! -e \(box.path("go")) ]; do sleep 0.01; done"
            let locks = (0..<limit).map { _ in ConsulLock("x", wait, at: server.port, settings, in: box) }
            try await waitUntil("the stand-ins hold: \(locks.map(\.output))", within: .seconds(90)) { locks.allSatisfy(\.isHolding) }
            let command = ["lock", "-http-addr=\(server.address)", "-verbose"] + (limit > 1 ? ["-n=\(limit)"] : [])
            let real = try start(command + ["x", "touch \(box.path("held"))"], in: box)
            try await waitUntil("it waits: \(box.read("out"))", within: .seconds(90)) {
                box.read("out").contains("Attempting lock acquisition")
            }
            #expect(readBytes(box.path("held")) == nil && real.isRunning)
            try box.write("", to: "go")
            for lock in locks { #expect(try await lock.ended() == 0, "\(lock.output)") }
            #expect(try await real.wait("the real lock: \(box.read("out"))") == .exited(0))
            #expect(readBytes(box.path("held")) != nil)
        }
    }
}
