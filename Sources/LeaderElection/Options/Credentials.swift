extension ElectionOptions {
    /// A login at the servers. Text made of it never has the secret.
    public enum Credentials: Sendable, Hashable {
        /// No login, or the one of the environment.
        case none
        /// A user name and a password: NATS, etcd, and on Consul a proxy in front of the agents.
        case user(String, password: String)
        /// A token: NATS, Consul.
        case token(String)
        /// The path of a file with a token, read again after the cluster has denied a request: Consul.
        case tokenFile(String)
        /// The path of a NATS credentials file (`.creds`).
        case credentialsFile(String)
        /// The path of a file with the seed of an NKey: NATS.
        case nkeyFile(String)
        /// The path of a file with `USER:PASSWORD` in its only line: etcd.
        case loginFile(String)
    }
}

extension ElectionOptions.Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The kind of login, without secrets. Paths are no secrets.
    public var description: String {
        switch self {
        case .none: "none"
        case .user(let name, _): "user \(name), password (hidden)"
        case .token: "token (hidden)"
        case .tokenFile(let path): "token file \(path)"
        case .credentialsFile(let path): "credentials file \(path)"
        case .nkeyFile(let path): "NKey file \(path)"
        case .loginFile(let path): "login file \(path)"
        }
    }

    /// The same as ``description``.
    public var debugDescription: String { description }

    /// Without children, so that `dump` shows no secret.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
