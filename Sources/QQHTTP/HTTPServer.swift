/// Where an HTTP server is: the parts of its URL.
public struct HTTPServer: Sendable, Hashable, CustomStringConvertible {
    public enum Scheme: String, Sendable, Hashable {
        case http
        /// HTTP over TLS.
        case https

        var defaultPort: Int { self == .https ? 443 : 80 }
    }

    public var scheme: Scheme
    /// A host name or an IP address, without brackets.
    public var host: String
    public var port: Int
    /// The path below which the server answers: empty, or a path that begins with a slash and does not end with one. It is put before the target
    /// of each request.
    public var path: String

    /// - Parameter port: nil for the scheme's default.
    public init(_ scheme: Scheme, host: String, port: Int? = nil, path: String = "") {
        self.scheme = scheme
        self.host = host
        self.port = port ?? scheme.defaultPort
        let trimmed = path.drop { $0 == "/" }
        let end = trimmed.lastIndex { $0 != "/" }
        self.path = end.map { "/" + trimmed[...$0] } ?? ""
    }

    /// A server by its URL, such as `https://10.0.0.1:6443/k8s/clusters/c-1`; nil if that is not an HTTP URL, or has a user, a query or a fragment.
    public init?(url: String) {
        guard let parts = URLParts(url), let scheme = Scheme(rawValue: parts.scheme), parts.user == nil, !parts.hasQuery else { return nil }
        self.init(scheme, host: parts.host, port: parts.port, path: parts.path)
    }

    /// The URL, for messages.
    public var description: String {
        "\(scheme.rawValue)://\(URLParts.bracketed(host))\(port == scheme.defaultPort ? "" : ":\(port)")\(path)"
    }

    /// The server as host:port, for messages.
    public var endpoint: String { "\(URLParts.bracketed(host)):\(port)" }

    /// The value of the field `Host` (RFC 9110, section 7.2).
    var authority: String { port == scheme.defaultPort ? URLParts.bracketed(host) : endpoint }
}
