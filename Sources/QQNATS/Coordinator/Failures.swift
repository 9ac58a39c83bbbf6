import QQCore
import QQNetwork

/// Failures of NATS and JetStream as they are reported to the user.
extension NATSCoordinator {
    func failure(_ what: String, _ failure: JetStreamFailure) -> CoordinationError {
        switch failure {
        case .failed(let error): self.failure(what, error)
        case .refused(let error): refusal(what, error)
        }
    }

    func failure(_ what: String, _ error: NATSError) -> CoordinationError {
        let (kind, hint): (CoordinationError.Kind, String?) =
            switch error.kind {
            case .disconnected where error.isUncertain: (.unavailable, nil)
            case .disconnected: (.unavailable, ConnectFailure.hint(error.reason) ?? (error.location == nil ? Self.poolHint : nil))
            case .timedOut: (.unavailable, "the server is reachable but does not answer: see qq cluster-status; --timeout waits longer")
            case .noResponders: (.unavailable, Self.jetStreamHint)
            case .denied: (.denied, "check the credentials (--creds, --nkey, the URL), and what the account is allowed to do")
            case .configuration: (.configuration, nil)
            case .malformed: (.brokenData, "is this a NATS server? See: qq cluster-status")
            case .tooLarge: (.usage, nil)
            }
        return CoordinationError(
            kind, what, because: error.reason, at: error.location ?? server.description, hint: error.hint ?? hint,
            isUncertain: error.isUncertain)
    }

    /// The hint if none of several servers accepted the connection.
    private static let poolHint = "check which servers are reachable: qq cluster-status"

    static let jetStreamHint =
        "no server answers for JetStream: it might be off (nats-server -js), without a leader at the moment, or not enabled for this account; see qq cluster-status"

    private func refusal(_ what: String, _ error: JetStreamError) -> CoordinationError {
        if error.isNotEnabled {
            return CoordinationError(
                .configuration, what, because: "JetStream is not enabled for this account", at: server.description,
                hint: "enable it (nats-server -js), or use an account that has it")
        }
        if error.isTransient {
            if error.isUnavailable { client.seekAnotherServer() }
            return CoordinationError(
                .unavailable, what, because: error.description, at: server.description, isUncertain: error.isUncertain)
        }
        return CoordinationError(
            error.isUncertain ? .unavailable : .configuration, what, because: "JetStream refuses: \(error.description)",
            at: server.description,
            isUncertain: error.isUncertain)
    }
}
