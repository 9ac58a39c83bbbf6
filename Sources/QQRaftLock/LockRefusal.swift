import QQCore
import QQGRPC

/// What a server means by a failure: by its ErrorDetail where there is one, else by the texts that RaftLock v1.0.0 is known to send. Pure.
enum LockRefusal: Sendable, Hashable {
    case lockHeld
    case notHeld
    case notOwner
    case versionMismatch
    case notFound
    case queueFull
    /// Not in the queue, or not any more.
    case notWaiting
    case notLeader(LeaderPointer)
    case noLeader
    case rateLimited
    case invalidArgument
    case denied
    /// INTERNAL without a reason. It may have been carried out: every renewal of the real server ends so.
    case unexpected
    /// The server could not carry it out, or cannot tell: replication failed, or took too long.
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

    /// nil where the detail says nothing.
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
            // The texts tell more than this code does.
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

    /// Reads `server: not leader, redirect to node N at ADDR`; nil for anything that does not begin so.
    private static func pointer(in text: String) -> LeaderPointer? {
        let beginning = "server: not leader"
        guard text.hasPrefix(beginning) else { return nil }
        let middle = ", redirect to node "
        let rest = text.dropFirst(beginning.count)
        guard rest.hasPrefix(middle) else { return LeaderPointer() }
        // A node's id may hold spaces; an address does not.
        let words = rest.dropFirst(middle.count).split(separator: " ", omittingEmptySubsequences: false)
        guard words.count >= 3, words[words.count - 2] == "at", let address = words.last else { return LeaderPointer() }
        let nodeID = words.dropLast(2).joined(separator: " ")
        return LeaderPointer(nodeID: nodeID.isEmpty ? nil : nodeID, address: address.isEmpty ? nil : String(address))
    }

    /// Whether the lock is not, or not any more, what the one who asked takes it for.
    var isAboutHolder: Bool {
        switch self {
        case .notHeld, .notOwner, .versionMismatch, .notFound: true
        default: false
        }
    }

    /// Whether the server says that it may have been carried out all the same.
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

    /// What is tried again where nothing else is asked for. It is what the Go client tries again, and `internal-error`: what real servers answer so may
    /// have been carried out, is settled by reading, and only when it happens twice shows what is wrong with the leader.
    public static let usuallyRetried: Set<String> = Set(
        [notLeader, noLeader, unavailable, timeout, rateLimited, replicationFailure, internalError].map(\.word))
}

extension GRPCFailure {
    /// As RaftLock names it; nil for what trying again cannot help with, and for what has no name there.
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

    /// An answer of OK with an error in it.
    init(_ detail: Raftlock_ErrorDetail, at endpoint: String) {
        let bytes: [UInt8] = (try? detail.serializedBytes()) ?? []
        self.init(
            .failedPrecondition, detail.message, at: endpoint, wasSent: true,
            details: [Detail(type: "type.googleapis.com/" + Raftlock_ErrorDetail.protoMessageName, bytes: bytes)])
    }

    /// The failure as a person is told of it.
    /// - Parameters:
    ///   - what: what failed, such as "cannot acquire web".
    ///   - isChange: whether it may have changed something if it was carried out.
    ///   - wedged: the node that reads and does not write any more, where that is what is seen.
    func told(_ what: String, isChange: Bool, wedged: String?, _ sign: WriteHealth.Sign = .refuses) -> CoordinationError {
        let refusal = LockRefusal(self)
        var told = self.told(what, isChange: isChange)
        told.code = errorCode?.word
        if let refusal {
            told.isUncertain = isChange && wasSent && refusal.isUncertain
            (told.kind, told.hint) = refusal.kindAndHint
        }
        if let wedged {
            // Only where the failure shows it: whoever is refused for a reason has been heard.
            told.kind = .unavailable
            switch sign {
            case .refuses:
                told.reason = "leader \(Printable.text(wedged)) answers reads but refuses every write; restart it"
                told.hint = "nothing else helps, and no other node takes over while it runs; what it held runs out by itself"
            case .silent:
                told.reason = "leader \(Printable.text(wedged)) answers reads but no write"
                told.hint = "see that most of the nodes reach each other; where they do, restart it: no other one takes over while it runs"
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
        case .queueFull: (.unavailable, "a lock has room for 100 waiters; try again later, or without waiting in line")
        case .notWaiting: (.denied, nil)
        case .notLeader:
            (
                .unavailable,
                "the leader has to be among the endpoints of --server; --follow-redirects tries it where the other nodes say it is"
            )
        case .noLeader: (.unavailable, "the nodes elect one within some seconds if most of them are there; see qq cluster-status")
        case .rateLimited: (.unavailable, "the server takes only so many requests a second; ask more slowly, see --backoff")
        case .invalidArgument: (.usage, nil)
        case .denied: (.denied, nil)
        case .unexpected: (.unavailable, "the server does not say why; see qq cluster-status")
        case .failed: (.unavailable, "see qq cluster-status")
        }
    }
}
