import QQNetwork

/// Why the client could not do what it was asked.
public struct NATSError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: Sendable, Hashable {
        /// No connection, or it was cut.
        case disconnected
        /// No answer in time.
        case timedOut
        /// Nobody listens on the subject.
        case noResponders
        /// The server refuses our credentials, or a subject.
        case denied
        /// What we were told to connect with cannot be used: credentials, certificates, addresses.
        case configuration
        /// Bytes that are no NATS, or an answer that cannot be understood.
        case malformed
        /// More than the server takes.
        case tooLarge
    }

    public var kind: Kind
    /// Why, such as "Connection refused".
    public var reason: String
    /// The server that it concerns, as host:port, or the file.
    public var place: String?
    /// Whether what was asked may have been carried out all the same.
    public var isUncertain: Bool
    /// What to do about it, where that is known.
    public var hint: String?

    public init(_ kind: Kind, _ reason: String, at place: String? = nil, isUncertain: Bool = false, hint: String? = nil) {
        self.kind = kind
        self.reason = reason
        self.place = place
        self.isUncertain = isUncertain
        self.hint = hint
    }

    public var description: String { place.map { "\(reason) (\($0))" } ?? reason }
}

extension NATSError {
    init(_ failure: TLSFailure) {
        let kind: Kind =
            switch failure.kind {
            case .configuration: .configuration
            case .denied: .denied
            case .disconnected: .disconnected
            }
        self.init(kind, failure.reason, at: failure.place, hint: failure.hint)
    }
}
