import QQCore

/// The value of the lease key, JSON in both formats.
struct LeaseValue: Sendable, Hashable {
    var nodeID: String
    /// Go's `int64`; counts terms.
    var epoch: Int64
    /// v1: the start of the term. v2: the last renewal, to the millisecond. By the holder's clock.
    var acquiredAt: WallTime
    /// The end of the lease, by the holder's clock. v1 only.
    var expiresAt: WallTime?
    /// The holder's note (`Note`), a member of `qq` that Go nodes ignore.
    var note: String?

    struct Junk: Error, Sendable, Hashable {
        var reason: String
    }

    /// Parses as Go's `encoding/json` does: unknown names are ignored, names match in any case and the last one counts, and a missing or null
    /// member has Go's zero value.
    /// - Throws: `Junk` if Go fails too, or if there is no node id.
    init(parsing bytes: [UInt8], as format: LeaseFormat) throws(Junk) {
        let value: JSONValue
        do throws(JSONError) { value = try JSONValue.parse(bytes) } catch { throw Junk(reason: error.description) }
        guard let object = value.objectValue else { throw Junk(reason: "not a JSON object") }
        nodeID = ""
        epoch = 0
        acquiredAt = .goZero
        if format == .v1 { expiresAt = .goZero }
        for member in object.members where !member.value.isNull {
            switch (Self.lowercased(member.name), format) {
            case ("node_id", _):
                guard let text = member.value.stringValue else { throw Junk(reason: "\"node_id\" is not a string") }
                nodeID = text
            case ("epoch", _): epoch = try Self.integer(member)
            case ("acquired_at", .v1): acquiredAt = try Self.time(member)
            case ("expires_at", .v1): expiresAt = try Self.time(member)
            // Go nodes have no such member: one of another kind is no junk.
            case ("note", _): note = Note.read(member.value.stringValue)
            case ("acquired_at", .v2): acquiredAt = WallTime(milliseconds: try Self.integer(member))
            default: break
            }
        }
        if nodeID.isEmpty { throw Junk(reason: "no \"node_id\"") }
    }

    init(nodeID: String, epoch: Int64, acquiredAt: WallTime, expiresAt: WallTime? = nil, note: String? = nil) {
        self.nodeID = nodeID
        self.epoch = epoch
        self.acquiredAt = acquiredAt
        self.expiresAt = expiresAt
        self.note = note
    }

    /// Encodes as Go does; a note comes last.
    func encoded(as format: LeaseFormat) -> [UInt8] {
        var object: JSONObject =
            switch format {
            case .v1:
                [
                    "node_id": .string(nodeID), "epoch": .integer(epoch), "expires_at": .string((expiresAt ?? acquiredAt).rfc3339Nano),
                    "acquired_at": .string(acquiredAt.rfc3339Nano),
                ]
            case .v2: ["node_id": .string(nodeID), "epoch": .integer(epoch), "acquired_at": .integer(acquiredAt.milliseconds)]
            }
        if let note { object["note"] = .string(note) }
        return JSONWriter.bytes(.object(object))
    }

    /// Go does not accept 1.0 for an int64.
    private static func integer(_ member: JSONObject.Member) throws(Junk) -> Int64 {
        guard case .integer(let value) = member.value else { throw Junk(reason: "\"\(member.name)\" is not a whole number") }
        return value
    }

    private static func time(_ member: JSONObject.Member) throws(Junk) -> WallTime {
        guard let text = member.value.stringValue, let time = try? WallTime.parse(rfc3339: text) else {
            throw Junk(reason: "\"\(member.name)\" is not an RFC 3339 time")
        }
        return time
    }

    private static func lowercased(_ name: String) -> String {
        String(decoding: name.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }
}

extension WallTime {
    /// The given number of milliseconds after the start of 1970, clamped to the years 1 to 9999.
    init(milliseconds: Int64) {
        self.init(seconds: milliseconds / 1000, nanoseconds: milliseconds % 1000 * 1_000_000)
    }

    /// Whole milliseconds since the start of 1970, rounded down.
    var milliseconds: Int64 { seconds * 1000 + Int64(nanoseconds) / 1_000_000 }
}
