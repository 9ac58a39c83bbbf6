import Foundation

/// etcd's users, roles and simple tokens.
package struct EtcdAuth: Sendable {
    package enum Access: Sendable, Hashable, CaseIterable {
        case read, write, readWrite

        func allows(_ other: Access) -> Bool { self == .readWrite || self == other }
    }

    struct Permission: Sendable {
        var access: Access
        var keys: EtcdKeyRange
    }

    struct User: Sendable {
        var password: String
        var roles: Set<String>
    }

    private struct Token: Sendable {
        var user: String
        var expires: Int64
    }

    package var isEnabled = false
    /// How long a token lives without use.
    package var tokenLife = Duration.seconds(300)
    /// Counts the changes of users and roles.
    package private(set) var revision: UInt64 = 1
    private var users: [String: User] = [:]
    private var roles: [String: [Permission]] = [:]
    private var tokens: [String: Token] = [:]
    private var issued = 0

    package init() {}

    /// Adds a role that has one range of keys. The role `root` needs none: it is allowed everything.
    package mutating func addRole(_ name: String, _ access: Access, _ key: String, to end: String = "") {
        roles[name, default: []].append(Permission(access: access, keys: EtcdKeyRange(Data(key.utf8), Data(end.utf8))))
        revision += 1
    }

    package mutating func addUser(_ name: String, password: String, roles: Set<String>) {
        users[name] = User(password: password, roles: roles)
        revision += 1
    }

    /// Raises the count of changes, as changes do that concern no user of the test.
    package mutating func skip(to revision: UInt64) { self.revision = max(self.revision, revision) }

    /// Ends all tokens, as the restart of a server does.
    package mutating func endTokens() { tokens = [:] }

    // MARK: Tokens

    mutating func authenticate(_ name: String, _ password: String, at now: Int64) throws(EtcdServerError) -> String {
        guard isEnabled else { throw .authenticationDisabled }
        guard let user = users[name], user.password == password else { throw .authenticationFailed }
        issued += 1
        let token = "token\(issued).\(name)"
        tokens[token] = Token(user: name, expires: now + tokenLife.nanoseconds)
        return token
    }

    /// The user that a token belongs to. Using a token prolongs its life.
    /// - Returns: nil without a token.
    mutating func user(_ token: String?, at now: Int64) throws(EtcdServerError) -> String? {
        guard let token else { return nil }
        guard let known = tokens[token], known.expires > now else { throw .invalidToken }
        tokens[token]?.expires = now + tokenLife.nanoseconds
        return known.user
    }

    // MARK: Permissions

    func isRoot(_ user: String) -> Bool { users[user]?.roles.contains("root") ?? false }

    /// Whether a user's roles together cover a range.
    func allows(_ user: String, _ access: Access, _ keys: EtcdKeyRange) -> Bool {
        if isRoot(user) { return true }
        let ranges = (users[user]?.roles ?? []).flatMap { roles[$0] ?? [] }.filter { $0.access.allows(access) }.map(\.keys)
            .sorted { $0.first.lexicographicallyPrecedes($1.first) }
        // Ranges that touch or overlap count as one.
        var merged: EtcdKeyRange?
        for range in ranges {
            guard var current = merged, let end = current.end else {
                if merged?.contains(keys) == true { return true }
                merged = merged ?? range
                continue
            }
            if end.lexicographicallyPrecedes(range.first) {
                if current.contains(keys) { return true }
                merged = range
            } else {
                if let other = range.end { current.end = end.lexicographicallyPrecedes(other) ? other : end } else { current.end = nil }
                merged = current
            }
        }
        return merged?.contains(keys) ?? false
    }
}
