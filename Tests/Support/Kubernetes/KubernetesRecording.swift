import QQCore

/// Recorded calls to a real API server, and its answers.
public struct KubernetesRecording: Sendable {
    public struct Event: Sendable {
        public var type: String
        public var object: JSONValue
        /// Time since the request, in milliseconds.
        public var time: Double

        /// The event as a watch gives it.
        public var json: JSONValue { ["type": .string(type), "object": object] }
    }

    public struct Line: Sendable, CustomStringConvertible {
        /// 1 for the first line.
        public var step: Int
        public var scenario: String
        public var note: String?
        /// `ops`, `admin`, …; nil for lines that are no calls.
        public var user: String?
        public var method: String?
        public var path: String?
        public var query: [(name: String, value: String)]
        public var headers: [(name: String, value: String)]
        /// The bytes that were sent; nil without a body.
        public var body: [UInt8]?
        public var status: Int?
        public var responseHeaders: JSONObject?
        /// Text of answers that are not JSON is a string.
        public var response: JSONValue?
        /// How long the call took, in milliseconds.
        public var elapsed: Double?
        /// Events of a watch; nil for other calls.
        public var events: [Event]?
        /// How a watch ended.
        public var ended: String?
        /// All of the line.
        public var whole: JSONValue

        public var request: JSONValue? { body.flatMap { try? JSONValue.parse($0) } }
        public var description: String {
            "line \(step), \(scenario): \(method ?? "") \(path ?? "")\(note.map { " (\($0))" } ?? "")"
        }

        init(_ line: JSONValue, step: Int) {
            func texts(_ value: JSONValue?) -> [(name: String, value: String)] {
                (value?.objectValue?.members ?? []).map { ($0.name, $0.value.stringValue ?? JSONWriter.string($0.value)) }
            }
            self.step = step
            scenario = line["scenario"]?.stringValue ?? ""
            note = line["note"]?.stringValue
            user = line["as"]?.stringValue
            method = line["method"]?.stringValue
            path = line["path"]?.stringValue
            query = texts(line["query"])
            headers = texts(line["request_headers"])
            body = line["body"].map { body in
                body.stringValue.map { Array($0.utf8) } ?? JSONWriter.bytes(Self.expanded(body))
            }
            status = line["status"]?.int64Value.map { Int($0) }
            responseHeaders = line["response_headers"]?.objectValue
            response = line["response"].map(Self.expanded)
            elapsed = line["elapsed_ms"]?.doubleValue
            ended = line["ended"]?.stringValue
            events = line["events"]?.arrayValue?.map {
                Event(type: $0["type"]?.stringValue ?? "", object: $0["object"] ?? .null, time: $0["at_ms"]?.doubleValue ?? 0)
            }
            whole = line
        }

        /// Long texts are recorded as `h x 100000`.
        private static func expanded(_ value: JSONValue) -> JSONValue {
            switch value {
            case .array(let elements): return .array(elements.map(expanded))
            case .object(let object):
                return .object(JSONObject(object.members.map { JSONObject.Member(name: $0.name, value: expanded($0.value)) }))
            case .string(let text):
                let parts = text.split(separator: " ")
                guard parts.count == 3, parts[0].count == 1, parts[1] == "x", parts[2].count > 4, let count = Int(parts[2]) else {
                    return value
                }
                return .string(String(repeating: String(parts[0]), count: count))
            default: return value
            }
        }
    }

    public let lines: [Line]

    /// Reading it takes a second in a debug build.
    private static let shared = Result { try KubernetesRecording() }

    /// The recording, read once a process.
    public static func read() throws -> KubernetesRecording { try shared.get() }

    private init() throws {
        let path = packageFolder + "/Tests/EndToEndTests/Recordings/kubernetes-lease.jsonl"
        guard let bytes = readBytes(path) else { throw CannotStart("no recording: \(path)") }
        lines = try bytes.split(separator: 10).enumerated().map { Line(try JSONValue.parse($0.element), step: $0.offset + 1) }
    }
}
