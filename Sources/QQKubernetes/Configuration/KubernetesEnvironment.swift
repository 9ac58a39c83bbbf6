/// What the choice of a cluster depends on, apart from the URL and kubeconfig files.
public struct KubernetesEnvironment: Sendable {
    /// The value of an environment variable; nil if it is empty or not set.
    public var variable: @Sendable (String) -> String?
    /// The folder of the pod's service account.
    public var serviceAccount: String

    /// - Parameter serviceAccount: another folder than that of pods, for tests.
    public init(
        serviceAccount: String = "/var/run/secrets/kubernetes.io/serviceaccount", variable: @escaping @Sendable (String) -> String?
    ) {
        self.variable = variable
        self.serviceAccount = serviceAccount
    }
}
