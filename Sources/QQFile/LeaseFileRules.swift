import QQCore

/// Who may have a lease, decided from what was read under the file's lock. Pure.
struct LeaseFileRules: Sendable, Hashable {
    /// The moment of a decision: both clocks, this kernel, and whether other machines can see the folder.
    struct Moment: Sendable, Hashable {
        var boot: BootInstant
        var wall: WallTime
        /// A `BootIdentity`.
        var bootID: String
        /// Whether other machines can write to the folder: a network file system.
        var isShared: Bool
    }

    var record: LeaseRecord
    /// The token of a term under which work lives; another than the record's only where a foreign writer interfered.
    var liveToken: UInt64?
    /// Whether the record's holder, under which no work runs, shows that it lives.
    var holderLives = false
    /// The file that locks are looked for on, by inode; nil where there is none.
    var lockFile: UInt64?
    /// The largest token that was ever given out, as far as the journal knows.
    var highestToken: UInt64
    var moment: Moment

    enum Decision: Sendable, Hashable {
        /// A new term.
        case newTerm(token: UInt64)
        /// The term that we hold goes on.
        case goOn(token: UInt64)
        case refuse
        /// The lease has ended and its term's processes live: they must be gone first.
        case endSurvivors(token: UInt64)
    }

    /// How far the clocks of machines that share a folder may be apart at least, whatever their leases last.
    static let usualSkew: Duration = .seconds(15)

    struct FromTheFuture: Error, Hashable {
        var renewTime: WallTime
        var ahead: Duration
    }

    /// Whether the record was written on this kernel, whose locks we see; one that does not tell its boot is never the same.
    private var isSameKernel: Bool {
        BootIdentity(moment.bootID).isSameKernel(as: BootIdentity(record.bootID ?? ""))
    }

    /// How long the lease still runs by the boot clock; nil where its deadline is not on the clock that we read.
    private var remainingByBootClock: Duration? {
        guard BootIdentity(moment.bootID).isSameClock(as: BootIdentity(record.bootID ?? "")), let deadline = record.bootDeadline else {
            return nil
        }
        let left = deadline.duration(since: moment.boot)
        // Nobody has more left of a lease than it lasts: such a deadline is of another clock, or of none.
        return left <= (record.lasts ?? LeaseRecord.longestLease) + .milliseconds(1) ? left : nil
    }

    /// How long the lease still runs; negative after its end. `ownTTL` counts where the record does not say, as in files of the older Go package.
    func remaining(ownTTL: Duration) throws(FromTheFuture) -> Duration {
        if let left = remainingByBootClock { return left }
        let ttl = record.lasts ?? ownTTL
        let age = moment.wall - record.renewTime
        // A little ahead is skew between machines: the lease is held until then. A whole lease ahead, theirs and ours, is a clock that was stepped, or a
        // date that makes no sense.
        if age < .zero - max(ttl, ownTTL, Self.usualSkew) { throw FromTheFuture(renewTime: record.renewTime, ahead: .zero - age) }
        return ttl - age
    }

    /// Whether the holder is known to be dead, and all that it did under the lease: its lock was let go by the kernel.
    private var holderIsDead: Bool {
        // Where other machines can write the folder, a lock may be out of sight, or have been dropped by a server while its holder lives: there only
        // time counts. Where they cannot, nothing lives on from another boot.
        guard record.isLocked, liveToken == nil, !holderLives, !moment.isShared else { return false }
        return !isSameKernel || (isLockFileTheSame && !record.endsByTimeAlone)
    }

    /// Somebody who tidies up may have deleted the file that a living holder has locked: then only its lease tells when it is over.
    private var isLockFileTheSame: Bool { record.lockFile == nil || record.lockFile == lockFile }

    func decide(_ request: AcquireRequest) throws(FromTheFuture) -> Decision {
        // Both are at most `LeaseRecord.largestToken`, beyond which nothing is written.
        let next = max(record.token ?? 0, highestToken) + 1
        if record.holder.isEmpty { return liveToken == nil ? .newTerm(token: next) : .refuse }
        // Before any clock is asked: a machine may come up with its clock behind the dead holder's last renewal.
        if holderIsDead { return .newTerm(token: next) }
        let hasEnded = try remaining(ownTTL: request.ttl) <= .zero
        if let liveToken {
            // Somebody works under it, be it under our own name: two at work is what must never be.
            return hasEnded && record.isLocked && record.token == liveToken ? .endSurvivors(token: liveToken) : .refuse
        }
        if hasEnded { return .newTerm(token: next) }
        if holderLives { return .refuse }
        guard record.holder == request.identity, request.continuing == nil || request.continuing?.token?.value == record.token else {
            return .refuse
        }
        return .goOn(token: record.token ?? next)
    }

    /// Whether `grant` is the present term.
    func isTerm(of grant: Grant) -> Bool { record.holder == grant.identity && record.token == grant.token?.value }

    /// What a reader is told. Whether a lease without a TTL of its own has ended is judged by `ownTTL`.
    func state(name: String, ownTTL: Duration) throws(FromTheFuture) -> ElectionState {
        guard !record.holder.isEmpty else {
            // A command that lives although its lease was taken out of the file still holds the election.
            var state = ElectionState(name: name, phase: liveToken == nil ? .free : .held)
            state.token =
                liveToken.map { FencingToken($0) } ?? (highestToken > 0 ? FencingToken(max(record.token ?? 0, highestToken)) : nil)
            state.alive = liveToken == nil ? nil : true
            return state
        }
        let left = holderIsDead ? .zero : try remaining(ownTTL: ownTTL)
        var state = ElectionState(name: name, phase: left > .zero ? .held : .expired)
        state.leader = record.holder
        state.token = record.token.map { FencingToken($0) }
        state.acquiredAt = record.acquireTime
        state.renewedAt = record.renewTime
        state.ttl = record.lasts
        state.remaining = max(left, .zero)
        if record.isLocked { state.alive = holderIsDead ? false : holderLives || liveToken == record.token ? true : nil }
        state.details["host"] = record.host.map { .string($0) }
        state.stepDownAskedBy = record.stepDown
        return state
    }
}
