import Glibc
import QQCore
import QQNATS
import Yams

/// The settings that `qq context add` puts into a context: the flags of the command line, and the settings in another program's file that
/// these flags do not override.
enum ContextImport {
    static func settings(_ invocation: Invocation) throws -> [ContextsFile.Setting] {
        var found: [ContextsFile.Setting] = []
        if let path = invocation[Flags.from] { found = try fromClusterFile(path) }
        if invocation[Flags.fromKubeconfig] { found = [.init("server", try fromKubeconfig())] }
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

    private static let largestKubeconfig = 4 << 20

    /// The server URL of the current context of a kubeconfig.
    private static func fromKubeconfig() throws(CoordinationError) -> String {
        let path = try kubeconfig()
        func wrong(_ reason: String, hint: String? = nil) -> CoordinationError {
            CoordinationError(.configuration, "cannot import a context", because: reason, at: path, hint: hint)
        }
        let bytes: [UInt8]
        do throws(SystemCallError) {
            bytes = try ReadableFile.contents(of: path, upTo: largestKubeconfig + 1)
            if bytes.count > largestKubeconfig { throw SystemCallError("read", code: EFBIG) }
        } catch {
            throw wrong(error.reason, hint: "name the file with KUBECONFIG, or give -s k8s://CONTEXT/NAMESPACE instead")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        let root: Node?
        do { root = try BoundedYAML.compose(text) } catch let error as BoundedYAML.TooMuch { throw wrong(error.reason) } catch {
            throw wrong("not YAML")
        }
        guard let name = root?["current-context"]?.string, !name.isEmpty else {
            throw wrong("it has no current-context", hint: "choose one: kubectl config use-context NAME")
        }
        guard let context = root?["contexts"]?.sequence?.first(where: { $0["name"]?.string == name })?["context"] else {
            throw wrong("its current context '\(Printable.text(name))' is not among its contexts")
        }
        let namespace = context["namespace"]?.string ?? "default"
        return "k8s://" + Percent.encode(name) + "/" + Percent.encode(namespace)
    }

    private static func kubeconfig() throws(CoordinationError) -> String {
        if let list = filledVariable("KUBECONFIG") { return String(list.split(separator: ":").first ?? "") }
        if let home = filledVariable("HOME") { return home + "/.kube/config" }
        throw CoordinationError(
            .configuration, "cannot find the kubeconfig", because: "neither KUBECONFIG nor HOME is set", hint: "set KUBECONFIG")
    }
}
