import Glibc

/// An authority, a server certificate for `localhost` and 127.0.0.1, and a client certificate, as PEM files made with `openssl`.
public struct Certificates: Sendable, Hashable {
    public struct Pair: Sendable, Hashable {
        public var certificate: String
        public var key: String
    }

    public var authority: String
    public var server: Pair
    public var client: Pair

    /// Creates new certificates in the sandbox.
    /// - Parameters:
    ///   - name: distinguishes several authorities of one test.
    ///   - serverNames: names in the server's certificate, in the syntax of `openssl`.
    ///   - serverDays: days for which the server's certificate is valid; negative for an expired one.
    public init(
        in sandbox: Sandbox, name: String = "pki", serverNames: String = "DNS:localhost,IP:127.0.0.1", serverDays: Int = 2
    ) async throws {
        let folder = sandbox.path(name)
        mkdir(folder, 0o755)
        authority = folder + "/ca.pem"
        server = Pair(certificate: folder + "/server.pem", key: folder + "/server.key")
        client = Pair(certificate: folder + "/client.pem", key: folder + "/client.key")
        let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        try await Self.openssl(
            ["req", "-x509"] + newKey + ["-days", "2", "-subj", "/CN=\(name) authority", "-keyout", folder + "/ca.key", "-out", authority],
            sandbox)
        for (pair, subject, extensions, days) in [
            (server, "/CN=server", "subjectAltName=\(serverNames)\nextendedKeyUsage=serverAuth,clientAuth\n", serverDays),
            (client, "/CN=client", "extendedKeyUsage=clientAuth\n", 2),
        ] {
            let request = pair.key + ".csr"
            try sandbox.write("basicConstraints=CA:FALSE\n" + extensions, to: pair.key + ".ext")
            try await Self.openssl(["req", "-new"] + newKey + ["-subj", subject, "-keyout", pair.key, "-out", request], sandbox)
            try await Self.openssl(
                [
                    "x509", "-req", "-in", request, "-CA", authority, "-CAkey", folder + "/ca.key", "-CAcreateserial", "-days", "\(days)",
                    "-extfile", pair.key + ".ext", "-out", pair.certificate,
                ], sandbox)
        }
    }

    /// Creates a client certificate of the authority.
    /// - Parameter organizations: the `O` parts of its subject.
    public func issueClient(commonName: String, organizations: [String], in sandbox: Sandbox) async throws -> Pair {
        let folder = String(authority.prefix(authority.count - "/ca.pem".count))
        let stem = folder + "/client-" + commonName.replacing(":", with: "-").replacing("/", with: "-")
        let pair = Pair(certificate: stem + ".pem", key: stem + ".key")
        func escaped(_ text: String) -> String { text.replacing("/", with: "\\/") }
        let subject = (organizations.map { "/O=" + escaped($0) } + ["/CN=" + escaped(commonName)]).joined()
        try sandbox.write("basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n", to: pair.key + ".ext")
        let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        try await Self.openssl(
            ["req", "-new"] + newKey + ["-subj", subject, "-keyout", pair.key, "-out", pair.key + ".csr"], sandbox)
        try await Self.openssl(
            [
                "x509", "-req", "-in", pair.key + ".csr", "-CA", authority, "-CAkey", folder + "/ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", pair.key + ".ext", "-out", pair.certificate,
            ], sandbox)
        return pair
    }

    private static func openssl(_ arguments: [String], _ sandbox: Sandbox) async throws {
        var launch = sandbox.launch(["openssl"] + arguments)
        let log = sandbox.path("openssl.log")
        launch.errors = .file(log)
        let ending = try await Child(launch).wait("openssl \(arguments.joined(separator: " "))")
        guard ending == .exited(0) else { throw CannotStart("openssl \(arguments.joined(separator: " ")): \(ending)\n\(readText(log))") }
    }
}
