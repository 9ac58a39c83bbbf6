import QQCore

/// A Lease as it was sent.
struct SentLease: Sendable {
    var object = LeaseObject()
    /// Whether `metadata.managedFields` was sent as an empty list, which resets them.
    var resetsManagedFields = false
    /// Unknown and repeated fields, as the server's strict decoder names them.
    var oddities: [String] = []
}

/// Reads Leases as the API server's decoder does, with Go's words for what is wrong.
struct LeaseDecoder {
    private var sent = SentLease()

    /// - Throws: `APIStatus` 400.
    static func decode(_ body: [UInt8], isYAML: Bool = false) throws(APIStatus) -> SentLease {
        let document = isYAML ? try FlowYAML.parse(body) : try json(body)
        guard case .object = document else {
            throw unrecognized(
                "json: cannot unmarshal \(kind(document)) into Go value of type struct { APIVersion string "
                    + "\"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }", body)
        }
        return try decode(document)
    }

    static func decode(_ document: JSONValue) throws(APIStatus) -> SentLease {
        var decoder = LeaseDecoder()
        try decoder.read(document)
        return decoder.sent
    }

    static func json(_ body: [UInt8]) throws(APIStatus) -> JSONValue {
        do throws(JSONError) { return try JSONValue.parse(body) } catch {
            let end = error.offset >= body.count
            throw unrecognized(
                end
                    ? "unexpected end of JSON input"
                    : "invalid character '\(Character(Unicode.Scalar(body[error.offset])))' looking for beginning of value", body)
        }
    }

    private static func unrecognized(_ reason: String, _ body: [UInt8]) -> APIStatus {
        let shown = body.prefix(30)
        let text =
            body.isEmpty
            ? "<empty>"
            : (body[0] == UInt8(ascii: "{") ? String(decoding: shown, as: UTF8.self) : shown.map(hexadecimal).joined())
                + (body.count > 30 ? " ..." : "")
        return .badRequest(
            "the object provided is unrecognized (must be of type Lease): couldn't get version/kind; json parse error: \(reason) (\(text))")
    }

    // MARK: Members

    private mutating func read(_ document: JSONValue) throws(APIStatus) {
        let kind = document["kind"]?.stringValue ?? "Lease"
        let version = document["apiVersion"]?.stringValue ?? LeaseObject.apiVersion
        guard kind == "Lease" else {
            throw .badRequest(
                "\(kind) in version \"v1\" cannot be handled as a Lease: no kind \(goQuoted(kind)) is registered for version "
                    + "\(goQuoted(version)) in scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\"")
        }
        guard version == LeaseObject.apiVersion else {
            throw .badRequest(
                "the API version in the data (\(version)) does not match the expected API version (\(LeaseObject.apiVersion))")
        }
        for member in members(document.objectValue ?? [:], "") {
            switch member.name {
            case "kind", "apiVersion": break
            case "metadata": for inner in try fields(member.value, "Lease", "metadata") { try readMetadata(inner) }
            case "spec": for inner in try fields(member.value, "Lease", "spec") { try readSpec(inner) }
            default: sent.oddities.append("unknown field \(goQuoted(member.name))")
            }
        }
    }

    private mutating func readSpec(_ member: JSONObject.Member) throws(APIStatus) {
        let (name, value) = (member.name, member.value)
        switch name {
        case "holderIdentity": sent.object.spec.holderIdentity = try text(value, "LeaseSpec.spec", name)
        case "leaseDurationSeconds": sent.object.spec.leaseDurationSeconds = try integer(value, "LeaseSpec.spec", name)
        case "leaseTransitions": sent.object.spec.leaseTransitions = try integer(value, "LeaseSpec.spec", name)
        case "acquireTime": sent.object.spec.acquireTime = try time(value, name)
        case "renewTime": sent.object.spec.renewTime = try time(value, name)
        case "strategy": sent.object.spec.strategy = try text(value, "LeaseSpec.spec", name)
        case "preferredHolder": sent.object.spec.preferredHolder = try text(value, "LeaseSpec.spec", name)
        default: sent.oddities.append("unknown field \(goQuoted("spec." + name))")
        }
    }

    private mutating func readMetadata(_ member: JSONObject.Member) throws(APIStatus) {
        let (name, value) = (member.name, member.value)
        let owner = "ObjectMeta.metadata"
        switch name {
        case "name": sent.object.metadata.name = try text(value, owner, name) ?? ""
        case "generateName": sent.object.metadata.generateName = try text(value, owner, name) ?? ""
        case "namespace": sent.object.metadata.namespace = try text(value, owner, name) ?? ""
        case "uid": sent.object.metadata.uid = try text(value, owner, name) ?? ""
        case "resourceVersion": sent.object.metadata.resourceVersion = try text(value, owner, name) ?? ""
        case "labels": sent.object.metadata.labels = try map(value, name)
        case "annotations": sent.object.metadata.annotations = try map(value, name)
        case "finalizers":
            var finalizers: [String] = []
            for element in try array(value, owner, name) { finalizers.append(try text(element, owner, name) ?? "") }
            sent.object.metadata.finalizers = finalizers
        case "ownerReferences":
            var owners: [JSONObject] = []
            for element in try array(value, owner, name) {
                owners.append(JSONObject(try fields(element, "ObjectMeta", "metadata." + name)))
            }
            sent.object.metadata.ownerReferences = owners
        case "managedFields":
            // An empty list, or one of an empty entry.
            if case .array(let entries) = value { sent.resetsManagedFields = entries.allSatisfy { $0.objectValue?.isEmpty ?? false } }
        case "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink": break
        default: sent.oddities.append("unknown field \(goQuoted("metadata." + name))")
        }
    }

    // MARK: Values

    /// The members of an object; the last of several with one name counts.
    private mutating func members(_ object: JSONObject, _ path: String) -> [JSONObject.Member] {
        var last: [String: Int] = [:]
        for (index, member) in object.members.enumerated() {
            if last.updateValue(index, forKey: member.name) != nil {
                sent.oddities.append("duplicate field \(goQuoted(path.isEmpty ? member.name : path + "." + member.name))")
            }
        }
        return object.members.enumerated().filter { last[$0.element.name] == $0.offset }.map(\.element)
    }

    private mutating func fields(_ value: JSONValue, _ owner: String, _ path: String) throws(APIStatus) -> [JSONObject.Member] {
        if value.isNull { return [] }
        guard case .object(let object) = value else { throw Self.mismatch(value, "\(owner).\(path)", "v1.ObjectMeta") }
        return members(object, path)
    }

    private func text(_ value: JSONValue, _ owner: String, _ name: String) throws(APIStatus) -> String? {
        if value.isNull { return nil }
        guard case .string(let text) = value else { throw Self.mismatch(value, "\(owner).\(name)", "string") }
        return text
    }

    private func integer(_ value: JSONValue, _ owner: String, _ name: String) throws(APIStatus) -> Int32? {
        if value.isNull { return nil }
        if case .integer(let number) = value, let small = Int32(exactly: number) { return small }
        var shown = Self.kind(value)
        if shown == "number" { shown += " " + JSONWriter.string(value) }
        throw Self.mismatch(shown, "\(owner).\(name)", "int32")
    }

    private func time(_ value: JSONValue, _ name: String) throws(APIStatus) -> MicroTime? {
        guard let text = try text(value, "LeaseSpec.spec", name) else { return nil }
        do throws(MicroTime.Malformed) { return try MicroTime(parsing: text) } catch {
            throw .badRequest("Lease in version \"v1\" cannot be handled as a Lease: \(error.message)")
        }
    }

    private mutating func map(_ value: JSONValue, _ name: String) throws(APIStatus) -> [String: String] {
        var map: [String: String] = [:]
        for member in try fields(value, "ObjectMeta", "metadata." + name) {
            map[member.name] = try text(member.value, "ObjectMeta.metadata", name) ?? ""
        }
        return map
    }

    private func array(_ value: JSONValue, _ owner: String, _ name: String) throws(APIStatus) -> [JSONValue] {
        if value.isNull { return [] }
        guard case .array(let elements) = value else { throw Self.mismatch(value, "\(owner).\(name)", "[]string") }
        return elements
    }

    private static func mismatch(_ value: JSONValue, _ field: String, _ type: String) -> APIStatus { mismatch(kind(value), field, type) }

    private static func mismatch(_ kind: String, _ field: String, _ type: String) -> APIStatus {
        .badRequest(
            "Lease in version \"v1\" cannot be handled as a Lease: json: cannot unmarshal \(kind) into Go struct field \(field) of type \(type)"
        )
    }

    /// The word of Go's `encoding/json` for a value.
    private static func kind(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "bool"
        case .integer, .unsigned, .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}

/// As much YAML as clients of these tests send: JSON, or one line a member whose value is a plain scalar or flow mapping.
enum FlowYAML {
    static func parse(_ body: [UInt8]) throws(APIStatus) -> JSONValue {
        if let json = try? JSONValue.parse(body) { return json }
        var object = JSONObject()
        for line in String(decoding: body, as: UTF8.self).split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { throw .badRequest("error converting YAML to JSON: yaml: \(line)") }
            object[String(line[..<colon])] = value(line[line.index(after: colon)...])
        }
        return .object(object)
    }

    private static func value(_ text: Substring) -> JSONValue {
        let text = text.trimming(" ")
        guard text.first == "{", text.last == "}" else { return Int64(text).map { .integer($0) } ?? .string(String(text)) }
        var object = JSONObject()
        for part in text.dropFirst().dropLast().split(separator: ",") {
            let colon = part.firstIndex(of: ":") ?? part.endIndex
            object[String(part[..<colon].trimming(" "))] = value(part[colon...].dropFirst())
        }
        return .object(object)
    }
}

extension Substring {
    func trimming(_ character: Character) -> Substring {
        let start = drop { $0 == character }
        return start[..<(start.lastIndex { $0 != character }.map { start.index(after: $0) } ?? start.startIndex)]
    }
}
