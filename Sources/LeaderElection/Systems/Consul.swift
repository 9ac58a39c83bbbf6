#if Consul
    package import QQConsul
    package import QQCore
    internal import QQNetwork

    extension SystemConnector {
        /// Consul, in elections that `consul lock` and programs with Consul's documented leader election can take part in.
        package static let consul: SystemConnector = SystemConnector(
            url: .consul, displayName: "Consul", hasURLOptions: true,
            capabilities: { ConsulCoordinator.capabilities },
            connect: { (input) throws(CoordinationError) in
                var settings = ConsulCoordinator.Settings(requestTimeout: input.requestTimeout, killAfter: input.stopTime)
                settings.userAgent = input.userAgent
                return ConsulCoordinator(
                    server: input.access.url, access: try ConsulAccess(input.access, variable: input.variable), settings: settings,
                    clock: input.clock, executor: input.executor)
            })
    }

    extension ConsulAccess {
        /// The agents, TLS and token from what was given, the server URL and the environment.
        package init(_ access: ServerAccess, variable: (String) -> String?) throws(CoordinationError) {
            var options = Options()
            options.tls = TLSOptions(access)
            options.requestsTLS = access.requestsTLS
            for login in access.logins {
                switch login.credentials {
                case .none: continue
                case .tokenFile(let path): options.tokenFile = path
                case .token(let token): options.token = Secret(token)
                case .user(let user, let password): options.basicLogin = Secret(user + ":" + password)
                case .credentialsFile, .nkeyFile, .loginFile:
                    throw access.wrongLogin(
                        login, for: .consul, takes: "a token, a file with one, or a user and a password for a proxy in front of the agents")
                }
            }
            self = try Self.resolve(url: access.url, options: options, variable: variable)
        }
    }
#endif
