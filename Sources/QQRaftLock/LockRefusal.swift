import QQCore
import QQGRPC

/// The meaning of a server's failure: by its ErrorDetail if there is one, otherwise by the texts that RaftLock v1.0.0 is known to send. Pure.
enum LockRefusal: Sendable, Hashable {
    case lockHeld
    case notHeld
    case notOwner
    case versionMismatch
    case notFound
    case queueFull
    /// Not in the queue, or no longer.
    case notWaiting
    case notLeader(LeaderPointer)
    case noLeader
    case rateLimited
    case invalidArgument
    case denied
    /// INTERNAL without a reason. The request might have been carried out: the real server answers every renewal with this.
    case unexpected
    /// The server could not carry out the request, or does not know whether it did: replication failed or took too long.
    case failed

    init?(_ failure: GRPCFailure) {
        guard failure.isAnswer else { return nil }
        if let detail = failure.detail(Raftlock_ErrorDetail.self), let meant = LockRefusal(detail) {
            self = meant
            return
        }
        if let meant = LockRefusal(text: failure.message) {
            self = meant
            return
        }
        switch failure.code {
        case .internalError: self = .unexpected
        case .invalidArgument, .outOfRange: self = .invalidArgument
        case .resourceExhausted: self = failure.message.contains("queue") ? .queueFull : .rateLimited
        case .permissionDenied, .unauthenticated: self = .denied
        default: return nil
        }
    }

    /// Nil if the detail carries no information.
    init?(_ detail: Raftlock_ErrorDetail) {
        switch detail.code {
        case .lockHeld: self = .lockHeld
        case .lockNotHeld: self = .notHeld
        case .notLockOwner: self = .notOwner
        case .versionMismatch: self = .versionMismatch
        case .lockNotFound: self = .notFound
        case .waitQueueFull: self = .queueFull
        case .notWaiting: self = .notWaiting
        case .notLeader:
            var pointer = LockRefusal.pointer(in: detail.message) ?? LeaderPointer()
            if let id = detail.details["leader_id"], !id.isEmpty { pointer.nodeID = id }
            if let address = detail.details["leader_address"], !address.isEmpty { pointer.address = address }
            self = .notLeader(pointer)
        case .noLeader: self = .noLeader
        case .rateLimited: self = .rateLimited
        case .invalidTtl, .invalidArgument: self = .invalidArgument
        case .permissionDenied: self = .denied
        case .replicationFailure, .timeout, .unavailable: self = .failed
        case .internalError:
            // The texts say more than this code.
            self = LockRefusal(text: detail.message) ?? .unexpected
        case .unspecified, .ok, .UNRECOGNIZED:
            guard let meant = LockRefusal(text: detail.message) else { return nil }
            self = meant
        }
    }

    private init?(text: String) {
        switch text {
        case "lockmanager: lock is already held": self = .lockHeld
        case "lockmanager: lock is not currently held": self = .notHeld
        case "lockmanager: client is not the lock owner": self = .notOwner
        case "lockmanager: version mismatch": self = .versionMismatch
        case "lockmanager: lock not found": self = .notFound
        case "lockmanager: client not in wait queue": self = .notWaiting
        case "server: no leader available in the cluster": self = .noLeader
        case "An unexpected internal error occurred.": self = .unexpected
        default:
            guard let pointer = LockRefusal.pointer(in: text) else { return nil }
            self = .notLeader(pointer)
        }
    }

    /// Parses `server: not leader, redirect to node N at ADDR`; nil for any other text.
    private static func pointer(in text: String) -> LeaderPointer? {
        let beginning = "server: not leader"
        guard text.hasPrefix(beginning) else { return nil }
        let middle = ", redirect to node "
        let rest = text.dropFirst(beginning.count)
        guard rest.hasPrefix(middle) else { return LeaderPointer() }
        // A node id can contain spaces, an address cannot.
        let words = rest.dropFirst(middle.count).split(separator: " ", omittingEmptySubsequences: false)
        guard words.count >= 3, words[words.count - 2] == "at", let address = words.last else { return LeaderPointer() }
        let nodeID = words.dropLast(2).joined(separator: " ")
        return LeaderPointer(nodeID: nodeID.isEmpty ? nil : nodeID, address: address.isEmpty ? nil : String(address))
    }

    /// Whether the lock is not, or no longer, in the state that the request assumes.
    var isAboutHolder: Bool {
        switch self {
        case .notHeld, .notOwner, .versionMismatch, .notFound: true
        default: false
        }
    }

    /// Whether the server's answer means that the request might have been carried out although it failed.
    var isUncertain: Bool { self == .unexpected || self == .failed }
}

/// RaftLock's own names for failures, in the words of `--retry-on`.
public enum LockErrorCode: String, Sendable, Hashable, CaseIterable {
    case notLeader = "not-leader"
    case noLeader = "no-leader"
    case unavailable
    case timeout
    case rateLimited = "rate-limited"
    case replicationFailure = "replication-failure"
    case internalError = "internal-error"
    case waitQueueFull = "wait-queue-full"
    case lockHeld = "lock-held"

    var word: String { rawValue }

    /// The failures that are retried by default: those that the Go client retries, and `internal-error`. A request that a server answers with `internal-error`
    /// might have been carried out and is resolved by reading. Only two such answers in a row show a fault of the Raft leader.
    public static let usuallyRetried: Set<String> = Set(
        [notLeader, noLeader, unavailable, timeout, rateLimited, replicationFailure, internalError].map(\.word))
}

extension GRPCFailure {
    /// RaftLock's name for the failure; nil if a retry cannot help, or if RaftLock has no name for it.
    var errorCode: LockErrorCode? {
        switch detail(Raftlock_ErrorDetail.self)?.code {
        case .replicationFailure: return .replicationFailure
        case .timeout: return .timeout
        case .unavailable: return .unavailable
        default: break
        }
        if let refusal = LockRefusal(self) {
            switch refusal {
            case .notLeader: return .notLeader
            case .noLeader: return .noLeader
            case .rateLimited: return .rateLimited
            case .queueFull: return .waitQueueFull
            case .lockHeld: return .lockHeld
            case .unexpected: return .internalError
            case .failed: return .unavailable
            case .notHeld, .notOwner, .versionMismatch, .notFound, .notWaiting, .invalidArgument, .denied: return nil
            }
        }
        switch code {
        case .unavailable: return .unavailable
        case .deadlineExceeded: return .timeout
        case .resourceExhausted: return .rateLimited
        default: return nil
        }
    }

    /// An OK answer that contains an error.
    init(_ detail: Raftlock_ErrorDetail, at endpoint: String) {
        let bytes: [UInt8] = (try? detail.serializedBytes()) ?? []
        self.init(
            .failedPrecondition, detail.message, at: endpoint, wasSent: true,
            details: [Detail(type: "type.googleapis.com/" + Raftlock_ErrorDetail.protoMessageName, bytes: bytes)])
    }

    /// The failure as it is reported to the user.
    /// - Parameters:
    ///   - what: the operation that failed, such as "cannot acquire web".
    ///   - isChange: whether the request changes something if it is carried out.
    ///   - wedged: the node that still reads but no longer writes, if that was observed.
    func told(_ what: String, isChange: Bool, wedged: String?, _ sign: WriteHealth.Sign = .refuses) -> CoordinationError {
        let refusal = LockRefusal(self)
        var told = self.told(what, isChange: isChange)
        told.code = errorCode?.word
        if let refusal {
            told.isUncertain = isChange && wasSent && refusal.isUncertain
            (told.kind, told.hint) = refusal.kindAndHint
        }
        if let wedged {
            // Only if the failure shows it: a refusal with a reason proves that the node still works.
            told.kind = .unavailable
            switch sign {
            case .refuses:
                told.reason = "leader \(Printable.text(wedged)) answers reads but refuses every write; restart it"
                told.hint = "only a restart helps: no other node takes over while it runs; leases still expire"
            case .silent:
                told.reason = "leader \(Printable.text(wedged)) answers reads but no write"
                told.hint =
                    "check that a majority of the nodes reach each other; if they do, restart the leader: no other node takes over while it runs"
            }
        }
        return told
    }
}

extension LockRefusal {
    fileprivate var kindAndHint: (CoordinationError.Kind, String?) {
        switch self {
        case .lockHeld: (.unavailable, nil)
        case .notHeld, .notOwner, .versionMismatch, .notFound: (.denied, "see who holds it now: qq status")
        case .queueFull: (.unavailable, "a lock has room for 100 waiters; try again later, or without --wait")
        case .notWaiting: (.denied, nil)
        case .notLeader:
            (
                .unavailable,
                "the leader must be among the endpoints of --server; --follow-redirects tries the address that the other nodes name"
            )
        case .noLeader: (.unavailable, "the nodes elect one within some seconds if a majority of them is reachable; see qq cluster-status")
        case .rateLimited: (.unavailable, "the server limits the number of requests per second; send fewer, see --backoff")
        case .invalidArgument: (.usage, nil)
        case .denied: (.denied, nil)
        case .unexpected: (.unavailable, "the server gives no reason; see qq cluster-status")
        case .failed: (.unavailable, "see qq cluster-status")
        }
    }
}
