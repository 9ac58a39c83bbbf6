/// How to do TLS as a client. Files are read when a connection is made, so that renewed ones are used.
public struct TLSOptions: Sendable, Hashable {
    /// PEM file of the authorities to trust instead of the system's.
    public var authorityFile: String?
    /// PEM files of the client certificate and its key, for mutual TLS. Without a key file, the certificate's file also contains the key.
    public var certificateFile: String?
    public var keyFile: String?
    /// The name that the server's certificate must have, if it is not the host that is connected to.
    public var serverName: String?

    public init() {}
}

/// A failure of TLS.
public struct TLSFailure: Error, Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// A local file, or the server's certificate, cannot be used.
        case configuration
        /// The server does not accept the client certificate.
        case denied
        /// The connection failed.
        case disconnected
    }

    public var kind: Kind
    /// The reason, in an operator's words.
    public var reason: String
    /// The file that could not be used.
    public var location: String?
    /// A hint about the failure, if there is one.
    public var hint: String?

    public init(_ kind: Kind, _ reason: String, at location: String? = nil, hint: String? = nil) {
        self.kind = kind
        self.reason = reason
        self.location = location
        self.hint = hint
    }
}
