import QQCore
import QQNetwork

/// Settings of a connection: servers, credentials, TLS and times.
public struct NATSOptions: Sendable {
    /// Address of a server.
    public struct Address: Sendable, Hashable, CustomStringConvertible {
        public static let defaultPort = 4222

        /// A host name, or an IP address without brackets.
        public var host: String
        public var port: Int

        public init(host: String, port: Int = Address.defaultPort) {
            self.host = host
            self.port = port
        }

        /// `host:4222`, `[::1]:4222`.
        public var description: String { ServerURL.Host(name: host, port: port).description }
    }

    /// How to log in. Files are read for every connection, so that renewed files are used.
    public enum Credentials: Sendable, Hashable {
        case none
        case userPassword(user: String, password: String)
        case token(String)
        /// The path of a file with an NKey seed.
        case nkey(seedFile: String)
        /// The path of a `.creds` file: a JWT and the seed that belongs to it.
        case credentialsFile(String)
    }

    public struct TLS: Sendable, Hashable {
        /// Whether plain text is refused. If false, the server can still require TLS.
        public var isRequired = false
        /// Whether TLS begins before the server's first line (`handshake_first`).
        public var handshakeFirst = false
        public var files = TLSOptions()

        public init() {}
    }

    /// At least one.
    public var servers: [Address]
    public var credentials: Credentials = .none
    public var tls = TLS()
    /// Name of the connection, which operators see in the server's list.
    public var name = "qq"
    /// Prefix of the subjects for answers. Some accounts allow only a prefix of their own.
    public var inboxPrefix = "_INBOX"
    /// Time limit for connecting to one server: name lookup, TCP, TLS and the handshake together.
    public var connectTimeout: Duration = .seconds(2)
    /// The pause before a server that failed is tried again; doubles from failure to failure up to `reconnectWaitMaximum`, with jitter.
    public var reconnectWait: Duration = .milliseconds(100)
    public var reconnectWaitMaximum: Duration = .seconds(2)
    /// How often a silent connection is pinged; two unanswered pings end it.
    public var pingInterval: Duration = .seconds(20)

    public init(servers: [Address]) { self.servers = servers }
}
