import QQCore

/// A Lease of `coordination.k8s.io/v1`, as the API server stores it.
struct LeaseObject: Sendable, Hashable {
    struct Metadata: Sendable, Hashable {
        var name = ""
        var generateName = ""
        var namespace = ""
        var uid = ""
        /// Text as sent; stored objects have a decimal number.
        var resourceVersion = ""
        var creationTimestamp: WallTime?
        var deletionTimestamp: WallTime?
        var labels: [String: String] = [:]
        var annotations: [String: String] = [:]
        var ownerReferences: [JSONObject] = []
        var finalizers: [String] = []
        var managedFields: [ManagedFields] = []
    }

    struct Spec: Sendable, Hashable {
        var holderIdentity: String?
        var leaseDurationSeconds: Int32?
        var acquireTime: MicroTime?
        var renewTime: MicroTime?
        var leaseTransitions: Int32?
        var strategy: String?
        var preferredHolder: String?
    }

    var metadata = Metadata()
    var spec = Spec()

    static let apiVersion = "coordination.k8s.io/v1"

    /// The document, its members in the order in which the API server writes them.
    /// - Parameter hasKind: false for an item of a list.
    func json(hasKind: Bool = true) -> JSONValue {
        var object: JSONObject = hasKind ? ["kind": "Lease", "apiVersion": .string(Self.apiVersion)] : [:]
        object["metadata"] = .object(metadata.json)
        object["spec"] = .object(spec.json)
        return .object(object)
    }

    /// The same object as `PartialObjectMetadata`.
    var partial: JSONValue {
        ["kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": .object(metadata.json)]
    }

    /// Whether two objects differ in more than versions and the times of managed fields: such a write is stored.
    func differs(from other: LeaseObject) -> Bool {
        func essence(_ object: LeaseObject) -> LeaseObject {
            var object = object
            object.metadata.resourceVersion = ""
            for index in object.metadata.managedFields.indices { object.metadata.managedFields[index].time = .goZero }
            return object
        }
        return essence(self) != essence(other)
    }
}

extension LeaseObject.Metadata {
    var json: JSONObject {
        var object = JSONObject()
        func set(_ key: String, _ text: String) { if !text.isEmpty { object[key] = .string(text) } }
        set("name", name)
        set("generateName", generateName)
        set("namespace", namespace)
        set("uid", uid)
        set("resourceVersion", resourceVersion)
        if let creationTimestamp { object["creationTimestamp"] = .string(creationTimestamp.rfc3339()) }
        if let deletionTimestamp {
            object["deletionTimestamp"] = .string(deletionTimestamp.rfc3339())
            object["deletionGracePeriodSeconds"] = 0
        }
        if !labels.isEmpty { object["labels"] = .object(Self.sorted(labels)) }
        if !annotations.isEmpty { object["annotations"] = .object(Self.sorted(annotations)) }
        if !ownerReferences.isEmpty { object["ownerReferences"] = .array(ownerReferences.map { .object($0) }) }
        if !finalizers.isEmpty { object["finalizers"] = .array(finalizers.map { .string($0) }) }
        if !managedFields.isEmpty { object["managedFields"] = .array(managedFields.map(\.json)) }
        return object
    }

    private static func sorted(_ map: [String: String]) -> JSONObject {
        JSONObject(
            map.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map {
                JSONObject.Member(name: $0.key, value: .string($0.value))
            })
    }
}

extension LeaseObject.Spec {
    var json: JSONObject {
        var object = JSONObject()
        if let holderIdentity { object["holderIdentity"] = .string(holderIdentity) }
        if let leaseDurationSeconds { object["leaseDurationSeconds"] = .integer(Int64(leaseDurationSeconds)) }
        if let acquireTime { object["acquireTime"] = acquireTime.json }
        if let renewTime { object["renewTime"] = renewTime.json }
        if let leaseTransitions { object["leaseTransitions"] = .integer(Int64(leaseTransitions)) }
        if let strategy { object["strategy"] = .string(strategy) }
        if let preferredHolder { object["preferredHolder"] = .string(preferredHolder) }
        return object
    }
}
