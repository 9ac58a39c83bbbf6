/// How a test's server is configured.
public struct NATSSettings: Sendable {
    public enum Authorization: Sendable {
        case none
        case user(String, password: String)
        case token(String)
        /// The public keys of those who may come in.
        case nkeys([String])
        /// JWTs, signed down from an operator.
        case operatorMode(NATSOperator)
    }

    public struct TLS: Sendable {
        public var certificates: Certificates
        /// Whether clients must show a certificate of the same authority.
        public var verifiesClients = false
        /// TLS before the server's first line; 2.10.4 and later.
        public var isFirst = false

        public init(_ certificates: Certificates, verifiesClients: Bool = false, isFirst: Bool = false) {
            self.certificates = certificates
            self.verifiesClients = verifiesClients
            self.isFirst = isFirst
        }
    }

    public struct Cluster: Sendable {
        public var name: String
        /// Ports on 127.0.0.1 under which the others are reached.
        public var routes: [UInt16]
        /// Where the others are told to connect for a route: `host:port`.
        public var advertise: String
    }

    public var name = "nats"
    public var hasJetStream = true
    /// The JetStream domain.
    public var domain: String?
    public var authorization = Authorization.none
    public var tls: TLS?
    public var maxPayload: Int?
    public var pingInterval: Duration?
    public var pingMaximum: Int?
    /// `host:port` that is announced to clients instead of the server's own address.
    public var clientAdvertise: String?
    /// Whether clients are told of the cluster's other servers.
    public var announcesOthers = true
    /// How long clients may stay on in lame-duck mode; the server insists on 30 seconds at least.
    public var lameDuckDuration: Duration?
    /// How long the lame duck waits before it sends anybody away.
    public var lameDuckGrace: Duration?
    public var cluster: Cluster?
    /// Further lines of the configuration file.
    public var extra = ""

    public init() {}

    /// Ports are 0 for any free one.
    func configuration(folder: String, port: UInt16, monitoring: UInt16, routing: UInt16) -> String {
        func number(_ port: UInt16) -> String { port == 0 ? "-1" : "\(port)" }
        var lines = [
            "server_name: \"\(name)\"", "listen: \"127.0.0.1:\(number(port))\"", "http: \"127.0.0.1:\(number(monitoring))\"",
            "ports_file_dir: \"\(folder)\"",
        ]
        if hasJetStream {
            let place = domain.map { ", domain: \"\($0)\"" } ?? ""
            lines.append("jetstream { store_dir: \"\(folder)/store\", max_memory_store: 64MB, max_file_store: 1GB\(place) }")
        }
        switch authorization {
        case .none: break
        case .user(let user, let password): lines.append("authorization { user: \"\(user)\", password: \"\(password)\" }")
        case .token(let token): lines.append("authorization { token: \"\(token)\" }")
        case .nkeys(let keys): lines.append("authorization { users: [\(keys.map { "{ nkey: \($0) }" }.joined(separator: ", "))] }")
        case .operatorMode(let boss): lines.append(boss.configuration)
        }
        if let tls {
            var block = [
                "cert_file: \"\(tls.certificates.server.certificate)\"", "key_file: \"\(tls.certificates.server.key)\"",
                "ca_file: \"\(tls.certificates.authority)\"",
            ]
            if tls.verifiesClients { block.append("verify: true") }
            if tls.isFirst { block.append("handshake_first: true") }
            lines.append("tls { \(block.joined(separator: ", ")) }")
        }
        if let maxPayload { lines.append("max_payload: \(maxPayload)") }
        if let pingInterval { lines.append("ping_interval: \"\(pingInterval.milliseconds)ms\"") }
        if let pingMaximum { lines.append("ping_max: \(pingMaximum)") }
        if let clientAdvertise { lines.append("client_advertise: \"\(clientAdvertise)\"") }
        if let lameDuckDuration { lines.append("lame_duck_duration: \"\(lameDuckDuration.milliseconds)ms\"") }
        if let lameDuckGrace { lines.append("lame_duck_grace_period: \"\(lameDuckGrace.milliseconds)ms\"") }
        if let cluster {
            let routes = cluster.routes.map { "\"nats-route://127.0.0.1:\($0)\"" }.joined(separator: ", ")
            lines.append(
                "cluster { name: \"\(cluster.name)\", listen: \"127.0.0.1:\(number(routing))\", routes: [\(routes)], no_advertise: \(!announcesOthers), advertise: \"\(cluster.advertise)\" }"
            )
        }
        return (lines + [extra, ""]).joined(separator: "\n")
    }
}
