import LeaderElection
import QQCore

// How flags, contexts and cluster files become the settings of a connector. Each system sets what its flags say; this is what they share.
extension ConnectorInput {
    /// - Parameter access: how the servers are reached, by the flags of the system.
    init(_ input: CoordinatorInput, for system: SystemConnector, _ access: ServerAccess) {
        let given = input.invocation[Flags.ttl]
        self.init(
            access, clock: input.loop, executor: input.loop, requestTimeout: input.requestTimeout,
            stopTime: LeaseTiming.killAfter(input.invocation[Flags.killAfter], ttl: given ?? system.ttl), variable: filledVariable)
        ttl = given
    }
}

extension ServerAccess {
    /// The server URL, without anything that flags say.
    init(_ choice: ServerChoice) {
        let origin: Origin =
            switch choice.origin {
            case .flag: .argument(name: "--server")
            case .environment: .environment(name: "QQ_SERVER")
            case .file: .file
            case .embedded: .embedded
            }
        self.init(choice.url, from: origin, for: .commandLine)
    }

    /// The server URL, and what the flags about TLS say.
    init(_ invocation: Invocation, _ choice: ServerChoice) {
        self.init(choice)
        tls = .init(
            authority: invocation[Flags.tlsCA], certificate: invocation[Flags.tlsCert], key: invocation[Flags.tlsKey],
            serverName: invocation[Flags.tlsName])
        requestsTLS = [Flags.tlsCA, Flags.tlsCert, Flags.tlsName].contains { invocation.isGiven($0) }
    }
}

extension ServerAccess {
    /// Adds the login of a flag that names a file, if it is given.
    mutating func add(_ flag: Flag<String>, of invocation: Invocation, _ credentials: (String) -> ElectionOptions.Credentials) {
        if let path = invocation[flag] { logins.append(Login(flag.erased.long, credentials(path))) }
    }
}
