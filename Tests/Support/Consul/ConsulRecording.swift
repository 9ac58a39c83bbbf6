import QQCore
import QQNetwork

/// Recorded calls to a real cluster of Consul 1.8.7, and its answers.
public struct ConsulRecording: Sendable {
    public struct Line: Sendable, CustomStringConvertible {
        /// 1 for the first line.
        public var number: Int
        public var scenario: String
        public var note: String
        /// The role of the agent: `leader`, `follower1`, `client`, …; nil for calls of `consul lock`.
        public var node: String?
        /// The call of a `consul lock`, as `A 12`; nil for other calls.
        public var call: String?
        public var token: String?
        /// nil for a line that is no call.
        public var method: String?
        public var path: String
        public var body: String
        public var status: Int?
        public var headers: JSONObject?
        public var response: String?
        /// The values of keys as text, in which ids are replaced as everywhere.
        public var texts: [String]
        /// How long the call took; zero if that is unknown.
        public var elapsed: Duration
        /// All of the line.
        public var whole: JSONValue

        public var description: String { "line \(number), \(scenario): \(method ?? "") \(path) (\(note))" }

        init(_ line: JSONValue, number: Int) {
            self.number = number
            func text(_ name: String) -> String? { line[name]?.stringValue }
            scenario = text("scenario") ?? ""
            note = text("note") ?? ""
            node = text("node")
            call = text("client").map { "\($0) \(line["call"]?.int64Value ?? 0)" }
            token = text("token")
            method = text("method")
            path = text("path") ?? ""
            body = text("request") ?? ""
            status = line["status"]?.int64Value.map { Int($0) }
            headers = line["headers"]?.objectValue
            response = text("response")
            texts = line["text"]?.arrayValue?.compactMap(\.stringValue) ?? []
            elapsed = .seconds(saturating: (line["elapsed_ms"]?.doubleValue ?? 0) / 1000)
            whole = line
        }
    }

    public let lines: [Line]

    private static let shared = Result { try ConsulRecording() }

    /// The recording, read once a process.
    public static func read() throws -> ConsulRecording { try shared.get() }

    /// The text of a key's `Value`; nil if that is not Base64.
    public static func decodeValue(_ text: String) -> String? { Base64.decode(text).map { String(decoding: $0, as: UTF8.self) } }

    private init() throws {
        let path = packageFolder + "/Tests/EndToEndTests/Recordings/consul.jsonl"
        guard let bytes = readBytes(path) else { throw CannotStart("no recording: \(path)") }
        lines = try bytes.split(separator: 10).enumerated().map { Line(try JSONValue.parse($0.element), number: $0.offset + 1) }
    }
}
