import QQCore

/// A refusal by JetStream: the `error` object of an answer. Source of the codes: nats-server, `server/errors.json`.
struct JetStreamError: Error, Sendable, Hashable, CustomStringConvertible {
    /// As in HTTP: 404, 503.
    var code: Int
    /// What exactly, such as 10059.
    var errorCode: Int
    /// In the server's words; holds no control characters.
    var description: String

    init(code: Int, errorCode: Int, description: String) {
        self.code = code
        self.errorCode = errorCode
        self.description = Printable.text(description)
    }

    /// Nil where the answer holds no error.
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
    /// The name is taken by a stream with another configuration.
    var isStreamNameInUse: Bool { errorCode == 10058 }
    /// JetStream is off, for the server or for the account.
    var isNotEnabled: Bool { errorCode == 10076 || errorCode == 10039 }
    /// The key has another revision than was expected. A replicated stream says 10164 while another write of the key, which may be an
    /// earlier one of ours, is under way: only reading back tells.
    var isWrongLastSequence: Bool { errorCode == 10071 || errorCode == 10164 }

    /// Whether what was asked may be carried out yet: the same message is under way (10158), or was agreed on but not stored (10077).
    var isUncertain: Bool { errorCode == 10158 || errorCode == 10077 }

    /// JetStream does not work just now as far as the server that was asked can see, or does not get on with a write that it took.
    var isUnavailable: Bool { code == 503 || errorCode == 10158 }

    /// Whether asking again later can help.
    var isPassing: Bool {
        switch errorCode {
        // Not for this server or account at all: JetStream off, no such account, no cluster, not in a cluster.
        case 10076, 10039, 10035, 10010, 10036: false
        // No leader, not here, elections; memory and disk; a stream or consumer that is offline; trouble while a consumer is made; Raft
        // errors.
        case 10004, 10007, 10008, 10009, 10012, 10023, 10028, 10041, 10047, 10118, 10119, 10158, 10163, 10164, 10167: true
        default: code == 503 || code == 429
        }
    }
}

/// Why a request to JetStream brought no result.
enum JetStreamFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// JetStream answered, and refused.
    case refused(JetStreamError)
    /// There was no answer, or none that can be understood.
    case failed(NATSError)

    static func malformed(_ reason: String) -> JetStreamFailure { .failed(NATSError(.malformed, reason)) }

    var description: String {
        switch self {
        case .refused(let error): error.description
        case .failed(let error): error.description
        }
    }

    /// JetStream's refusal, where it is one.
    var refusal: JetStreamError? {
        if case .refused(let error) = self { error } else { nil }
    }

    /// Whether nobody listens where it was asked.
    var isUnanswered: Bool {
        if case .failed(let error) = self { error.kind == .noResponders } else { false }
    }

    /// Whether what was asked may have been carried out all the same.
    var isUncertain: Bool {
        switch self {
        case .refused(let error): error.isUncertain
        case .failed(let error): error.isUncertain
        }
    }

    /// Whether asking again later can help.
    var isPassing: Bool {
        switch self {
        case .refused(let error): error.isPassing
        case .failed(let error):
            switch error.kind {
            case .disconnected, .timedOut, .noResponders: true
            case .denied, .configuration, .malformed, .tooLarge: error.isUncertain
            }
        }
    }
}
