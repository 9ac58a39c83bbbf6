import QQCore

extension LeaseAPI {
    func patch(_ request: Request, _ call: Attributes, _ user: User, _ format: Format) throws(APIStatus) -> Answer {
        guard call.isNamed else { throw .methodNotAllowed }
        let type = String((request.header("content-type") ?? "").prefix { $0 != ";" })
        let kinds = ["application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json"]
        if type == "application/apply-patch+yaml" { return try apply(request, call, user, format) }
        guard kinds.contains(type) else {
            throw APIStatus(
                code: 415, reason: "UnsupportedMediaType", message: "415: Unsupported Media Type", details: APIStatus.Details())
        }
        let options = try WriteOptions(request, "PatchOptions")
        let change = try LeaseDecoder.json(request.body)
        let stored = try store.transact(isDryRun: options.isDryRun) { (state) throws(APIStatus) -> LeaseObject in
            guard let live = state.contents.leases[LeaseStore.Key(call.namespace, call.name)] else { throw .notFound(call.name) }
            let document =
                type == kinds[2]
                ? try JSONPatch.apply(change, to: live.json()) : MergePatch.apply(change, to: live.json(), isStrategic: type == kinds[1])
            let sent = try LeaseDecoder.decode(document)
            return try replace(try placed(sent.object, call), live, &state, options) { new in
                if sent.resetsManagedFields { return [] }
                return FieldManagement.afterUpdate(
                    by: options.manager, new, live: live, base: live.metadata.managedFields, at: store.now())
            }
        }
        return Self.answer(200, format.single(stored))
    }

    // MARK: Server-side apply

    private func apply(_ request: Request, _ call: Attributes, _ user: User, _ format: Format) throws(APIStatus) -> Answer {
        guard let manager = request.parameter("fieldManager"), !manager.isEmpty else {
            throw .invalidOption(
                "PatchOptions", "fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
        }
        let options = try WriteOptions(request, "PatchOptions")
        let sent = try LeaseDecoder.decode(request.body, isYAML: true)
        let wanted = try placed(sent.object, call)
        let values = FieldManagement.values(wanted)
        let (status, stored) = try store.transact(isDryRun: options.isDryRun) { (state) throws(APIStatus) -> (Int, LeaseObject) in
            guard let live = state.contents.leases[wanted.key] else {
                var new = wanted
                (new.metadata.uid, new.metadata.creationTimestamp) = (state.newUID(), store.now())
                guard state.contents.namespaces[call.namespace] != nil else { throw .namespaceNotFound(call.namespace) }
                let causes = LeaseValidation.causes(new)
                guard causes.isEmpty else { throw .invalid("Lease", call.name, causes) }
                new.metadata.managedFields = FieldManagement.afterApply(
                    by: manager, new, fields: Set(values.keys), live: nil, at: store.now())
                return (201, state.put(new))
            }
            let conflicts = FieldManagement.conflicts(by: manager, values, live: live)
            if !conflicts.isEmpty, request.parameter("force") != "true" { throw Self.applyConflict(conflicts) }
            let present = MergePatch.apply(Self.content(wanted), to: live.json(), isStrategic: true)
            return (
                200,
                try replace(try LeaseDecoder.decode(present).object, live, &state, options, requiresVersion: false) { new in
                    FieldManagement.afterApply(by: manager, new, fields: Set(values.keys), live: live, at: store.now())
                }
            )
        }
        return Self.answer(status, format.single(stored))
    }

    /// The fields of an apply that are written.
    private static func content(_ object: LeaseObject) -> JSONValue {
        var metadata = object.metadata
        (metadata.uid, metadata.managedFields) = ("", [])
        return ["metadata": .object(metadata.json), "spec": .object(object.spec.json)]
    }

    private static func applyConflict(_ conflicts: [(manager: String, fields: [ManagedFields.Path])]) -> APIStatus {
        func dotted(_ path: ManagedFields.Path) -> String { path.map { "." + $0.drop { $0 != ":" }.dropFirst() }.joined() }
        let causes = conflicts.flatMap { conflict in
            conflict.fields.map {
                APIStatus.Cause(
                    reason: "FieldManagerConflict",
                    message: "conflict with \(goQuoted(conflict.manager)) using \(LeaseObject.apiVersion)", field: dotted($0))
            }
        }
        let text =
            causes.count == 1
            ? "1 conflict: \(causes[0].message): \(causes[0].field)"
            : "\(causes.count) conflicts: "
                + conflicts.map { conflict in
                    "conflicts with \(goQuoted(conflict.manager)) using \(LeaseObject.apiVersion):\n"
                        + conflict.fields.map { "- " + dotted($0) }.joined(separator: "\n")
                }.joined(separator: "\n")
        return APIStatus(
            code: 409, reason: "Conflict", message: "Apply failed with \(text)", details: APIStatus.Details(causes: causes))
    }
}

/// Merge patches: RFC 7396, and Kubernetes' strategic ones, which merge the lists of a Lease instead of replacing them.
enum MergePatch {
    static func apply(_ patch: JSONValue, to target: JSONValue?, isStrategic: Bool, field: String = "") -> JSONValue {
        if isStrategic, case .array(let new) = patch, field == "finalizers" || field == "ownerReferences" {
            let old = target?.arrayValue ?? []
            func identity(_ element: JSONValue) -> JSONValue { element["uid"] ?? element }
            return .array(old.filter { element in !new.contains { identity($0) == identity(element) } } + new)
        }
        guard case .object(let changes) = patch else { return patch }
        var object = target?.objectValue ?? JSONObject()
        for member in changes.members {
            if isStrategic, member.name.hasPrefix("$") { continue }
            object[member.name] =
                member.value.isNull
                ? nil : apply(member.value, to: object[member.name], isStrategic: isStrategic, field: member.name)
        }
        return .object(object)
    }
}

/// JSON patches (RFC 6902) with `add`, `remove`, `replace` and `test`.
enum JSONPatch {
    private static let refused = APIStatus(
        code: 422, reason: "Invalid", message: "the server rejected our request due to an error in our request",
        details: APIStatus.Details())

    static func apply(_ patch: JSONValue, to target: JSONValue) throws(APIStatus) -> JSONValue {
        var document = target
        for step in patch.arrayValue ?? [] {
            guard let operation = step["op"]?.stringValue, let pointer = step["path"]?.stringValue else { throw refused }
            let path = pointer.split(separator: "/").map {
                $0.split(separator: "~1", omittingEmptySubsequences: false).joined(separator: "/")
                    .split(separator: "~0", omittingEmptySubsequences: false).joined(separator: "~")
            }
            let present = path.reduce(Optional(document)) { $0?[$1] }
            switch operation {
            case "test": guard present == step["value"] else { throw refused }
            case "remove":
                guard present != nil else { throw refused }
                document = set(document, path[...], nil)
            case "replace" where present == nil: throw refused
            case "add", "replace": document = set(document, path[...], step["value"])
            default: throw refused
            }
        }
        return document
    }

    private static func set(_ document: JSONValue, _ path: ArraySlice<String>, _ value: JSONValue?) -> JSONValue {
        guard let first = path.first else { return value ?? .null }
        var object = document.objectValue ?? JSONObject()
        object[first] = path.count == 1 ? value : set(object[first] ?? .object(JSONObject()), path.dropFirst(), value)
        return .object(object)
    }
}
