import QQCore

/// The lease of an election as it is in the bucket.
struct LeaseEntry: Sendable, Hashable {
    enum Content: Sendable, Hashable {
        /// The key does not exist, or was deleted by a release.
        case free
        /// A process acquired it. Whether the lease is still in force is for `LeaseEntryRules` to decide.
        case taken(LeaseValue, MessageID?)
        /// The value is not a lease.
        case junk(reason: String)
    }

    let format: LeaseFormat
    /// Nil if the key does not exist.
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

    /// The revision that the next write must name: 0 if the key does not exist, a tombstone's if it was deleted.
    var revision: UInt64 { entry?.revision ?? 0 }

    var value: LeaseValue? {
        if case .taken(let value, _) = content { value } else { nil }
    }

    var messageID: MessageID? {
        if case .taken(_, let messageID) = content { messageID } else { nil }
    }

    /// The term's fencing token: the revision of the write that acquired the lease. For a Go node's term only the revision of the last write is
    /// known, which grows within the term.
    var token: FencingToken? {
        switch content {
        case .free: nil
        case .taken(_, let messageID): FencingToken(messageID?.renewal?.token ?? revision)
        case .junk: FencingToken(revision)
        }
    }

    /// Identifies one unbroken holding: the term ID of a `qq`, or node id and epoch of a Go node, which writes no term ID. Nil if the lease is free.
    var termID: String? {
        switch content {
        case .free: nil
        case .taken(let value, let messageID): messageID?.termID ?? "\(value.nodeID)/\(value.epoch)"
        case .junk: "junk/\(revision)"
        }
    }
}
