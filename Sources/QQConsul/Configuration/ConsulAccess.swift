import QQCore
import QQHTTP
import QQNetwork

/// How the agents are reached: by flags and the server URL first, then by the variables that Consul's own client reads.
public struct ConsulAccess: Sendable {
    enum Token: Sendable, Hashable {
        case none
        case secret(Secret)
        /// A path. The file is read when the first request is sent, and again if the cluster denies a request.
        case file(String)
    }

    /// What was given apart from the server URL and the variables.
    public struct Options: Sendable {
        /// A file with the token.
        public var tokenFile: String?
        /// The token itself, if there is no file.
        public var token: Secret?
        /// `user:password` of HTTP's basic authentication, unless the server URL has one.
        public var basicLogin: Secret?
        /// TLS options; what they leave open is taken from the variables.
        public var tls = TLSOptions()
        /// Whether an option asks for TLS, even if the URL does not.
        public var requestsTLS = false

        public init() {}
    }

    let agents: [HTTPServer]
    let tls: TLSOptions
    let token: Token
    /// `user:password` of HTTP's basic authentication, for a proxy in front of the agents.
    let basicLogin: Secret?
    /// The datacenter; nil for the agent's own.
    let datacenter: String?
    /// The names of elections as keys.
    package let naming: KeyNaming

    /// The options of a server URL.
    public static let urlOptions = ["dc", "key"]
    public static let defaultPort = 8500

    /// - Parameter variable: the value of an environment variable; nil if it is not set or empty.
    /// - Throws: `CoordinationError` of kind `.configuration`.
    public static func resolve(
        url: ServerURL, options: Options, variable: (String) -> String?
    ) throws(CoordinationError) -> ConsulAccess {
        func refuse(_ reason: String, hint: String?) -> CoordinationError {
            CoordinationError(.configuration, "cannot use Consul", because: reason, at: url.description, hint: hint)
        }
        for name in ["CONSUL_NAMESPACE", "CONSUL_PARTITION"] {
            if let value = variable(name), value != "default" {
                throw refuse(
                    "\(name) is set, and qq does not support namespaces and partitions of Consul Enterprise", hint: "unset \(name)")
            }
        }
        let query = try urlQuery(url, refuse)
        let prefix = String(url.path.drop { $0 == "/" })
        if !prefix.isEmpty, let problem = KeyNaming.problem(withPath: prefix) {
            throw refuse("the path cannot be the prefix of keys: \(problem)", hint: nil)
        }
        let wantsTLS: Bool = url.tls || options.requestsTLS ? true : try flag("CONSUL_HTTP_SSL", variable, refuse) ?? false
        let agents = try servers(url, wantsTLS: wantsTLS, variable, refuse)
        var login = options.basicLogin ?? variable("CONSUL_HTTP_AUTH").map { Secret($0) }
        if let user = url.user { login = Secret(user + ":" + (url.password ?? "")) }
        return ConsulAccess(
            agents: agents, tls: try tls(options.tls, variable, refuse), token: try token(options, variable, refuse),
            basicLogin: login, datacenter: query.datacenter ?? variable("CONSUL_DATACENTER"),
            naming: KeyNaming(prefix: prefix, ending: query.key))
    }

    private typealias Refuse = (_ reason: String, _ hint: String?) -> CoordinationError

    private static func urlQuery(_ url: ServerURL, _ refuse: Refuse) throws(CoordinationError) -> (datacenter: String?, key: String?) {
        var (datacenter, key): (String?, String?)
        for item in url.query {
            switch item.name {
            case "dc" where !item.value.isEmpty && datacenter == nil: datacenter = item.value
            case "key" where key == nil: key = item.value
            case "dc", "key": throw refuse("the option \(item.name) is given twice, or is empty", "write ?\(item.name)=VALUE once")
            default:
                throw refuse(
                    "'\(Printable.text(item.name))' is not an option of Consul URLs", "they have dc=DATACENTER and key=LAST-PART-OF-THE-KEY"
                )
            }
        }
        if let key, let problem = KeyNaming.problem(withEnding: key) { throw refuse("key=\(Printable.text(key)): \(problem)", nil) }
        return (datacenter, key)
    }

    // MARK: Addresses

    private static func servers(
        _ url: ServerURL, wantsTLS: Bool, _ variable: (String) -> String?, _ refuse: Refuse
    ) throws(CoordinationError) -> [HTTPServer] {
        guard url.hosts.isEmpty else {
            return url.hosts.map { HTTPServer(wantsTLS ? .https : .http, host: $0.name, port: $0.port ?? defaultPort) }
        }
        guard let address = variable("CONSUL_HTTP_ADDR") else {
            return [HTTPServer(wantsTLS ? .https : .http, host: "127.0.0.1", port: defaultPort)]
        }
        if address.lowercased().hasPrefix("unix:") {
            throw refuse(
                "CONSUL_HTTP_ADDR is a socket in the file system, which qq does not support", "give the agent an HTTP port, and name it")
        }
        let hasScheme = address.contains("://")
        let text = hasScheme ? address : (wantsTLS ? "https://" : "http://") + address
        guard var server = HTTPServer(url: text) else {
            throw refuse("CONSUL_HTTP_ADDR is not HOST:PORT or a URL of http or https", nil)
        }
        // Without a port, Consul's own client uses the scheme's default if there is a scheme.
        if !hasScheme, !hasPort(address) { server.port = defaultPort }
        if hasScheme, wantsTLS { server = HTTPServer(.https, host: server.host, port: server.port, path: server.path) }
        return [server]
    }

    private static func hasPort(_ address: String) -> Bool {
        let authority = address.prefix { $0 != "/" }
        let end = authority.lastIndex(of: "]") ?? authority.startIndex
        return authority[end...].contains(":")
    }

    // MARK: TLS

    private static func tls(
        _ given: TLSOptions, _ variable: (String) -> String?, _ refuse: Refuse
    ) throws(CoordinationError) -> TLSOptions {
        var tls = given
        if tls.authority == nil, let path = variable("CONSUL_CACERT") {
            tls.authority = .file(path, hint: "CONSUL_CACERT names a file in PEM form")
        } else if tls.authority == nil, variable("CONSUL_CAPATH") != nil {
            throw refuse(
                "CONSUL_CAPATH is a folder, and qq takes authorities from one file",
                "put them into one file, and name it with --tls-ca or CONSUL_CACERT")
        }
        if tls.certificate == nil, let path = variable("CONSUL_CLIENT_CERT") {
            tls.certificate = .file(path, hint: "CONSUL_CLIENT_CERT names a file in PEM form")
            if tls.key == nil, let path = variable("CONSUL_CLIENT_KEY") {
                tls.key = .file(path, hint: "CONSUL_CLIENT_KEY names a file in PEM form")
            }
        }
        if tls.serverName == nil { tls.serverName = variable("CONSUL_TLS_SERVER_NAME") }
        if try flag("CONSUL_HTTP_SSL_VERIFY", variable, refuse) == false { tls.checksServer = false }
        return tls
    }

    /// A truth value as Go's strconv.ParseBool reads it, which Consul's client uses.
    private static func flag(
        _ name: String, _ variable: (String) -> String?, _ refuse: Refuse
    ) throws(CoordinationError) -> Bool? {
        switch variable(name) {
        case nil: return nil
        case "1", "t", "T", "true", "TRUE", "True": return true
        case "0", "f", "F", "false", "FALSE", "False": return false
        default: throw refuse("\(name) is neither true nor false", "set it to true or false, or unset it")
        }
    }

    // MARK: Token

    private static func token(
        _ options: Options, _ variable: (String) -> String?, _ refuse: Refuse
    ) throws(CoordinationError) -> Token {
        func checked(_ token: Secret, _ source: String) throws(CoordinationError) -> Token {
            guard let secret = token.trimmed, secret.fitsInHeader else {
                throw refuse("\(source) is not a token: it is blank, or has control characters", nil)
            }
            return .secret(secret)
        }
        if let file = options.tokenFile { return .file(file) }
        if let token = options.token { return try checked(token, "the token that was given") }
        // The file comes first, as in Consul's own client (api.go, "precedence of ACL token").
        if let file = variable("CONSUL_HTTP_TOKEN_FILE") { return .file(file) }
        if let token = variable("CONSUL_HTTP_TOKEN") { return try checked(Secret(token), "CONSUL_HTTP_TOKEN") }
        return .none
    }
}

extension ServerURL.System {
    /// The agents of a Consul cluster: `consul://[HOST[:PORT],...][/PREFIX]`, `consuls://...` with TLS.
    public static let consul = ServerURL.System(
        name: "consul", schemes: [.init("consul"), .init("consuls", tls: true)],
        authority: .hosts(areRequired: false, loneUserIsToken: false, defaultPort: ConsulAccess.defaultPort), path: .prefix)
}
