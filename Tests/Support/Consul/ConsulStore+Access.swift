import QQCore

extension ConsulStore {
    /// What a token allows.
    public struct Rights: Sendable, Hashable {
        public enum Level: Int, Sendable, Hashable, Comparable {
            case deny, read, write

            public static func < (one: Level, other: Level) -> Bool { one.rawValue < other.rawValue }
        }

        /// Prefixes of keys. Of two that fit, the longer one counts.
        public var keys: [String: Level] = [:]
        /// On all nodes, as `session_prefix ""`.
        public var session = Level.deny
        public var agent = Level.deny
        public var node = Level.deny
        public var cluster = Level.deny

        public init(
            keys: [String: Level] = [:], session: Level = .deny, agent: Level = .deny, node: Level = .deny, cluster: Level = .deny
        ) { (self.keys, self.session, self.agent, self.node, self.cluster) = (keys, session, agent, node, cluster) }

        static let all = Rights(keys: ["": .write], session: .write, agent: .write, node: .write, cluster: .write)

        private func level(_ key: String) -> Level {
            keys.filter { key.utf8.starts(with: $0.key.utf8) }.max { $0.key.utf8.count < $1.key.utf8.count }?.value ?? .deny
        }
        func canRead(key: String) -> Bool { level(key) >= .read }
        func canWrite(key: String) -> Bool { level(key) >= .write }
    }

    /// Tokens of a cluster whose default policy is `deny`.
    public struct Access: Sendable {
        /// By the secret.
        public var tokens: [String: Rights]
        /// Without token.
        public var anonymous: Rights

        public init(_ tokens: [String: Rights], anonymous: Rights = Rights()) { (self.tokens, self.anonymous) = (tokens, anonymous) }
    }

    /// Deletes a token: calls with it are answered `ACL not found`.
    public func deleteToken(_ token: String) { change { state, _ in state.access?.tokens[token] = nil } }

    /// Creates a token, or changes what it allows.
    public func setToken(_ token: String, _ rights: Rights) { change { state, _ in state.access?.tokens[token] = rights } }
}

extension ConsulStore.State {
    func rights(_ token: String) throws(Failure) -> ConsulStore.Rights {
        guard let access else { return .all }
        if token.isEmpty { return access.anonymous }
        guard let rights = access.tokens[token] else { throw Failure(status: 403, text: "ACL not found") }
        return rights
    }
}
