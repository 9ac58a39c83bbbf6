import QQCore
import QQNATS
import QQNetwork

extension NATSSettings {
    /// Settings from flags, environment and cluster file.
    init(
        _ invocation: Invocation, _ choice: ServerChoice, file: ClusterFile?, variables: (String) -> String? = filledVariable
    ) throws(CoordinationError) {
        var tls = NATSOptions.TLS()
        tls.files = TLSOptions(invocation)
        tls.handshakeFirst = invocation[Flags.tlsFirst]
        tls.isRequired = TLSOptions.isAsked(invocation) || invocation[Flags.tlsFirst]
        let credentials = try NATSLogin.choose(among: [
            Self.flagLogins(invocation, choice), Self.environmentLogins(choice, variables), file?.logins ?? [],
        ])
        try self.init(server: choice.url, credentials: credentials, tls: tls)
        file?.apply(to: &self)
    }

    private static func flagLogins(_ invocation: Invocation, _ choice: ServerChoice) -> [NATSLogin] {
        var logins: [NATSLogin] = []
        if choice.origin == .flag, let login = NATSLogin.inURL(choice.url, source: "--server") { logins.append(login) }
        if let path = invocation[Flags.creds] { logins.append(NATSLogin("--creds", .credentialsFile(path))) }
        if let path = invocation[Flags.nkey] { logins.append(NATSLogin("--nkey", .nkey(seedFile: path))) }
        return logins
    }

    private static func environmentLogins(
        _ choice: ServerChoice, _ variables: (String) -> String?
    ) throws(CoordinationError) -> [NATSLogin] {
        var logins: [NATSLogin] = []
        if choice.origin == .environment, let login = NATSLogin.inURL(choice.url, source: "QQ_SERVER") { logins.append(login) }
        if let path = variables("QQ_NATS_CREDS") { logins.append(NATSLogin("QQ_NATS_CREDS", .credentialsFile(path))) }
        if let path = variables("QQ_NATS_NKEY") { logins.append(NATSLogin("QQ_NATS_NKEY", .nkey(seedFile: path))) }
        if let token = variables("QQ_NATS_TOKEN") { logins.append(NATSLogin("QQ_NATS_TOKEN", .token(token))) }
        switch (variables("QQ_NATS_USER"), variables("QQ_NATS_PASSWORD")) {
        case (nil, nil): break
        case (let user?, let password?):
            logins.append(NATSLogin("QQ_NATS_USER", .userPassword(user: user, password: password)))
        case (let user, _):
            let (given, missing) = user == nil ? ("QQ_NATS_PASSWORD", "QQ_NATS_USER") : ("QQ_NATS_USER", "QQ_NATS_PASSWORD")
            throw CoordinationError(
                .configuration, "cannot log in with \(given)", because: "\(missing) is not set", hint: "set both, or neither")
        }
        return logins
    }
}

extension TLSOptions {
    init(_ invocation: Invocation) {
        self.init()
        func source(_ path: String?, _ flag: String) -> PEMSource? {
            path.map { .file($0, hint: "\(flag) takes a file in PEM form") }
        }
        authority = source(invocation[Flags.tlsCA], "--tls-ca")
        certificate = source(invocation[Flags.tlsCert], "--tls-cert")
        key = source(invocation[Flags.tlsKey], "--tls-key")
        serverName = invocation[Flags.tlsName]
    }

    /// Whether a flag about TLS requests it.
    static func isAsked(_ invocation: Invocation) -> Bool {
        [Flags.tlsCA, Flags.tlsCert, Flags.tlsName].contains { invocation.isGiven($0) }
    }
}
