/// The configuration of a test's server.
public struct NATSSettings: Sendable {
    public enum Authorization: Sendable {
        case none
        case user(String, password: String)
        case token(String)
        /// The public keys of the users that can log in.
        case nkeys([String])
        /// JWTs whose chain of signatures starts with an operator.
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
        /// Ports on 127.0.0.1 at which the other servers are reached.
        public var routes: [UInt16]
        /// Address for routes that is announced to the other servers: `host:port`.
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
    /// Whether the cluster's other servers are announced to clients.
    public var announcesOthers = true
    /// How long clients can stay connected in lame duck mode; the server requires at least 30 seconds.
    public var lameDuckDuration: Duration?
    /// How long a server in lame duck mode waits before it disconnects clients.
    public var lameDuckGrace: Duration?
    public var cluster: Cluster?
    /// Further lines of the configuration file.
    public var extra = ""

    public init() {}

    /// A port of 0 means any free port.
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
