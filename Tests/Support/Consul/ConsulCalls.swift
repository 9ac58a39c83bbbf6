import QQCore

/// A client of an agent on 127.0.0.1, each call on a connection of its own.
struct ConsulCalls: Sendable {
    struct Answer: Sendable {
        var status: Int
        var index: UInt64?
        var text: String

        var json: JSONValue? { try? JSONValue.parse(text.utf8) }
        /// The keys of an answer of `/v1/kv`; none for a missing key.
        var entries: [JSONValue] { status == 200 ? json?.arrayValue ?? [] : [] }
    }

    /// The connection ended without an answer, or the agent has failed.
    struct Broken: Error {}

    var port: UInt16
    var token: String
    var sandbox: Sandbox

    /// Waits as long as the agent does.
    func call(_ method: String, _ target: String, _ body: String = "") async throws -> Answer {
        let connection = try await RawConnection.connect(port, authority: nil, in: sandbox)
        let header = token.isEmpty ? "" : "X-Consul-Token: \(token)\r\n"
        await connection.send(
            "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n\(header)Connection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        do {
            while !connection.isClosed { try await Task.sleep(for: .milliseconds(1)) }
        } catch {
            await connection.close()
            throw error
        }
        return try Self.parse(connection.text)
    }

    private static func parse(_ text: String) throws(Broken) -> Answer {
        guard let end = text.firstRange(of: "\r\n\r\n"), let status = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else {
            throw Broken()
        }
        let head = text[..<end.lowerBound].lowercased()
        let index = head.firstRange(of: "x-consul-index: ").flatMap { UInt64(head[$0.upperBound...].prefix { $0.isNumber }) }
        var body = text[end.upperBound...]
        // A real agent sends long answers in chunks, and one in development mode ends each answer with a line end.
        if head.contains("transfer-encoding: chunked") { body = try joined(Array(body.utf8))[...] }
        while body.last?.isNewline == true { body = body.dropLast() }
        return Answer(status: status, index: index, text: String(body))
    }

    /// The body of an answer in chunks (RFC 9112, section 7.1).
    private static func joined(_ chunks: [UInt8]) throws(Broken) -> String {
        var (rest, body): (ArraySlice<UInt8>, [UInt8]) = (chunks[...], [])
        while let end = rest.firstIndex(of: 13) {
            guard let size = Int(String(decoding: rest[..<end], as: UTF8.self), radix: 16), size >= 0 else { throw Broken() }
            if size == 0 { return String(decoding: body, as: UTF8.self) }
            rest = rest[end...].dropFirst(2)
            guard rest.count >= size + 2 else { throw Broken() }
            body += rest.prefix(size)
            rest = rest.dropFirst(size + 2)
        }
        throw Broken()
    }
}
