import QQCore

/// An error of the API server: the `Status` object that it answers with.
struct APIStatus: Error, Sendable, Hashable {
    struct Cause: Sendable, Hashable {
        var reason: String
        var message: String
        var field: String
    }

    struct Details: Sendable, Hashable {
        var name = ""
        var group = ""
        var kind = ""
        var causes: [Cause] = []
        var retryAfterSeconds: Int64 = 0
    }

    var code: Int
    /// Empty for most failures with code 500.
    var reason = ""
    var message: String
    /// nil if the object has no `details`; empty ones are written as `{}`.
    var details: Details?
    /// `metadata.continue`.
    var continuation: String?
    /// Time after which the answer comes.
    var after = Duration.zero
    /// Whether the server closes the connection after its answer.
    var closes = false

    static let group = "coordination.k8s.io"

    var json: JSONValue { .object(object) }

    private var object: JSONObject {
        var object: JSONObject = ["kind": "Status", "apiVersion": "v1", "metadata": .object(JSONObject())]
        if let continuation { object["metadata"] = ["continue": .string(continuation)] }
        object["status"] = "Failure"
        object["message"] = .string(message)
        if !reason.isEmpty { object["reason"] = .string(reason) }
        if let details { object["details"] = details.json }
        object["code"] = .integer(Int64(code))
        return object
    }

    /// As the handler for time-outs writes it: without kind and apiVersion, and as text/plain.
    var withoutKind: JSONValue {
        var object = object
        object["kind"] = nil
        object["apiVersion"] = nil
        return .object(object)
    }
}

extension APIStatus.Details {
    var json: JSONValue {
        var object = JSONObject()
        for (key, value) in [("name", name), ("group", group), ("kind", kind)] where !value.isEmpty { object[key] = .string(value) }
        if !causes.isEmpty {
            object["causes"] = .array(
                causes.map { cause in
                    var object: JSONObject = ["reason": .string(cause.reason), "message": .string(cause.message)]
                    if !cause.field.isEmpty { object["field"] = .string(cause.field) }
                    return .object(object)
                })
        }
        if retryAfterSeconds > 0 { object["retryAfterSeconds"] = .integer(retryAfterSeconds) }
        return .object(object)
    }
}

// MARK: The errors of the recordings

extension APIStatus {
    static func leases(_ name: String, kind: String = "leases") -> Details { Details(name: name, group: group, kind: kind) }

    static func notFound(_ name: String) -> APIStatus {
        APIStatus(code: 404, reason: "NotFound", message: "leases.\(group) \(goQuoted(name)) not found", details: leases(name))
    }

    static func namespaceNotFound(_ name: String) -> APIStatus {
        APIStatus(
            code: 404, reason: "NotFound", message: "namespaces \(goQuoted(name)) not found",
            details: Details(name: name, kind: "namespaces"))
    }

    static func namespaceTerminating(_ namespace: String, _ name: String) -> APIStatus {
        var details = leases(name)
        details.causes = [
            Cause(reason: "NamespaceTerminating", message: "namespace \(namespace) is being terminated", field: "metadata.namespace")
        ]
        return APIStatus(
            code: 403, reason: "Forbidden",
            message: "leases.\(group) \(goQuoted(name)) is forbidden: unable to create new content in namespace \(namespace) "
                + "because it is being terminated", details: details)
    }

    static func alreadyExists(_ name: String, isBeingDeleted: Bool) -> APIStatus {
        APIStatus(
            code: 409, reason: "AlreadyExists",
            message: (isBeingDeleted ? "object is being deleted: " : "") + "leases.\(group) \(goQuoted(name)) already exists",
            details: leases(name))
    }

    static func conflict(_ name: String, _ reason: String = modified) -> APIStatus {
        APIStatus(
            code: 409, reason: "Conflict",
            message: "Operation cannot be fulfilled on leases.\(group) \(goQuoted(name)): \(reason)", details: leases(name))
    }

    static let modified = "the object has been modified; please apply your changes to the latest version and try again"

    static func wrongUID(_ key: LeaseStore.Key, sent: String, present: String) -> APIStatus {
        conflict(
            key.name,
            "StorageError: invalid object, Code: 4, Key: /registry/leases/\(key.namespace)/\(key.name), ResourceVersion: 0, "
                + "AdditionalErrorMsg: Precondition failed: UID in precondition: \(sent), UID in object meta: \(present)")
    }

    /// Invalid fields of an object of `kind`, or of the options of a call.
    static func invalid(_ kind: String, group: String = group, _ name: String, _ causes: [Cause]) -> APIStatus {
        let faults = causes.map { "\($0.field): \($0.message)" }
        let text = faults.count == 1 ? faults[0] : "[" + faults.joined(separator: ", ") + "]"
        return APIStatus(
            code: 422, reason: "Invalid", message: "\(kind).\(group) \(goQuoted(name)) is invalid: \(text)",
            details: Details(name: name, group: group, kind: kind, causes: causes))
    }

    static func invalidOption(_ options: String, _ field: String, _ reason: String, _ message: String) -> APIStatus {
        invalid(options, group: "meta.k8s.io", "", [Cause(reason: reason, message: message, field: field)])
    }

    static func badRequest(_ message: String) -> APIStatus { APIStatus(code: 400, reason: "BadRequest", message: message) }

    static func internalError(_ message: String) -> APIStatus { APIStatus(code: 500, message: message) }

    static let unauthorized = APIStatus(code: 401, reason: "Unauthorized", message: "Unauthorized")

    static let timeout = APIStatus(
        code: 504, reason: "Timeout", message: "Timeout: request did not complete within the allotted timeout", details: Details())

    static func tooLarge(_ version: UInt64, current: UInt64) -> APIStatus {
        APIStatus(
            code: 504, reason: "Timeout", message: "Timeout: Too large resource version: \(version), current: \(current)",
            details: Details(
                causes: [Cause(reason: "ResourceVersionTooLarge", message: "Too large resource version", field: "")], retryAfterSeconds: 1))
    }

    static func expired(_ message: String, continuation: String? = nil) -> APIStatus {
        APIStatus(code: 410, reason: "Expired", message: message, continuation: continuation)
    }

    static let listTooOld = expired("The resourceVersion for the provided list is too old.")

    static let methodNotAllowed = APIStatus(
        code: 405, reason: "MethodNotAllowed", message: "the server does not allow this method on the requested resource",
        details: Details())

    static let noSuchResource = APIStatus(
        code: 404, reason: "NotFound", message: "the server could not find the requested resource", details: Details())

    static let unavailable = internalError(
        "rpc error: code = Unavailable desc = keepalive ping failed to receive ACK within timeout")
}
