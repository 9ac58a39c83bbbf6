import QQCore

extension LeaseAPI {
    /// Who am I, may I, what may I.
    func review(_ request: Request, _ call: Attributes, _ user: User) throws(APIStatus) -> Answer {
        _ = try contentType(request)
        let sent = try LeaseDecoder.json(request.body)
        switch (call.group, call.resource) {
        case ("authentication.k8s.io", "selfsubjectreviews"):
            var info: JSONObject = ["username": .string(user.name)]
            if !user.uid.isEmpty { info["uid"] = .string(user.uid) }
            info["groups"] = .array(user.groups.map { .string($0) })
            if !user.extra.isEmpty {
                info["extra"] = .object(
                    JSONObject(
                        user.extra.sorted { $0.key < $1.key }.map { key, values in
                            JSONObject.Member(name: key, value: .array(values.map { .string($0) }))
                        }))
            }
            return Self.answer(
                201,
                [
                    "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1",
                    "metadata": ["creationTimestamp": .string(store.now().rfc3339())], "status": ["userInfo": .object(info)],
                ])
        case ("authorization.k8s.io", "selfsubjectaccessreviews"): return accessReview(request, sent, user)
        case ("authorization.k8s.io", "selfsubjectrulesreviews"):
            return Self.answer(201, rulesReview(user, namespace: sent["spec"]?["namespace"]?.stringValue ?? ""))
        default: throw .noSuchResource
        }
    }

    private func accessReview(_ request: Request, _ sent: JSONValue, _ user: User) -> Answer {
        let asked = sent["spec"]?["resourceAttributes"]
        func attribute(_ name: String) -> String { asked?[name]?.stringValue ?? "" }
        let (allowed, reason): (Bool, String?) =
            if let verb = Verb(rawValue: attribute("verb")) {
                allows(user, verb, attribute("group"), attribute("resource"), attribute("namespace"), attribute("name"))
            } else { (user.groups.contains("system:masters"), nil) }
        var status: JSONObject = ["allowed": .bool(allowed)]
        if let reason { status["reason"] = .string(reason) }
        var fields: Set<ManagedFields.Path> = []
        for member in asked?.objectValue?.members ?? [] { fields.insert(["f:spec", "f:resourceAttributes", "f:" + member.name]) }
        if asked != nil { fields.insert(["f:spec", "f:resourceAttributes", "."]) }
        let agent = request.header("user-agent") ?? "unknown"
        let managed: JSONValue = [
            "manager": .string(String(agent.prefix { $0 != "/" })), "operation": "Update", "apiVersion": "authorization.k8s.io/v1",
            "time": .string(store.now().rfc3339()), "fieldsType": "FieldsV1", "fieldsV1": ManagedFields.tree(fields),
        ]
        return Self.answer(
            201,
            [
                "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": ["managedFields": [managed]],
                "spec": sent["spec"] ?? .null, "status": .object(status),
            ])
    }

    private func rulesReview(_ user: User, namespace: String) -> JSONValue {
        func rule(_ verbs: [String], _ group: String, _ resources: [String], _ names: [String]? = nil) -> JSONValue {
            func list(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
            var rule: JSONObject = ["verbs": list(verbs), "apiGroups": list([group]), "resources": list(resources)]
            if let names { rule["resourceNames"] = list(names) }
            return .object(rule)
        }
        var rules = [
            rule(["create"], "authorization.k8s.io", ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
            rule(["create"], "authentication.k8s.io", ["selfsubjectreviews"]),
        ]
        let order: [Verb] = [.get, .list, .watch, .create, .update, .patch, .delete, .deletecollection]
        for grant in grants(user) where grant.namespace ?? namespace == namespace {
            rules.append(
                rule(order.filter(grant.verbs.contains).map(\.rawValue), APIStatus.group, ["leases"], grant.names.map { $0.sorted() }))
        }
        func urls(_ paths: [String]) -> JSONValue { ["verbs": ["get"], "nonResourceURLs": .array(paths.map { .string($0) })] }
        let health = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
        return [
            "kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "metadata": .object(JSONObject()),
            "spec": .object(JSONObject()),
            "status": [
                "resourceRules": .array(rules),
                "nonResourceRules": [
                    urls(["/.well-known", "/.well-known/*"]),
                    urls([
                        "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version",
                        "/version/",
                    ]), urls(health),
                ], "incomplete": false,
            ],
        ]
    }

    /// DELETE and GET of a namespace; others are made with `LeaseStore.createNamespace`.
    func namespaces(_ call: Attributes) throws(APIStatus) -> Answer {
        guard call.verb == .delete || call.verb == .get || call.verb == .update, !call.namespace.isEmpty else { throw .methodNotAllowed }
        let (name, isDeletion) = (call.namespace, call.method == "DELETE")
        let found = store.state.withLock { isDeletion ? $0.terminate(name) : $0.contents.namespaces[name] }
        guard let found else { throw .namespaceNotFound(name) }
        var metadata: JSONObject = [
            "name": .string(name), "uid": .string(found.uid), "resourceVersion": .string("\(found.version)"),
            "creationTimestamp": .string(found.creation.rfc3339()),
        ]
        if let deletion = found.deletion { metadata["deletionTimestamp"] = .string(deletion.rfc3339()) }
        metadata["labels"] = ["kubernetes.io/metadata.name": .string(name)]
        let labels: Set<ManagedFields.Path> = [
            ["f:metadata", "f:labels", "."], ["f:metadata", "f:labels", "f:kubernetes.io/metadata.name"],
        ]
        metadata["managedFields"] = [
            [
                "manager": "qq", "operation": "Update", "apiVersion": "v1", "time": .string(found.creation.rfc3339()),
                "fieldsType": "FieldsV1", "fieldsV1": ManagedFields.tree(labels),
            ]
        ]
        return Self.answer(
            200,
            [
                "kind": "Namespace", "apiVersion": "v1", "metadata": .object(metadata), "spec": ["finalizers": ["kubernetes"]],
                "status": ["phase": found.deletion == nil ? "Active" : "Terminating"],
            ])
    }
}
