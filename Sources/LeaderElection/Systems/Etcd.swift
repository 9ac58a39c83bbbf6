#if GRPC
    package import QQCore
    package import QQEtcd
    internal import QQNetwork

    extension SystemConnector {
        /// etcd, in locks and elections that `etcdctl lock` and `etcdctl elect` can take part in.
        package static let etcd: SystemConnector = SystemConnector(
            url: .etcd, displayName: "etcd",
            capabilities: { EtcdCoordinator.capabilities },
            connect: { (input) throws(CoordinationError) in
                EtcdCoordinator(
                    server: input.access.url, options: try EtcdOptions(input.access, variable: input.variable),
                    requestTimeout: input.requestTimeout, clock: input.clock, executor: input.executor)
            })
    }

    extension EtcdOptions {
        /// Endpoints, TLS and login from what was given and the environment.
        package init(_ access: ServerAccess, variable: (String) -> String?) throws(CoordinationError) {
            self.init(access.url.hosts, tls: .ifWanted(access), login: try Self.login(access, variable))
        }

        /// What was given overrides variables. Each of the two can contain only one login.
        private static func login(_ access: ServerAccess, _ variable: (String) -> String?) throws(CoordinationError) -> EtcdLogin? {
            let urlLogin = try inURL(access)
            var (given, source): (EtcdLogin?, String) = (nil, "")
            if case .argument(let name) = access.origin { (given, source) = (urlLogin, name) }
            for login in access.logins {
                if given != nil { throw several("\(source), \(login.source)") }
                switch login.credentials {
                case .none: continue
                case .loginFile(let path): given = try EtcdLoginFile.read(path)
                case .user(let user, let password): given = EtcdLogin(user: user, password: password)
                case .token, .tokenFile, .credentialsFile, .nkeyFile:
                    throw access.wrongLogin(login, for: .etcd, takes: "a user and a password, or a file with them")
                }
                source = login.source
            }
            if let given { return given }
            guard let found = try inVariables(variable) else { return urlLogin }
            if urlLogin != nil, case .environment(let name) = access.origin { throw several("\(name), QQ_ETCD_USER") }
            return found
        }

        private static func several(_ names: String) -> CoordinationError {
            CoordinationError(
                .configuration, "cannot choose a login for etcd", because: "several are given: \(names)", hint: "give only one of them")
        }

        private static func inURL(_ access: ServerAccess) throws(CoordinationError) -> EtcdLogin? {
            guard let user = access.url.user else { return nil }
            guard let password = access.url.password else {
                throw CoordinationError(
                    .configuration, "cannot log in to etcd", because: "the server URL has a user and no password",
                    at: access.url.description,
                    hint: access.audience == .commandLine
                        ? "set QQ_ETCD_USER and QQ_ETCD_PASSWORD, or use --login-file FILE" : "write it into the credentials of the options"
                )
            }
            return EtcdLogin(user: user, password: password)
        }

        private static func inVariables(_ variable: (String) -> String?) throws(CoordinationError) -> EtcdLogin? {
            switch (variable("QQ_ETCD_USER"), variable("QQ_ETCD_PASSWORD")) {
            case (nil, nil): return nil
            case (let user?, let password?): return EtcdLogin(user: user, password: password)
            case (let user, _):
                let (given, missing) =
                    user == nil ? ("QQ_ETCD_PASSWORD", "QQ_ETCD_USER") : ("QQ_ETCD_USER", "QQ_ETCD_PASSWORD")
                throw CoordinationError(
                    .configuration, "cannot log in with \(given)", because: "\(missing) is not set", hint: "set both, or neither")
            }
        }
    }
#endif
