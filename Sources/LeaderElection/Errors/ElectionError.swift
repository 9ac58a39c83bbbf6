internal import QQCore

/// A failure: what failed, why, where, and what to do.
public struct ElectionError: Error, Sendable, Hashable {
    /// What kind of failure it is.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// A value that was given cannot be used: a name, an identity, a duration.
        case usage
        /// Data that cannot be understood: a lease file, a server's answer.
        case brokenData
        /// The servers cannot be reached, or cannot do their work now. A retry can help.
        case unavailable
        /// Waiting took longer than was allowed.
        case timedOut
        /// The operation is not permitted.
        case denied
        /// The configuration is wrong: a file, a login, the server URL.
        case configuration
        /// The system cannot do this, or this build of the library does not have the system.
        case unsupported
        /// Another process leads, and this one was not to wait. `leader` says who, if that is known.
        case heldByAnother
        /// The election is already under way in this process: one `run` or `withLeadership` at a time.
        case alreadyRunning
        /// Neither `run` nor `withLeadership` is under way, so that there is nothing to wait for.
        case notRunning
    }

    /// What kind of failure it is.
    public var kind: Kind
    /// The operation that failed, such as "cannot acquire backup".
    public var what: String
    /// The reason, such as "Permission denied"; empty if `what` says it all.
    public var reason: String
    /// Where it failed: a server URL without credentials, or a file.
    public var location: String?
    /// What to do about it; nil if nothing is known.
    public var hint: String?
    /// The present leader, for `.heldByAnother` and `.timedOut`, if it is known.
    public var leader: Leader?
    /// The system's name for the failure, such as `no-leader`; nil if it has none.
    public var code: String?
    /// Whether the request might have been carried out although it failed.
    public var isUncertain: Bool
    /// What the system says about whether waiting can mend it; nil if `kind` tells.
    package var canPass: Bool?

    /// A failure with the given parts.
    public init(
        _ kind: Kind, _ what: String, because reason: String = "", at location: String? = nil, hint: String? = nil, leader: Leader? = nil,
        code: String? = nil, isUncertain: Bool = false
    ) {
        self.kind = kind
        self.what = what
        self.reason = reason
        self.location = location
        self.hint = hint
        self.leader = leader
        self.code = code
        self.isUncertain = isUncertain
    }

    /// Whether a retry can help.
    public var isTransient: Bool { kind == .unavailable || isUncertain }
}

extension ElectionError: CustomStringConvertible {
    /// One line: what, why, where.
    public var description: String {
        var text = what
        if !reason.isEmpty { text += ": " + reason }
        if let location { text += " (" + location + ")" }
        return text
    }
}

extension ElectionError {
    /// The same failure in the words of the core.
    init(_ error: CoordinationError) {
        let kind: Kind =
            switch error.kind {
            case .usage: .usage
            case .brokenData: .brokenData
            case .unavailable: .unavailable
            case .timedOut: .timedOut
            case .denied: .denied
            case .configuration: .configuration
            case .unsupported: .unsupported
            // No system reports a loss as an error; the command line does.
            case .lost: .brokenData
            }
        self.init(
            kind, error.what, because: error.reason, at: error.location, hint: error.hint, code: error.code, isUncertain: error.isUncertain)
        canPass = error.canPass
    }
}
