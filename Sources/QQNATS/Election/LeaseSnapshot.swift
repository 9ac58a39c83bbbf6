import QQCore

/// The lease of an election in a bucket, as it is reported to a reader.
struct LeaseSnapshot: Sendable, Hashable {
    var phase: ElectionState.Phase
    /// While `expired`, the last holder; nil for junk.
    var leader: String?
    /// The holder's note.
    var note: String?
    var token: FencingToken?
    /// See `LeaseEntry.termID`.
    var termID: String?
    var epoch: UInt64?
    var revision: UInt64?
    /// The start of the term, by the holder's clock. v2 nodes do not record it: nil, except for a lease that was never renewed.
    var acquiredAt: WallTime?
    /// When the lease was last written, by the server's clock.
    var renewedAt: WallTime?
    var ttl: Duration?
    /// The rest of the lease, at least zero; nil if it has no end.
    var remaining: Duration?
    /// Why the value is not a lease; nil if it is one.
    var junk: String?

    init(_ rules: LeaseEntryRules, at moment: LeaseEntryRules.Moment) {
        let lease = rules.lease
        ttl = rules.ttl
        if lease.content == .free {
            phase = .free
            return
        }
        let left = rules.remaining(age: rules.likelyAge(at: moment), wall: moment.wall)
        phase = left.map { $0 > .zero } ?? true ? .held : .expired
        remaining = left.map { max($0, .zero) }
        token = lease.token
        termID = lease.termID
        revision = lease.revision
        renewedAt = lease.entry?.written
        switch lease.content {
        case .free: break
        case .junk(let reason): junk = reason
        case .taken(let value, let messageID):
            leader = value.nodeID
            note = value.note
            epoch = UInt64(exactly: value.epoch)
            let isKnown = lease.format == .v1 || messageID.map { $0.renewal == nil } ?? false
            acquiredAt = isKnown && value.acquiredAt != .goZero ? value.acquiredAt : nil
        }
    }
}
