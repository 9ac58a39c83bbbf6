import QQCore

/// Fields that one manager owns (an entry of `metadata.managedFields`).
struct ManagedFields: Sendable, Hashable {
    /// A field by the names of its levels: `["f:spec", "f:renewTime"]`. `.` is the container itself.
    typealias Path = [String]

    var manager: String
    /// `Update` or `Apply`.
    var operation: String
    var time: WallTime
    var fields: Set<Path>

    var json: JSONValue {
        [
            "manager": .string(manager), "operation": .string(operation), "apiVersion": .string(LeaseObject.apiVersion),
            "time": .string(time.rfc3339()), "fieldsType": "FieldsV1", "fieldsV1": Self.tree(fields),
        ]
    }

    static func tree(_ paths: Set<Path>) -> JSONValue {
        tree(paths.sorted { $0.lexicographicallyPrecedes($1) { $0.utf8.lexicographicallyPrecedes($1.utf8) } }[...], at: 0)
    }

    /// - Parameters:
    ///   - paths: sorted, and alike above `level`.
    private static func tree(_ paths: ArraySlice<Path>, at level: Int) -> JSONValue {
        var members: [JSONObject.Member] = []
        var rest = paths.drop { $0.count <= level }
        while let name = rest.first?[level] {
            let end = rest.firstIndex { $0[level] != name } ?? rest.endIndex
            members.append(JSONObject.Member(name: name, value: tree(rest[..<end], at: level + 1)))
            rest = rest[end...]
        }
        return .object(JSONObject(members))
    }
}

/// Which manager owns which fields after a write (source: structured-merge-diff and `managedfields` of apimachinery).
enum FieldManagement {
    /// The fields of an object with their values, without those that the server itself sets.
    static func values(_ object: LeaseObject) -> [ManagedFields.Path: JSONValue] {
        var values: [ManagedFields.Path: JSONValue] = [:]
        let metadata = object.metadata
        for (name, map) in [("f:labels", metadata.labels), ("f:annotations", metadata.annotations)] where !map.isEmpty {
            values[["f:metadata", name, "."]] = .null
            for (key, value) in map { values[["f:metadata", name, "f:" + key]] = .string(value) }
        }
        if !metadata.finalizers.isEmpty { values[["f:metadata", "f:finalizers", "."]] = .null }
        for finalizer in metadata.finalizers { values[["f:metadata", "f:finalizers", "v:" + quoted(finalizer)]] = .null }
        if !metadata.ownerReferences.isEmpty { values[["f:metadata", "f:ownerReferences", "."]] = .null }
        for owner in metadata.ownerReferences {
            let uid = owner["uid"]?.stringValue ?? ""
            values[["f:metadata", "f:ownerReferences", "k:{\"uid\":\(quoted(uid))}"]] = .object(owner)
        }
        if !metadata.generateName.isEmpty { values[["f:metadata", "f:generateName"]] = .string(metadata.generateName) }
        for member in object.spec.json.members { values[["f:spec", "f:" + member.name]] = member.value }
        return values
    }

    private static func quoted(_ text: String) -> String { JSONWriter.string(.string(text)) }

    /// The managed fields after an update by `manager`.
    /// - Parameters:
    ///   - live: the stored object; nil for a new one.
    ///   - base: the entries that were sent, or else the stored ones.
    static func afterUpdate(
        by manager: String, _ new: LeaseObject, live: LeaseObject?, base: [ManagedFields], at time: WallTime
    ) -> [ManagedFields] {
        let (after, before) = (values(new), live.map(values) ?? [:])
        let changed = Set(after.filter { before[$0.key] != $0.value }.keys)
        var entries = base
        for index in entries.indices {
            entries[index].fields.formIntersection(after.keys)
            if entries[index].manager != manager || entries[index].operation != "Update" { entries[index].fields.subtract(changed) }
        }
        if !changed.isEmpty {
            if let own = entries.firstIndex(where: { $0.manager == manager && $0.operation == "Update" }) {
                entries[own].fields.formUnion(changed)
                entries[own].time = time
            } else {
                entries.append(ManagedFields(manager: manager, operation: "Update", time: time, fields: changed))
            }
        }
        return sorted(entries)
    }

    /// The managed fields after an apply of `fields` by `manager`, which takes them from all others.
    static func afterApply(
        by manager: String, _ new: LeaseObject, fields: Set<ManagedFields.Path>, live: LeaseObject?, at time: WallTime
    ) -> [ManagedFields] {
        let (after, before) = (values(new), live.map(values) ?? [:])
        let changed = Set(after.filter { before[$0.key] != $0.value }.keys)
        var entries = live?.metadata.managedFields ?? []
        entries.removeAll { $0.manager == manager && $0.operation == "Apply" }
        for index in entries.indices {
            entries[index].fields.formIntersection(after.keys)
            entries[index].fields.subtract(changed.intersection(fields))
        }
        entries.append(ManagedFields(manager: manager, operation: "Apply", time: time, fields: fields))
        return sorted(entries)
    }

    private static func sorted(_ entries: [ManagedFields]) -> [ManagedFields] {
        entries.filter { !$0.fields.isEmpty }.sorted { ($0.operation, $0.time, $0.manager) < ($1.operation, $1.time, $1.manager) }
    }

    /// The conflicts of an apply: fields of others, with another value.
    static func conflicts(
        by manager: String, _ wanted: [ManagedFields.Path: JSONValue], live: LeaseObject
    ) -> [(manager: String, fields: [ManagedFields.Path])] {
        let present = values(live)
        return live.metadata.managedFields.filter { $0.manager != manager || $0.operation != "Apply" }.compactMap { entry in
            let fields = entry.fields.filter { field in wanted[field].map { present[field] != $0 } ?? false }
            return fields.isEmpty ? nil : (entry.manager, fields.sorted { $0.lexicographicallyPrecedes($1) })
        }
    }
}
