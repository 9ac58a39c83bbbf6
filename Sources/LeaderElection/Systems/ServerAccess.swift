package import QQCore

#if NATS
    package import QQNATS
#endif

/// How the servers of a system are reached: their URL, and what was said about logins and TLS apart from the environment.
package struct ServerAccess: Sendable {
    /// Where the server URL comes from.
    package enum Origin: Sendable, Hashable {
        /// An argument, whose login comes before those of variables. The name is for messages: `--server`.
        case argument(name: String)
        /// A variable, whose login is as good as those of other variables.
        case environment(name: String)
        /// A file of the system's own.
        case file
        /// The embedded default.
        case embedded
    }

    /// A login and the name of its source for messages: `--creds`.
    package struct Login: Sendable, Hashable {
        package var source: String
        package var credentials: ElectionOptions.Credentials

        package init(_ source: String, _ credentials: ElectionOptions.Credentials) {
            self.source = source
            self.credentials = credentials
        }
    }

    /// Whose words hints use.
    package enum Audience: Sendable, Hashable {
        /// Somebody at a command line, where options are flags.
        case commandLine
        /// The programmer of a program that uses the library.
        case program
    }

    package var url: ServerURL
    package var origin: Origin
    package var audience: Audience
    /// The logins that were given. They come before those of variables.
    package var logins: [Login] = []
    package var tls = ElectionOptions.TLS()
    /// Whether something apart from the URL asks for TLS.
    package var requestsTLS = false
    /// The kubeconfig that was named.
    package var kubeconfig: String?
    /// The largest message that is sent or accepted, in bytes. Quorum Quest and RaftLock only.
    package var maximumMessage = SystemConnector.usualMaximumMessage
    /// Whether a leader outside of the URL's hosts is asked at the address that the servers give. RaftLock only.
    package var followsRedirects = false
    #if NATS
        /// The cluster file that was given. Its login comes after those of variables.
        package var clusterFile: ClusterFile?
    #endif

    package init(_ url: ServerURL, from origin: Origin, for audience: Audience) {
        self.url = url
        self.origin = origin
        self.audience = audience
    }

    /// Whether TLS is wanted.
    package var wantsTLS: Bool { url.tls || requestsTLS }
}

extension ServerAccess {
    /// - Throws: `.usage` for a login of a kind that the system does not have.
    func refuseLogins(of system: SystemConnector, because reason: String, hint: String? = nil) throws(CoordinationError) {
        guard let login = logins.first else { return }
        throw CoordinationError(
            .usage, "cannot log in to \(system.displayName)", because: "\(login.source): \(reason)", at: url.description, hint: hint)
    }

    /// The error for a login of a kind that the system does not have.
    func wrongLogin(_ login: Login, for system: SystemConnector, takes kinds: String) -> CoordinationError {
        CoordinationError(
            .usage, "cannot log in to \(system.displayName)",
            because: "\(login.source) has a login of another kind: \(login.credentials)", at: url.description,
            hint: "\(system.displayName) takes \(kinds)")
    }
}
