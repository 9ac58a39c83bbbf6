#if NATS
    package import QQCore
    package import QQNATS
    internal import QQNetwork

    extension SystemConnector {
        /// NATS, in clusters that can include nodes of the Go clustering library.
        package static let nats: SystemConnector = SystemConnector(
            url: .nats, displayName: "NATS", hasURLOptions: true,
            // Nodes have names. Go nodes join only a bucket with their own TTL, which is 10 s by default.
            identity: { _ in Identity.hostName() }, ttl: .seconds(10),
            capabilities: { NATSCoordinator.capabilities },
            connect: { (input) throws(CoordinationError) in
                NATSCoordinator(
                    server: input.access.url, settings: try NATSSettings(input.access, variable: input.variable), explicitTTL: input.ttl,
                    clock: input.clock, requestTimeout: input.requestTimeout)
            })
    }

    extension NATSSettings {
        /// Settings from what was given, the environment and the cluster file.
        package init(_ access: ServerAccess, variable: (String) -> String?) throws(CoordinationError) {
            var tls = NATSOptions.TLS()
            tls.files = TLSOptions(access)
            tls.handshakeFirst = access.tls.handshakeFirst
            tls.isRequired = access.requestsTLS || access.tls.handshakeFirst
            let credentials = try NATSLogin.choose(among: [
                Self.givenLogins(access), Self.environmentLogins(access, variable), access.clusterFile?.logins ?? [],
            ])
            try self.init(server: access.url, credentials: credentials, tls: tls)
            access.clusterFile?.apply(to: &self)
        }

        private static func givenLogins(_ access: ServerAccess) throws(CoordinationError) -> [NATSLogin] {
            var logins: [NATSLogin] = []
            if case .argument(let name) = access.origin, let login = NATSLogin.inURL(access.url, source: name) { logins.append(login) }
            for login in access.logins {
                let credentials: NATSOptions.Credentials
                switch login.credentials {
                case .none: continue
                case .user(let user, let password): credentials = .userPassword(user: user, password: password)
                case .token(let token): credentials = .token(token)
                case .credentialsFile(let path): credentials = .credentialsFile(path)
                case .nkeyFile(let path): credentials = .nkey(seedFile: path)
                case .tokenFile, .loginFile:
                    throw access.wrongLogin(
                        login, for: .nats, takes: "a user and a password, a token, a credentials file, or the file of an NKey's seed")
                }
                logins.append(NATSLogin(login.source, credentials))
            }
            return logins
        }

        private static func environmentLogins(
            _ access: ServerAccess, _ variable: (String) -> String?
        ) throws(CoordinationError) -> [NATSLogin] {
            var logins: [NATSLogin] = []
            if case .environment(let name) = access.origin, let login = NATSLogin.inURL(access.url, source: name) { logins.append(login) }
            if let path = variable("QQ_NATS_CREDS") { logins.append(NATSLogin("QQ_NATS_CREDS", .credentialsFile(path))) }
            if let path = variable("QQ_NATS_NKEY") { logins.append(NATSLogin("QQ_NATS_NKEY", .nkey(seedFile: path))) }
            if let token = variable("QQ_NATS_TOKEN") { logins.append(NATSLogin("QQ_NATS_TOKEN", .token(token))) }
            switch (variable("QQ_NATS_USER"), variable("QQ_NATS_PASSWORD")) {
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
#endif
