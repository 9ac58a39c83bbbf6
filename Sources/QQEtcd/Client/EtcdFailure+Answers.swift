import QQCore
import QQGRPC
import QQNetwork

extension EtcdFailure {
    /// What a member's answer, or its absence, means (protocols/etcd.md, "Answers"). Pure.
    ///
    /// The servers' errors are told apart by their texts: several share a code, and 3.4 sends other codes than 3.6 for some.
    package init(_ failure: GRPCFailure) {
        if let tls = failure.tls {
            let meaning: Meaning =
                switch tls.kind {
                case _ where failure.wasSent: .mayHaveBeenApplied
                case .configuration: .configuration
                case .denied: .denied
                case .disconnected: .unavailable
                }
            self.init(meaning, tls.reason, at: failure.endpoint, wasSent: failure.wasSent, hint: tls.hint)
            return
        }
        let (meaning, reason) = failure.isAnswer && failure.wasSent ? Self.meaning(of: failure) : Self.silence(failure)
        self.init(
            meaning, reason, at: failure.endpoint, wasSent: failure.wasSent,
            hint: failure.message == GRPCFailure.noAnswer && !failure.isOverTLS
                ? "is that the right server, and the right port? With TLS, its URL begins with etcds://"
                : meaning == .unavailable ? ConnectFailure.hint(failure.message) : Self.hint(meaning))
    }

    /// Why the server has cancelled a watch.
    init(watchRefusal text: String, at endpoint: String) {
        let found = Self.answers.first { text.contains($0.part) }
        let reason = text.isEmpty ? "the server has cancelled the watch" : "the server has cancelled the watch: \(Printable.text(text))"
        self.init(found?.meaning ?? .notApplied(retry: .afterPause), found?.reason ?? reason, at: endpoint, wasSent: true)
    }

    /// No status came from the server.
    private static func silence(_ failure: GRPCFailure) -> (Meaning, String) {
        switch failure.code {
        case .cancelled: (.cancelled, "interrupted")
        case _ where failure.wasSent: (.mayHaveBeenApplied, failure.reason)
        // The request cannot be encoded, or is too large.
        case .internalError, .resourceExhausted: (.ours, failure.reason)
        default: (.unavailable, failure.reason)
        }
    }

    private static func meaning(of failure: GRPCFailure) -> (Meaning, String) {
        let text = failure.message
        for (part, meaning, reason) in answers where text.contains(part) { return (meaning, reason) }
        return switch failure.code {
        case .permissionDenied: (.denied, noPermission)
        case .unauthenticated: (.authTokenInvalid, "the login is not valid any more")
        case .unimplemented: (.unsupported, "the server does not know this call")
        case .invalidArgument, .outOfRange, .failedPrecondition: (.ours, "the server rejects the request: \(failure.reason)")
        case .notFound, .alreadyExists: (.ours, "the server rejects the request: \(failure.reason)")
        // Unknown texts prove nothing: the answer itself can be too large, or not be decodable.
        default:
            (
                .mayHaveBeenApplied,
                failure.isInOurWords || failure.message.isEmpty ? failure.reason : "the server answers with an error: \(failure.reason)"
            )
        }
    }

    private static let noPermission = "the user has no permission for that"

    /// Whether the user is logged in, and lacks a permission.
    var isPermission: Bool { meaning == .denied && reason == Self.noPermission }

    /// Parts of the servers' texts, and what each means. The first that matches counts.
    private static let answers: [(part: String, meaning: Meaning, reason: String)] = [
        ("requested lease not found", .leaseGone, "the lease does not exist any more"),
        ("lease already exists", .leaseExists, "a lease with this id exists"),
        ("required revision has been compacted", .compacted, "the revisions that were asked for have been discarded"),
        ("request timed out", .mayHaveBeenApplied, "the cluster did not agree in time"),
        ("context deadline exceeded", .mayHaveBeenApplied, "the cluster did not agree in time"),
        ("raft proposal dropped", .notApplied(retry: .immediately), "the cluster is changing its leader"),
        ("leader changed", .notApplied(retry: .immediately), "the cluster has changed its leader"),
        ("etcdserver: no leader", .noLeader, "the cluster has no leader"),
        ("database space exceeded", .noSpace, "the cluster's database is full"),
        ("too many requests", .notApplied(retry: .afterPause), "the cluster is overloaded"),
        ("server stopped", .notApplied(retry: .immediately), "the server is stopping"),
        ("not capable", .notApplied(retry: .afterPause), "the server is starting"),
        // From source.
        ("not supported for learner", .notApplied(retry: .immediately), "the member does not vote yet"),
        // Ours, of an answer.
        (GRPCFailure.tooLarge, .tooLarge, "the answer is too large"),
        ("request is too large", .ours, "the request is too large for the server"),
        ("received message larger than max", .ours, "the request is too large for the server"),
        ("duplicate key given in txn request", .ours, "a transaction puts a key twice"),
        ("too many operations in txn request", .ours, "a transaction has too many operations"),
        ("key is not provided", .ours, "a request has no key"),
        ("invalid auth token", .authTokenInvalid, "the login is not valid any more"),
        ("revision of auth store is old", .authTokenInvalid, "the login is older than a change of users or roles"),
        // Also without a token: the cluster's authentication is on then.
        ("user name is empty", .authTokenInvalid, "the cluster requires a login"),
        ("authentication is not enabled", .authNotEnabled, "the cluster has no authentication"),
        ("authentication failed", .denied, "the cluster refuses the login: user or password are wrong"),
        ("permission denied", .denied, noPermission),
    ]

    private static func hint(_ meaning: Meaning) -> String? {
        switch meaning {
        case .noSpace: "remove old revisions: etcdctl compact, etcdctl defrag, and then etcdctl alarm disarm"
        case .noLeader: "most members are down or cannot reach each other: etcdctl endpoint status --cluster shows which"
        case .unsupported: "is that the right server, and the right port?"
        default: nil
        }
    }
}

extension EtcdFailure {
    /// The failure as an error for the user.
    /// - Parameters:
    ///   - what: what failed, such as "cannot acquire web".
    ///   - isChange: whether the request changes something if it is carried out.
    public func told(_ what: String, isChange: Bool) -> CoordinationError {
        CoordinationError(
            kind, what, because: reason, at: endpoint.isEmpty ? nil : endpoint, hint: hint,
            isUncertain: isChange && (meaning == .mayHaveBeenApplied || (meaning == .cancelled && wasSent)))
    }

    private var kind: CoordinationError.Kind {
        switch meaning {
        case .leaseGone, .leaseExists, .compacted, .mayHaveBeenApplied, .notApplied, .noLeader, .noSpace, .unavailable, .cancelled:
            .unavailable
        case .denied, .authTokenInvalid, .authNotEnabled: .denied
        case .ours: .usage
        case .unsupported, .tooLarge: .brokenData
        case .configuration: .configuration
        }
    }
}
