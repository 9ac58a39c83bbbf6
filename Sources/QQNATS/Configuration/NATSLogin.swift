import QQCore

/// Something to log in with, and what errors call it.
public struct NATSLogin: Sendable, Hashable {
    /// Who names it: `--creds`, `QQ_NATS_TOKEN`, `the server URL`.
    public var source: String
    public var credentials: NATSOptions.Credentials

    public init(_ source: String, _ credentials: NATSOptions.Credentials) {
        self.source = source
        self.credentials = credentials
    }

    /// What stands before the `@` of a server URL; nil where nothing does.
    public static func inURL(_ server: ServerURL, source: String) -> NATSLogin? {
        if let token = server.token { return NATSLogin(source, .token(token)) }
        guard let user = server.user else { return nil }
        return NATSLogin(source, .userPassword(user: user, password: server.password ?? ""))
    }

    /// What to log in with: what the first group that names anything names.
    ///
    /// - Throws: ``CoordinationError`` of kind `configuration` where one group names several.
    public static func choose(among groups: [[NATSLogin]]) throws(CoordinationError) -> NATSOptions.Credentials {
        guard let group = groups.first(where: { !$0.isEmpty }), let only = group.first else { return .none }
        guard group.count == 1 else {
            throw CoordinationError(
                .configuration, "cannot choose what to log in with",
                because: "there are several: \(group.map(\.source).joined(separator: ", "))", hint: "give one of them")
        }
        return only.credentials
    }
}
