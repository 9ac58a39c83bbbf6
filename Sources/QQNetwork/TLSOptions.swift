/// How to do TLS as a client. Files are read when a connection is made, so that renewed ones are used.
public struct TLSOptions: Sendable, Hashable {
    /// PEM file of the authorities to trust instead of the system's.
    public var authorityFile: String?
    /// PEM files of our own certificate and its key, for mutual TLS; without a key file, the key stands in the certificate's.
    public var certificateFile: String?
    public var keyFile: String?
    /// The name that the server's certificate must have, where it is not the host that we connect to.
    public var serverName: String?

    public init() {}
}

/// Why there is no TLS.
public struct TLSFailure: Error, Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// A file of ours, or the server's certificate, cannot be used.
        case configuration
        /// The server does not accept our certificate.
        case denied
        /// The connection failed meanwhile.
        case disconnected
    }

    public var kind: Kind
    /// Why, in an operator's words.
    public var reason: String
    /// The file that it concerns.
    public var location: String?
    /// What to do about it, where that is known.
    public var hint: String?

    public init(_ kind: Kind, _ reason: String, at location: String? = nil, hint: String? = nil) {
        self.kind = kind
        self.reason = reason
        self.location = location
        self.hint = hint
    }
}
