import QQCore

/// Recorded calls to a real server, and the answers.
public struct GRPCRecording: Sendable {
    public struct Line: Sendable, CustomStringConvertible {
        public var scenario: String
        public var step: Int64?
        public var note: String?
        /// nil if the line does not record a call.
        public var method: String?
        /// The node of a cluster that was called: `leader`, `follower1` or `follower2`.
        public var node: String?
        public var request: [UInt8]
        public var code: String
        public var message: String
        public var response: [UInt8]
        /// The value of `grpc-status-details-bin`.
        public var details: [UInt8]?
        public var elapsed: Duration

        public var description: String {
            "\(scenario)\(step.map { ", step \($0)" } ?? "")\(method.map { ", \($0)" } ?? "")\(note.map { " (\($0))" } ?? "")"
        }

        init(_ line: JSONValue) throws {
            func bytes(_ value: JSONValue?) throws -> [UInt8]? { try value?.stringValue.map { try decodeHex($0) } }
            scenario = line["scenario"]?.stringValue ?? ""
            step = line["step"]?.int64Value
            note = line["note"]?.stringValue
            method = line["method"]?.stringValue
            node = line["node"]?.stringValue
            request = try bytes(line["request_hex"]) ?? []
            code = line["code"]?.stringValue ?? ""
            message = line["message"]?.stringValue ?? ""
            response = try bytes(line["response_hex"]) ?? []
            details = try bytes(line["trailers"]?["grpc-status-details-bin"])
            elapsed = .seconds(line["elapsed_ms"]?.doubleValue ?? 0) / 1000
        }
    }

    public let lines: [Line]

    /// - Parameter name: `quorum-quest` or `raftlock`.
    public init(_ name: String) throws {
        let path = packageFolder + "/Tests/EndToEndTests/Recordings/\(name).jsonl"
        guard let bytes = readBytes(path) else { throw CannotStart("no recording: \(path)") }
        lines = try bytes.split(separator: 10).map { try Line(JSONValue.parse($0)) }
    }
}

private func decodeHex(_ text: String) throws -> [UInt8] {
    let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count == text.utf8.count, digits.count.isMultiple(of: 2) else { throw CannotStart("not hexadecimal: \(text)") }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
