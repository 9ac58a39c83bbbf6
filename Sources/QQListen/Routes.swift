import QQCore

/// A request as far as answers depend on it.
struct Request: Sendable, Hashable {
    var method: String
    /// The request target: a path with its query, or a whole URL (RFC 9112, section 3.2).
    var target: String
    var hasBody = false

    init(_ method: String, _ target: String, hasBody: Bool = false) {
        self.method = method
        self.target = target
        self.hasBody = hasBody
    }

    /// The path, with escapes; `/` if the target is a URL without one.
    var path: Substring {
        let path = pathAndQuery.prefix { $0 != "?" }
        return path.isEmpty ? "/" : path
    }

    private var pathAndQuery: Substring {
        guard !target.hasPrefix("/") else { return target[...] }
        guard let range = target.firstRange(of: "://") else { return target[...] }
        return target[range.upperBound...].drop { $0 != "/" && $0 != "?" }
    }

    /// A parameter of the query.
    enum Parameter: Sendable, Hashable {
        case absent
        /// Without a value, with an empty one, or with one that cannot be decoded.
        case invalid
        case value(String)
    }

    /// The election that the query names. A `+` is a plus sign, because names of elections can have one.
    var election: Parameter {
        for pair in pathAndQuery.drop(while: { $0 != "?" }).dropFirst().split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts[0] == "election" else { continue }
            guard parts.count == 2, let value = Percent.decode(parts[1].utf8), !value.isEmpty else { return .invalid }
            return .value(value)
        }
        return .absent
    }
}

/// An answer without the parts that every answer has.
struct Answer: Sendable, Hashable {
    var status: Int
    var type: String
    var body: [UInt8]
    /// Whether the answer has to list the methods that are allowed (RFC 9110, section 15.5.6).
    var listsMethods = false

    static func text(_ status: Int, _ text: String) -> Answer {
        Answer(status: status, type: "text/plain; charset=utf-8", body: Array((text + "\n").utf8))
    }

    static func json(_ status: Int, _ value: JSONValue) -> Answer {
        Answer(status: status, type: "application/json", body: JSONWriter.bytes(value) + [UInt8(ascii: "\n")])
    }

    /// The head could not be parsed.
    static let malformed = text(400, "not an HTTP request")
    static let tooLarge = text(431, "the head of a request can have at most \(Limits.head) bytes")
}

/// What is answered to which request. Pure.
struct Routes: Sendable {
    static let methods = "GET, HEAD"
    /// The content type of Prometheus' text format (prometheus.io, "Exposition formats").
    static let metricsType = "text/plain; version=0.0.4; charset=utf-8"

    var snapshot: Snapshot
    var now: BootInstant

    func answer(to request: Request, metrics: () -> String) -> Answer {
        guard request.method == "GET" || request.method == "HEAD" else {
            var answer = Answer.text(405, "only GET and HEAD are answered here")
            answer.listsMethods = true
            return answer
        }
        guard !request.hasBody else { return .text(413, "a request has no body here") }
        switch request.path {
        case "/":
            if request.election == .absent, snapshot.count != 1 { return .json(200, all) }
            return aboutOne(request) { _ in 200 }
        case "/leader": return aboutOne(request) { mayWork($0) ? 200 : 503 }
        case "/livez":
            guard let complaint = snapshot.complaint(at: now) else { return .text(200, "ok") }
            return .text(503, complaint)
        case "/metrics": return Answer(status: 200, type: Self.metricsType, body: Array(metrics().utf8))
        default: return .text(404, "ask for /, /leader, /livez or /metrics")
        }
    }

    /// The answer about the election that a request names, or about the only one.
    private func aboutOne(_ request: Request, status: (Standing) -> Int) -> Answer {
        switch request.election {
        case .invalid: return .text(400, "the name of the election is empty, or cannot be decoded")
        case .value(let name):
            guard let standing = snapshot.standings.first(where: { $0.election == name }) else {
                return .text(404, "this process contends for no election with that name")
            }
            return .json(status(standing), json(standing))
        case .absent:
            guard snapshot.count == 1, let only = snapshot.standings.first else {
                return .text(400, "several elections are held here: name one, as in \(request.path)?election=NAME")
            }
            return .json(status(only), json(only))
        }
    }

    private func mayWork(_ standing: Standing) -> Bool { standing.mayWork(at: now, since: snapshot.jumpedAt) }

    private var all: JSONValue { ["elections": .array(snapshot.standings.map { json($0) })] }

    /// The state of one election. The first member is that of Kubernetes' leader-elector sidecar, `{"name":"LEADER"}`, with an empty name while there is none.
    private func json(_ standing: Standing) -> JSONValue {
        let own = standing.holds(at: now)
        let state = standing.sight?.state
        let leaders = standing.leaders(at: now)
        let token = own?.grant.token ?? (own == nil ? state?.token : nil)
        let acquiredAt = own?.grant.acquiredAt ?? state?.acquiredAt
        let expiresIn = own.map { $0.grant.deadline.duration(since: now) }
        var members: [JSONObject.Member] = [
            .init(name: "name", value: .string(leaders.first ?? "")),
            .init(name: "election", value: .string(standing.election)),
            .init(name: "id", value: .string(standing.identity)),
            .init(name: "leading", value: .bool(mayWork(standing))),
            .init(name: "token", value: token.map { .number($0.value) } ?? .null),
            .init(name: "acquired_at", value: leaders.isEmpty ? .null : Self.json(acquiredAt)),
            .init(name: "expires_in", value: expiresIn.map { .double(Double($0.milliseconds) / 1000) } ?? .null),
            .init(name: "seen_at", value: own == nil ? Self.json(standing.sight?.at) : .null),
        ]
        if let slots = standing.slots {
            members += [
                .init(name: "slot", value: own?.slot.map { .integer(Int64($0)) } ?? .null),
                .init(name: "slots", value: .integer(Int64(slots))),
                .init(name: "leaders", value: .array(leaders.map { .string($0) })),
            ]
        }
        return .object(JSONObject(members))
    }

    private static func json(_ time: WallTime?) -> JSONValue { time.map { .string($0.rfc3339(fractionDigits: 3)) } ?? .null }
}
