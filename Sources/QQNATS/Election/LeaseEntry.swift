import QQCore

/// What an election's bucket says of its lease.
struct LeaseEntry: Sendable, Hashable {
    enum Content: Sendable, Hashable {
        /// The key is not there, or was given up.
        case free
        /// Somebody took it; whether the lease still runs is for `LeaseRules`.
        case taken(LeaseValue, TermMark?)
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
            content = .taken(value, Self.mark(of: entry))
        } catch {
            content = .junk(reason: error.reason)
        }
    }

    /// A renewal comes after the write whose token it names; a mark that says otherwise is none.
    private static func mark(of entry: KeyValueEntry) -> TermMark? {
        guard let mark = entry.messageID.flatMap({ TermMark($0) }) else { return nil }
        if let renewal = mark.renewal, renewal.token >= entry.revision { return nil }
        return mark
    }

    /// The revision that the next write must name: 0 where the key is not there, a tombstone's where it was given up.
    var revision: UInt64 { entry?.revision ?? 0 }

    var value: LeaseValue? {
        if case .taken(let value, _) = content { value } else { nil }
    }

    var mark: TermMark? {
        if case .taken(_, let mark) = content { mark } else { nil }
    }

    /// The term's fencing token: the revision of the write that took the lease. Of a Go node's term only that of the last write is known,
    /// which grows within the term.
    var token: FencingToken? {
        switch content {
        case .free: nil
        case .taken(_, let mark): FencingToken(mark?.renewal?.token ?? revision)
        case .junk: FencingToken(revision)
        }
    }

    /// What one unbroken holding is known by: our mark; for a Go node, which has none, its id and epoch; nil where nobody holds it.
    var termID: String? {
        switch content {
        case .free: nil
        case .taken(let value, let mark): mark?.nonce ?? "\(value.nodeID)/\(value.epoch)"
        case .junk: "junk/\(revision)"
        }
    }
}
