import QQCore

/// Decides from a read under the file's lock whether a process can have a lease. Pure.
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
    /// The token of a term whose guarded processes live; differs from the record's only if a foreign writer interfered.
    var liveToken: UInt64?
    /// Whether the record's holder, which guards no processes, shows by its liveness lock that it lives.
    var holderLives = false
    /// The inode of the file with the locks; nil if there is none.
    var lockFile: UInt64?
    /// The largest token ever given out, as far as the journal shows.
    var highestToken: UInt64
    var moment: Moment

    enum Decision: Sendable, Hashable {
        /// A new term.
        case newTerm(token: UInt64)
        /// The term of this process is resumed.
        case goOn(token: UInt64)
        case refuse
        /// The lease has ended but processes of its term live: they must be ended first.
        case endSurvivors(token: UInt64)
    }

    /// The least clock difference to tolerate between machines that share a folder, however short their leases are.
    static let usualSkew: Duration = .seconds(15)

    struct FromTheFuture: Error, Hashable {
        var renewTime: WallTime
        var ahead: Duration
    }

    /// Whether the record was written on this kernel, whose locks we see. A record without a boot id never was.
    private var isSameKernel: Bool {
        BootIdentity(moment.bootID).isSameKernel(as: BootIdentity(record.bootID ?? ""))
    }

    /// The rest of the lease by the boot clock; nil if its deadline is on another clock.
    private var remainingByBootClock: Duration? {
        guard BootIdentity(moment.bootID).isSameClock(as: BootIdentity(record.bootID ?? "")), let deadline = record.bootDeadline else {
            return nil
        }
        let left = deadline.duration(since: moment.boot)
        // The rest of a lease cannot exceed its length: such a deadline belongs to another clock, or to none.
        return left <= (record.lasts ?? LeaseRecord.longestLease) + .milliseconds(1) ? left : nil
    }

    /// The rest of the lease; negative after its end. `ownTTL` is used if the record has no length, as in files of the older Go package.
    func remaining(ownTTL: Duration) throws(FromTheFuture) -> Duration {
        if let left = remainingByBootClock { return left }
        let ttl = record.lasts ?? ownTTL
        let age = moment.wall - record.renewTime
        // A small lead is skew between machines: the lease is held until then. A lead of a whole lease, theirs and ours, means a stepped clock or a
        // meaningless date.
        if age < .zero - max(ttl, ownTTL, Self.usualSkew) { throw FromTheFuture(renewTime: record.renewTime, ahead: .zero - age) }
        return ttl - age
    }

    /// Whether the holder and all its guarded processes are known to be dead: the kernel released their lock.
    private var holderIsDead: Bool {
        // If other machines can write to the folder, a lock might be invisible here, or dropped by a server while its holder lives: only time counts
        // then. If they cannot, no process of another boot lives.
        guard record.isLocked, liveToken == nil, !holderLives, !moment.isShared else { return false }
        return !isSameKernel || (isLockFileTheSame && !record.endsByTimeAlone)
    }

    /// The file that a live holder has locked might have been deleted, for example by a clean-up. Only the lease then shows when its term ends.
    private var isLockFileTheSame: Bool { record.lockFile == nil || record.lockFile == lockFile }

    /// Whether the lease has ended by the clocks. A time that cannot be judged counts as not over.
    func hasRunOut(ownTTL: Duration) -> Bool {
        do throws(FromTheFuture) { return try remaining(ownTTL: ownTTL) <= .zero } catch { return false }
    }

    /// Whether the process that guarded the work of a term has just released its lease, after the end of all of it, and has its lock for a moment longer. If
    /// the lock stays, another process has it, and the election stays held.
    var isClosing: Bool { record.holder.isEmpty && record.cleanFor != nil && liveToken != nil && liveToken == record.token }

    func decide(_ request: AcquireRequest) throws(FromTheFuture) -> Decision {
        // Both are at most `LeaseRecord.largestToken`; larger tokens are never written.
        let next = max(record.token ?? 0, highestToken) + 1
        if record.holder.isEmpty { return liveToken == nil ? .newTerm(token: next) : .refuse }
        // Before any clock is read: a machine can boot with its clock behind the dead holder's last renewal.
        if holderIsDead { return .newTerm(token: next) }
        let hasEnded = try remaining(ownTTL: request.ttl) <= .zero
        if let liveToken {
            // Processes work under it, even if it has our own identity: two at work must never happen.
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

    /// The state for a reader. Whether a lease without a TTL of its own has ended is judged by `ownTTL`.
    func state(name: String, ownTTL: Duration) throws(FromTheFuture) -> ElectionState {
        guard !record.holder.isEmpty else {
            // A command that lives although its lease was removed from the file still holds the election.
            var state = ElectionState(name: name, phase: liveToken == nil ? .free : .held)
            state.token =
                liveToken.map { FencingToken($0) } ?? (highestToken > 0 ? FencingToken(max(record.token ?? 0, highestToken)) : nil)
            state.alive = liveToken == nil ? nil : true
            return state
        }
        let left = holderIsDead ? .zero : try remaining(ownTTL: ownTTL)
        var state = ElectionState(name: name, phase: left > .zero ? .held : .expired)
        state.leader = record.holder
        state.note = record.note
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
