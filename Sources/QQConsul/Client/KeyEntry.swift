import QQCore
import QQNetwork

/// A key with its value, as `/v1/kv` and `/v1/txn` answer it.
struct KeyEntry: Sendable, Hashable {
    var key: String
    /// Empty in answers to writes.
    var value: [UInt8] = []
    var flags: UInt64
    /// The session that holds the key; nil if it is free.
    var session: String?
    /// Counts acquisitions; 0 after a plain put, even while the key is held.
    var lockIndex: UInt64
    /// The Raft index of the last write.
    var modifyIndex: UInt64

    /// Nil for a value that is not an entry.
    init?(_ value: JSONValue) {
        guard let key = value["Key"]?.stringValue, let modifyIndex = value["ModifyIndex"]?.uint64Value else { return nil }
        self.key = key
        self.modifyIndex = modifyIndex
        flags = value["Flags"]?.uint64Value ?? 0
        lockIndex = value["LockIndex"]?.uint64Value ?? 0
        session = value["Session"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        self.value = value["Value"]?.stringValue.flatMap { Base64.decode($0) } ?? []
    }

    /// The value as text; nil if it is empty.
    var text: String? { value.isEmpty ? nil : UTF8Text.escaping(value.prefix(4 * Identity.maximumLength)) }
}

/// A session, as `/v1/session/info` answers it.
struct SessionEntry: Sendable, Hashable {
    var id: String
    var name: String
    /// The node that the session is bound to.
    var node: String
    /// Nil if it has none, and lives until its checks fail.
    var ttl: Duration?
    var lockDelay: Duration

    /// Nil for a value that is not a session.
    init?(_ value: JSONValue) {
        guard let id = value["ID"]?.stringValue else { return nil }
        self.id = id
        name = value["Name"]?.stringValue ?? ""
        node = value["Node"]?.stringValue ?? ""
        ttl = value["TTL"]?.stringValue.flatMap { try? DurationText.parse($0) }
        let delay = Duration.nanoseconds(saturating: value["LockDelay"]?.int64Value ?? 0)
        lockDelay = min(max(delay, .zero), ConsulRules.maximumLockDelay)
    }

    /// The time that a holder can count on after a renewal, whatever TTL it asks for: a session keeps the TTL that it was made with.
    func lease(atMost wanted: Duration) -> Duration { min(wanted, ttl ?? wanted) }
}

/// The name of a session of `qq`, by which it is found if the answer to its creation was lost. A note follows on a line of its own.
///
/// The note is here and not beside the identity in the value of the key: other programs take the whole value for the holder. A session is of one term.
enum SessionName {
    private static let attended = "qq "
    private static let unattended = "qq-left "
    /// - Parameter isAttended: whether a process renews it, which can be asked to step down.
    static func made(
        for name: String, isAttended: Bool, note: String? = nil, random: UInt64 = .random(in: .min ... .max)
    ) -> String {
        let nonce = String(random, radix: 16)
        return (isAttended ? attended : unattended) + name + " " + String(repeating: "0", count: 16 - nonce.count) + nonce
            + (note.map { "\n\($0)" } ?? "")
    }

    /// The note of the term; nil if it has none, or if the session is not one of `qq`.
    static func note(_ name: String) -> String? { isOfQQ(name) ? Note.read(parts(name).note) : nil }

    /// The name without the note.
    static func withoutNote(_ name: String) -> String { isOfQQ(name) ? parts(name).rest : name }

    /// Names of elections have no control characters. Split by bytes: a note can begin with a character that combines with the one before.
    private static func parts(_ name: String) -> (rest: String, note: String?) {
        guard let end = name.utf8.firstIndex(of: UInt8(ascii: "\n")) else { return (name, nil) }
        return (String(decoding: name.utf8[..<end], as: UTF8.self), String(decoding: name.utf8[end...].dropFirst(), as: UTF8.self))
    }

    static func isOfQQ(_ name: String) -> Bool { isAttended(name) || name.hasPrefix(unattended) }

    static func isAttended(_ name: String) -> Bool { name.hasPrefix(attended) }
}
