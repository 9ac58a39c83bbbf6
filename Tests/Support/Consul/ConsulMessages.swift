import QQCore

extension ConsulStore {
    /// A request as an agent gets it.
    public struct Request: Sendable {
        public var method: String
        /// Decoded, without the query: `/v1/kv/web/.lock`.
        public var path: String
        /// Decoded; a parameter without value has an empty one.
        public var query: [(name: String, value: String)]
        /// The query as it was sent.
        public var rawQuery: String
        public var headers: [(name: String, value: String)]
        public var body: [UInt8]

        /// - Parameter target: path and query, percent-encoded.
        public init(_ method: String, _ target: String, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
            let parts = target[...].utf8.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
            self.method = method
            path = Percent.decode(parts[0]) ?? String(Substring(parts[0]))
            rawQuery = parts.count == 2 ? String(Substring(parts[1])) : ""
            query = rawQuery[...].utf8.split(separator: UInt8(ascii: "&")).map { bytes in
                let pair = Substring(bytes)
                let equals = bytes.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
                func decoded(_ text: Substring) -> String {
                    Percent.decode(text.utf8.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }) ?? String(text)
                }
                return (decoded(pair[..<equals]), decoded(pair[equals...].dropFirst()))
            }
            self.headers = headers
            self.body = body
        }

        /// The value of a parameter; nil if it is missing.
        func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }
        func has(_ name: String) -> Bool { parameter(name) != nil }

        func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }

        /// The rest of the path behind `prefix`; nil if it begins otherwise.
        func path(after prefix: String) -> String? { path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : nil }

        /// The token, in the order in which agents look for it.
        var token: String {
            if let token = parameter("token"), !token.isEmpty { return token }
            if let token = header("x-consul-token"), !token.isEmpty { return token }
            guard let value = header("authorization"), value.lowercased().hasPrefix("bearer ") else { return "" }
            return String(value.dropFirst(7))
        }

        /// What the request does.
        public var operation: Operation {
            switch (method, path) {
            case ("PUT", "/v1/session/create"): .create
            case ("PUT", let path) where path.hasPrefix("/v1/session/renew/"): .renew
            case ("PUT", let path) where path.hasPrefix("/v1/session/destroy/"): .destroy
            case ("GET", let path) where path.hasPrefix("/v1/session/"): .sessionRead
            case ("PUT", let path) where path.hasPrefix("/v1/kv/"): has("acquire") ? .acquire : has("release") ? .release : .put
            case ("DELETE", let path) where path.hasPrefix("/v1/kv/"): .delete
            case ("GET", let path) where path.hasPrefix("/v1/kv/"): (parameter("index") ?? "0") != "0" ? .blockingRead : .read
            case ("PUT", "/v1/txn"): .transaction
            default: .other
            }
        }
    }

    public enum Operation: Sendable, Hashable, CaseIterable {
        case create, renew, destroy, sessionRead, acquire, release, put, delete, read, blockingRead, transaction, other
    }

    public struct Answer: Sendable {
        /// The HTTP status.
        public var status: Int
        public var headers: [(name: String, value: String)]
        public var body: [UInt8]
        /// Time that passes before the answer is given.
        public var after: Duration = .zero

        public func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

        /// `X-Consul-Index`; nil if there is none.
        public var index: UInt64? { header("x-consul-index").flatMap { UInt64($0) } }

        /// The document; nil for a body that is not JSON.
        public var json: JSONValue? { try? JSONValue.parse(body) }
        public var text: String { String(decoding: body, as: UTF8.self) }

        static func json(_ value: JSONValue, status: Int = 200, _ meta: Meta? = nil) -> Answer {
            Answer(status: status, headers: (meta?.headers ?? []) + [("content-type", "application/json")], body: JSONWriter.bytes(value))
        }

        /// An error as agents write it.
        static func error(_ status: Int, _ text: String, _ meta: Meta? = nil) -> Answer {
            Answer(status: status, headers: (meta?.headers ?? []) + [("content-type", "text/plain; charset=utf-8")], body: Array(text.utf8))
        }

        /// 404 without a body.
        static func missing(_ meta: Meta? = nil) -> Answer { Answer(status: 404, headers: meta?.headers ?? [], body: []) }
    }

    /// What an agent does with a request.
    public enum Outcome: Sendable {
        case answer(Answer)
        /// A blocking query that waits for a change: ask `poll` again after one.
        case blocked(BlockedQuery)
        /// No answer ever comes.
        case silence
        /// The connection is closed without an answer.
        case closed
        /// No process listens there.
        case refused
    }

    /// The headers of a read.
    struct Meta {
        /// nil leaves it out.
        var index: UInt64?
        var isLeaderKnown = true
        /// In milliseconds.
        var lastContact: Int64 = 0

        var headers: [(name: String, value: String)] {
            (index.map { [("x-consul-index", "\(max($0, 1))")] } ?? [])
                + [("x-consul-knownleader", "\(isLeaderKnown)"), ("x-consul-lastcontact", "\(lastContact)")]
        }
    }

    /// An error of a call: the text after the status 500, or 403.
    struct Failure: Error {
        var status = 500
        var text: String
        /// Whether the agent itself finds the error, so that the text has no `rpc error making call: ` in front.
        var isLocal = false
        var meta: Meta?
        var after = Duration.zero

        static let denied = Failure(status: 403, text: "Permission denied")
        static func bad(_ text: String) -> Failure { Failure(status: 400, text: text, isLocal: true) }
    }
}
