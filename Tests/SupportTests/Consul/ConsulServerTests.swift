import QQCore
import Support
import Testing

/// What only the network shows, with the lines of the recording that are about TLS.
@Suite("Test agents of Consul over the network") struct ConsulServerTests {
    private func json(_ connection: RawConnection) -> JSONValue? {
        connection.text.firstRange(of: "\r\n\r\n").flatMap { try? JSONValue.parse(connection.text[$0.upperBound...].utf8) }
    }

    private func send(
        _ method: String, _ target: String, _ body: String = "", to server: ConsulServer, authority: String? = nil,
        certificate: Certificates.Pair? = nil, in box: Sandbox
    ) async throws -> RawConnection {
        let connection = try await RawConnection.connect(server.port, authority: authority, certificate: certificate, in: box)
        await connection.send(
            "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        return connection
    }

    private func exchange(_ method: String, _ target: String, _ body: String = "", to server: ConsulServer, in box: Sandbox) async throws
        -> RawConnection
    {
        let connection = try await send(method, target, body, to: server, in: box)
        try await waitUntil("an answer") { connection.isClosed }
        return connection
    }

    @Test func `a write by way of one agent wakes a blocking query at another`() async throws {
        try await inSandbox { box in
            let servers = try await ConsulServer.startAll(in: box)
            let (first, last) = (try #require(servers.first), try #require(servers.last))
            #expect(try await exchange("PUT", "/v1/kv/a", "1", to: first, in: box).text.hasPrefix("HTTP/1.1 200"))
            let index = first.store.index
            let waiting = try await send("GET", "/v1/kv/a?index=\(index)&wait=60s", to: last, in: box)
            try await waitUntil("a blocking query") { first.store.count(.blockingRead) == 1 }
            #expect(waiting.text.isEmpty)
            _ = try await exchange("PUT", "/v1/kv/a", "2", to: first, in: box)
            try await waitUntil("an answer") { waiting.isClosed }
            #expect(json(waiting)?.arrayValue?.first?["ModifyIndex"]?.uint64Value == index + 1)
            #expect(waiting.text.lowercased().contains("x-consul-index: \(index + 1)\r\n"))
        }
    }

    @Test func `a killed agent ends its connections, and answers again on the same port after its restart`() async throws {
        try await inSandbox { box in
            let servers = try await ConsulServer.startAll(in: box)
            let client = try #require(servers.last)
            let waiting = try await send("GET", "/v1/kv/none?index=100&wait=60s", to: client, in: box)
            try await waitUntil("a blocking query") { client.store.count(.blockingRead) == 1 }
            await client.kill()
            try await waitUntil("a cut connection") { waiting.isClosed }
            #expect(waiting.text.isEmpty)
            await #expect(throws: (any Error).self) { try await exchange("GET", "/v1/status/leader", to: client, in: box) }
            try await client.restart()
            #expect(json(try await exchange("GET", "/v1/status/leader", to: client, in: box)) == "server1:8300")
        }
    }

    @Test func `a silent agent carries a write out and answers nothing, and a closing one ends the connection`() async throws {
        try await inSandbox { box in
            let server = try await ConsulServer.start(in: box)
            server.store.fail([.put], with: .silence(applied: .yes))
            let unanswered = try await send("PUT", "/v1/kv/a", "1", to: server, in: box)
            try await waitUntil("a write") { server.store.keys == ["a"] }
            #expect(unanswered.text.isEmpty && !unanswered.isClosed)
            server.store.fail([.put], with: .closed())
            #expect(try await exchange("PUT", "/v1/kv/b", "1", to: server, in: box).text.isEmpty)
            #expect(server.store.keys == ["a"])
            await unanswered.close()
        }
    }

    @Test func `TLS agents answer as recorded with a client certificate, without one, and in plain text`() async throws {
        let lines = try ConsulRecording.read().lines.filter { $0.scenario == "TLS" }
        try #require(lines.count == 3)
        let (answer, refusal) = (try #require(lines[0].response), try #require(lines[2].response))
        try await inSandbox { box in
            var settings = ConsulServer.Settings()
            settings.usesTLS = true
            settings.requiresClientCertificate = true
            let server = try await ConsulServer.start(ConsulStore(servers: ["tls"], clients: []), agent: "tls", settings, in: box)
            let certificates = try #require(server.certificates)
            let allowed = try await send(
                "GET", "/v1/status/leader", to: server, authority: certificates.authority, certificate: certificates.client, in: box)
            try await waitUntil("an answer") { allowed.isClosed }
            #expect(allowed.text.hasPrefix("HTTP/1.1 200") && allowed.text.hasSuffix(answer))

            // The alert reaches the client after its own handshake is done.
            let refused = try? await send("GET", "/v1/status/leader", to: server, authority: certificates.authority, in: box)
            if let refused { try await waitUntil("a refusal") { refused.isClosed } }
            #expect(refused?.text.isEmpty ?? true)
            #expect(lines[1].status == nil)

            let plain = try await exchange("GET", "/v1/status/leader", to: server, in: box)
            #expect(plain.text.contains(" 400 ") && plain.text.hasSuffix(refusal))
        }
    }
}
