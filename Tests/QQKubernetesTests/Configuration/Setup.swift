import Glibc
import QQCore
import Support
import Testing

@testable import QQKubernetes

/// A folder with kubeconfigs and other files, and the environment that a test sets.
final class ConfigurationFolder {
    let path: String
    var variables: [String: String] = [:]

    init() throws {
        var template = Array("/tmp/qq-kubeconfig-XXXXXX".utf8CString)
        path = String(cString: try #require(mkdtemp(&template)))
    }

    deinit {
        removeTree(path)
        #expect(Glibc.access(path, F_OK) != 0)
    }

    /// Writes a file, whose folder is made if it does not exist.
    /// - Returns: its path.
    @discardableResult
    func write(_ text: String, to name: String) throws -> String {
        var folder = path
        for part in name.split(separator: "/").dropLast() {
            folder += "/" + part
            mkdir(folder, 0o755)
        }
        let descriptor = open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o755)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        return path + "/" + name
    }

    func remove(_ name: String) { unlink(path + "/" + name) }

    var environment: KubernetesEnvironment {
        let variables = variables
        return KubernetesEnvironment(serviceAccount: path + "/serviceaccount") { variables[$0].flatMap { $0.isEmpty ? nil : $0 } }
    }

    func access(_ url: String = "k8s://", kubeconfig: String? = nil) throws -> KubernetesAccess {
        try KubernetesAccess.resolve(url: try serverURL(url), kubeconfig: kubeconfig, environment: environment)
    }

    /// The access with one kubeconfig, the explicit one.
    func access(_ url: String = "k8s://", text: String) throws -> KubernetesAccess {
        try access(url, kubeconfig: try write(text, to: "config"))
    }

    /// The access of a user with these settings, on a cluster with https.
    func access(user: String, cluster: String = "{server: 'https://h:6443'}") throws -> KubernetesAccess {
        try access(text: kubeconfig(user: user, cluster: cluster))
    }

    /// The error of `body`. It must not contain the secret of the tests.
    func error(_ body: () throws -> KubernetesAccess) throws -> CoordinationError {
        let error = try #require(throws: CoordinationError.self) { try body() }
        #expect(!"\(error) \(error.hint ?? "")".contains("s3cret"), "\(error)")
        return error
    }
}

/// A kubeconfig with one context.
func kubeconfig(user: String, cluster: String = "{server: 'https://h:6443'}", context: String = "{cluster: c, user: ops}") -> String {
    """
    apiVersion: v1
    kind: Config
    current-context: x
    clusters: [{name: c, cluster: \(cluster)}]
    contexts: [{name: x, context: \(context)}]
    users:
    - name: ops
      user: \(user)
    """
}

func serverURL(_ text: String) throws -> ServerURL {
    let system = ServerURL.System(
        name: "kubernetes", schemes: [.init("k8s")], authority: .name("the context's name"),
        path: .part(.init("the namespace", tooMany: .init(reason: "", hint: "")) { _ in nil }))
    return try ServerURL.parse(text, as: [system])
}
