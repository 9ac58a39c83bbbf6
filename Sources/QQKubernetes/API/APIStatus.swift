import QQCore
import QQHTTP

extension APIFailure {
    /// The longest message that is kept, in characters.
    static let longestMessage = 1_000
    /// The longest pause that a server can ask for.
    static let longestPause: Duration = .seconds(300)

    /// An answer with a status other than 200 to 299. Its body should be a Status object, but nothing is insisted on: proxies answer with HTML, and the server
    /// itself at times with plain text.
    package init(_ answer: HTTPAnswer, endpoint: String, credential: String) {
        self.init(status: answer.status, message: "", endpoint: endpoint, credential: credential)
        let seconds = answer.field("Retry-After").flatMap { UInt32($0) }.map { Int64($0) }
        guard let document = APIStatus.object(answer.body) else {
            message = APIStatus.text(answer.body)
            retryAfter = seconds.map(Self.pause)
            return
        }
        reason = document["reason"]?.stringValue.flatMap { $0.isEmpty ? nil : APIStatus.shown($0) }
        message = APIStatus.shown(document["message"]?.stringValue ?? "")
        let details = document["details"]
        kind = details?["kind"]?.stringValue.flatMap { $0.isEmpty ? nil : APIStatus.shown($0) }
        causes = (details?["causes"]?.arrayValue ?? []).prefix(100).compactMap { $0["reason"]?.stringValue.map(APIStatus.shown) }
        retryAfter = (details?["retryAfterSeconds"]?.int64Value.flatMap { $0 > 0 ? $0 : nil } ?? seconds).map(Self.pause)
    }

    private static func pause(_ seconds: Int64) -> Duration { min(max(.seconds(seconds), .zero), longestPause) }
}

/// The parts of answers that are not what was asked for.
enum APIStatus {
    /// The body as a JSON object; nil if it is something else.
    static func object(_ body: [UInt8]) -> JSONValue? {
        guard body.first(where: { !isBlank($0) }) == UInt8(ascii: "{") else { return nil }
        return try? JSONValue.parse(body)
    }

    /// The first line of a plain text, safe to show, or the checks that fail; empty for a page in HTML.
    static func text(_ body: [UInt8]) -> String {
        let start = body.drop(while: isBlank).prefix(4 * APIFailure.longestMessage)
        guard start.first != UInt8(ascii: "<") else { return "" }
        if body.starts(with: "[+]".utf8) || body.starts(with: "[-]".utf8) { return failingChecks(body) }
        return shown(UTF8Text.escaping(start.prefix { $0 != 10 && $0 != 13 }))
    }

    /// The checks that fail, of an answer of `/readyz` or `/livez`: `[-]etcd failed: reason withheld`.
    private static func failingChecks(_ body: [UInt8]) -> String {
        let lines = body.split(separator: 10).filter { $0.starts(with: "[-]".utf8) }.prefix(20)
        return shown(lines.map { UTF8Text.escaping($0) }.joined(separator: " "))
    }

    /// The text on one line, bounded and safe to show.
    static func shown(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        return Printable.text(line.count > APIFailure.longestMessage ? String(line.prefix(APIFailure.longestMessage)) + "…" : line)
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
}
