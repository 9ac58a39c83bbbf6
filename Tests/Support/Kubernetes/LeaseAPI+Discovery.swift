import QQCore

extension LeaseAPI {
    /// Answers for paths that are no resource's: version, health and discovery.
    func nonResource(_ request: Request, _ call: Attributes) throws(APIStatus) -> Answer {
        switch call.path {
        case "/version", "/version/":
            return Answer(
                status: 200, contentType: "application/json", headers: [], body: JSONWriter.bytes(versionInfo, style: .indented),
                after: .zero)
        case "/readyz", "/livez", "/healthz":
            return health(String(call.path.dropFirst()), isVerbose: request.parameter("verbose") != nil)
        case "/api": return Self.answer(200, ["kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []])
        case "/apis":
            let groups = ["coordination.k8s.io", "authorization.k8s.io", "authentication.k8s.io"].map(Self.group)
            return Self.answer(200, ["kind": "APIGroupList", "apiVersion": "v1", "groups": .array(groups.map { .object($0) })])
        case "/api/v1": return Self.answer(200, Self.resources("v1", [Self.resource("namespaces", "Namespace", ["delete", "get"])]))
        case "/apis/coordination.k8s.io":
            var group: JSONObject = ["kind": "APIGroup", "apiVersion": "v1"]
            for member in Self.group("coordination.k8s.io").members { group[member.name] = member.value }
            return Self.answer(200, .object(group))
        case "/apis/coordination.k8s.io/v1":
            var lease = Self.resource(
                "leases", "Lease", ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"], isNamespaced: true)
            lease["storageVersionHash"] = "gqkMMb/YqFM="
            return Self.answer(200, Self.resources(LeaseObject.apiVersion, [lease]))
        case "/apis/authorization.k8s.io/v1":
            return Self.answer(
                200,
                Self.resources(
                    "authorization.k8s.io/v1",
                    [
                        Self.resource("selfsubjectaccessreviews", "SelfSubjectAccessReview", ["create"]),
                        Self.resource("selfsubjectrulesreviews", "SelfSubjectRulesReview", ["create"]),
                    ]))
        case "/apis/authentication.k8s.io/v1":
            return Self.answer(
                200,
                Self.resources("authentication.k8s.io/v1", [Self.resource("selfsubjectreviews", "SelfSubjectReview", ["create"])]))
        default: return Self.plain(404, "404 page not found\n")
        }
    }

    /// Resources that the server does not have.
    func unknownResource(_ call: Attributes) throws(APIStatus) -> Answer {
        guard call.group == APIStatus.group else { return Self.plain(404, "404 page not found\n") }
        throw .noSuchResource
    }

    private var versionInfo: JSONValue {
        let minor = settings.minorVersion
        return [
            "major": "1", "minor": .string("\(minor)"), "emulationMajor": "1", "emulationMinor": .string("\(minor)"),
            "minCompatibilityMajor": "1", "minCompatibilityMinor": .string("\(minor - 1)"), "gitVersion": .string("v1.\(minor).2"),
            "gitCommit": "$Format:%H$", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.27.3",
            "compiler": "gc", "platform": "linux/amd64",
        ]
    }

    private static func group(_ name: String) -> JSONObject {
        let version: JSONValue = ["groupVersion": .string(name + "/v1"), "version": "v1"]
        return ["name": .string(name), "versions": [version], "preferredVersion": version]
    }

    private static func resource(_ name: String, _ kind: String, _ verbs: [String], isNamespaced: Bool = false) -> JSONObject {
        [
            "name": .string(name), "singularName": .string(kind.lowercased()), "namespaced": .bool(isNamespaced), "kind": .string(kind),
            "verbs": .array(verbs.map { .string($0) }),
        ]
    }

    private static func resources(_ version: String, _ resources: [JSONObject]) -> JSONValue {
        [
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": .string(version),
            "resources": .array(resources.map { .object($0) }),
        ]
    }

    // MARK: Health

    private func health(_ path: String, isVerbose: Bool) -> Answer {
        let hasEtcd = if case .alive = store.state.withLock({ $0.condition }) { true } else { false }
        var failed: [String] = []
        // /readyz does not ask etcd for as long as the server runs.
        if path != "readyz", !hasEtcd { failed.append("etcd") }
        if path == "readyz", isTerminating { failed.append("shutdown") }
        if failed.isEmpty, !isVerbose { return Self.plain(200, "ok") }
        let first = path == "readyz" ? ["ping", "log", "informer-sync"] : ["ping", "log", "loopback-serving-certificate", "etcd"]
        var lines = (first + Self.hooks).map { failed.contains($0) ? "[-]\($0) failed: reason withheld" : "[+]\($0) ok" }
        if path == "readyz" { lines.append(isTerminating ? "[-]shutdown failed: reason withheld" : "[+]shutdown ok") }
        lines.append(failed.isEmpty ? "\(path) check passed\n" : "\(path) check failed\n")
        var answer = Self.plain(failed.isEmpty ? 200 : 500, lines.joined(separator: "\n"))
        // The check of etcd has this time limit.
        if failed.contains("etcd") { answer.after = .seconds(2) }
        return answer
    }

    private static let hooks =
        [
            "start-apiserver-admission-initializer", "generic-apiserver-start-informers", "priority-and-fairness-config-consumer",
            "priority-and-fairness-filter", "storage-object-count-tracker-hook", "start-apiextensions-informers",
            "start-apiextensions-controllers", "crd-informer-synced", "start-system-namespaces-controller",
            "peer-endpoint-reconciler-controller", "start-cluster-authentication-info-controller",
            "start-kube-apiserver-identity-lease-controller", "start-kube-apiserver-identity-lease-garbage-collector", "storage-readiness",
            "start-legacy-token-tracking-controller", "start-service-ip-repair-controllers", "rbac/bootstrap-roles",
            "scheduling/bootstrap-system-priority-classes", "priority-and-fairness-config-producer", "bootstrap-controller",
            "start-kubernetes-service-cidr-controller", "start-kube-aggregator-informers", "apiservice-status-local-available-controller",
            "apiservice-status-remote-available-controller", "apiservice-registration-controller", "apiservice-wait-for-first-sync",
            "apiservice-discovery-controller", "kube-apiserver-autoregistration",
        ].map { "poststarthook/" + $0 } + [
            "autoregister-completion", "poststarthook/apiservice-openapi-controller", "poststarthook/apiservice-openapiv3-controller",
        ]
}
