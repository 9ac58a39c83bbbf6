import QQCore
import QQHTTP
import QQNetwork

/// Why a request was not carried out, as far as is known.
package struct ConsulFailure: Error, Sendable, Hashable {
    /// The meaning of an answer for a write (protocols/consul.md, "Answers").
    enum Meaning: Sendable, Hashable {
        /// The token does not allow it. Not carried out.
        case denied
        /// The server refuses the request as it is, or its session is gone. Not carried out, and a retry is useless.
        case refused
        /// The cluster is unavailable. Not carried out.
        case unavailable
        /// The request might have been carried out, or might still be.
        case uncertain
        /// The answer is not Consul's.
        case broken
        /// The configuration is wrong, such as a certificate that cannot be read. Nothing was sent.
        case configuration
    }

    var meaning: Meaning
    /// The HTTP status; nil if there was no answer.
    var status: Int?
    /// The server's words, or the reason for no answer, safe to show.
    var message: String
    /// The transport's failure, if there was no answer.
    var transport: HTTPFailure?
    /// The agent, as host:port.
    var endpoint: String
    /// The next step for the user; nil if none is known.
    var hint: String?

    var isUncertain: Bool { meaning == .uncertain }

    /// Whether another agent might be able to carry the request out.
    var isOfThisAgent: Bool { meaning == .unavailable || meaning == .uncertain }

    init(_ meaning: Meaning, _ message: String, status: Int? = nil, at endpoint: String) {
        self.meaning = meaning
        self.message = message
        self.status = status
        self.endpoint = endpoint
    }

    /// An answer that is a failure whatever was requested; nil for others.
    package init?(_ answer: ConsulAnswer) {
        // Go's HTTP server answers with this before it knows of any request.
        if answer.status == 400, answer.text.contains("HTTP request to an HTTPS server") {
            self.init(.configuration, "the agent speaks TLS at this port, and was asked without", at: answer.endpoint)
            hint = "with TLS, the server's URL begins with consuls://"
            return
        }
        guard let meaning = Self.meaning(status: answer.status, answer.text) else { return nil }
        self.init(meaning, answer.text, status: answer.status, at: answer.endpoint)
    }

    package init(_ failure: HTTPFailure) {
        let meaning: Meaning =
            switch (failure.tls?.kind, failure.kind) {
            case (.configuration?, _), (_, .invalidRequest): .configuration
            case (.denied?, _): .denied
            case (_, .brokenAnswer): failure.wasSent ? .uncertain : .broken
            default: failure.wasSent ? .uncertain : .unavailable
            }
        self.init(meaning, Printable.text(failure.reason), at: failure.endpoint)
        transport = failure
    }

    /// Nil for an answer that says what became of the request: 200 to 299, 404 and 409.
    static func meaning(status: Int, _ text: String) -> Meaning? {
        func says(_ words: String) -> Bool { text.contains(words) }
        switch status {
        case 200..<300, 404, 409: return nil
        case 401, 403: return .denied
        case 429: return .unavailable
        case 400, 413: return .refused
        case 500...:
            if says("Permission denied") || says("ACL not found") { return .denied }
            if says("No cluster leader") || says("No known Consul servers") || says("getting client") || says("failed to get conn")
                || says("rate limit") || isUnregistered(text)
            {
                return .unavailable
            }
            if refusals.contains(where: says) { return .refused }
            return .uncertain
        default: return .broken
        }
    }

    /// The beginnings of errors by which 1.8 refuses a request with status 500.
    private static let refusals = [
        "Invalid Session TTL", "Session TTL", "invalid session", "missing session", "Invalid Behavior", "Missing check",
        "failed session lookup",
    ]

    /// Whether a session is refused because the cluster does not know the agent's node or its health check yet. An agent that has just started registers
    /// both within seconds, and a session of ours names no others.
    private static func isUnregistered(_ text: String) -> Bool {
        text.contains("Missing node registration") || text.contains("Missing check 'serfHealth' registration")
    }

    /// The failure as an error for the user.
    /// - Parameters:
    ///   - what: what failed, such as "cannot acquire web".
    ///   - isChange: whether the request changes something.
    ///   - rule: the rules that a token needs for it, for 403.
    func told(_ what: String, isChange: Bool, needing rule: String?, at server: ServerURL) -> CoordinationError {
        let location = transport?.tls?.location ?? (status == nil ? endpoint : server.description)
        func error(_ kind: CoordinationError.Kind, _ reason: String? = nil, hint: String? = nil) -> CoordinationError {
            CoordinationError(kind, what, because: reason ?? shown, at: location, hint: hint ?? self.hint ?? transport?.hint)
        }
        switch meaning {
        case .denied where transport != nil: return error(.denied)
        case .denied where message.contains("ACL not found"):
            return error(
                .denied, "the cluster does not know the token",
                hint: "it might have been deleted, or belong to another cluster: see the token file or CONSUL_HTTP_TOKEN")
        case .denied: return error(.denied, hint: rule.map { "the token needs the rules \($0)" })
        case .refused: return error(.usage)
        case .unavailable where status == 429: return error(.unavailable, "the server has too many requests at the moment")
        case .unavailable where Self.isUnregistered(message):
            return error(.unavailable, hint: "if this stays: see whether the agent's own token may write its node")
        case .unavailable: return error(.unavailable)
        case .uncertain:
            var told = error(.unavailable)
            told.isUncertain = isChange
            return told
        case .broken: return error(.brokenData, hint: "is that a Consul agent? See: qq cluster-status")
        case .configuration: return error(.configuration)
        }
    }

    private var shown: String {
        if message.isEmpty { return "the agent answers with HTTP status \(status.map { String($0) } ?? "?")" }
        if Self.isUnregistered(message) { return "the agent has not registered its node with the cluster yet" }
        return message.contains("No cluster leader") ? "the cluster has no leader" : message
    }
}
