import QQCore
import QQNetwork

/// All that the servers of a cluster replicate: keys, sessions and lock-delays. Each method is one entry of the Raft log (source: the `state`
/// package of Consul 1.8). It has no time of its own.
struct ConsulContents: Sendable {
    struct Entry: Sendable, Hashable {
        var key: String
        var value: [UInt8] = []
        var flags: UInt64 = 0
        var session = ""
        var lockIndex: UInt64 = 0
        var created: UInt64 = 0
        var modified: UInt64 = 0

        /// As the API writes it.
        /// - Parameter withValue: false for answers to writes.
        func json(withValue: Bool = true) -> JSONValue {
            var members: [JSONObject.Member] = [
                .init(name: "LockIndex", value: .number(lockIndex)), .init(name: "Key", value: .string(key)),
                .init(name: "Flags", value: .number(flags)),
                .init(name: "Value", value: withValue && !value.isEmpty ? .string(Base64.encode(value)) : .null),
            ]
            if !session.isEmpty { members.append(.init(name: "Session", value: .string(session))) }
            members += [.init(name: "CreateIndex", value: .number(created)), .init(name: "ModifyIndex", value: .number(modified))]
            return .object(JSONObject(members))
        }
    }

    struct Session: Sendable, Hashable {
        var id: String
        var name = ""
        var node = ""
        /// In nanoseconds, as sent.
        var lockDelay: Int64 = 15_000_000_000
        /// `release` or `delete`.
        var behavior = "release"
        /// As sent.
        var ttlText = ""
        /// nil for a session without TTL.
        var ttl: Duration?
        var checks = ["serfHealth"]
        var created: UInt64 = 0
        /// When it ends unless it is renewed: twice the TTL after the last renewal.
        var deadline: BootInstant?

        var json: JSONValue {
            [
                "ID": .string(id), "Name": .string(name), "Node": .string(node), "LockDelay": .integer(lockDelay),
                "Behavior": .string(behavior), "TTL": .string(ttlText),
                "NodeChecks": .array(checks.map { .string($0) }), "ServiceChecks": .null, "CreateIndex": .number(created),
                "ModifyIndex": .number(created),
            ]
        }
    }

    struct LockDelay: Sendable, Hashable {
        var start: BootInstant
        var length: Duration
        var end: BootInstant { start + length }
    }

    /// The Raft index of the last entry of the log.
    var index: UInt64 = 10
    var entries: [String: Entry] = [:]
    var sessions: [String: Session] = [:]
    /// Indexes at which keys were removed.
    var tombstones: [String: UInt64] = [:]
    /// By key.
    var delays: [String: LockDelay] = [:]
    /// The last index that changed any key, and any session.
    var keysIndex: UInt64 = 0
    var sessionsIndex: UInt64 = 0

    /// Most tombstones that are kept; the oldest go first.
    static let maximumTombstones = 10_000
    /// Longest lock-delay that has an effect (source: `structs.MaxLockDelay`).
    static let maximumLockDelay = Duration.seconds(60)

    // MARK: Reads

    /// The keys with this prefix, sorted by bytes.
    func entries(prefix: String) -> [Entry] {
        entries.values.filter { $0.key.utf8.starts(with: prefix.utf8) }.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    /// `X-Consul-Index` of a list.
    func listIndex(prefix: String) -> UInt64 {
        let last = entries(prefix: prefix).map(\.modified).max() ?? 0
        let removed = tombstones.filter { $0.key.utf8.starts(with: prefix.utf8) }.values.max() ?? 0
        let index = max(last, removed)
        return index == 0 ? keysIndex : index
    }

    func isDelayed(_ key: String, at now: BootInstant) -> Bool { delays[key].map { now < $0.end } ?? false }

    // MARK: Keys

    /// A plain put keeps the session, and loses LockIndex.
    mutating func put(_ entry: Entry, keepsLock: Bool = false) -> Entry {
        var entry = entry
        entry.created = entries[entry.key]?.created ?? index
        entry.modified = index
        if !keepsLock {
            entry.session = entries[entry.key]?.session ?? ""
            entry.lockIndex = 0
        }
        entries[entry.key] = entry
        keysIndex = index
        return entry
    }

    /// Nil if the key was written since, or exists although `expected` is 0.
    mutating func compareAndSet(_ entry: Entry, expected: UInt64) -> Entry? {
        let current = entries[entry.key]
        guard expected == 0 ? current == nil : current?.modified == expected else { return nil }
        return put(entry)
    }

    /// Nil if another session holds the key.
    mutating func lock(_ entry: Entry) throws(ConsulStore.Failure) -> Entry? {
        if entry.session.isEmpty { throw .init(text: "missing session") }
        try Self.check(sessionID: entry.session)
        guard sessions[entry.session] != nil else { throw .init(text: "invalid session \(goQuoted(entry.session))") }
        var entry = entry
        if let current = entries[entry.key] {
            if !current.session.isEmpty, current.session != entry.session { return nil }
            entry.lockIndex = current.lockIndex + (current.session.isEmpty ? 1 : 0)
        } else {
            entry.lockIndex = 1
        }
        return put(entry, keepsLock: true)
    }

    /// Nil if the session does not hold the key.
    mutating func unlock(_ entry: Entry) throws(ConsulStore.Failure) -> Entry? {
        if entry.session.isEmpty { throw .init(text: "missing session") }
        guard let current = entries[entry.key], current.session == entry.session else { return nil }
        var entry = entry
        (entry.session, entry.lockIndex) = ("", current.lockIndex)
        return put(entry, keepsLock: true)
    }

    mutating func delete(_ key: String) {
        guard entries.removeValue(forKey: key) != nil else { return }
        tombstones[key] = index
        keysIndex = index
        if tombstones.count > Self.maximumTombstones, let oldest = tombstones.min(by: { $0.value < $1.value }) {
            tombstones[oldest.key] = nil
        }
    }

    /// False if the key was written since; true for an absent key.
    mutating func delete(_ key: String, expected: UInt64) -> Bool {
        guard let current = entries[key] else { return true }
        guard current.modified == expected else { return false }
        delete(key)
        return true
    }

    mutating func deleteAll(prefix: String) { for entry in entries(prefix: prefix) { delete(entry.key) } }

    // MARK: Sessions

    static func check(sessionID: String) throws(ConsulStore.Failure) {
        guard sessionID.utf8.count == 36 else { throw .init(text: "failed session lookup: index error: UUID must be 36 characters") }
        let isUUID = sessionID.utf8.allSatisfy { $0 == UInt8(ascii: "-") || Character(UnicodeScalar($0)).isHexDigit }
        guard isUUID else { throw .init(text: "failed session lookup: index error: Invalid UUID: \(sessionID)") }
    }

    mutating func create(_ session: Session, at now: BootInstant) {
        var session = session
        session.created = index
        session.deadline = session.ttl.map { now + $0 + $0 }
        sessions[session.id] = session
        sessionsIndex = index
    }

    /// Ends a session for whatever reason: its keys are released or deleted, and cannot be acquired for the lock-delay.
    mutating func end(_ id: String, at now: BootInstant) {
        guard let session = sessions.removeValue(forKey: id) else { return }
        sessionsIndex = index
        let delay = min(Duration.nanoseconds(session.lockDelay), Self.maximumLockDelay)
        delays = delays.filter { now < $0.value.end }
        for var entry in entries(prefix: "") where entry.session == id {
            if delay > .zero { delays[entry.key] = LockDelay(start: now, length: delay) }
            if session.behavior == "delete" {
                delete(entry.key)
            } else {
                entry.session = ""
                _ = put(entry, keepsLock: true)
            }
        }
    }
}
