import QQCore

/// A term of this process, and its writes.
///
/// A write that is repeated because its answer was lost might have been stored the first time. Server 2.9 then answers `isDuplicate` even if other
/// processes have written since, and 2.15 answers wrong last sequence even if none has. Only reading shows the outcome.
struct LeaseTerm: Sendable, Hashable {
    var format: LeaseFormat
    var nodeID: String
    var epoch: Int64
    /// See `MessageID`.
    var termID: String
    /// The start of the term, by this machine's wall clock.
    var acquiredAt: WallTime
    /// The TTL of leases in the bucket.
    var ttl: Duration
    /// The `Note` of the term; each write repeats it.
    var note: String?

    /// Acquires the lease over `revision`; the revision of this write is the term's fencing token.
    func acquisition(over revision: UInt64) -> KeyValueWrite {
        write(over: revision, messageID: MessageID(termID: termID), wall: acquiredAt)
    }

    /// Renewal number `count`, from 1, over the previous write.
    func renewal(_ count: UInt64, token: FencingToken, over revision: UInt64, wall: WallTime) -> KeyValueWrite {
        write(over: revision, messageID: MessageID(termID: termID, renewal: .init(token: token.value, count: count)), wall: wall)
    }

    private func write(over revision: UInt64, messageID: MessageID, wall: WallTime) -> KeyValueWrite {
        let value =
            switch format {
            case .v1: LeaseValue(nodeID: nodeID, epoch: epoch, acquiredAt: acquiredAt, expiresAt: wall + ttl, note: note)
            case .v2: LeaseValue(nodeID: nodeID, epoch: epoch, acquiredAt: wall, note: note)
            }
        return .put(format.leaseKey, value.encoded(as: format), over: revision, id: messageID.description)
    }

    /// Releases the lease if it is still at `revision`.
    static func release(_ format: LeaseFormat, at revision: UInt64) -> KeyValueWrite { .delete(format.leaseKey, at: revision) }

    /// Keeps `node` from leading for a TTL. Go nodes write it over revision 0 first, and if that is refused over any revision.
    static func cooldown(_ format: LeaseFormat, node: String, ttl: Duration, wall: WallTime, over revision: UInt64? = nil) -> KeyValueWrite
    {
        .put(format.cooldownKey(node: node), Array(String((wall + ttl).milliseconds).utf8), over: revision)
    }

    /// Ends the cooldown of `node`, as a Go node does when it starts.
    static func endOfCooldown(_ format: LeaseFormat, node: String) -> KeyValueWrite { .delete(format.cooldownKey(node: node)) }
}
