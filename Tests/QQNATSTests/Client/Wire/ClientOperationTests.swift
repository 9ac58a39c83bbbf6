import QQCore
import Testing

@testable import QQNATS

@Suite("Operations of the NATS client") struct ClientOperationTests {
    @Test(
        "an operation is encoded byte for byte as in the protocol",
        arguments: [
            (.ping, "PING\r\n"), (.pong, "PONG\r\n"), (.subscribe(subject: "_INBOX.a.*", sid: 1), "SUB _INBOX.a.* 1\r\n"),
            (.subscribe(subject: "a.>", queue: "q", sid: 12), "SUB a.> q 12\r\n"), (.unsubscribe(sid: 3), "UNSUB 3\r\n"),
            (.unsubscribe(sid: 3, max: 2), "UNSUB 3 2\r\n"),
            (.publish(subject: "a"), "PUB a 0\r\n\r\n"),
            (.publish(subject: "a", reply: "b.c", payload: Array("hé".utf8)), "PUB a b.c 3\r\nhé\r\n"),
            (
                .publish(subject: "$KV.b.k", reply: "r", headers: NATSHeaders([.init("KV-Operation", "DEL")])),
                "HPUB $KV.b.k r 31 31\r\nNATS/1.0\r\nKV-Operation: DEL\r\n\r\n\r\n"
            ),
            (
                .publish(subject: "a", headers: NATSHeaders([.init("A", "b")]), payload: Array("xyz".utf8)),
                "HPUB a 18 21\r\nNATS/1.0\r\nA: b\r\n\r\nxyz\r\n"
            ),
        ] as [(ClientOperation, String)]) func bytes(_ operation: ClientOperation, _ text: String) throws
    {
        #expect(String(decoding: try operation.bytes, as: UTF8.self) == text)
    }

    @Test("an operation is appended to the buffer") func appended() throws {
        var buffer = Array("PING\r\n".utf8)
        try ClientOperation.pong.encode(into: &buffer)
        #expect(buffer == Array("PING\r\nPONG\r\n".utf8))
    }

    @Test("CONNECT has the members that servers know") func connect() throws {
        var options = ConnectOptions(name: "qq \"x\"", tlsRequired: true)
        (options.user, options.password) = ("u", "p\n")
        let text = String(decoding: try ClientOperation.connect(options).bytes, as: UTF8.self)
        #expect(text.hasPrefix("CONNECT {") && text.hasSuffix("}\r\n"))
        #expect(text.utf8.count { $0 == 10 } == 1)
        var expected: JSONValue = [
            "verbose": false, "pedantic": false, "user": "u", "pass": "p\n", "tls_required": true, "name": "qq \"x\"", "lang": "swift",
            "version": .string(QQCore.version), "protocol": 1, "echo": true, "headers": true, "no_responders": true,
        ]
        #expect(try JSONValue.parse(text.utf8.dropFirst(8)) == expected)

        options = ConnectOptions()
        (options.jwt, options.nkey, options.signature, options.token) = ("J", "U", "S", "T")
        expected = [
            "verbose": false, "pedantic": false, "jwt": "J", "nkey": "U", "sig": "S", "auth_token": "T", "tls_required": false, "name": "",
            "lang": "swift",
            "version": .string(QQCore.version), "protocol": 1, "echo": true, "headers": true, "no_responders": true,
        ]
        #expect(options.json == expected)
    }

    @Test("CONNECT hides its secrets when it is printed or dumped, alone or inside another value") func secrets() {
        var options = ConnectOptions(name: "me")
        (options.user, options.password, options.token) = ("u", "hush-1", "hush-2")
        (options.jwt, options.nkey, options.signature) = ("hush-3", "hush-4", "hush-5")
        let operation = ClientOperation.connect(options)
        var dumped = ""
        dump(options, to: &dumped)
        dump(operation, to: &dumped)
        dumped += "\(options) \(operation) \(String(reflecting: options)) \([operation])"
        #expect(!dumped.contains("hush"))
        #expect(dumped.contains("me with JWT"))
    }

    @Test(
        "an operation is refused if a subject or header would change its meaning",
        arguments: [
            .publish(subject: "a b"), .publish(subject: ""), .publish(subject: "a\r\nPING"), .publish(subject: "a.*"),
            .publish(subject: ">"),
            .publish(subject: "a", reply: "b "), .publish(subject: "a", reply: ""), .subscribe(subject: "a..b", sid: 1),
            .subscribe(subject: ">.a", sid: 1),
            .subscribe(subject: "a", queue: "q q", sid: 1), .subscribe(subject: "a", queue: "", sid: 1),
            .publish(subject: "a", headers: NATSHeaders([.init("A", "\r\n")])),
        ] as [ClientOperation]) func refused(_ operation: ClientOperation)
    {
        var buffer: [UInt8] = []
        let error = #expect(throws: NATSError.self) { try operation.encode(into: &buffer) }
        #expect(error?.kind == .configuration)
        #expect(buffer.isEmpty)
    }

    /// Reads PUB and HPUB back as the MSG and HMSG into which a server turns them.
    @Test(
        "a message comes back from a server unchanged",
        arguments: [NATSHeaders(), NATSHeaders([.init("A", "b"), .init("A", "c")], status: 100)])
    func echo(_ headers: NATSHeaders) throws {
        let message = NATSMessage(subject: "a.b", reply: "c", headers: headers, payload: Array(0...255))
        var bytes = try ClientOperation.publish(subject: "a.b", reply: "c", headers: headers, payload: message.payload).bytes
        let verb = headers.isEmpty ? "PUB a.b " : "HPUB a.b "
        #expect(bytes.starts(with: Array(verb.utf8)))
        bytes.replaceSubrange(..<verb.utf8.count, with: Array((headers.isEmpty ? "MSG a.b 9 " : "HMSG a.b 9 ").utf8))
        var parser = NATSParser()
        parser.append(bytes)
        #expect(try parser.next() == .message(sid: 9, message))
    }
}
