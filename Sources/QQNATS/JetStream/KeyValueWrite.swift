/// A write to a key, as it is published (ADR-8).
struct KeyValueWrite: Sendable, Hashable {
    var key: String
    var headers: NATSHeaders
    var value: [UInt8]

    /// - Parameters:
    ///   - revision: that the key must have for the write to be stored; 0 where it must not be there at all; nil where it does not matter.
    ///   - id: under which the server recognises the same write when it comes again.
    static func put(_ key: String, _ value: [UInt8], over revision: UInt64? = nil, id: String? = nil) -> KeyValueWrite {
        KeyValueWrite(key: key, headers: NATSHeaders(conditions(revision, id)), value: value)
    }

    /// Leaves a tombstone.
    static func delete(_ key: String, at revision: UInt64? = nil) -> KeyValueWrite {
        KeyValueWrite(key: key, headers: NATSHeaders([.init("KV-Operation", "DEL")] + conditions(revision, nil)), value: [])
    }

    /// Leaves a tombstone and nothing else.
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
