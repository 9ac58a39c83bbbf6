/// How to do TLS as a client. Files are read when a connection is made, so that renewed ones are used.
public struct TLSOptions: Sendable, Hashable {
    /// The authorities to trust instead of the system's.
    public var authority: PEMSource?
    /// Whether the system's authorities are trusted besides `authority`.
    public var trustsSystem = false
    /// The client certificate, for mutual TLS.
    public var certificate: PEMSource?
    /// The client certificate's key. If this is nil, the source of the certificate also contains the key.
    public var key: PEMSource?
    /// The name that the server's certificate must have, and that is sent to the server (SNI), if it is not the host that is connected to.
    public var serverName: String?
    /// Whether the server's certificate is checked. Without that check, anyone who controls the network can pose as the server.
    public var checksServer = true
    /// The other side, for messages.
    public var subject = "the server"
    /// How the user can change these options.
    public var hints = TLSHints()

    public init() {}
}

/// Certificates or a key in PEM form (RFC 7468).
public struct PEMSource: Sendable, Hashable {
    public enum Content: Sendable, Hashable {
        /// A path. It is read each time that it is used.
        case file(String)
        case bytes([UInt8])
    }

    public var content: Content
    /// The place to name if the content cannot be used: a file, perhaps with the field in it.
    public var location: String
    /// A hint for content that cannot be used, such as `--tls-ca takes a file in PEM form`; nil for none.
    public var hint: String?

    private init(_ content: Content, _ location: String, _ hint: String?) {
        self.content = content
        self.location = location
        self.hint = hint
    }

    public static func file(_ path: String, hint: String? = nil) -> PEMSource { PEMSource(.file(path), path, hint) }

    /// - Parameter location: the place where the bytes come from.
    public static func bytes(_ bytes: [UInt8], from location: String, hint: String? = nil) -> PEMSource {
        PEMSource(.bytes(bytes), location, hint)
    }
}

extension PEMSource: CustomStringConvertible, CustomReflectable {
    /// The location: the content can be a key.
    public var description: String { location }

    /// Shows the location alone, to keep keys out of dumps.
    public var customMirror: Mirror { Mirror(self, children: ["location": location]) }
}

/// Hints about failures of TLS: how the user can change the options. The default names the flags of the command line.
public struct TLSHints: Sendable, Hashable {
    /// For a server's certificate of an authority that is not trusted.
    public var authority = "--tls-ca FILE names the authorities to trust"
    /// For a server that does not accept the client certificate, or requires one.
    public var certificate = "--tls-cert FILE and --tls-key FILE name the client certificate and its key"
    /// For a server's certificate with other names.
    public var serverName = "use that name in the URL, or name the expected one with --tls-name"

    public init() {}

    public init(authority: String, certificate: String, serverName: String) {
        self.authority = authority
        self.certificate = certificate
        self.serverName = serverName
    }
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
