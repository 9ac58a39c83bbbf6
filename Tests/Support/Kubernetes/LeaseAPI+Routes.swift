import QQCore

extension LeaseAPI {
    /// The resource and the verb of a request (source: `RequestInfo` of the API server).
    struct Attributes: Sendable, Hashable {
        /// nil if the path is no resource's.
        var verb: Verb?
        var group = ""
        var version = ""
        var resource = ""
        var namespace = ""
        var name = ""
        var path: String
        var method: String
        /// Whether the path is `/watch/…`.
        var isOldWatch = false
        var isNamed = false

        init(_ request: Request) {
            (path, method) = (request.path, request.method)
            var parts = request.path[...].utf8.split(separator: UInt8(ascii: "/")).map { Percent.decode($0) ?? String(Substring($0)) }
            guard let root = parts.first, root == "api" || root == "apis" else { return }
            parts.removeFirst()
            guard parts.count >= (root == "api" ? 2 : 3) else { return }
            if root == "apis" { group = parts.removeFirst() }
            version = parts.removeFirst()
            if parts.first == "watch" {
                isOldWatch = true
                parts.removeFirst()
            }
            if parts.first == "namespaces", parts.count >= 2 {
                namespace = parts[1]
                if parts.count > 2 { parts.removeFirst(2) }
            }
            resource = parts.first ?? ""
            isNamed = parts.count > 1
            name = parts.count > 1 ? parts[1] : ""
            switch request.method {
            case "GET", "HEAD": verb = isNamed ? .get : .list
            case "POST": verb = .create
            case "PUT": verb = .update
            case "PATCH": verb = .patch
            case "DELETE": verb = isNamed ? .delete : .deletecollection
            default: verb = .get
            }
            if !isNamed, let selected = FieldSelector.singleName(request.parameter("fieldSelector")) { name = selected }
            let watches = ["1", "true"].contains(request.parameter("watch") ?? "")
            if verb == .list, watches { verb = .watch }
            if isOldWatch, method == "GET" {
                verb = .watch
                isNamed = false
            }
        }

        var isLeases: Bool { group == APIStatus.group && version == "v1" && resource == "leases" }
    }
}

// MARK: Who asks

extension LeaseAPI {
    /// The user of a request, by certificate or token.
    func authenticate(_ request: Request) throws(APIStatus) -> User {
        let user = try credentials(request)
        let groups = request.headers.filter { $0.name == "impersonate-group" }.map(\.value)
        guard let impersonated = request.header("impersonate-user") else {
            guard groups.isEmpty else {
                let list = groups.map(goQuoted).joined(separator: ", ")
                throw .badRequest(
                    "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\(list)}, Extra:map[string][]string(nil)} "
                        + "without impersonating a user name")
            }
            return user
        }
        guard user.groups.contains("system:masters") else {
            let call = Attributes(request)
            throw Self.forbidden(call, user, verb: "impersonate-on:user-info:" + (call.verb?.rawValue ?? request.method.lowercased()))
        }
        return User(impersonated, uid: request.header("impersonate-uid") ?? "", groups: groups)
    }

    private func credentials(_ request: Request) throws(APIStatus) -> User {
        if let user = request.certificate { return user }
        // Basic authentication and an empty token count as none.
        guard let header = request.header("authorization"), header.lowercased().hasPrefix("bearer ") else { return .anonymous }
        let token = String(header.dropFirst(7).drop { $0 == " " })
        if token.isEmpty { return .anonymous }
        guard let user = state.withLock({ $0.settings.tokens[token] }) else { throw .unauthorized }
        return user
    }

    // MARK: Who may what

    func authorize(_ call: Attributes, _ user: User) throws(APIStatus) {
        guard let verb = call.verb else {
            if Self.isPublic(call.path) || user.groups.contains("system:masters") { return }
            let isDiscovery = ["/api", "/apis", "/openapi", "/.well-known"].contains { call.path == $0 || call.path.hasPrefix($0 + "/") }
            if isDiscovery, call.method == "GET", user.groups.contains("system:authenticated") { return }
            throw APIStatus(
                code: 403, reason: "Forbidden",
                message: "forbidden: User \(goQuoted(user.name)) cannot \(call.method.lowercased()) path \(goQuoted(call.path))",
                details: APIStatus.Details())
        }
        guard allows(user, verb, call.group, call.resource, call.namespace, call.name).allowed else {
            throw Self.forbidden(call, user, verb: verb.rawValue)
        }
    }

    private static func isPublic(_ path: String) -> Bool { ["/version", "/version/", "/healthz", "/readyz", "/livez"].contains(path) }

    /// - Returns: whether it is allowed, and the reason as RBAC gives it.
    func allows(
        _ user: User, _ verb: Verb, _ group: String, _ resource: String, _ namespace: String, _ name: String
    ) -> (allowed: Bool, reason: String?) {
        if user.groups.contains("system:masters") { return (true, nil) }
        if verb == .create, user.groups.contains("system:authenticated"),
            ["selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"].contains(resource)
        {
            return (true, nil)
        }
        guard group == APIStatus.group, resource == "leases" else { return (false, nil) }
        for grant in grants(user) where grant.verbs.contains(verb) {
            if let bound = grant.namespace, bound != namespace { continue }
            if let names = grant.names, !names.contains(name) { continue }
            let kind = grant.subject == user.name ? "User" : "Group"
            return (
                true,
                grant.namespace.map {
                    "RBAC: allowed by RoleBinding \(goQuoted("\(grant.subject)/\($0)")) of ClusterRole \(goQuoted(grant.role)) "
                        + "to \(kind) \(goQuoted(grant.subject))"
                }
            )
        }
        return (false, nil)
    }

    func grants(_ user: User) -> [Grant] {
        state.withLock { $0.settings.grants.filter { $0.subject == user.name || user.groups.contains($0.subject) } }
    }

    static func forbidden(_ call: Attributes, _ user: User, verb: String) -> APIStatus {
        let resource = call.group.isEmpty ? call.resource : call.resource + "." + call.group
        let scope = call.namespace.isEmpty ? "at the cluster scope" : "in the namespace \(goQuoted(call.namespace))"
        return APIStatus(
            code: 403, reason: "Forbidden",
            message: "\(resource)\(call.name.isEmpty ? "" : " " + goQuoted(call.name)) is forbidden: User \(goQuoted(user.name)) cannot "
                + "\(verb) resource \(goQuoted(call.resource)) in API group \(goQuoted(call.group)) \(scope)",
            details: APIStatus.Details(name: call.name, group: call.group, kind: call.resource))
    }
}
