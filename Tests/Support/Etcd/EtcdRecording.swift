import QQCore

/// Calls to real clusters of etcd and the traffic of `etcdctl`, with the answers.
public struct EtcdRecording: Sendable {
    public struct Row: Sendable, CustomStringConvertible {
        public enum Way: String, Sendable {
            case sent, received, ended
        }

        /// The line in the recording, from 1.
        public var line: Int
        public var scenario: String
        public var version: String
        public var note: String
        /// `leader`, `follower1`, `follower2` or `node`; nil for a note.
        public var node: String?
        /// `KV/Range`, or `GET /health`; nil for a note.
        public var method: String?
        /// The `etcdctl` that called, if it was one.
        public var client: String?
        /// The number of the call; nil if the row has the request and the answer.
        public var stream: Int64?
        public var way: Way?
        public var metadata: [String: String]
        public var request: JSONValue?
        public var response: JSONValue?
        public var requestBytes: [UInt8]?
        public var responseBytes: [UInt8]?
        public var code: String?
        public var message: String
        public var elapsed: Duration

        public var description: String { "line \(line), \(scenario)\(method.map { ", \($0)" } ?? "")\(note.isEmpty ? "" : " (\(note))")" }

        init(_ row: JSONValue, line: Int) throws {
            func text(_ key: String) -> String? { row[key]?.stringValue }
            self.line = line
            (scenario, version, note) = (text("scenario") ?? "", text("server") ?? "", text("note") ?? "")
            (node, method, client) = (text("node"), text("method"), text("client"))
            stream = row["stream"]?.int64Value
            way = text("way").flatMap(Way.init)
            metadata = [:]
            for key in ["token", "authorization", "hasleader"] { metadata[key] = row["metadata"]?[key]?.stringValue }
            (request, response) = (row["request"], row["response"])
            requestBytes = text("request_hex").flatMap(decodeHex)
            responseBytes = text("response_hex").flatMap(decodeHex)
            (code, message) = (text("code"), text("message") ?? "")
            elapsed = .seconds(row["elapsed_ms"]?.doubleValue ?? 0) / 1000
        }
    }

    public let rows: [Row]

    public init() throws {
        let path = packageFolder + "/Tests/EndToEndTests/Recordings/etcd.jsonl"
        guard let bytes = readBytes(path) else { throw CannotStart("no recording: \(path)") }
        rows = try bytes.split(separator: 10).enumerated().map { try Row(JSONValue.parse($1), line: $0 + 1) }
    }
}

/// - Returns: nil for a text that stands in for the bytes, such as `(1600009 bytes)`.
private func decodeHex(_ text: String) -> [UInt8]? {
    let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count == text.utf8.count, digits.count.isMultiple(of: 2) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
