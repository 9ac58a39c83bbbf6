import GRPCCore

/// An error that etcd answers with.
package struct EtcdServerError: Error, Hashable, CustomStringConvertible {
    package var code: RPCError.Code
    package var message: String
    /// Time after which a server gives this answer.
    package var after: Duration

    package init(_ code: RPCError.Code, _ message: String, after: Duration = .zero) {
        (self.code, self.message, self.after) = (code, message, after)
    }

    package var description: String { "\(code): \(message)" }

    /// How long a server waits for the Raft log: 5 s and two election time-outs.
    package static let patience = Duration.seconds(7)
}

/// The texts are recorded, unless a comment says otherwise.
extension EtcdServerError {
    package static let leaseNotFound = EtcdServerError(.notFound, "etcdserver: requested lease not found")
    package static let leaseExists = EtcdServerError(.failedPrecondition, "etcdserver: lease already exists")
    package static let leaseTooLong = EtcdServerError(.outOfRange, "etcdserver: too large lease TTL")
    package static let compacted = EtcdServerError(.outOfRange, "etcdserver: mvcc: required revision has been compacted")
    package static let future = EtcdServerError(.outOfRange, "etcdserver: mvcc: required revision is a future revision")
    package static let noSpace = EtcdServerError(.resourceExhausted, "etcdserver: mvcc: database space exceeded")
    package static let noKey = EtcdServerError(.invalidArgument, "etcdserver: key is not provided")
    package static let valueGiven = EtcdServerError(.invalidArgument, "etcdserver: value is provided")
    /// From source.
    package static let leaseGiven = EtcdServerError(.invalidArgument, "etcdserver: lease is provided")
    package static let keyNotFound = EtcdServerError(.invalidArgument, "etcdserver: key not found")
    package static let requestTooLarge = EtcdServerError(.invalidArgument, "etcdserver: request is too large")
    package static let duplicateKey = EtcdServerError(.invalidArgument, "etcdserver: duplicate key given in txn request")
    package static let tooManyOperations = EtcdServerError(.invalidArgument, "etcdserver: too many operations in txn request")

    package static let noLeader = EtcdServerError(.unavailable, "etcdserver: no leader")
    package static let notLeader = EtcdServerError(.failedPrecondition, "etcdserver: not leader")
    package static let badTransferee = EtcdServerError(.failedPrecondition, "etcdserver: bad leader transferee")
    package static let leaderChanged = EtcdServerError(.unavailable, "etcdserver: leader changed")
    package static let proposalDropped = EtcdServerError(.unknown, "raft proposal dropped")
    /// From source.
    package static let tooManyRequests = EtcdServerError(.resourceExhausted, "etcdserver: too many requests")
    package static let timedOut = EtcdServerError(.unavailable, "etcdserver: request timed out", after: patience)
    package static let leaderFailed = EtcdServerError(
        .unavailable, "etcdserver: request timed out, possibly due to previous leader failure", after: patience)

    /// The server's own deadline for grants, revocations, transactions and alarms.
    package static func deadline(_ version: EtcdVersion) -> EtcdServerError {
        EtcdServerError(version == .v34 ? .unknown : .deadlineExceeded, "context deadline exceeded", after: patience)
    }

    package static let noUser = EtcdServerError(.invalidArgument, "etcdserver: user name is empty")
    package static let invalidToken = EtcdServerError(.unauthenticated, "etcdserver: invalid auth token")
    package static let denied = EtcdServerError(.permissionDenied, "etcdserver: permission denied")
    package static let authenticationFailed = EtcdServerError(
        .invalidArgument, "etcdserver: authentication failed, invalid user ID or password")
    package static let authenticationDisabled = EtcdServerError(.failedPrecondition, "etcdserver: authentication is not enabled")
    /// From source.
    package static let oldAuthRevision = EtcdServerError(.invalidArgument, "etcdserver: revision of auth store is old")

    package static func unknownMethod(_ method: String, of service: String) -> EtcdServerError {
        EtcdServerError(.unimplemented, "unknown method \(method) for service \(service)")
    }

    /// The failure as the reason of a cancelled watch: as Go prints it.
    var reason: String {
        let name: String =
            switch code {
            case .permissionDenied: "PermissionDenied"
            case .invalidArgument: "InvalidArgument"
            case .unauthenticated: "Unauthenticated"
            default: "Unknown"
            }
        return "rpc error: code = \(name) desc = \(message)"
    }
}

/// The versions of etcd that differ.
package enum EtcdVersion: String, Sendable, Hashable, CaseIterable {
    case v34 = "3.4.23"
    case v35 = "3.5.30"
    case v36 = "3.6.13"
}
