import QQCore
import QQNetwork

/// How a cluster of etcd is reached.
public struct EtcdOptions: Sendable, Hashable {
    /// The endpoints, in the order in which they are tried. Their ports are 2379 where they have none.
    public var endpoints: [ServerURL.Host]
    /// TLS options; nil for plain text.
    public var tls: TLSOptions?
    /// The user to log in as; nil for none.
    public var login: EtcdLogin?
    /// Time for one try at one member, until another is asked. A write that is under way when the cluster loses its leader is answered after
    /// 7 s, while a new one succeeds after 1.3 to 2.1 s.
    public var tryTime = Duration.milliseconds(1500)
    /// Time to open a stream of watches at some member. After that the readers are told that their watches are lost.
    var openTime = Duration.seconds(5)

    public init(_ endpoints: [ServerURL.Host], tls: TLSOptions? = nil, login: EtcdLogin? = nil) {
        self.endpoints = endpoints.map { ServerURL.Host(name: $0.name, port: $0.port ?? EtcdRules.port) }
        self.tls = tls
        self.login = login
    }
}

/// A user and the password.
public struct EtcdLogin: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    public var user: String
    /// A secret.
    public var password: String

    public init(user: String, password: String) {
        self.user = user
        self.password = password
    }

    public var description: String { "user \(Printable.text(user)) with password" }

    /// Shows the description alone, to keep the password out of dumps.
    public var customMirror: Mirror { Mirror(self, children: ["login": description]) }
}
