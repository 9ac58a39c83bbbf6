import QQCore

/// A term of ours: what its writes look like.
///
/// A write that is sent again because its answer was lost may have been stored the first time. Server 2.9 then says `isDuplicate` even where
/// others have written since, 2.15 says wrong last sequence even where nobody has: only reading back tells.
struct LeaseTerm: Sendable, Hashable {
    var format: LeaseFormat
    var nodeID: String
    var epoch: Int64
    /// See `MessageID`.
    var termID: String
    /// When it began, by our wall clock.
    var acquiredAt: WallTime
    /// How long leases in the bucket run.
    var ttl: Duration

    /// Takes the lease over `revision`; the revision that it brings is the term's fencing token.
    func acquisition(over revision: UInt64) -> KeyValueWrite {
        write(over: revision, messageID: MessageID(termID: termID), wall: acquiredAt)
    }

    /// The `count`th renewal, from 1, over the write before it.
    func renewal(_ count: UInt64, token: FencingToken, over revision: UInt64, wall: WallTime) -> KeyValueWrite {
        write(over: revision, messageID: MessageID(termID: termID, renewal: .init(token: token.value, count: count)), wall: wall)
    }

    private func write(over revision: UInt64, messageID: MessageID, wall: WallTime) -> KeyValueWrite {
        let value =
            switch format {
            case .v1: LeaseValue(nodeID: nodeID, epoch: epoch, acquiredAt: acquiredAt, expiresAt: wall + ttl)
            case .v2: LeaseValue(nodeID: nodeID, epoch: epoch, acquiredAt: wall)
            }
        return .put(format.leaseKey, value.encoded(as: format), over: revision, id: messageID.description)
    }

    /// Gives the lease up, where it still stands at `revision`.
    static func release(_ format: LeaseFormat, at revision: UInt64) -> KeyValueWrite { .delete(format.leaseKey, at: revision) }

    /// Keeps `node` from leading for a TTL. The Go nodes write it over revision 0 first, and where that is refused over whatever is there.
    static func cooldown(_ format: LeaseFormat, node: String, ttl: Duration, wall: WallTime, over revision: UInt64? = nil) -> KeyValueWrite
    {
        .put(format.cooldownKey(node: node), Array(String((wall + ttl).milliseconds).utf8), over: revision)
    }

    /// Ends the cooldown of `node`, as a Go node does when it starts.
    static func endOfCooldown(_ format: LeaseFormat, node: String) -> KeyValueWrite { .delete(format.cooldownKey(node: node)) }
}
