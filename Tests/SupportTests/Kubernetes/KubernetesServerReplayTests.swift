import QQCore
import Support
import Testing

/// The lines of the recording that are about connections, and those around them, over the network.
@Suite("Recording of a real API server, over the network") struct KubernetesServerReplayTests {
    private static let leases = "/apis/coordination.k8s.io/v1/namespaces/team/leases"

    private struct Setup {
        let lines: [KubernetesRecording.Line]
        let server: KubernetesServer

        init(_ box: Sandbox, _ change: (inout KubernetesServer.Settings) -> Void = { _ in }) async throws {
            lines = try KubernetesRecording.read().lines
            var settings = KubernetesServer.Settings()
            change(&settings)
            server = try await KubernetesServer.start(LeaseAPI(), settings, in: box)
            server.accept(token: "TOKEN-admin", of: .admin)
            server.accept(token: "TOKEN-ops", of: .init("qq-ops"))
            server.allow("qq-ops", LeaseAPI.Grant.electing)
        }

        func connect(_ protocols: [String] = ["http/1.1"], in box: Sandbox) async throws -> RawConnection {
            try await RawConnection.connect(server.port, authority: server.certificates.authority, protocols: protocols, in: box)
        }
    }

    /// Sends a request over HTTP/1.1 and waits for its whole answer; nil if the connection ends first.
    private func call(
        _ connection: RawConnection, _ method: String, _ path: String, _ body: JSONValue? = nil, token: String = "TOKEN-admin"
    ) async throws -> (status: Int, head: String, body: String)? {
        connection.clear()
        let bytes = body.map { JSONWriter.string($0) } ?? ""
        await connection.send(
            "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(token)\r\nContent-Length: \(bytes.utf8.count)\r\n\r\n\(bytes)"
        )
        var answer: (status: Int, head: String, body: String)?
        try await waitUntil("an answer") {
            answer = Self.parse(connection.text)
            return answer != nil || connection.isClosed
        }
        return answer
    }

    private static func parse(_ text: String) -> (status: Int, head: String, body: String)? {
        guard let end = text.range(of: "\r\n\r\n") else { return nil }
        let head = text[..<end.lowerBound].lowercased()
        let status = head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        guard let mark = head.range(of: "content-length: "), let length = Int(head[mark.upperBound...].prefix { $0.isNumber }) else {
            return nil
        }
        let body = text[end.upperBound...]
        return body.utf8.count >= length ? (status, head, String(body)) : nil
    }

    /// Frames in the form of the recording, without WINDOW_UPDATE, which depends on the size of windows, and without the content of HEADERS. The test
    /// server ends a stream with an empty frame of its own.
    private func shown(_ frames: [RawHTTP2Frame]) -> [JSONValue] {
        var joined: [RawHTTP2Frame] = []
        for frame in frames where frame.name != "WINDOW_UPDATE" {
            if let last = joined.last, frame.name == "DATA", frame.payload.isEmpty, last.name == "DATA", last.stream == frame.stream {
                joined[joined.count - 1].flags = frame.flags
            } else {
                joined.append(frame)
            }
        }
        return joined.map { frame in
            var object: JSONObject = [
                "frame": .string(frame.name), "stream": .integer(Int64(frame.stream)), "flags": .integer(Int64(frame.flags)),
            ]
            switch frame.name {
            case "SETTINGS" where frame.flags == 0:
                var settings = JSONObject()
                for start in stride(from: 0, to: frame.payload.count, by: 6) {
                    let setting = frame.payload[start..<start + 6]
                    settings["\(RawHTTP2Frame.number(setting.prefix(2)))"] = .integer(Int64(RawHTTP2Frame.number(setting.dropFirst(2))))
                }
                object["settings"] = .object(settings)
            case "GOAWAY":
                object["last_stream"] = .integer(Int64(RawHTTP2Frame.number(frame.payload.prefix(4))))
                object["code"] = .integer(Int64(RawHTTP2Frame.number(frame.payload.dropFirst(4).prefix(4))))
                object["debug"] = ""
            case "DATA": object["text"] = .string(String(decoding: frame.payload, as: UTF8.self))
            default: break
            }
            return .object(object)
        }
    }

    private func recorded(_ line: KubernetesRecording.Line) -> [JSONValue] {
        (line.whole["frames"]?.arrayValue ?? []).filter { $0["frame"] != "WINDOW_UPDATE" }
    }

    private func closing(_ connection: RawConnection) -> [JSONValue] {
        shown(RawHTTP2Frame.parse(connection.received)) + (connection.isClosed ? [["closed": "by the server"]] : [])
    }

    // MARK: Connections

    @Test("plain HTTP to the TLS port gets Go's answer, and ALPN chooses as Go does (lines 273 to 277)")
    func negotiation() async throws {
        try await inSandbox { box in
            let setup = try await Setup(box)
            let plain = try await RawConnection.connect(setup.server.port, authority: nil, in: box)
            await plain.send("GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try await waitUntil("the end of the connection") { plain.isClosed }
            let line = setup.lines[272]
            #expect(plain.text.hasPrefix("HTTP/1.0 \(line.status ?? 0) "))
            #expect(plain.text.hasSuffix("\r\n\r\n" + (line.response?.stringValue ?? "?")))
            for line in setup.lines[273...276] {
                let offered = line.whole["alpn_offered"]?.arrayValue?.compactMap(\.stringValue) ?? []
                if line.whole["failed"] != nil {
                    await #expect(throws: SocketError.self, "\(line)") { try await setup.connect(offered, in: box) }
                    continue
                }
                let connection = try await setup.connect(offered, in: box)
                #expect(connection.negotiated == line.whole["alpn_chosen"]?.stringValue, "\(line)")
                #expect(connection.tlsVersion == line.whole["tls"]?.stringValue, "\(line)")
            }
        }
    }

    @Test("an HTTP/2 connection has the recorded frames (line 278)")
    func frames() async throws {
        try await inSandbox { box in
            let setup = try await Setup(box)
            let connection = try await setup.connect(["h2"], in: box)
            await connection.send(RawHTTP2Frame.preface + RawHTTP2Frame.get("/version", token: "TOKEN-admin", stream: 1))
            let expected = recorded(setup.lines[277])
            try await waitUntil("an answer") { shown(RawHTTP2Frame.parse(connection.received)).count >= expected.count }
            #expect(shown(RawHTTP2Frame.parse(connection.received)) == expected)
        }
    }

    // MARK: The end of the server

    @Test("SIGTERM closes the port and idle connections, and watches go on until the process ends (lines 295 to 302)")
    func terminated() async throws {
        try await inSandbox { box in
            let setup = try await Setup(box)
            let (lines, server) = (setup.lines, setup.server)
            try server.store.put(["metadata": ["name": "r"], "spec": ["holderIdentity": "alice"]])
            let version = server.store.version
            let idle = try await setup.connect(in: box)
            #expect(try await call(idle, "GET", Self.leases + "/r", token: "TOKEN-ops")?.status == lines[294].status)
            let watch = try await setup.connect(in: box)
            let query = "?watch=1&resourceVersion=\(version)"
            await watch.send(
                "GET \(Self.leases)\(query)&fieldSelector=metadata.name%3Dr HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN-admin\r\n\r\n"
            )
            try await waitUntil("the head of the watch") { watch.text.contains("\r\n\r\n") }
            let second = try await setup.connect(["h2"], in: box)
            await second.send(RawHTTP2Frame.preface + RawHTTP2Frame.get(Self.leases + query, token: "TOKEN-admin", stream: 1))
            try await waitUntil("the head of the second watch") { RawHTTP2Frame.parse(second.received).contains { $0.name == "HEADERS" } }
            await server.closePort()
            try await waitUntil("the end of the idle connection") { idle.isClosed }
            #expect(try await call(idle, "GET", Self.leases + "/r", token: "TOKEN-ops") == nil, "\(lines[295])")
            await #expect(throws: (any Error).self, "\(lines[296])") { try await setup.connect(in: box) }
            // Watches continue and report the writes of other servers' clients.
            #expect(!watch.isClosed && !second.isClosed)
            #expect(!watch.text.contains("MODIFIED"))
            try await waitUntil("GOAWAY") { RawHTTP2Frame.parse(second.received).contains { $0.name == "GOAWAY" } }
            await server.finishShutdown()
            try await waitUntil("the ends of the watches") { watch.isClosed && second.isClosed }
            #expect(lines[297].ended == "by the server, orderly")
            #expect(watch.text.hasSuffix("0\r\n\r\n"), "\(lines[297])")
            #expect(closing(second) == recorded(lines[298]))
            // Up again, on the same port, without the history.
            #expect(lines[299].whole["control"] == "start-api")
            server.store.advance(to: version + 8)
            try await server.start()
            let again = try await setup.connect(in: box)
            #expect(try await call(again, "GET", Self.leases + "/r", token: "TOKEN-ops")?.status == lines[300].status)
            let resumed = try await setup.connect(in: box)
            await resumed.send("GET \(Self.leases)\(query) HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN-admin\r\n\r\n")
            try await waitUntil("the end of the watch") { resumed.text.hasSuffix("0\r\n\r\n") }
            #expect(resumed.text.contains("too old resource version: \(version) (\(version + 8))"), "\(lines[301])")
        }
    }

    @Test("SIGKILL ends a watch in the middle (line 303)")
    func killed() async throws {
        try await inSandbox { box in
            let setup = try await Setup(box)
            let watch = try await setup.connect(in: box)
            await watch.send("GET \(Self.leases)?watch=1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN-admin\r\n\r\n")
            try await waitUntil("the head of the watch") { watch.text.contains("transfer-encoding: chunked\r\n\r\n") }
            await setup.server.kill()
            try await waitUntil("the end of the connection") { watch.isClosed }
            #expect(setup.lines[302].ended == "the connection ended without the last chunk")
            #expect(!watch.text.contains("\r\n0\r\n"))
        }
    }

    @Test("with a delay of shutdown all but /readyz works until the port is closed (lines 304 to 313)")
    func shutdownDelay() async throws {
        try await inSandbox { box in
            let setup = try await Setup(box)
            let (lines, server) = (setup.lines, setup.server)
            try server.store.put(["metadata": ["name": "r"], "spec": ["holderIdentity": "alice"]])
            let kept = try await setup.connect(in: box)
            #expect(try await call(kept, "GET", Self.leases + "/r", token: "TOKEN-ops")?.status == lines[303].status)
            server.beginShutdown()
            let ready = try #require(try await call(kept, "GET", "/readyz"))
            #expect(ready.status == lines[304].status)
            #expect(ready.body == lines[304].response?.stringValue)
            #expect(try await call(kept, "GET", "/livez")?.status == lines[305].status)
            #expect(try await call(kept, "GET", Self.leases + "/r", token: "TOKEN-ops")?.status == lines[306].status)
            var lease = try #require(server.store.lease("r")?.objectValue)
            lease["spec"] = ["holderIdentity": "bob"]
            let new = try await setup.connect(in: box)
            #expect(try await call(new, "PUT", Self.leases + "/r", .object(lease), token: "TOKEN-ops")?.status == lines[307].status)
            for line in lines[308...311] {
                let connection = try await setup.connect(in: box)
                #expect(try await call(connection, "GET", Self.leases + "/r", token: "TOKEN-ops")?.status == line.status, "\(line)")
            }
            await server.closePort()
            await #expect(throws: (any Error).self, "\(lines[312])") { try await setup.connect(in: box) }
        }
    }

    @Test("GOAWAY comes before the answer of the last stream, and never over HTTP/1.1 (lines 314 and 315)")
    func goAway() async throws {
        try await inSandbox { box in
            let lines = try KubernetesRecording.read().lines
            let before = try #require(lines[313].whole["requests_before"]?.int64Value)
            let setup = try await Setup(box) { $0.goAwayAfter = Int(before) }
            let connection = try await setup.connect(["h2"], in: box)
            await connection.send(RawHTTP2Frame.preface)
            for number in 1...UInt32(before) {
                connection.clear()
                await connection.send(RawHTTP2Frame.get("/version", token: "TOKEN-admin", stream: 2 * number - 1))
                try await waitUntil("answer \(number)") {
                    RawHTTP2Frame.parse(connection.received).contains { $0.stream == 2 * number - 1 && $0.name == "DATA" && $0.flags == 1 }
                }
            }
            try await waitUntil("the end of the connection") { connection.isClosed }
            #expect(closing(connection) == recorded(lines[313]))
            let old = try await setup.connect(in: box)
            let requests = try #require(lines[314].whole["requests"]?.int64Value)
            for _ in 0..<requests {
                let answer = try #require(try await call(old, "GET", "/version"))
                #expect(answer.status == lines[314].status)
                #expect(!answer.head.contains("connection:"))
            }
        }
    }
}
