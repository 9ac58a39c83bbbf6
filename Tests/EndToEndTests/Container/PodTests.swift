import Glibc
import QQCore
import Support
import Testing

/// Containers of the image with a service account, in the place of pods, against the tests' API server.
@Suite("In a pod", .enabled(if: containersArePossible, "this user can make no user namespace here"))
struct PodTests {
    private static let account = "system:serviceaccount:elections:qq"

    /// Starts an API server that grants exactly the verbs to the recipes' service account.
    /// - Returns: the server, and the folder with the account's files.
    private func cluster(_ verbs: Set<LeaseAPI.Verb>, names: Set<String>? = nil, in box: Sandbox) async throws -> (KubernetesServer, String)
    {
        let server = try await KubernetesServer.start(in: box)
        server.store.createNamespace("elections")
        server.accept(token: "the-token", of: .serviceAccount("qq", in: "elections"))
        server.allow(Self.account, verbs, in: "elections", names: names)
        mkdir(box.path("account"), 0o755)
        try box.write("the-token", to: "account/token")
        try box.write("elections", to: "account/namespace")
        try box.write(readBytes(server.certificates.authority) ?? [], to: "account/ca.crt")
        return (server, box.path("account"))
    }

    private func start(_ pod: String, _ words: [String], _ cluster: (KubernetesServer, String), in box: Sandbox) async throws -> Started {
        try await BuiltImage.shared().start(
            words, in: box,
            environment: [
                "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "\(cluster.0.port)", "POD_NAME": pod,
                "POD_NAMESPACE": "elections",
            ], account: cluster.1)
    }

    private func refusals(_ server: KubernetesServer) -> [String] {
        server.api.calls.filter { $0.status == 401 || $0.status == 403 }.map { "\($0.method) \($0.path): \($0.status ?? 0)" }
    }

    @Test("SIGTERM hands the Deployment's election over immediately, and the role of rbac.yaml suffices") func handover() async throws {
        let words = try RecipesTests.deploymentWords() + ["--", "/usr/bin/qq", "--server=k8s://in-cluster", "watch", "worker"]
        try await inSandbox { box in
            let cluster = try await cluster(LeaseAPI.Grant.watching, in: box)
            let server = cluster.0
            let first = try await start("worker-1", words, cluster, in: box)
            try await waitUntil("worker-1 leads: \(first.errors)") { server.store.holder("worker", in: "elections") == "worker-1" }
            let second = try await start("worker-2", words, cluster, in: box)
            _ = try await second.initProcess()
            try await waitUntil("worker-2 has asked: \(second.errors)") { server.api.count(.watch, name: "worker") >= 2 }
            kill(try await first.initProcess().pid, SIGTERM)
            try await waitUntil("worker-2 leads: \(first.errors) \(second.errors)", within: .seconds(90)) {
                server.store.holder("worker", in: "elections") == "worker-2"
            }
            #expect(try await first.finish().ending == .exited(0), "\(first.errors)")
            // Its command ends without a fault only once it can handle signals.
            try await waitUntil("worker-2's command works: \(second.errors)") { second.output.contains("worker-2") }
            kill(try await second.initProcess().pid, SIGTERM)
            #expect(try await second.finish().ending == .exited(0), "\(second.errors)")
            #expect(server.store.holder("worker", in: "elections") ?? "" == "")
            #expect(refusals(server).isEmpty, "\(refusals(server))")
        }
    }

    @Test("with the role of rbac-named.yaml, a lease that exists without a holder is led and released") func named() async throws {
        let words = try RecipesTests.deploymentWords() + ["--", "/usr/bin/qq", "version"]
        try await inSandbox { box in
            let cluster = try await cluster([.get, .update, .list, .watch], names: ["worker"], in: box)
            try cluster.0.store.put(
                ["apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": "worker"]], in: "elections")
            let end = try await start("worker-1", words, cluster, in: box).finish()
            #expect(end.ending == .exited(0), "\(end.errors)")
            #expect(end.text.hasPrefix("qq \(version)"))
            #expect(cluster.0.store.holder("worker", in: "elections") ?? "" == "")
            #expect(refusals(cluster.0).isEmpty, "\(refusals(cluster.0))")
        }
    }
}
