import QQCore

/// Decides from a read whether a process can have a lease. Pure.
///
/// A lease has expired when its age reaches its length. A holder's own deadline counts from before its write was sent. Its guarded processes are therefore dead
/// by then, provided that the age of an entry is never overestimated. The age is counted on the server's clock, or from the first read on the lease clock, but
/// never on this machine's wall clock: a host whose clock is an hour fast would take every lease from its holder.
struct LeaseEntryRules: Sendable, Hashable {
    /// The moment of a decision, on both clocks.
    struct Moment: Sendable, Hashable {
        var boot: BootInstant
        var wall: WallTime
    }

    var lease: LeaseEntry
    /// How long the bucket keeps values; nil for forever.
    var maxAge: Duration?
    /// The last sequence of the stream when it was read.
    var lastSequence: UInt64
    /// The server's clock, for the entry's age; nil if the server does not report it (before 2.10).
    var serverClock: ServerClock?
    /// When this process first saw the revision.
    var firstSeen: BootInstant
    /// The contender's own TTL; used if the bucket has none.
    var ownTTL: Duration

    /// The TTL of leases in this bucket.
    var ttl: Duration? { lease.format.ttl(maxAge: maxAge) }

    // MARK: Time

    /// The least possible age of the entry.
    func age(at moment: Moment) -> Duration {
        let seen = moment.boot.duration(since: firstSeen)
        guard let serverClock, let entry = lease.entry else { return max(seen, .zero) }
        return max(serverClock.time(at: moment.boot) - entry.written, seen, .zero)
    }

    /// The likely age, to be shown: by this machine's wall clock if the server does not report its time.
    func likelyAge(at moment: Moment) -> Duration {
        guard serverClock == nil, let entry = lease.entry else { return age(at: moment) }
        return max(moment.wall - entry.written, age(at: moment))
    }

    /// The rest of the lease at `age`; zero or less after its end. Nil if it has no end: the bucket keeps values forever.
    func remaining(age: Duration, wall: WallTime) -> Duration? {
        switch lease.content {
        case .free: return .zero
        // A junk value blocks the election no longer than a lease would.
        case .junk: return (ttl ?? ownTTL) - age
        case .taken(let value, _):
            // v1 nodes obey `expires_at`: a node with a longer TTL than the bucket was created for has its lease until then. But the server
            // removes a value after `maxAge` in any case.
            guard lease.format == .v1, let expiresAt = value.expiresAt else { return ttl.map { $0 - age } }
            let stated = expiresAt - wall
            guard let ttl, let maxAge else { return stated }
            return min(max(ttl - age, stated), maxAge - age)
        }
    }

    // MARK: Decisions

    struct Request: Sendable, Hashable {
        var identity: String
        /// The `termID` of a term that this process holds and wants to resume.
        var continuing: String?
        /// The entry of the identity's cooldown key.
        var cooldown: KeyValueEntry?
    }

    enum Decision: Sendable, Hashable {
        /// A new term: write over `revision` (0: the key must not exist).
        case take(over: UInt64, epoch: Int64)
        /// The term of this process is resumed.
        case renew(at: UInt64)
        /// Another holder has the lease, or the value is junk: for at most this long unless it is renewed; nil for forever.
        case refuse(until: Duration?)
        /// This identity stepped down and must not lead for this long.
        case coolingDown(Duration)
    }

    func decide(_ request: Request, at moment: Moment) -> Decision {
        if lease.content != .free {
            let left = remaining(age: age(at: moment), wall: moment.wall)
            if left.map({ $0 > .zero }) ?? true {
                // A Go node resumes any lease with its own id. `qq` does not: two processes on one host have the same id by default, and both would lead. The
                // process that already holds the lease has the term ID.
                let isOurs = lease.value?.nodeID == request.identity && lease.messageID.map { $0.termID == request.continuing } ?? false
                return isOurs ? .renew(at: lease.revision) : .refuse(until: left)
            }
        }
        if let left = cooldown(request.cooldown, at: moment) { return .coolingDown(left) }
        return .take(over: lease.revision, epoch: nextEpoch)
    }

    /// Greater than every epoch ever used: each came with at least one write, and the stream's count of writes never decreases.
    var nextEpoch: Int64 {
        let byStream = Int64(clamping: lastSequence).addingReportingOverflow(1)
        let byLease = (lease.value?.epoch ?? 0).addingReportingOverflow(1)
        return max(byStream.overflow ? .max : byStream.partialValue, byLease.overflow ? .max : byLease.partialValue)
    }

    /// The rest of the identity's cooldown. The entry has its end in decimal milliseconds since 1970, by the wall clock, as Go nodes write it. The
    /// cooldown lasts at most as long as the server keeps the entry; junk is not a cooldown.
    private func cooldown(_ entry: KeyValueEntry?, at moment: Moment) -> Duration? {
        guard let entry, entry.operation == .put, let end = Int64(String(decoding: entry.value, as: UTF8.self)) else { return nil }
        let left = min(WallTime(milliseconds: end) - moment.wall, maxAge ?? ownTTL)
        return left > .zero ? left : nil
    }
}
