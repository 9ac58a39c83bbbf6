import QQCore

extension LeaseAPI {
    /// The form in which a client wants objects (`Accept`).
    enum Format: Sendable {
        case object
        case partial
        case table(Include, now: @Sendable () -> WallTime)

        enum Include: String, Sendable {
            case none = "None"
            case metadata = "Metadata"
            case object = "Object"
        }

        /// - Throws: 406 if the server has none of the wanted forms.
        init(_ request: Request, now: @escaping @Sendable () -> WallTime) throws(APIStatus) {
            let accepted = request.header("accept") ?? "application/json"
            for range in accepted.split(separator: ",") {
                let parts = range.split(separator: ";").map { $0.trimming(" ") }
                guard let type = parts.first, ["application/json", "application/*", "*/*"].contains(type) else { continue }
                switch parts.first(where: { $0.hasPrefix("as=") })?.dropFirst(3) {
                case "Table":
                    guard parts.contains("v=v1") else { continue }
                    self = .table(Include(rawValue: request.parameter("includeObject") ?? "") ?? .metadata, now: now)
                case "PartialObjectMetadata", "PartialObjectMetadataList": self = .partial
                default: self = .object
                }
                return
            }
            throw APIStatus(
                code: 406, reason: "NotAcceptable",
                message: "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
                    + "application/vnd.kubernetes.protobuf", details: APIStatus.Details())
        }

        func single(_ object: LeaseObject) -> JSONValue {
            switch self {
            case .object: object.json()
            case .partial: object.partial
            case .table(let includes, let now):
                Table.document(
                    ["resourceVersion": .string(object.metadata.resourceVersion)], [object], includes, now(), hasColumns: true)
            }
        }

        func event(_ object: LeaseObject, isFirst: Bool) -> JSONValue {
            guard case .table(let includes, let now) = self else { return single(object) }
            return Table.document(
                ["resourceVersion": .string(object.metadata.resourceVersion)], [object], includes, now(), hasColumns: isFirst)
        }

        func list(_ metadata: JSONObject, _ objects: [LeaseObject]) -> JSONValue {
            switch self {
            case .object:
                [
                    "kind": "LeaseList", "apiVersion": .string(LeaseObject.apiVersion), "metadata": .object(metadata),
                    "items": .array(objects.map { $0.json(hasKind: false) }),
                ]
            case .partial:
                [
                    "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": .object(metadata),
                    "items": .array(objects.map(\.partial)),
                ]
            case .table(let includes, let now): Table.document(metadata, objects, includes, now(), hasColumns: true)
            }
        }
    }

    /// The table that `kubectl get` shows.
    enum Table {
        static func document(
            _ metadata: JSONObject, _ objects: [LeaseObject], _ includes: Format.Include, _ now: WallTime, hasColumns: Bool
        ) -> JSONValue {
            [
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": .object(metadata),
                "columnDefinitions": hasColumns ? columns : .null, "rows": .array(objects.map { row($0, includes, now) }),
            ]
        }

        private static func row(_ object: LeaseObject, _ includes: Format.Include, _ now: WallTime) -> JSONValue {
            let age = object.metadata.creationTimestamp.map { humanDuration(seconds: (now - $0).components.seconds) } ?? "<unknown>"
            let cells: JSONValue = [.string(object.metadata.name), .string(object.spec.holderIdentity ?? ""), .string(age)]
            switch includes {
            case .none: return ["cells": cells, "object": .null]
            case .metadata: return ["cells": cells, "object": object.partial]
            case .object: return ["cells": cells, "object": object.json()]
            }
        }

        private static let columns: JSONValue = [
            column(
                "Name", "name",
                "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to "
                    + "request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and "
                    + "configuration definition. Cannot be updated. More info: "
                    + "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"),
            column(
                "Holder", "",
                "holderIdentity contains the identity of the holder of a current lease. If Coordinated Leader Election is used, the holder "
                    + "identity must be equal to the elected LeaseCandidate.metadata.name field."),
            column(
                "Age", "",
                "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set "
                    + "in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form "
                    + "and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
                    + "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"),
        ]

        private static func column(_ name: String, _ format: String, _ description: String) -> JSONValue {
            ["name": .string(name), "type": "string", "format": .string(format), "description": .string(description), "priority": 0]
        }
    }
}
