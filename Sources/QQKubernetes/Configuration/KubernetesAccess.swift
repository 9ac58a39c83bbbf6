import QQCore
import QQHTTP
import QQNetwork

/// Where the API server of a cluster is, how to reach it, as whom, and in which namespace the leases are.
public struct KubernetesAccess: Sendable {
    /// Where the settings come from.
    public enum Origin: Sendable, Hashable, CustomStringConvertible {
        /// A context, and the files that it was read from.
        case kubeconfig(context: String, files: String)
        /// The service account of the pod that this process runs in.
        case inCluster

        public var description: String {
            switch self {
            case .kubeconfig(let context, let files): "context \(context.quotedForUser) of \(files)"
            case .inCluster: "the pod's service account"
            }
        }
    }

    public var server: HTTPServer
    public var tls: TLSOptions
    /// The proxy, of the kubeconfig or the environment; nil for none.
    public var proxy: HTTPProxy?
    public var namespace: String
    public var origin: Origin
    /// The kubeconfig file that has everything that was used; nil if several files were needed, or none.
    public var kubeconfig: String?
    /// What the user should know, such as a credential that is not used.
    public var notes: [String] = []
    var impersonation: Impersonation?
    var credential: CredentialPlan

    /// What requests are authenticated with and where it comes from, without the credential.
    public var credentialDescription: String { credential.description }
    /// Whether the credential comes from a program that can ask the user.
    public var mayPrompt: Bool { if case .plugin(let plugin) = credential.method { plugin.interactiveMode != .never } else { false } }
    /// The user for whom requests are made, if it is not the one who is logged in.
    public var impersonatedUser: String? { impersonation?.user }
}

extension KubernetesAccess {
    /// The context of a URL that stands for the pod's service account.
    public static let inClusterName = "in-cluster"

    /// Chooses the cluster of a server URL, by the rules of client-go.
    ///
    /// `k8s://CONTEXT/NAMESPACE` names a context of the kubeconfig. Without CONTEXT it is the current one, or the pod's service account if no kubeconfig has
    /// one. `k8s://in-cluster/NAMESPACE` is always the pod's service account: a context of that name can be used only as the current one. Without
    /// NAMESPACE it is the context's or the pod's, or else `default`.
    ///
    /// - Parameter kubeconfig: the file that the user named, in place of those in `KUBECONFIG` and the home folder.
    /// - Throws: `CoordinationError` of kind `.configuration` if the settings cannot be used. It shows no credential.
    public static func resolve(
        url: ServerURL, kubeconfig: String?, environment: KubernetesEnvironment
    ) throws(CoordinationError) -> KubernetesAccess {
        let context = url.hosts.first?.name ?? ""
        let namespace = url.path.isEmpty ? nil : String(url.path.dropFirst())
        if let namespace, let problem = LeaseNaming.problem(withNamespace: namespace) {
            throw CoordinationError(
                .usage, "cannot use the server URL", because: "\(namespace.quotedForUser) cannot be a namespace: \(problem)",
                at: url.description, hint: "name another one: -s k8s://CONTEXT/NAMESPACE")
        }
        if context == inClusterName {
            if kubeconfig != nil {
                throw CoordinationError(
                    .usage, "cannot use --kubeconfig", because: "\(inClusterName) is the pod's service account, without a kubeconfig",
                    at: url.description, hint: "leave it out, or name a context: -s k8s://CONTEXT")
            }
            return try inCluster(namespace: namespace, environment)
        }
        return try resolve(context: context, namespace: namespace, kubeconfig: kubeconfig, environment)
    }

    /// - Parameter context: empty for the current one.
    private static func resolve(
        context: String, namespace: String?, kubeconfig: String?, _ environment: KubernetesEnvironment
    ) throws(CoordinationError) -> KubernetesAccess {
        let config = try Kubeconfig(explicit: kubeconfig, environment)
        if !context.isEmpty { return try choose(context, of: config, namespace: namespace, environment) }
        if let current = try config.currentContext() { return try choose(current, of: config, namespace: namespace, environment) }
        if kubeconfig == nil, isInClusterPossible(environment) { return try inCluster(namespace: namespace, environment) }
        throw noContext(config)
    }

    /// The context, the namespace and the file that are chosen if the URL leaves the choice to the kubeconfig, for a URL that makes the same choice later.
    ///
    /// - Throws: `CoordinationError` if this choice cannot be used, or cannot be written as a URL.
    public static func chosen(
        kubeconfig: String?, environment: KubernetesEnvironment
    ) throws(CoordinationError) -> (context: String, namespace: String, kubeconfig: String?) {
        let access = try resolve(context: "", namespace: nil, kubeconfig: kubeconfig, environment)
        guard case .kubeconfig(let context, let files) = access.origin else { return (inClusterName, access.namespace, nil) }
        guard context != inClusterName else {
            throw CoordinationError(
                .configuration, "cannot name the context in a URL",
                because: "k8s://\(inClusterName) is the pod's service account", at: files,
                hint: "rename it: kubectl config rename-context \(context) NAME")
        }
        return (context, access.namespace, access.kubeconfig)
    }

    private static func noContext(_ config: Kubeconfig) -> CoordinationError {
        if config.files.isEmpty {
            return CoordinationError(
                .configuration, "cannot choose a cluster",
                because: config.paths.isEmpty
                    ? "KUBECONFIG and HOME are not set, and this is not a pod with a service account"
                    : "there is no kubeconfig, and this is not a pod with a service account",
                at: config.paths.isEmpty ? nil : config.description, hint: "name a kubeconfig with --kubeconfig FILE or KUBECONFIG")
        }
        return CoordinationError(
            .configuration, "cannot choose a cluster", because: "the kubeconfig has no current-context", at: config.description,
            hint: contextHint(config))
    }

    private static func contextHint(_ config: Kubeconfig) -> String {
        let names = config.names(.context)
        guard let first = names.first else { return "name another kubeconfig with --kubeconfig FILE or KUBECONFIG" }
        let shown = names.prefix(10).map { Printable.text($0) }.joined(separator: ", ") + (names.count > 10 ? " and others" : "")
        return "choose a context, such as -s k8s://\(Percent.encode(first, allowing: "@:")); there are \(shown)"
    }

    /// The hint for a context whose name has a slash, as those of EKS have, that was written without encoding it.
    private static func slashHint(_ name: String, _ namespace: String?, _ config: Kubeconfig) -> String? {
        guard let namespace, config.names(.context).contains("\(name)/\(namespace)") else { return nil }
        return "write the slash in the context's name as %2F: -s k8s://\(Percent.encode("\(name)/\(namespace)", allowing: "@:"))"
    }

    /// The settings of a context.
    static func choose(
        _ name: String, of config: Kubeconfig, namespace: String?, _ environment: KubernetesEnvironment
    ) throws(CoordinationError) -> KubernetesAccess {
        guard let context = try config.entry(.context, name) else {
            let what = config.files.isEmpty ? "there is no kubeconfig" : "no context is called \(name.quotedForUser)"
            throw CoordinationError(
                .configuration, "cannot choose a cluster", because: what, at: config.description,
                hint: config.files.isEmpty
                    ? "name a kubeconfig with --kubeconfig FILE or KUBECONFIG" : slashHint(name, namespace, config) ?? contextHint(config))
        }
        guard let clusterName = try context.text("cluster") else { throw context.wrong("it has no cluster") }
        guard let clusterValue = try config.entry(.cluster, clusterName) else {
            throw context.wrong("its cluster \(clusterName.quotedForUser) is not among the clusters", context.node("cluster"))
        }
        let userName = try context.text("user")
        let user = try userName.flatMap { name throws(CoordinationError) in
            try config.entry(.user, name).map { value throws(CoordinationError) in try UserEntry(value) }
        }
        let cluster = try ClusterEntry(clusterValue, hasCertificate: user?.certificate != nil)
        let ownNamespace = try context.text("namespace") ?? "default"
        if namespace == nil, let problem = LeaseNaming.problem(withNamespace: ownNamespace) {
            throw context.wrong("namespace \(ownNamespace.quotedForUser) cannot be used: \(problem)", context.node("namespace"))
        }
        let proxy: HTTPProxy?
        if let own = cluster.proxy { proxy = own } else { proxy = try environmentProxy(cluster.server, environment) }
        var access = KubernetesAccess(
            server: cluster.server, tls: cluster.tls, proxy: proxy, namespace: namespace ?? ownNamespace,
            origin: .kubeconfig(context: name, files: config.description),
            credential: CredentialPlan(method: .none, description: ""))
        let paths = Set([context.path, clusterValue.path] + (user.map { [$0.path] } ?? []))
        access.kubeconfig = paths.count == 1 ? context.path : nil
        guard let user else {
            let reason = userName.map { "the kubeconfig has no user \($0.quotedForUser)" } ?? "\(context.title) has no user"
            access.credential.description = CredentialPlan.none + ": \(reason) (\(config.description))"
            return access
        }
        // client-go, too, neither sends credentials nor impersonates without TLS.
        guard cluster.server.scheme == .https else {
            if user.hasCredential || user.impersonation != nil {
                access.notes.append("the credential of \(user.title) is not sent: the server's URL begins with http://, not https://")
            }
            access.credential.description = CredentialPlan.none + ": none is sent to a server without https:// (\(config.description))"
            return access
        }
        access.impersonation = user.impersonation
        access.tls.certificate = user.certificate
        access.tls.key = user.key
        access.credential = try user.plan(cluster: { () throws(CoordinationError) in try cluster.description() })
        return access
    }

    static func environmentProxy(
        _ server: HTTPServer, _ environment: KubernetesEnvironment
    ) throws(CoordinationError) -> HTTPProxy? {
        do throws(HTTPProxyError) { return try HTTPProxy.fromEnvironment(for: server, environment.variable) } catch {
            let name = error.variable ?? "HTTPS_PROXY"
            throw CoordinationError(.configuration, "cannot use the proxy", because: "\(name) \(error.description)", at: "environment")
        }
    }
}
