/// A write to a key, in published form (ADR-8).
struct KeyValueWrite: Sendable, Hashable {
    var key: String
    var headers: NATSHeaders
    var value: [UInt8]

    /// - Parameters:
    ///   - revision: the revision that the key must have for the write to be stored; 0 if the key must not exist; nil for any.
    ///   - id: message ID by which the server recognises a repeated write.
    static func put(_ key: String, _ value: [UInt8], over revision: UInt64? = nil, id: String? = nil) -> KeyValueWrite {
        KeyValueWrite(key: key, headers: NATSHeaders(conditions(revision, id)), value: value)
    }

    /// Deletes the key's value and leaves a tombstone.
    static func delete(_ key: String, at revision: UInt64? = nil) -> KeyValueWrite {
        KeyValueWrite(key: key, headers: NATSHeaders([.init("KV-Operation", "DEL")] + conditions(revision, nil)), value: [])
    }

    /// Deletes all values of the key and leaves only a tombstone.
    static func purge(_ key: String, at revision: UInt64? = nil) -> KeyValueWrite {
        let fields: [NATSHeaders.Field] = [.init("KV-Operation", "PURGE"), .init("Nats-Rollup", "sub")]
        return KeyValueWrite(key: key, headers: NATSHeaders(fields + conditions(revision, nil)), value: [])
    }

    private static func conditions(_ revision: UInt64?, _ id: String?) -> [NATSHeaders.Field] {
        var fields: [NATSHeaders.Field] = []
        if let revision { fields.append(.init("Nats-Expected-Last-Subject-Sequence", String(revision))) }
        if let id { fields.append(.init("Nats-Msg-Id", id)) }
        return fields
    }
}
