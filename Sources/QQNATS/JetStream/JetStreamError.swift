import QQCore

/// A refusal by JetStream: the `error` object of an answer. Source of the codes: nats-server, `server/errors.json`.
struct JetStreamError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A code as in HTTP: 404, 503.
    var code: Int
    /// JetStream's own code, such as 10059.
    var errorCode: Int
    /// The server's text, without control characters.
    var description: String

    init(code: Int, errorCode: Int, description: String) {
        self.code = code
        self.errorCode = errorCode
        self.description = Printable.text(description)
    }

    /// Nil if the answer has no error.
    init?(in answer: JSONObject) {
        guard let error = answer["error"]?.objectValue else { return nil }
        self.init(
            code: error["code"]?.int64Value.flatMap { Int(exactly: $0) } ?? 0,
            errorCode: error["err_code"]?.int64Value.flatMap { Int(exactly: $0) } ?? 0,
            description: error["description"]?.stringValue ?? "refused without a reason")
    }

    var isStreamNotFound: Bool { errorCode == 10059 }
    var isConsumerNotFound: Bool { errorCode == 10014 }
    var isMessageNotFound: Bool { errorCode == 10037 }
    /// A stream with this name and another configuration exists.
    var isStreamNameInUse: Bool { errorCode == 10058 }
    /// JetStream is disabled for the server or the account.
    var isNotEnabled: Bool { errorCode == 10076 || errorCode == 10039 }
    /// The key does not have the expected revision. A replicated stream answers 10164 while another write of the key is in progress, which might be this
    /// process's own earlier one: only reading back resolves that.
    var isWrongLastSequence: Bool { errorCode == 10071 || errorCode == 10164 }

    /// Whether the request might still be carried out: the same message is in progress (10158), or was agreed on but not stored (10077).
    var isUncertain: Bool { errorCode == 10158 || errorCode == 10077 }

    /// JetStream is unavailable as far as the asked server can see, or makes no progress with a write that it accepted.
    var isUnavailable: Bool { code == 503 || errorCode == 10158 }

    /// Whether a later retry can succeed.
    var isTransient: Bool {
        switch errorCode {
        // Permanent for this server or account: JetStream disabled, no such account, no cluster, not in a cluster.
        case 10076, 10039, 10035, 10010, 10036: false
        // No Raft leader, not on this server, elections; memory and disk; an offline stream or consumer; a failed consumer creation; Raft errors.
        case 10004, 10007, 10008, 10009, 10012, 10023, 10028, 10041, 10047, 10118, 10119, 10158, 10163, 10164, 10167: true
        default: code == 503 || code == 429
        }
    }
}

/// The failure of a request to JetStream.
enum JetStreamFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// JetStream answered with a refusal.
    case refused(JetStreamError)
    /// No answer came, or one that cannot be parsed.
    case failed(NATSError)

    static func malformed(_ reason: String) -> JetStreamFailure { .failed(NATSError(.malformed, reason)) }

    var description: String {
        switch self {
        case .refused(let error): error.description
        case .failed(let error): error.description
        }
    }

    /// JetStream's refusal; nil for another failure.
    var refusal: JetStreamError? {
        if case .refused(let error) = self { error } else { nil }
    }

    /// Whether nothing listens on the request's subject.
    var isUnanswered: Bool {
        if case .failed(let error) = self { error.kind == .noResponders } else { false }
    }

    /// Whether the request might have been carried out nevertheless.
    var isUncertain: Bool {
        switch self {
        case .refused(let error): error.isUncertain
        case .failed(let error): error.isUncertain
        }
    }

    /// Whether a later retry can succeed.
    var isTransient: Bool {
        switch self {
        case .refused(let error): error.isTransient
        case .failed(let error):
            switch error.kind {
            case .disconnected, .timedOut, .noResponders: true
            case .denied, .configuration, .malformed, .tooLarge: error.isUncertain
            }
        }
    }
}
