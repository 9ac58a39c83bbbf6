import QQCore

/// A line of NATS' client protocol, with its headers and payload.
public struct NATSLine: Sendable, Hashable {
    /// The line without CR LF, but only the verb of `INFO` and `CONNECT`.
    public var text: String
    /// The header block of `HPUB` and `HMSG`, including its blank line.
    public var headers: [UInt8]?
    /// The payload of `PUB`, `HPUB`, `MSG` and `HMSG`; the JSON of `INFO` and `CONNECT`.
    public var payload: [UInt8]?

    public var verb: Substring { text.prefix { $0 != " " } }
    public var words: [Substring] { text.split(separator: " ") }
}

/// Splits a stream of either direction into lines. Independent of qq's own parser, so that a mistake there cannot hide.
public struct NATSLineReader: Sendable {
    private var bytes: [UInt8] = []
    private var start = 0

    public init() {}

    public mutating func append(_ more: some Sequence<UInt8>) {
        if start > 0 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += more
    }

    /// The next complete line; nil if more bytes are needed.
    public mutating func next() throws -> NATSLine? {
        guard let end = bytes[start...].firstIndex(of: 10) else { return nil }
        var text = String(decoding: bytes[start..<end], as: UTF8.self)
        if text.utf8.last == 13 { text = String(decoding: bytes[start..<end - 1], as: UTF8.self) }
        var line = NATSLine(text: text)
        switch line.verb {
        case "INFO", "CONNECT":
            line.payload = Array(bytes[(start + line.verb.utf8.count)..<end].drop { $0 == 32 }.reversed().drop { $0 == 13 }.reversed())
            line.text = String(line.verb)
        case "PUB", "HPUB", "MSG", "HMSG":
            guard let size = line.words.last.flatMap({ Int($0) }), size >= 0 else { throw SocketError("no size in «\(text)»") }
            guard bytes.count >= end + 1 + size + 2 else { return nil }
            let body = bytes[end + 1..<end + 1 + size]
            guard bytes[body.endIndex] == 13, bytes[body.endIndex + 1] == 10 else { throw SocketError("wrong size in «\(text)»") }
            var split = 0
            if line.verb.first == "H" {
                guard let headers = line.words.dropLast().last.flatMap({ Int($0) }), headers <= size else {
                    throw SocketError("no header size in «\(text)»")
                }
                split = headers
                line.headers = Array(body.prefix(split))
            }
            line.payload = Array(body.dropFirst(split))
            start = body.endIndex + 2
            return line
        default: break
        }
        start = end + 1
        return line
    }
}

/// A message that a server delivered.
public struct NATSDelivery: Sendable, Hashable {
    public var subject: String
    public var subscription: Int
    public var reply: String?
    /// The status of the header line, such as 503 for "no responders".
    public var status: Int?
    public var headers: [(name: String, value: String)] { headerLines.map { ($0[0], $0[1]) } }
    public var payload: [UInt8]

    private var headerLines: [[String]] = []

    /// Nil for anything but `MSG` and `HMSG`.
    public init?(_ line: NATSLine) {
        let words = line.words.map(String.init)
        let extra = line.verb == "HMSG" ? 1 : 0
        guard line.verb == "MSG" || line.verb == "HMSG", words.count >= 4 + extra, let subscription = Int(words[2]) else { return nil }
        subject = words[1]
        self.subscription = subscription
        reply = words.count > 4 + extra ? words[3] : nil
        payload = line.payload ?? []
        if let block = line.headers {
            let lines = String(decoding: block, as: UTF8.self).split(separator: "\r\n").map(String.init)
            status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
            headerLines = lines.dropFirst().map { line in
                let name = line.prefix { $0 != ":" }
                return [String(name), String(line.dropFirst(name.count + 1).drop { $0 == " " })]
            }
        }
    }

    public subscript(header: String) -> String? { headers.first { $0.name == header }?.value }
    public var text: String { String(decoding: payload, as: UTF8.self) }
    /// The payload as JSON; nil if it is not JSON.
    public var json: JSONValue? { try? JSONValue.parse(payload) }
}
