import Testing

@testable import QQNATS

@Suite("The parser of NATS servers' operations") struct NATSParserTests {
    /// One operation of each kind, as servers send them.
    static let conversation: [(text: String, operation: ServerOperation)] = [
        (
            #"INFO {"server_id":"A","version":"2.12.8","proto":1,"headers":true,"max_payload":1048576,"jetstream":true} "# + "\r\n",
            .info(info)
        ),
        ("MSG _INBOX.a.b 1 5\r\nhello\r\n", .message(sid: 1, NATSMessage(subject: "_INBOX.a.b", payload: Array("hello".utf8)))),
        ("MSG a 18446744073709551615 b 0\r\n\r\n", .message(sid: .max, NATSMessage(subject: "a", reply: "b"))),
        ("MSG a 2 11\r\nPING\r\nPONG\r\r\n", .message(sid: 2, NATSMessage(subject: "a", payload: Array("PING\r\nPONG\r".utf8)))),
        (
            "HMSG _INBOX.c 3 31 36\r\nNATS/1.0\r\nKV-Operation: DEL\r\n\r\nvalue\r\n",
            .message(
                sid: 3, NATSMessage(subject: "_INBOX.c", headers: NATSHeaders([.init("KV-Operation", "DEL")]), payload: Array("value".utf8))
            )
        ),
        (
            "HMSG _INBOX.c 3 r.s 16 16\r\nNATS/1.0 503\r\n\r\n\r\n",
            .message(sid: 3, NATSMessage(subject: "_INBOX.c", reply: "r.s", headers: NATSHeaders(status: 503)))
        ),
        ("PING\r\n", .ping), ("PONG\r\n", .pong), ("+OK\r\n", .ok),
        ("-ERR 'Authorization Violation'\r\n", .error("Authorization Violation")),
    ]
    static var info: ServerInfo {
        var info = ServerInfo()
        (info.serverID, info.version, info.proto, info.headers, info.jetStream) = ("A", "2.12.8", 1, true, true)
        return info
    }

    @Test("every operation is read, wherever its bytes are cut", arguments: conversation.indices) func everyCut(_ index: Int) throws {
        let (text, operation) = Self.conversation[index]
        let bytes = Array(text.utf8)
        for cut in 0...bytes.count {
            var parser = NATSParser()
            parser.append(bytes[..<cut])
            if cut < bytes.count { #expect(try parser.next() == nil, "after \(cut) bytes") }
            parser.append(bytes[cut...])
            #expect(try parser.next() == operation, "cut after \(cut) bytes")
            #expect(try parser.next() == nil)
        }
    }

    @Test("many operations are read in one piece and byte by byte") func stream() throws {
        let bytes = Self.conversation.flatMap { Array($0.text.utf8) }
        let expected = Self.conversation.map(\.operation)
        #expect(try operations(bytes, pieces: bytes.count) == expected)
        #expect(try operations(bytes, pieces: 1) == expected)
        #expect(try operations(bytes, pieces: 7) == expected)
    }

    @Test(
        "blanks and the case of verbs are handled as in the protocol",
        arguments: [
            ("ping\r\n", .ping), ("PoNg  \r\n", .pong), ("+ok\t\r\n", .ok), ("-err  'x y' \r\n", .error("x y")),
            ("-ERR x'\r\n", .error("x'")),
            ("-ERR\r\n", .error("")), ("msg\t a \t 1  0 \r\n\r\n", .message(sid: 1, NATSMessage(subject: "a"))),
            ("info\t{}\r\n", .info(ServerInfo())),
        ] as [(String, ServerOperation)]) func blanks(_ text: String, _ operation: ServerOperation) throws
    {
        #expect(try operations(Array(text.utf8), pieces: 3) == [operation])
    }

    @Test(
        "bytes that are not NATS are refused",
        arguments: [
            "\r\n", "\n", "HTTP/1.1 400 Bad Request\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\u{16}\u{3}", " PING\r\n", "PING\n", "PING x\r\n",
            "PINGPING\r\n", "+OKAY\r\n", "MSG\r\n",
            "MSG a\r\n", "MSG a 1\r\n", "MSG a x 1\r\n", "MSG a 1 -1\r\n", "MSG a 1 +1\r\n", "MSG a 1 0x1\r\n", "MSG a 1 r 1 1\r\n",
            "MSG a 18446744073709551616 1\r\n", "MSG a 1 99999999999999999999999999\r\n", "MSG a\u{1} 1 1\r\n", "MSG a\r 1 1\r\n",
            "MSG a 1 1\r\nxyz",
            "MSG a 1 1\r\nx\n\r", "HMSG a 1 1\r\n", "HMSG a 1 2 1\r\n", "HMSG a 1 r 2 1\r\n", "HMSG a 1 r 1 1 1\r\n", "INFO\r\n",
            "INFO []\r\n", "INFO {\r\n",
        ]) func garbage(_ text: String) throws
    {
        for pieces in [1, 2, 1000] {
            let error = #expect(throws: NATSError.self) { try operations(Array(text.utf8), pieces: pieces) }
            #expect(error?.kind == .malformed, "\(text.debugDescription): \(String(describing: error))")
        }
    }

    @Test("a parser that has failed throws the same error again") func failed() {
        var parser = NATSParser()
        parser.append(Array("PING\r\nnonsense\r\nPING\r\n".utf8))
        #expect((try? parser.next()) == .ping)
        let first = #expect(throws: NATSError.self) { try parser.next() }
        parser.append(Array("PING\r\n".utf8))
        let second = #expect(throws: NATSError.self) { try parser.next() }
        #expect(first == second)
    }

    @Test("the error quotes only a printable start of the refused bytes") func excerpt() {
        var parser = NATSParser()
        parser.append(Array("GET \u{1b}[2J\(String(repeating: "secret", count: 50))\r\n".utf8))
        let error = #expect(throws: NATSError.self) { try parser.next() }
        #expect(error?.reason.contains("\\x1b[2J") == true)
        #expect(error?.reason.utf8.allSatisfy { $0 >= 0x20 } == true)
        #expect((error?.reason.utf8.count ?? 0) < 120)
    }

    @Test("a message with malformed headers is delivered without headers") func spoiltHeaders() throws {
        let expected = ServerOperation.message(sid: 1, NATSMessage(subject: "a", payload: Array("!".utf8)))
        #expect(try operations(Array("HMSG a 1 7 8\r\ngarbage!\r\nPING\r\n".utf8), pieces: 5) == [expected, .ping])
        #expect(try operations(Array("HMSG a 1 0 1\r\n!\r\n".utf8), pieces: 5) == [expected])
    }

    // MARK: Limits

    @Test("a line is accepted up to the limit, and refused above it", arguments: [1, 3, 1000]) func lineLimit(pieces: Int) throws {
        var parser = NATSParser(maximumControlLine: 20)
        #expect(try operations(Array("-ERR '\(String(repeating: "e", count: 13))'\r\n".utf8), pieces: pieces, &parser).count == 1)
        for text in ["-ERR '\(String(repeating: "e", count: 14))'\r\n", "-ERR \(String(repeating: "e", count: 40))"] {
            var parser = NATSParser(maximumControlLine: 20)
            let error = #expect(throws: NATSError.self) { try operations(Array(text.utf8), pieces: pieces, &parser) }
            #expect(error?.kind == .tooLarge)
        }
    }

    @Test("a message above the limit is refused before its body arrives") func payloadLimit() throws {
        var parser = NATSParser()
        parser.maximumPayload = 4
        #expect(try operations(Array("MSG a 1 4\r\n1234\r\n".utf8), pieces: 2, &parser).count == 1)
        for line in ["MSG a 1 5\r\n", "HMSG a 1 4 5\r\n", "MSG a 1 18446744073709551615\r\n"] {
            var parser = parser
            let error = #expect(throws: NATSError.self) { try operations(Array(line.utf8), pieces: 100, &parser) }
            #expect(error?.kind == .tooLarge)
        }
        parser.maximumPayload = .max
        #expect(parser.maximumPayload == NATSParser.absoluteMaximumPayload)
        parser.maximumPayload = -1
        #expect(parser.maximumPayload == 0)
    }

    @Test("a long INFO is accepted") func longInfo() throws {
        let urls = (0..<3000).map { "\"server-\($0).example.com:4222\"" }.joined(separator: ",")
        let operations = try operations(Array("INFO {\"connect_urls\":[\(urls)]}\r\n".utf8), pieces: 4096)
        guard case .info(let info)? = operations.first else { throw NATSError(.malformed, "no INFO") }
        #expect(info.connectURLs.count == 3000)
    }

    @Test("each byte is moved about once, however many bytes wait") func moves() throws {
        var parser = NATSParser()
        var appended = 0
        var moved = 0
        var most = 0
        func append(_ bytes: [UInt8]) {
            let before = parser.heldCount
            parser.append(bytes)
            appended += bytes.count
            if parser.heldCount < before + bytes.count { moved += parser.waitingCount - bytes.count }
            most = max(most, parser.heldCount - 2 * parser.waitingCount)
        }
        append(Array(String(repeating: "MSG a 1 1\r\nx\r\n", count: 2000).utf8))
        while let operation = try parser.next() {
            if case .message = operation { append(Array("PING\r\n".utf8)) }
        }
        #expect(moved <= appended)
        #expect(most <= 0, "taken bytes are kept although they are the larger part")
    }

    /// Searching the line from its start for each new byte would take minutes.
    @Test("each byte is searched about once, however small the pieces", .timeLimit(.minutes(10))) func searches() throws {
        let line = Array("-ERR \(String(repeating: "e", count: 200_000))\r\n".utf8)
        #expect(try operations(line, pieces: 1).count == 1)
        let message = Array("MSG a 1 200000\r\n".utf8) + [UInt8](repeating: 7, count: 200_000) + Array("\r\n".utf8)
        #expect(try operations(message, pieces: 1).count == 1)
    }

    private func operations(_ bytes: [UInt8], pieces: Int) throws -> [ServerOperation] {
        var parser = NATSParser()
        return try operations(bytes, pieces: pieces, &parser)
    }

    private func operations(_ bytes: [UInt8], pieces: Int, _ parser: inout NATSParser) throws -> [ServerOperation] {
        var operations: [ServerOperation] = []
        for start in stride(from: 0, to: bytes.count, by: max(pieces, 1)) {
            parser.append(bytes[start..<min(start + pieces, bytes.count)])
            while let operation = try parser.next() { operations.append(operation) }
        }
        return operations
    }
}
