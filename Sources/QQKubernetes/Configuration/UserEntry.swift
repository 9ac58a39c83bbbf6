import QQCore
import QQNetwork

/// A user of a kubeconfig: how requests are authenticated, and for whom they are made.
struct UserEntry {
    let certificate: PEMSource?
    let key: PEMSource?
    let impersonation: Impersonation?
    /// The entry, for messages: `user "ops"`.
    let title: String
    /// The file.
    var path: String { value.path }
    private let value: KubeconfigValue
    private let token: Secret?
    private let tokenPath: String?
    private let name: String?
    private let password: Secret?

    /// - Throws: `CoordinationError` for settings that contradict each other.
    init(_ value: KubeconfigValue) throws(CoordinationError) {
        self.value = value
        title = value.title
        token = try value.secret("token")
        tokenPath = try value.path("tokenFile")
        name = try value.text("username")
        password = try value.secret("password")
        if token != nil || tokenPath != nil, name != nil || password != nil {
            throw value.wrong("it has both a token and a username or password", hint: "leave one of them out")
        }
        if name == nil, password != nil { throw value.wrong("it has a password without username") }
        certificate = try value.pem("client-certificate")
        key = certificate == nil ? nil : try value.pem("client-key")
        if certificate != nil, key == nil { throw value.wrong("it has a client-certificate without client-key") }
        impersonation = try Self.impersonation(value)
        if let token, !token.trimmed.fitsInHeader {
            throw value.wrong("its token has more than one line, or control characters", value.node("token"))
        }
    }

    /// Whether the entry has a credential of any kind.
    var hasCredential: Bool { token != nil || tokenPath != nil || name != nil || certificate != nil || value.node("exec") != nil }

    private static func impersonation(_ value: KubeconfigValue) throws(CoordinationError) -> Impersonation? {
        let (uid, groups) = (try value.text("as-uid"), try value.texts("as-groups"))
        var extra: [(key: String, values: [String])] = []
        if let more = try value.value("as-user-extra") {
            for (key, node) in more.members {
                guard let key = key.scalar?.string, let values = KubeconfigValue.texts(node) else {
                    throw more.wrong("it is not a mapping of keys to lists of texts", node)
                }
                extra.append((key, values))
            }
        }
        guard let user = try value.text("as") else {
            if uid != nil || !groups.isEmpty || !extra.isEmpty {
                throw value.wrong("it has as-uid, as-groups or as-user-extra without as", hint: "name the user with as")
            }
            return nil
        }
        let impersonation = Impersonation(user: user, uid: uid, groups: groups, extra: extra)
        guard impersonation.fields.allSatisfy({ Secret($0.value).fitsInHeader }) else {
            throw value.wrong("the user to impersonate has control characters", value.node("as"))
        }
        return impersonation
    }

    /// - Parameter cluster: makes the description of the cluster, for an exec plugin that asks for it.
    func plan(cluster: () throws(CoordinationError) -> JSONValue) throws(CoordinationError) -> CredentialPlan {
        let place = Printable.text(value.path)
        // Checked even if it is not used, as client-go does.
        let plugin = try value.value("exec").map { exec throws(CoordinationError) in try ExecPlugin(exec, user: title, cluster: cluster) }
        if plugin != nil, value.node("auth-provider") != nil { throw value.wrong("it has both exec and auth-provider") }
        if let tokenPath {
            let first: Secret
            do throws(SmallFile.Problem) { first = try TokenFile.read(tokenPath) } catch {
                guard let token else {
                    throw CoordinationError(
                        .configuration, "cannot use the kubeconfig", because: "\(title): its tokenFile cannot be used: \(error.reason)",
                        at: Printable.text(tokenPath), hint: "\(place) names it")
                }
                first = token.trimmed
            }
            return CredentialPlan(
                method: .tokenFile(TokenFile(path: tokenPath, fallback: first)),
                description: "the token in \(Printable.text(tokenPath)) (\(title), \(place))")
        }
        if let token {
            return CredentialPlan(
                method: .fixed(authorization: Secret("Bearer " + token.trimmed.text)), description: "the token of \(title) (\(place))")
        }
        if let name {
            let login = Base64.encode(Array((name + ":" + (password?.text ?? "")).utf8))
            return CredentialPlan(
                method: .fixed(authorization: Secret("Basic " + login)), description: "username and password of \(title) (\(place))")
        }
        if certificate != nil { return CredentialPlan(method: .none, description: "the client certificate of \(title) (\(place))") }
        if let plugin {
            return CredentialPlan(
                method: .plugin(plugin), description: "the output of the exec plugin \(plugin.name) (\(title), \(place))")
        }
        if let provider = try value.value("auth-provider") {
            throw value.wrong(
                "its auth-provider \((try provider.text("name") ?? "").quotedForUser) is not supported", value.node("auth-provider"),
                hint: "use an exec plugin, such as kubectl-oidc_login for oidc")
        }
        return CredentialPlan(method: .none, description: CredentialPlan.none + ": \(title) has none (\(place))")
    }
}
