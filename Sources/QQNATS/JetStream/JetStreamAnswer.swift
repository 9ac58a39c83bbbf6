import QQCore

/// The JSON object of a JetStream answer.
struct JetStreamAnswer {
    let object: JSONObject

    /// - Throws: JetStream's refusal; `.noResponders` if JetStream does not listen; `.malformed`.
    init(_ message: NATSMessage) throws(JetStreamFailure) {
        if let status = message.headers.status { throw Self.failure(status: status, text: message.headers.statusText) }
        let value: JSONValue
        do throws(JSONError) { value = try JSONValue.parse(message.payload) } catch {
            throw .malformed("JetStream's answer is not JSON: \(error.description)")
        }
        guard let object = value.objectValue else { throw .malformed("JetStream's answer is not a JSON object") }
        if let error = JetStreamError(in: object) { throw .refused(error) }
        self.object = object
    }

    init(_ object: JSONObject) { self.object = object }

    /// The failure for a status line that comes in place of an answer.
    static func failure(status: Int, text: String?) -> JetStreamFailure {
        // A server answers 503 for a subject without subscribers; JetStream's own statuses have a text.
        if status == 503, text == nil || text == "" { return .failed(NATSError(.noResponders, "JetStream does not answer")) }
        return .refused(JetStreamError(code: status, errorCode: 0, description: text ?? "status \(status)"))
    }

    // MARK: Members. A missing or null member is nil; a member of another type is malformed.

    func text(_ name: String) throws(JetStreamFailure) -> String? {
        guard let value = member(name) else { return nil }
        guard let text = value.stringValue else { throw wrong(name, "a string") }
        return text
    }

    func truth(_ name: String) throws(JetStreamFailure) -> Bool? {
        guard let value = member(name) else { return nil }
        guard let truth = value.boolValue else { throw wrong(name, "true or false") }
        return truth
    }

    func count(_ name: String) throws(JetStreamFailure) -> UInt64? {
        guard let value = member(name) else { return nil }
        guard let count = value.uint64Value else { throw wrong(name, "a whole number") }
        return count
    }

    /// A number; a negative one means that there is no limit.
    func integer(_ name: String) throws(JetStreamFailure) -> Int64? {
        guard let value = member(name) else { return nil }
        guard let integer = value.int64Value else { throw wrong(name, "a whole number") }
        return integer
    }

    /// A duration given in nanoseconds.
    func duration(_ name: String) throws(JetStreamFailure) -> Duration? {
        try integer(name).map { .nanoseconds($0) }
    }

    /// Nil also for Go's zero time.
    func time(_ name: String) throws(JetStreamFailure) -> WallTime? {
        guard let text = try text(name) else { return nil }
        guard let time = try? WallTime.parse(rfc3339: text) else { throw wrong(name, "an RFC 3339 time") }
        return time == .goZero ? nil : time
    }

    func part(_ name: String) throws(JetStreamFailure) -> JetStreamAnswer? {
        guard let value = member(name) else { return nil }
        guard let object = value.objectValue else { throw wrong(name, "an object") }
        return JetStreamAnswer(object)
    }

    func list(_ name: String) throws(JetStreamFailure) -> [JSONValue] {
        guard let value = member(name) else { return [] }
        guard let list = value.arrayValue else { throw wrong(name, "an array") }
        return list
    }

    func needed<Value>(_ value: Value?, _ name: String) throws(JetStreamFailure) -> Value {
        guard let value else { throw .malformed("JetStream's answer has no \"\(name)\"") }
        return value
    }

    private func member(_ name: String) -> JSONValue? {
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    private func wrong(_ name: String, _ expected: String) -> JetStreamFailure {
        .malformed("\"\(name)\" in JetStream's answer is not \(expected)")
    }
}
