import QQCore

/// What an election's bucket says of its lease.
struct LeaseEntry: Sendable, Hashable {
    enum Content: Sendable, Hashable {
        /// The key is not there, or was given up.
        case free
        /// Somebody took it; whether the lease still runs is for `LeaseEntryRules`.
        case taken(LeaseValue, MessageID?)
        /// What stands there is no lease.
        case junk(reason: String)
    }

    let format: LeaseFormat
    /// Nil where the key is not there.
    let entry: KeyValueEntry?
    let content: Content

    init(_ entry: KeyValueEntry?, format: LeaseFormat) {
        self.format = format
        self.entry = entry
        guard let entry, entry.operation == .put else {
            content = .free
            return
        }
        do throws(LeaseValue.Junk) {
            let value = try LeaseValue(parsing: entry.value, as: format)
            content = .taken(value, Self.messageID(of: entry))
        } catch {
            content = .junk(reason: error.reason)
        }
    }

    /// A renewal follows the write whose token it names; a message ID that contradicts this is ignored.
    private static func messageID(of entry: KeyValueEntry) -> MessageID? {
        guard let messageID = entry.messageID.flatMap({ MessageID($0) }) else { return nil }
        if let renewal = messageID.renewal, renewal.token >= entry.revision { return nil }
        return messageID
    }

    /// The revision that the next write must name: 0 where the key is not there, a tombstone's where it was given up.
    var revision: UInt64 { entry?.revision ?? 0 }

    var value: LeaseValue? {
        if case .taken(let value, _) = content { value } else { nil }
    }

    var messageID: MessageID? {
        if case .taken(_, let messageID) = content { messageID } else { nil }
    }

    /// The term's fencing token: the revision of the write that took the lease. Of a Go node's term only that of the last write is known,
    /// which grows within the term.
    var token: FencingToken? {
        switch content {
        case .free: nil
        case .taken(_, let messageID): FencingToken(messageID?.renewal?.token ?? revision)
        case .junk: FencingToken(revision)
        }
    }

    /// Identifies one unbroken holding: our term ID, or for a Go node, which writes none, its node id and epoch. Nil if the lease is free.
    var termID: String? {
        switch content {
        case .free: nil
        case .taken(let value, let messageID): messageID?.termID ?? "\(value.nodeID)/\(value.epoch)"
        case .junk: "junk/\(revision)"
        }
    }
}
