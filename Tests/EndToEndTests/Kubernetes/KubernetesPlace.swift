import QQCore
import Support
import Testing

@testable import QQCLI

/// An API server with one namespace, and a user of its.
struct KubernetesPlace {
    let box: Sandbox
    let server: KubernetesServer
    let kubeconfig: String

    /// For `qq` and everything that it starts: the current context, without a flag.
    var environment: [String: String] { ["QQ_SERVER": "k8s:///team", "KUBECONFIG": kubeconfig] }

    func qq(_ words: [String], environment more: [String: String] = [:]) throws -> Started {
        try box.start([Sandbox.binary] + words, environment: environment.merging(more) { $1 })
    }

    func qq(_ words: String...) throws -> Started { try qq(words) }

    func run(_ words: [String], environment more: [String: String] = [:]) async throws -> Run {
        try await qq(words, environment: more).finish()
    }

    func run(_ words: String...) async throws -> Run { try await run(words) }

    /// Has a leader of another program renew a lease now, or some time ago.
    func lead(
        _ name: String, as holder: String, for seconds: Int = 60, ago: Duration = .zero, transitions: Int = 3, labels: JSONValue? = nil
    ) throws {
        let time: JSONValue = .string((WallTime.now() - ago).rfc3339(fractionDigits: 6))
        var metadata: JSONObject = ["name": .string(name), "namespace": "team"]
        if let labels { metadata["labels"] = labels }
        try server.store.put([
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": .object(metadata),
            "spec": [
                "holderIdentity": .string(holder), "leaseDurationSeconds": .integer(Int64(seconds)), "acquireTime": time, "renewTime": time,
                "leaseTransitions": .integer(Int64(transitions)),
            ],
        ])
    }

    /// The requests that changed a lease.
    var writes: Int { server.api.count(.create) + server.api.count(.update) + server.api.count(.patch) + server.api.count(.delete) }
}

/// Runs a test on an API server of its own, as a user with these permissions.
func onKubernetes(
    _ verbs: Set<LeaseAPI.Verb> = LeaseAPI.Grant.watching, _ body: (KubernetesPlace) async throws -> Void
) async throws {
    try await inSandbox { box in
        let server = try await KubernetesServer.start(in: box)
        if !verbs.isEmpty { server.allow("ops", verbs) }
        try await body(KubernetesPlace(box: box, server: server, kubeconfig: try await server.kubeconfig(for: "ops")))
    }
}
