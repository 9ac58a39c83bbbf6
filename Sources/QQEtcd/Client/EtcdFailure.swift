/// Why a call to etcd was not answered as requested.
public struct EtcdFailure: Error, Sendable, Hashable {
    public var meaning: Meaning
    /// The member that was asked last, as host:port; empty if none was.
    public var endpoint: String
    /// Whether the request was sent to a member, the last one or an earlier one.
    public var wasSent: Bool
    /// The reason, for an operator: in our words.
    public var reason: String
    /// A hint for the operator; nil for none.
    public var hint: String?

    /// What is known of the request (protocols/etcd.md, "Answers").
    public enum Meaning: Sendable, Hashable {
        /// The lease does not exist. The request was not carried out.
        case leaseGone
        /// A lease with the chosen id exists.
        case leaseExists
        /// The request might have been carried out, or might be carried out later.
        case mayHaveBeenApplied
        /// The request was not carried out; the same request can succeed at once or soon.
        case notApplied(retry: Retry)
        /// The member sees no leader. The request was not carried out.
        case noLeader
        /// The cluster's database is full. The request was not carried out; holders can go on.
        case noSpace
        /// The revision has been discarded. Read again.
        case compacted
        /// The user is not allowed to do that, or the login was refused.
        case denied
        /// The token is no longer valid. The client logs in again before anyone sees this.
        case authTokenInvalid
        /// The cluster has no authentication. The client goes on without before anyone sees this.
        case authNotEnabled
        /// The answer has more bytes than this program accepts. Ask for less.
        case tooLarge
        /// The request is one that no server accepts: an error of this program.
        case ours
        /// The other side is not etcd, or does not know the call.
        case unsupported
        /// No member could be reached, or the connection failed. The request was not carried out.
        case unavailable
        /// TLS options or certificates cannot be used.
        case configuration
        /// The task was cancelled. A request that was sent might be carried out.
        case cancelled
    }

    public enum Retry: Sendable, Hashable {
        case immediately
        case afterPause
    }

    public init(_ meaning: Meaning, _ reason: String, at endpoint: String = "", wasSent: Bool = false, hint: String? = nil) {
        self.meaning = meaning
        self.reason = reason
        self.endpoint = endpoint
        self.wasSent = wasSent
        self.hint = hint
    }
}
