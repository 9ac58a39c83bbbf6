import Glibc
import QQCore
import QQHTTP
import QQNetwork

// The service account that Kubernetes gives to pods.
extension KubernetesAccess {
    /// Whether this process seems to run in a pod with a service account.
    static func isInClusterPossible(_ environment: KubernetesEnvironment) -> Bool {
        guard environment.variable("KUBERNETES_SERVICE_HOST") != nil, environment.variable("KUBERNETES_SERVICE_PORT") != nil else {
            return false
        }
        return access(environment.serviceAccount + "/token", R_OK) == 0
    }

    static func inCluster(namespace: String?, _ environment: KubernetesEnvironment) throws(CoordinationError) -> KubernetesAccess {
        func wrong(_ reason: String, at location: String, hint: String? = nil) -> CoordinationError {
            CoordinationError(.configuration, "cannot use the pod's service account", because: reason, at: location, hint: hint)
        }
        guard let host = environment.variable("KUBERNETES_SERVICE_HOST"), let port = environment.variable("KUBERNETES_SERVICE_PORT") else {
            throw wrong(
                "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is not a pod", at: "k8s://\(inClusterName)",
                hint: "name a context of the kubeconfig: -s k8s://CONTEXT; one that is called \(inClusterName) can only be the current one")
        }
        let bracketed = host.utf8.contains(UInt8(ascii: ":")) && !host.hasPrefix("[") ? "[\(host)]" : host
        guard let server = HTTPServer(url: "https://\(bracketed):\(port)"), server.path.isEmpty else {
            throw wrong("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not a host and a port", at: "environment")
        }
        let tokenPath = environment.serviceAccount + "/token"
        let token: Secret
        do throws(SmallFile.Problem) { token = try TokenFile.read(tokenPath) } catch {
            throw wrong(
                "its token cannot be used: \(error.reason)", at: tokenPath,
                hint: "set automountServiceAccountToken of the pod, or name a kubeconfig with --kubeconfig FILE")
        }
        var tls = TLSOptions()
        var notes: [String] = []
        let authority = environment.serviceAccount + "/ca.crt"
        do throws(SmallFile.Problem) {
            _ = try SmallFile.read(authority, upTo: 1 << 20)
            tls.authority = .file(authority, hint: "Kubernetes writes it into each pod")
        } catch { notes.append("\(authority) cannot be read: \(error.reason); the system's certificate authorities are trusted instead") }
        tls.hints = TLSHints(
            authority: "\(authority) names the authorities to trust",
            certificate: "use a kubeconfig with a client certificate: --kubeconfig FILE",
            serverName: "KUBERNETES_SERVICE_HOST names the server")
        let chosen: String
        if let namespace { chosen = namespace } else { chosen = try podNamespace(environment, wrong) }
        return KubernetesAccess(
            server: server, tls: tls, proxy: try environmentProxy(server, environment), namespace: chosen, origin: .inCluster, notes: notes,
            impersonation: nil,
            credential: CredentialPlan(
                method: .tokenFile(TokenFile(path: tokenPath, fallback: token)), description: "the service account's token \(tokenPath)"))
    }

    /// The namespace of the pod: `POD_NAMESPACE`, else that of the service account, else `default`.
    private static func podNamespace(
        _ environment: KubernetesEnvironment, _ wrong: (String, String, String?) -> CoordinationError
    ) throws(CoordinationError) -> String {
        if let name = environment.variable("POD_NAMESPACE") {
            if let problem = LeaseNaming.problem(withNamespace: name) {
                throw wrong("POD_NAMESPACE \(name.quotedForUser) cannot be used: \(problem)", "environment", nil)
            }
            return name
        }
        guard let bytes = try? SmallFile.read(environment.serviceAccount + "/namespace", upTo: 4096) else { return "default" }
        let name = Secret(String(decoding: bytes, as: UTF8.self)).trimmed.text
        return LeaseNaming.problem(withNamespace: name) == nil ? name : "default"
    }

    /// The identity of a contender: the name of the pod that this process runs in, which `POD_NAME` tells, or else host, process and a random number.
    ///
    /// - Throws: `CoordinationError` if `POD_NAME` is not usable as an identity.
    public static func identity(_ variable: (String) -> String?) throws(CoordinationError) -> String {
        guard let name = variable("POD_NAME"), !name.isEmpty else { return Identity.generated() }
        if let problem = Identity.problem(with: name) {
            throw CoordinationError(
                .configuration, "cannot use POD_NAME as the identity", because: problem, hint: "set it to metadata.name, or give --id")
        }
        return name
    }
}
