/// A failure, as a person is told of it: what failed, why, where, and what to do.
public struct CoordinationError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The command line is wrong.
        case usage
        /// Data that cannot be understood: a lease file, a server's answer.
        case brokenData
        /// The system cannot be reached, or cannot do its work now. It may pass.
        case unavailable
        /// Waiting took longer than was allowed.
        case timedOut
        /// We may not.
        case denied
        /// The configuration is wrong.
        case configuration
        /// Leadership ended while the command ran.
        case lost
        /// The system has no such thing.
        case unsupported
    }

    public var kind: Kind
    /// What failed, such as "cannot acquire backup".
    public var what: String
    /// Why, such as "Permission denied".
    public var reason: String
    /// Where: a server's URL without credentials, a file.
    public var location: String?
    /// What to do about it.
    public var hint: String?
    /// Whether the request may have been carried out all the same.
    public var isUncertain: Bool
    /// The failure as the system names it, such as `no-leader`; nil where it has no names for them. For `RetryPolicy.codes`.
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

    /// Whether trying again later can help.
    public var isTransient: Bool { kind == .unavailable || isUncertain }

    /// One line: what, why, where.
    public var description: String {
        var text = what
        if !reason.isEmpty { text += ": " + reason }
        if let location { text += " (" + location + ")" }
        return text
    }
}
