#if NATS || GRPC || Consul
    internal import QQNetwork

    extension TLSOptions {
        /// The files and names that were given.
        init(_ access: ServerAccess) {
            self.init()
            let tls = access.tls
            func source(_ path: String?, _ flag: String, _ property: String) -> PEMSource? {
                let name = access.audience == .commandLine ? flag : "tls.\(property)"
                return path.map { .file($0, hint: "\(name) takes a file in PEM form") }
            }
            authority = source(tls.authority, "--tls-ca", "authority")
            certificate = source(tls.certificate, "--tls-cert", "certificate")
            key = source(tls.key, "--tls-key", "key")
            serverName = tls.serverName
            if access.audience == .program {
                hints = TLSHints(
                    authority: "tls.authority of the options names the authorities to trust",
                    certificate: "tls.certificate and tls.key of the options name the client certificate and its key",
                    serverName: "use that name in the URL, or name the expected one with tls.serverName of the options")
            }
        }

        /// The same if TLS is wanted, else nil.
        static func ifWanted(_ access: ServerAccess) -> TLSOptions? { access.wantsTLS ? TLSOptions(access) : nil }
    }
#endif
