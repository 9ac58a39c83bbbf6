import Glibc
import QQCore
import Support
import Testing

@Suite("Real NATS servers for tests") struct NATSServerTests {
    @Test("a NATS server serves on its own ports with the requested version", arguments: NATSVersion.allCases)
    func version(version: NATSVersion) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(version, in: box)
            let client = try RawNATS(server.port)
            let text = try #require(client.info["version"]?.stringValue)
            let numbers = text.split(separator: ".").compactMap { Int($0) }
            #expect(version == .latest ? numbers[1] >= 12 : numbers[1] < 12)
            #expect(try server.page("/varz")["server_name"]?.stringValue == "nats")
        }
    }

    @Test("a NATS server keeps its bucket and its port over a restart and a kill", arguments: NATSVersion.allCases)
    func restart(version: NATSVersion) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(version, in: box)
            let port = server.port
            let client = try RawNATS(port)
            try client.createBucket("b", ttl: .seconds(30))
            let revision = try client.put("k", "v", in: "b", expected: 0)
            #expect(throws: JetStreamError.self) { try client.put("k", "w", in: "b", expected: 0) }
            for killed in [false, true] {
                try await server.restart(killed: killed)
                #expect(server.port == port)
                let found = try #require(try RawNATS(port).key("k", in: "b"))
                #expect(found.text == "v" && found.sequence == revision)
            }
            try RawNATS(port).delete("k", in: "b")
            #expect(try RawNATS(port).key("k", in: "b")?.isDeletion == true)
            #expect(try RawNATS(port).key("other", in: "b") == nil)
            #expect(try RawNATS(port).streamInfo("nothing") == nil)
        }
    }

    @Test(
        "a NATS server delivers published messages with headers, and answers requests without a subscriber", arguments: NATSVersion.allCases
    )
    func messages(version: NATSVersion) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(version, in: box)
            let (one, other) = (try RawNATS(server.port), try RawNATS(server.port))
            let subscription = try one.subscribe("a.*")
            try other.publish("a.b", "text", headers: [("X", "y")], reply: "r")
            let message = try #require(try one.next(subscription))
            #expect(message.subject == "a.b" && message.text == "text" && message["X"] == "y" && message.reply == "r")
            #expect(try other.request("nobody").status == 503)
        }
    }

    @Test("a paused NATS server answers nothing, and answers again after it is resumed")
    func pause() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let client = try RawNATS(server.port)
            try await server.pause()
            #expect(throws: SocketError.self) { try client.request("nobody", within: .milliseconds(100)) }
            server.resume()
            #expect(try client.request("nobody").status == 503)
        }
    }

    @Test("a NATS server announces its shutdown in lame-duck mode", arguments: NATSVersion.allCases)
    func lameDuck(version: NATSVersion) async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(version, in: box)
            var wire = try NATSWire(port: server.port)
            defer { wire.close() }
            let end = ContinuousClock.now + waitingTime
            _ = try wire.next(until: end)
            try wire.send("CONNECT {\"verbose\":false,\"protocol\":1}")
            // The server counts a client among those that it informs only some time after its first PONG, and before its second.
            for _ in 0..<2 {
                try wire.send("PING")
                while try #require(try wire.next(until: end)).verb != "PONG" {}
            }
            server.lameDuck()
            while let line = try wire.next(until: end) {
                guard line.verb == "INFO", let payload = line.payload, try JSONValue.parse(payload)["ldm"]?.boolValue == true else {
                    continue
                }
                return
            }
            Issue.record("no ldm in time: \(server.log)")
        }
    }

    @Test("a NATS server is ended, and its folder removed, when the test process is killed")
    func orphan() async throws {
        try await inSandbox { box in
            // The watchdog acts when the end of the test process closes its pipe. Here the test closes the pipe of a second watchdog instead.
            let server = try await NATSServer.start(in: box)
            #expect(server.isRunning)
            let pipe = Pipe()
            let dog = try Watchdog.shell(reading: pipe)
            let text = Array("\(try #require(server.pid)) \(box.folder)\n".utf8)
            _ = write(pipe.writing, text, text.count)
            pipe.closeWriting()
            try await server.ended()
            try await dog.wait()
            #expect(access(box.folder, F_OK) != 0)
        }
    }
}
