import QQCore

/// Settings for a NATS system: how to connect and how to take part in elections.
public struct NATSSettings: Sendable {
    public var options: NATSOptions
    /// Prefix of the JetStream API's subjects, without a trailing dot. It differs for a domain, and for an account that imports the streams.
    public var apiPrefix = Self.defaultAPIPrefix
    /// Number of servers that store a bucket created by `qq`, 1 to 5.
    public var replicas = 1
    /// The lease format to use; nil for the format of the existing bucket.
    public var format: LeaseFormat?
    /// The format of a bucket created by `qq`, if `format` is nil and the bucket of neither format exists.
    public var formatToCreate = LeaseFormat.v2
    /// The TTL with which the nodes of the cluster are configured, if known.
    public var leaseTTL: Duration?
    /// The version that the micro service of a v2 node reports; three numbers (semver.org).
    public var serviceVersion = "1.0.0"

    public static let defaultAPIPrefix = "$JS.API"

    public init(options: NATSOptions) { self.options = options }

    /// Takes the settings from the server URL, but not the login; see ``NATSLogin``.
    ///
    /// - Parameter tls: TLS settings from elsewhere than the URL. A `tls://` URL requires TLS regardless of them.
    /// - Throws: ``CoordinationError`` of kind `configuration` for a query item that is unknown, repeated or wrong.
    public init(
        server: ServerURL, credentials: NATSOptions.Credentials = .none, tls: NATSOptions.TLS = .init()
    ) throws(CoordinationError) {
        options = NATSOptions(servers: server.hosts.map { .init(host: $0.name, port: server.port(of: $0)) })
        options.credentials = credentials
        options.tls = tls
        if server.tls { options.tls.isRequired = true }
        var seen: Set<String> = []
        for item in server.query {
            guard let known = URLItem(rawValue: item.name) else { throw Self.unknown(item.name, server) }
            if !seen.insert(item.name).inserted { throw Self.wrong("'\(item.name)' is given twice", server) }
            do throws(Wrong) { try apply(known, item.value) } catch {
                throw Self.wrong("'\(item.name)' \(error.reason)", server)
            }
        }
        if seen.contains(URLItem.domain.rawValue), seen.contains(URLItem.apiPrefix.rawValue) {
            throw Self.wrong("'domain' and 'js-prefix' exclude each other: a domain has the prefix $JS.DOMAIN.API", server)
        }
    }

    /// The items of a URL's query.
    public enum URLItem: String, Sendable, CaseIterable {
        case domain
        case apiPrefix = "js-prefix"
        case replicas
        case format
        case inbox
    }

    private struct Wrong: Error { let reason: String }

    private mutating func apply(_ item: URLItem, _ value: String) throws(Wrong) {
        switch item {
        case .domain:
            // One token of a subject: the server's `jetstream { domain: … }`.
            guard Self.isSubject(value), !value.utf8.contains(UInt8(ascii: ".")) else {
                throw Wrong(reason: "is not a JetStream domain: a name without dots, wildcards and white space")
            }
            apiPrefix = "$JS.\(value).API"
        case .apiPrefix:
            guard Self.isSubject(value) else {
                throw Wrong(reason: "is not a subject prefix such as JS.hub.API, without wildcards, white space and a dot at the end")
            }
            apiPrefix = value
        case .replicas:
            guard let number = Int(value), (1...5).contains(number), value.utf8.count == 1 else {
                throw Wrong(reason: "is not a number from 1 to 5")
            }
            replicas = number
        case .format:
            guard let format = LeaseFormat(rawValue: value) else { throw Wrong(reason: "is neither v1 nor v2") }
            self.format = format
        case .inbox:
            guard Self.isSubject(value) else {
                throw Wrong(reason: "is not a subject prefix such as _INBOX_web, without wildcards, white space and a dot at the end")
            }
            options.inboxPrefix = value
        }
    }

    private static func isSubject(_ text: String) -> Bool { (try? Subject.check(text)) != nil }

    private static func unknown(_ name: String, _ server: ServerURL) -> CoordinationError {
        wrong("'\(name)' is not an option of NATS URLs", server, hint: "known: " + URLItem.allCases.map(\.rawValue).joined(separator: ", "))
    }

    private static func wrong(_ reason: String, _ server: ServerURL, hint: String? = nil) -> CoordinationError {
        CoordinationError(.configuration, "cannot use the server URL's query", because: reason, at: server.description, hint: hint)
    }
}
