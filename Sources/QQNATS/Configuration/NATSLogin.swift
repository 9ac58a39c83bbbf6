import QQCore

/// Credentials, and the name of their source for messages.
public struct NATSLogin: Sendable, Hashable {
    /// The flag, variable or other place that gives the credentials: `--creds`, `QQ_NATS_TOKEN`, `the server URL`.
    public var source: String
    public var credentials: NATSOptions.Credentials

    public init(_ source: String, _ credentials: NATSOptions.Credentials) {
        self.source = source
        self.credentials = credentials
    }

    /// The login before the `@` of a server URL; nil if there is none.
    public static func inURL(_ server: ServerURL, source: String) -> NATSLogin? {
        if let token = server.token { return NATSLogin(source, .token(token)) }
        guard let user = server.user else { return nil }
        return NATSLogin(source, .userPassword(user: user, password: server.password ?? ""))
    }

    /// Chooses the login of the first group that is not empty.
    ///
    /// - Throws: ``CoordinationError`` of kind `configuration` if that group has several.
    public static func choose(among groups: [[NATSLogin]]) throws(CoordinationError) -> NATSOptions.Credentials {
        guard let group = groups.first(where: { !$0.isEmpty }), let only = group.first else { return .none }
        guard group.count == 1 else {
            throw CoordinationError(
                .configuration, "cannot choose a NATS login",
                because: "several are given: \(group.map(\.source).joined(separator: ", "))", hint: "give only one of them")
        }
        return only.credentials
    }
}
