import Foundation
import QQCore

/// Users of a `KubernetesServer`, and the files by which clients find it.
extension KubernetesServer {
    public enum Credential: Sendable {
        /// A bearer token, which is `token-USER` unless another one is given.
        case token(String? = nil)
        /// A client certificate of the server's authority, with the user's name and groups.
        case certificate
        /// None: the user is anonymous.
        case none
    }

    /// Lets a user or a group do something with leases.
    public func allow(_ subject: String, _ verbs: Set<LeaseAPI.Verb>, in namespace: String? = "team", names: Set<String>? = nil) {
        api.change { $0.grants.append(LeaseAPI.Grant(subject, verbs, in: namespace, names: names)) }
    }

    /// Has a token stand for a user, until `expire`.
    public func accept(token: String, of user: LeaseAPI.User) { api.change { $0.tokens[token] = user } }

    /// The token is 401 from now on.
    public func expire(token: String) { api.change { $0.tokens[token] = nil } }

    /// Writes a kubeconfig with a context that names this server, a user and a namespace, with the authority's certificate in it.
    /// - Parameters:
    ///   - user: the name of a user, without groups; the rights come from `allow`. `admin` may do everything.
    ///   - file: the name of the file in the sandbox.
    ///   - server: another URL, such as that of a proxy before this server.
    /// - Returns: the file's path.
    public func kubeconfig(
        for user: String = "admin", credential: Credential = .token(), namespace: String? = "team", file: String? = nil,
        server: String? = nil
    ) async throws -> String {
        try await kubeconfig(
            for: user == "admin" ? .admin : LeaseAPI.User(user), credential: credential, namespace: namespace, file: file, server: server)
    }

    /// As above, for a user with groups or a service account.
    public func kubeconfig(
        for user: LeaseAPI.User, credential: Credential = .token(), namespace: String? = "team", file: String? = nil, server: String? = nil
    ) async throws -> String {
        let plain = user.name.replacing(":", with: "-")
        var lines = ["apiVersion: v1", "kind: Config", "current-context: test", "clusters:", "- name: test", "  cluster:"]
        lines.append("    server: \(server ?? url)")
        if settings.usesTLS { lines.append("    certificate-authority-data: \(try Self.base64(certificates.authority))") }
        lines += ["contexts:", "- name: test", "  context:", "    cluster: test", "    user: \(plain)"]
        if let namespace { lines.append("    namespace: \(namespace)") }
        lines += ["users:", "- name: \(plain)"]
        switch credential {
        case .token(let given):
            let token = given ?? "token-\(plain)"
            accept(token: token, of: user)
            lines += ["  user:", "    token: \(token)"]
        case .certificate:
            let pair = try await clientCertificate(for: user)
            lines += [
                "  user:", "    client-certificate-data: \(try Self.base64(pair.certificate))",
                "    client-key-data: \(try Self.base64(pair.key))",
            ]
        case .none: lines.append("  user: {}")
        }
        let path = sandbox.path(file ?? "kubeconfig-\(plain)")
        try sandbox.write(Array((lines.joined(separator: "\n") + "\n").utf8), to: path, mode: 0o600)
        return path
    }

    /// A client certificate: the common name is the user's name, the organizations are the groups.
    public func clientCertificate(for user: LeaseAPI.User) async throws -> Certificates.Pair {
        let groups = user.groups.filter { $0 != "system:authenticated" }
        return try await certificates.issueClient(commonName: user.name, organizations: groups, in: sandbox)
    }

    /// Writes what a pod finds in `/var/run/secrets/kubernetes.io/serviceaccount/` into a folder: `token`, `ca.crt` and `namespace`. The variables
    /// KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are `settings.host` and `port`.
    /// - Returns: the token.
    @discardableResult
    public func writeServiceAccount(
        _ name: String = "elector", in namespace: String = "team", token: String? = nil, to folder: String
    ) throws -> String {
        let token = token ?? "token-serviceaccount-\(namespace)-\(name)"
        accept(token: token, of: .serviceAccount(name, in: namespace))
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try sandbox.write(token, to: folder + "/token")
        try sandbox.write(namespace, to: folder + "/namespace")
        try sandbox.write(readText(certificates.authority), to: folder + "/ca.crt")
        return token
    }

    private static func base64(_ path: String) throws -> String {
        guard let bytes = readBytes(path) else { throw CannotStart("cannot read \(path)") }
        return Data(bytes).base64EncodedString()
    }
}
