/// A failure as it is reported to the user: what failed, why, where, and what to do.
public struct CoordinationError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The command line is wrong.
        case usage
        /// Data that cannot be understood: a lease file, a server's answer.
        case brokenData
        /// The system cannot be reached, or cannot do its work now. A retry can help.
        case unavailable
        /// Waiting took longer than was allowed.
        case timedOut
        /// The operation is not permitted.
        case denied
        /// The configuration is wrong.
        case configuration
        /// Leadership ended while the command ran.
        case lost
        /// The system has no such thing.
        case unsupported
    }

    public var kind: Kind
    /// The operation that failed, such as "cannot acquire backup".
    public var what: String
    /// The reason, such as "Permission denied".
    public var reason: String
    /// The location of the failure: a server URL without credentials, or a file.
    public var location: String?
    /// The next step for the user; nil if none is known.
    public var hint: String?
    /// Whether the request might have been carried out although it failed.
    public var isUncertain: Bool
    /// Whether waiting can mend the cause, if `kind` does not tell: a folder on a file system that is not mounted yet can appear, and another program's file
    /// in the place of a lease file stays. Nil if `kind` tells.
    public var canPass: Bool?
    /// The system's name for the failure, such as `no-leader`; nil if it has none. For `RetryPolicy.codes`.
    public var code: String?

    public init(
        _ kind: Kind, _ what: String, because reason: String, at location: String? = nil, hint: String? = nil, isUncertain: Bool = false
    ) {
        self.kind = kind
        self.what = what
        self.reason = reason
        self.location = location
        self.hint = hint
        self.isUncertain = isUncertain
    }

    /// Whether a retry can help.
    public var isTransient: Bool { kind == .unavailable || isUncertain }

    /// Whether a waiter rides this failure out. Only what waiting cannot mend ends a wait.
    public var isRiddenOut: Bool {
        if let canPass { return canPass }
        switch kind {
        case .usage, .denied, .configuration, .unsupported: return isUncertain
        case .brokenData, .unavailable, .timedOut, .lost: return true
        }
    }

    /// One line: what, why, where.
    public var description: String {
        var text = what
        if !reason.isEmpty { text += ": " + reason }
        if let location { text += " (" + location + ")" }
        return text
    }
}
