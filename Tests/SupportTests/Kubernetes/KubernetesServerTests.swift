import QQCore
import Support
import Testing

/// The switches of the test API server, as an HTTP client sees them.
@Suite("Test API server") struct KubernetesServerTests {
    private static let leases = "/apis/coordination.k8s.io/v1/namespaces/team/leases"
    private static let lease: JSONValue = ["metadata": ["name": "jobs"], "spec": ["holderIdentity": "alice", "leaseDurationSeconds": 15]]

    /// Sends one request on a connection of its own, and returns what came when the answer is whole or the connection has ended.
    private func exchange(
        _ server: KubernetesServer, _ method: String, _ path: String, _ body: JSONValue? = nil, token: String = "admin",
        certificate: Certificates.Pair? = nil, until mark: String = "\r\n\r\n", in box: Sandbox
    ) async throws -> RawConnection {
        let authority = server.settings.usesTLS ? server.certificates.authority : nil
        let connection = try await RawConnection.connect(
            server.port, authority: authority, protocols: ["http/1.1"], certificate: certificate, in: box)
        let text = body.map { JSONWriter.string($0) } ?? ""
        let authorization = token.isEmpty ? "" : "Authorization: Bearer \(token)\r\n"
        await connection.send(
            "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n\(authorization)Content-Length: \(text.utf8.count)\r\n\r\n\(text)")
        try await waitUntil("an answer") { connection.text.contains(mark) || connection.isClosed }
        return connection
    }

    private func status(_ connection: RawConnection) -> Int? { connection.text.split(separator: " ").dropFirst().first.flatMap { Int($0) } }

    private func start(_ box: Sandbox, tls: Bool = true) async throws -> KubernetesServer {
        var settings = KubernetesServer.Settings()
        settings.usesTLS = tls
        let server = try await KubernetesServer.start(LeaseAPI(), settings, in: box)
        server.accept(token: "admin", of: .admin)
        try server.store.put(Self.lease)
        return server
    }

    private func renewed(_ server: KubernetesServer, by holder: String) throws -> JSONValue {
        var lease = try #require(server.store.lease("jobs")?.objectValue)
        lease["spec"] = ["holderIdentity": .string(holder), "leaseDurationSeconds": 15]
        return .object(lease)
    }

    @Test("users come from client certificates and from tokens, which can expire")
    func users() async throws {
        try await inSandbox { box in
            let server = try await start(box)
            server.allow("readers", [.get])
            let certificate = try await server.clientCertificate(for: .init("reader", groups: ["readers"]))
            #expect(status(try await exchange(server, "GET", Self.leases + "/jobs", token: "", certificate: certificate, in: box)) == 200)
            #expect(server.api.calls.last?.user == "reader")
            let list = try await exchange(server, "GET", Self.leases, token: "", certificate: certificate, in: box)
            #expect(status(list) == 403)
            #expect(status(try await exchange(server, "GET", Self.leases, in: box)) == 200)
            server.expire(token: "admin")
            #expect(status(try await exchange(server, "GET", Self.leases, in: box)) == 401)
            #expect(status(try await exchange(server, "GET", Self.leases, token: "", in: box)) == 403)
            #expect(server.api.calls.last?.user == "system:anonymous")
        }
    }

    @Test("answers carry the server's time, by the store's clock")
    func date() async throws {
        try await inSandbox { box in
            let time = try WallTime.parse(rfc3339: "1994-11-06T08:49:37Z")
            var settings = KubernetesServer.Settings()
            settings.usesTLS = false
            let server = try await KubernetesServer.start(LeaseAPI(store: LeaseStore(clock: { time })), settings, in: box)
            let answer = try await exchange(server, "GET", "/version", token: "", in: box)
            #expect(answer.text.contains("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"))
        }
    }

    @Test("a write whose answer is lost is carried out, or not, or later")
    func lostAnswers() async throws {
        try await inSandbox { box in
            let server = try await start(box)
            server.api.fail([.update], with: .closed(applied: .yes))
            let lost = try await exchange(server, "PUT", Self.leases + "/jobs", renewed(server, by: "bob"), in: box)
            #expect(lost.text.isEmpty && lost.isClosed)
            #expect(server.store.holder("jobs") == "bob")
            server.api.fail([.update], with: .timeout())
            #expect(status(try await exchange(server, "PUT", Self.leases + "/jobs", renewed(server, by: "carol"), in: box)) == 504)
            #expect(server.store.holder("jobs") == "bob")
            server.api.fail([.update], with: .unavailable(applied: .later(.milliseconds(50))))
            #expect(status(try await exchange(server, "PUT", Self.leases + "/jobs", renewed(server, by: "dave"), in: box)) == 500)
            try await waitUntil("the late write") { server.store.holder("jobs") == "dave" }
            server.api.fail([.update], with: .timeout(applied: .later(nil)))
            #expect(status(try await exchange(server, "PUT", Self.leases + "/jobs", renewed(server, by: "erin"), in: box)) == 504)
            #expect(server.store.pending.count == 1)
            // It is checked when it is carried out: here it comes too late.
            server.store.edit("jobs", labels: ["app": "web"])
            server.store.applyPending()
            #expect(server.store.holder("jobs") == "dave")
            #expect(server.api.count(.update) == 4)
        }
    }

    @Test("a server refuses, is slow, or never answers")
    func refusals() async throws {
        try await inSandbox { box in
            let server = try await start(box, tls: false)
            server.api.fail([.get], with: .tooManyRequests(retryAfter: 2))
            let busy = try await exchange(server, "GET", Self.leases + "/jobs", until: "later.\n", in: box)
            #expect(status(busy) == 429)
            #expect(busy.text.lowercased().contains("retry-after: 2\r\n"))
            server.api.fail([.update], with: .conflict)
            #expect(status(try await exchange(server, "PUT", Self.leases + "/jobs", renewed(server, by: "bob"), in: box)) == 409)
            server.api.fail([.list], with: .expired)
            #expect(status(try await exchange(server, "GET", Self.leases, in: box)) == 410)
            server.api.fail([.get], with: .slow(.milliseconds(80)))
            let start = ContinuousClock.now
            #expect(status(try await exchange(server, "GET", Self.leases + "/jobs", in: box)) == 200)
            #expect(.now - start >= .milliseconds(80))
            server.api.fail([.get], with: .noAnswer())
            let mute = try await RawConnection.connect(server.port, authority: nil, in: box)
            await mute.send("GET \(Self.leases)/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer admin\r\n\r\n")
            try await waitUntil("the request") { server.api.count(.get) == 3 }
            #expect(mute.received.isEmpty && !mute.isClosed)
            await server.kill()
            try await waitUntil("the end of the connection") { mute.isClosed }
        }
    }

    @Test("watches report writes to another replica, and can be silent, stale, expired or cut")
    func watches() async throws {
        try await inSandbox { box in
            let server = try await start(box)
            let replica = try await server.startReplica()
            let path = Self.leases + "?watch=1&fieldSelector=metadata.name%3Djobs&resourceVersion=\(server.store.version)"
            let watch = try await exchange(replica, "GET", path, in: box)
            #expect(status(try await exchange(server, "PUT", Self.leases + "/jobs", renewed(server, by: "bob"), in: box)) == 200)
            try await waitUntil("the event") { watch.text.contains("\"holderIdentity\":\"bob\"") }
            replica.api.freezeCache()
            #expect(status(try await exchange(server, "PUT", Self.leases + "/jobs", renewed(server, by: "carol"), in: box)) == 200)
            let stale = try await exchange(replica, "GET", Self.leases + "/jobs?resourceVersion=0", until: "}}", in: box)
            #expect(stale.text.contains("\"bob\""))
            let fresh = try await exchange(replica, "GET", Self.leases + "/jobs", until: "}}", in: box)
            #expect(fresh.text.contains("\"carol\""))
            #expect(!watch.text.contains("carol"))
            replica.api.refreshCache()
            try await waitUntil("the late event") { watch.text.contains("carol") }
            replica.api.expireWatches()
            try await waitUntil("the end of the watch") { watch.text.contains("\"code\":410") && watch.text.hasSuffix("0\r\n\r\n") }
            let next = try await exchange(replica, "GET", Self.leases + "?watch=1", in: box)
            try await waitUntil("the first event") { next.text.contains("ADDED") }
            replica.cutConnections()
            try await waitUntil("the end of the connection") { next.isClosed }
            #expect(!next.text.hasSuffix("0\r\n\r\n"))
            // A restart loses the history.
            await replica.kill()
            try await replica.start()
            let late = try await exchange(replica, "GET", path, until: "0\r\n\r\n", in: box)
            #expect(late.text.contains("too old resource version"))
        }
    }

    @Test("a backup that is restored takes versions back, and a watch from a later one is silent")
    func restored() async throws {
        try await inSandbox { box in
            let server = try await start(box)
            let backup = server.store.backUp()
            #expect(status(try await exchange(server, "PUT", Self.leases + "/jobs", renewed(server, by: "bob"), in: box)) == 200)
            let version = server.store.version
            server.store.restore(backup)
            server.api.restart(.broken)
            #expect(server.store.version < version)
            let watch = try await exchange(server, "GET", Self.leases + "?watch=1&resourceVersion=\(version)", in: box)
            #expect(status(try await exchange(server, "PUT", Self.leases + "/jobs", renewed(server, by: "carol"), in: box)) == 200)
            #expect(status(try await exchange(server, "PUT", Self.leases + "/jobs", renewed(server, by: "dave"), in: box)) == 200)
            try await waitUntil("the event of the version after") { watch.text.contains("dave") }
            #expect(!watch.text.contains("carol"))
        }
    }
}
