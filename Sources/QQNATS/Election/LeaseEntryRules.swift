import QQCore

/// Who may have a lease, decided from what was read. Pure.
///
/// An old lease is one whose age reaches the lease's length. A holder's own deadline counts from before its write was sent, so its work is
/// dead by then, as long as we never take an entry for older than it is. Its age is therefore counted from the server's clock, or from when
/// we first saw it on a clock that nobody steps; never from our wall clock, by which a host that is an hour ahead would take every lease
/// away from its holder.
struct LeaseEntryRules: Sendable, Hashable {
    /// The moment of a decision, on both clocks.
    struct Moment: Sendable, Hashable {
        var boot: BootInstant
        var wall: WallTime
    }

    var lease: LeaseEntry
    /// How long the bucket keeps values; nil for ever.
    var maxAge: Duration?
    /// The stream's, when it was read last.
    var lastSequence: UInt64
    /// By what the entry's age can be told; nil where the server does not tell the time (before 2.10).
    var serverClock: ServerClock?
    /// When we first saw this revision.
    var firstSeen: BootInstant
    /// What we ask for ourselves; counts where the bucket says nothing.
    var ownTTL: Duration

    /// How long leases in this bucket run.
    var ttl: Duration? { lease.format.ttl(maxAge: maxAge) }

    // MARK: Time

    /// How old the entry is at least.
    func age(at moment: Moment) -> Duration {
        let seen = moment.boot.duration(since: firstSeen)
        guard let serverClock, let entry = lease.entry else { return max(seen, .zero) }
        return max(serverClock.time(at: moment.boot) - entry.written, seen, .zero)
    }

    /// How old it is as far as can be told, for people: by our wall clock where the server does not tell the time.
    func likelyAge(at moment: Moment) -> Duration {
        guard serverClock == nil, let entry = lease.entry else { return age(at: moment) }
        return max(moment.wall - entry.written, age(at: moment))
    }

    /// How long the lease still runs, at `age`; zero or less after its end. Nil where it has none: the bucket keeps values for ever.
    func remaining(age: Duration, wall: WallTime) -> Duration? {
        switch lease.content {
        case .free: return .zero
        // It stops nobody longer than a lease would.
        case .junk: return (ttl ?? ownTTL) - age
        case .taken(let value, _):
            // v1 nodes go by `expires_at`; one that runs with a longer TTL than the bucket was made for has its lease until then. But what
            // is past `maxAge` the server removes, whatever it says.
            guard lease.format == .v1, let expiresAt = value.expiresAt else { return ttl.map { $0 - age } }
            let stated = expiresAt - wall
            guard let ttl, let maxAge else { return stated }
            return min(max(ttl - age, stated), maxAge - age)
        }
    }

    // MARK: Decisions

    struct Request: Sendable, Hashable {
        var identity: String
        /// The `termID` of a term that we hold already and want to go on with.
        var continuing: String?
        /// What stands under our cooldown key.
        var cooldown: KeyValueEntry?
    }

    enum Decision: Sendable, Hashable {
        /// A new term: write over `revision` (0: the key must not be there).
        case take(over: UInt64, epoch: Int64)
        /// The term that we hold goes on.
        case renew(at: UInt64)
        /// Somebody has it, or junk is in the way: for so long at most, unless it is renewed; nil for ever.
        case refuse(until: Duration?)
        /// We stepped down, and may not come back before that.
        case coolingDown(Duration)
    }

    func decide(_ request: Request, at moment: Moment) -> Decision {
        if lease.content != .free {
            let left = remaining(age: age(at: moment), wall: moment.wall)
            if left.map({ $0 > .zero }) ?? true {
                // A Go node goes on with a lease that bears its own id. We do not: two processes on one host have the same id by default,
                // and both would lead. The process that already holds it has the term ID.
                let isOurs = lease.value?.nodeID == request.identity && lease.messageID.map { $0.termID == request.continuing } ?? false
                return isOurs ? .renew(at: lease.revision) : .refuse(until: left)
            }
        }
        if let left = cooldown(request.cooldown, at: moment) { return .coolingDown(left) }
        return .take(over: lease.revision, epoch: nextEpoch)
    }

    /// Above every epoch that was ever used: each came with a write at least, and the stream counts those and never goes back.
    var nextEpoch: Int64 {
        let byStream = Int64(clamping: lastSequence).addingReportingOverflow(1)
        let byLease = (lease.value?.epoch ?? 0).addingReportingOverflow(1)
        return max(byStream.overflow ? .max : byStream.partialValue, byLease.overflow ? .max : byLease.partialValue)
    }

    /// How long we still may not lead: decimal milliseconds since 1970, by the wall clock, as the Go nodes have it. No longer than the
    /// server keeps the entry; junk is none.
    private func cooldown(_ entry: KeyValueEntry?, at moment: Moment) -> Duration? {
        guard let entry, entry.operation == .put, let end = Int64(String(decoding: entry.value, as: UTF8.self)) else { return nil }
        let left = min(WallTime(milliseconds: end) - moment.wall, maxAge ?? ownTTL)
        return left > .zero ? left : nil
    }
}
