/// A proxy between this machine and an HTTP server.
public struct HTTPProxy: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    public enum Scheme: String, Sendable, Hashable {
        /// An HTTP proxy, which is asked with CONNECT (RFC 9110, section 9.3.6), for servers without TLS, too.
        case http
        /// An HTTP proxy that is reached over TLS.
        case https
        /// A SOCKS proxy (RFC 1928), which resolves the server's name.
        case socks5

        var defaultPort: Int {
            switch self {
            case .http: 80
            case .https: 443
            case .socks5: 1080
            }
        }
    }

    /// A login at the proxy. Never shown.
    public struct Login: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
        public var user: String
        public var password: String

        public init(user: String, password: String) {
            self.user = user
            self.password = password
        }

        public var description: String { "(hidden)" }
        public var customMirror: Mirror { Mirror(self, children: [:]) }
    }

    public var scheme: Scheme
    /// A host name or an IP address, without brackets.
    public var host: String
    public var port: Int
    public var login: Login?

    /// - Parameter port: nil for the scheme's default.
    public init(_ scheme: Scheme, host: String, port: Int? = nil, login: Login? = nil) {
        self.scheme = scheme
        self.host = host
        self.port = port ?? scheme.defaultPort
        self.login = login
    }

    /// A proxy by its URL, such as `http://user:password@proxy.example:3128`. Without a scheme it is an HTTP proxy, and `socks5h` is `socks5`.
    /// - Throws: `HTTPProxyError`, whose text does not contain the URL, because that can contain a password.
    public init(url: String) throws(HTTPProxyError) {
        guard let parts = URLParts(url.contains("://") ? url : "http://" + url) else { throw HTTPProxyError("is not a URL") }
        guard let scheme = Scheme(rawValue: parts.scheme == "socks5h" ? "socks5" : parts.scheme) else {
            throw HTTPProxyError("begins with \(parts.scheme)://, and only http, https and socks5 are possible")
        }
        let login = parts.user.map { Login(user: $0, password: parts.password ?? "") }
        if scheme == .socks5, let login {
            // RFC 1929, section 2.
            guard 1...255 ~= login.user.utf8.count, 1...255 ~= login.password.utf8.count else {
                throw HTTPProxyError("has a user or password that is empty, or longer than 255 bytes")
            }
        }
        self.init(scheme, host: parts.host, port: parts.port, login: login)
    }

    /// The URL without the login, for messages.
    public var description: String { "\(scheme.rawValue)://\(URLParts.bracketed(host)):\(port)" }

    /// Shows the description alone, to keep the login out of dumps.
    public var customMirror: Mirror { Mirror(self, children: ["url": description]) }
}

/// Why the text for a proxy is not usable, as the end of a sentence: `is not a URL`. Contains nothing of the text but a scheme.
public struct HTTPProxyError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String
    /// The environment's variable that contains the text, if it comes from there.
    public var variable: String?

    init(_ description: String) { self.description = description }
}
