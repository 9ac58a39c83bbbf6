import Foundation
import QQCore
import Support
import Testing
import Yams

@testable import QQCLI
@testable import QQKubernetes

/// An object of a file in packaging/kubernetes.
private struct Manifest {
    let node: Node

    var kind: String { node["kind"]?.string ?? "" }
    var name: String { node["metadata"]?["name"]?.string ?? "" }

    /// The template of its pods; nil if it has none.
    var pod: Node? { (node["spec"]?["jobTemplate"]?["spec"] ?? node["spec"])?["template"]?["spec"] }

    static let folder = Page.top.appendingPathComponent("packaging/kubernetes")

    static func text(_ file: String) throws -> String { try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8) }

    static func all(in file: String) throws -> [Manifest] {
        let documents = try Yams.compose_all(yaml: text(file))
        let manifests = documents.map { Manifest(node: $0) }
        if let error = documents.error { throw error }
        return manifests
    }
}

/// A container of a pod, and its call of `qq`.
private struct Container {
    let node: Node

    init(_ node: Node) { self.node = node }

    var name: String { node["name"]?.string ?? "" }
    /// The words after `/usr/bin/qq`; nil if it does not run `qq`.
    var words: [String]? {
        let command = (node["command"]?.array() ?? []).compactMap(\.string)
        return command.firstIndex(of: "/usr/bin/qq").map { Array(command[($0 + 1)...]) }
    }

    /// The field of the pod that a variable has.
    func field(_ variable: String) -> String? {
        node["env"]?.array().first { $0["name"]?.string == variable }?["valueFrom"]?["fieldRef"]?["fieldPath"]?.string
    }

    func invocation() throws -> Invocation? {
        guard let words, case .run(let invocation) = try Parser.parse(words) else { return nil }
        return invocation
    }
}

@Suite("Recipes for Kubernetes") struct RecipesTests {
    private static let access = ["rbac.yaml", "rbac-named.yaml"]
    private static let workloads = ["deployment.yaml", "cronjob.yaml", "sidecar.yaml", "leader-service.yaml"]
    private static let verbs = Set(LeasePermission.Verb.allCases.map(\.rawValue))

    /// The words of the Deployment's `qq`, without its command.
    static func deploymentWords() throws -> [String] {
        let words = try RecipesTests().containers("deployment.yaml").compactMap(\.words).first
        return Array(try #require(words).prefix { $0 != "--" })
    }

    private func containers(_ file: String) throws -> [Container] {
        let pods = try Manifest.all(in: file).compactMap(\.pod)
        return pods.flatMap { ($0["initContainers"]?.array() ?? []) + ($0["containers"]?.array() ?? []) }.map { Container($0) }
    }

    @Test("every file of the folder is tested here, and named in docs/pods.md") func files() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Manifest.folder.path)
        #expect(Set(files) == Set(Self.access + Self.workloads + ["kustomization.yaml", "Containerfile"]))
        let page = try #require(Page.all.first { $0.path == "docs/pods.md" })
        for file in files { #expect(page.lines.contains { $0.contains("](../packaging/kubernetes/\(file))") }, "\(file)") }
    }

    @Test("objects have the namespace and the image that kustomization.yaml replaces", arguments: access + workloads)
    func parameters(_ file: String) throws {
        let kustomization = try #require(try Yams.compose(yaml: Manifest.text("kustomization.yaml")))
        let namespace = kustomization["namespace"]?.string
        let manifests = try Manifest.all(in: file)
        #expect(!manifests.isEmpty)
        for manifest in manifests {
            #expect(manifest.node["apiVersion"]?.string?.isEmpty == false && !manifest.kind.isEmpty && !manifest.name.isEmpty)
            #expect(manifest.node["metadata"]?["namespace"]?.string == namespace, "\(manifest.name)")
        }
        for container in try containers(file) {
            #expect(container.node["image"]?.string == kustomization["images"]?[0]?["name"]?.string, "\(container.name)")
        }
        let resources = (kustomization["resources"]?.array() ?? []).compactMap(\.string)
        #expect(resources == ["rbac.yaml"] + Self.workloads)
        #expect(try Manifest.text("kustomization.yaml").matches(of: /# PARAMETER/).count == 3)
    }

    @Test("roles allow the verbs that qq uses, and are bound to the account that the pods have", arguments: access)
    func roles(_ file: String) throws {
        let manifests = try Manifest.all(in: file)
        func only(_ kind: String) throws -> Manifest { try #require(manifests.first { $0.kind == kind }) }
        let rules = try #require(try only("Role").node["rules"]?.array())
        #expect(rules.count == 1)
        let rule = try #require(rules.first)
        func list(_ key: String) -> [String] { (rule[key]?.array() ?? []).compactMap(\.string) }
        #expect(list("apiGroups") == ["coordination.k8s.io"] && list("resources") == ["leases"])
        let named = Set(list("resourceNames"))
        // Creating cannot be limited by name.
        #expect(Set(list("verbs")) == (named.isEmpty ? Self.verbs : Self.verbs.subtracting(["create"])))
        let binding = try only("RoleBinding").node
        #expect(binding["roleRef"]?["kind"]?.string == "Role")
        #expect(binding["roleRef"]?["name"]?.string == (try only("Role").name))
        let account = try only("ServiceAccount")
        #expect(binding["subjects"]?[0]?["name"]?.string == account.name)
        #expect(binding["subjects"]?[0]?["namespace"]?.string == account.node["metadata"]?["namespace"]?.string)
        for workload in Self.workloads {
            for pod in try Manifest.all(in: workload).compactMap(\.pod) { #expect(pod["serviceAccountName"]?.string == account.name) }
        }
        if !named.isEmpty {
            let leases = Set(manifests.filter { $0.kind == "Lease" }.map(\.name))
            let elections = try Self.workloads.flatMap { try containers($0) }.compactMap { try $0.invocation()?.positionals.first }
            #expect(named == leases && named == Set(elections))
        }
    }

    @Test("qq understands its command lines, and gets its identity and namespace from the pod", arguments: workloads)
    func commands(_ file: String) throws {
        let callers = try containers(file).filter { $0.words != nil }
        #expect(callers.count == 1)
        let container = try #require(callers.first)
        let invocation = try #require(try container.invocation())
        #expect(invocation[Flags.server] == "k8s://in-cluster")
        #expect(container.field("POD_NAME") == "metadata.name")
        #expect(container.field("POD_NAMESPACE") == "metadata.namespace")
        #expect(invocation.command.id == .acquire ? invocation.trailing?.isEmpty == false : invocation.command.id == .keepalive)
        let pod = try #require(try Manifest.all(in: file).compactMap(\.pod).first)
        let patience = try #require(pod["terminationGracePeriodSeconds"]?.int)
        #expect(.seconds(patience) > (invocation[Flags.killAfter] ?? .zero) + .seconds(10))
    }

    @Test("containers run as the user of the image, without rights, and with a read-only root", arguments: workloads)
    func security(_ file: String) throws {
        for pod in try Manifest.all(in: file).compactMap(\.pod) {
            #expect(pod["securityContext"]?["runAsNonRoot"]?.bool == true)
            #expect(pod["securityContext"]?["runAsUser"]?.int == 65532)
        }
        #expect(try Manifest.text("Containerfile").contains("\nUSER 65532:65532\n"))
        for container in try containers(file) {
            let context = container.node["securityContext"]
            #expect(context?["readOnlyRootFilesystem"]?.bool == true, "\(container.name)")
            #expect(context?["allowPrivilegeEscalation"]?.bool == false, "\(container.name)")
            #expect(context?["capabilities"]?["drop"]?[0]?.string == "ALL", "\(container.name)")
        }
    }

    @Test("the Containerfile and the commands of docs/pods.md name the version of qq") func version() throws {
        let page = try #require(Page.all.first { $0.path == "docs/pods.md" })
        #expect(try Manifest.text("Containerfile").contains("qq:\(QQCore.version) AS qq"))
        #expect(page.lines.contains { $0.hasSuffix("registry.example/qq:\(QQCore.version)") })
    }

    @Test("the pod behind the Service is ready by /leader and alive by /livez, at the port at which qq listens for the kubelet")
    func probes() throws {
        let container = try #require(try containers("leader-service.yaml").first { $0.words != nil })
        let invocation = try #require(try container.invocation())
        let port = try #require(container.node["ports"]?[0])
        #expect(invocation[Flags.listen] == .tcp([UInt8](repeating: 0, count: 16), port: UInt16(port["containerPort"]?.int ?? 0)))
        for (probe, path) in [("readinessProbe", "/leader"), ("livenessProbe", "/livez")] {
            let get = container.node[probe]?["httpGet"]
            #expect(get?["path"]?.string == path && get?["port"]?.string == port["name"]?.string && get?["port"]?.string != nil)
        }
        let ready = try #require(container.node["readinessProbe"])
        #expect(ready["periodSeconds"]?.int == 1 && ready["failureThreshold"]?.int == 1)
        let service = try #require(try Manifest.all(in: "leader-service.yaml").first { $0.kind == "Service" }?.node["spec"])
        let deployment = try #require(try Manifest.all(in: "leader-service.yaml").first { $0.kind == "Deployment" }?.node["spec"])
        #expect(service["selector"]?["app"]?.string == deployment["template"]?["metadata"]?["labels"]?["app"]?.string)
        #expect(deployment["strategy"]?["type"]?.string == "Recreate", "a rolling update would wait forever")
    }

    /// The scripts of the recipes, in a shell: what the program sees while the sidecar leads.
    @Test("the sidecar's hooks write and remove the file that the program reads") func sidecar() async throws {
        let container = try #require(try containers("sidecar.yaml").first { $0.words != nil })
        let invocation = try #require(try container.invocation())
        let command = (container.node["command"]?.array() ?? []).compactMap(\.string)
        try await inSandbox { box in
            let folder = box.path("election")
            try #require(mkdirSucceeds(folder))
            func local(_ text: String) -> String { text.replacing("/election", with: folder) }
            try box.write("9", to: "election/token")
            let started = try await box.start(Array(command.prefix(4)).map(local) + ["true"]).finish()
            #expect(started.ending == .exited(0) && box.read("election/token").isEmpty)
            let elected = invocation.all(Flags.onElected).map(local)
            let lost = invocation.all(Flags.onLost).map(local)
            let qq = try box.start(
                [Sandbox.binary, "keepalive", "web"] + elected.map { "--on-elected=" + $0 } + lost.map { "--on-lost=" + $0 })
            try await waitUntil("the file has the token: \(qq.errors)") { box.read("election/token") == "1\n" }
            try await qq.terminate()
            #expect(box.read("election/token").isEmpty)
        }
    }
}

private func mkdirSucceeds(_ path: String) -> Bool { mkdir(path, 0o755) == 0 }
