import QQNetwork

/// An error of the NATS client.
public struct NATSError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: Sendable, Hashable {
        /// No connection, or it was cut.
        case disconnected
        /// No answer in time.
        case timedOut
        /// Nothing subscribes to the subject.
        case noResponders
        /// The server refuses the credentials or a subject.
        case denied
        /// The configured credentials, certificates or addresses cannot be used.
        case configuration
        /// Bytes that are not NATS, or an answer that cannot be parsed.
        case malformed
        /// Larger than a limit of the server or of this client.
        case tooLarge
    }

    public var kind: Kind
    /// The reason, such as "Connection refused".
    public var reason: String
    /// Location of the error: a server as host:port, or a file.
    public var location: String?
    /// Whether the request might have been carried out nevertheless.
    public var isUncertain: Bool
    /// The remedy, if one is known.
    public var hint: String?

    public init(_ kind: Kind, _ reason: String, at location: String? = nil, isUncertain: Bool = false, hint: String? = nil) {
        self.kind = kind
        self.reason = reason
        self.location = location
        self.isUncertain = isUncertain
        self.hint = hint
    }

    public var description: String { location.map { "\(reason) (\($0))" } ?? reason }
}

extension NATSError {
    init(_ failure: TLSFailure) {
        let kind: Kind =
            switch failure.kind {
            case .configuration: .configuration
            case .denied: .denied
            case .disconnected: .disconnected
            }
        self.init(kind, failure.reason, at: failure.location, hint: failure.hint)
    }
}
