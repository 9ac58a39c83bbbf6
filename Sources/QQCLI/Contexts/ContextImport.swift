import Glibc
import QQCore
import QQKubernetes
import QQNATS

/// The settings that `qq context add` puts into a context: the flags of the command line, and the settings in another program's file that
/// these flags do not override.
enum ContextImport {
    static func settings(_ invocation: Invocation) throws -> [ContextsFile.Setting] {
        var found: [ContextsFile.Setting] = []
        if let path = invocation[Flags.from] { found = try fromClusterFile(path) }
        if invocation[Flags.fromKubeconfig] { found = try fromKubeconfig(invocation[Flags.kubeconfig], Messages(invocation)) }
        for flag in ContextsFile.flags {
            guard let text = invocation.text(flag) else { continue }
            found.removeAll { $0.key == flag.name }
            found.append(.init(flag.name, try value(flag, text)))
        }
        let order = ContextsFile.flags.map(\.name)
        return found.sorted { (order.firstIndex(of: $0.key) ?? 0) < (order.firstIndex(of: $1.key) ?? 0) }
    }

    private static func value(_ flag: AnyFlag, _ text: String) throws -> String {
        if flag.isSwitch { return "true" }
        if flag.name == Flags.server.erased.name {
            if let problem = ContextsFile.problem(flag, text) { throw UsageError("--server: \(problem.message)", hint: problem.hint) }
        }
        return ContextsFile.pathKeys.contains(flag.name) ? absolute(text) : text
    }

    /// An absolute path, because a context is used in any folder.
    private static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        guard let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        return String(cString: folder) + "/" + path
    }

    /// The settings of a `cluster.json`, without secrets.
    private static func fromClusterFile(_ path: String) throws(CoordinationError) -> [ContextsFile.Setting] {
        let file = try ClusterFile.read(path)
        guard let server = file.server else {
            throw CoordinationError(
                .configuration, "cannot import a context", because: "nats.servers is missing", at: path, hint: "also give -s URL")
        }
        if file.logins.contains(where: { if case .credentialsFile = $0.credentials { false } else { true } }) {
            throw CoordinationError(
                .configuration, "cannot import a context", because: "the file holds a password or a token, and contexts hold no secrets",
                at: path, hint: "use the file itself: --cluster-config \(path)")
        }
        var found: [ContextsFile.Setting] = [.init("server", server.description)]
        if let id = file.nodeID { found.append(.init("id", id)) }
        if let ttl = file.leaseTTL { found.append(.init("ttl", DurationText.format(ttl))) }
        if let pause = file.renewEvery { found.append(.init("renew-every", DurationText.format(pause))) }
        if let credentials = file.credentialsPath { found.append(.init("creds", absolute(credentials))) }
        return found
    }

    /// The cluster and the namespace that the kubeconfig chooses now, and the file if it is not the usual one. Tokens and keys stay in that file.
    private static func fromKubeconfig(_ explicit: String?, _ messages: Messages) throws(CoordinationError) -> [ContextsFile.Setting] {
        let choice = try KubernetesAccess.chosen(kubeconfig: explicit, environment: KubernetesEnvironment(variable: filledVariable))
        var found: [ContextsFile.Setting] = [.init("server", "k8s://\(Percent.encode(choice.context, allowing: "@:"))/\(choice.namespace)")]
        if let file = choice.kubeconfig, file != filledVariable("HOME").map({ $0 + "/.kube/config" }) {
            found.append(.init(Flags.kubeconfig.erased.name, absolute(file)))
        }
        if choice.kubeconfig == nil, choice.context != KubernetesAccess.inClusterName {
            messages.note("the settings are in several files: this context can be used only while KUBECONFIG names all of them")
        }
        return found
    }
}
