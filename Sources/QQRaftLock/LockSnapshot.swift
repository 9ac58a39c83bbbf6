import QQCore

/// A lock as a server reports it. Pure.
///
/// Each node writes its own time into `expires_at` and similar fields when it applies a command. The times of one lock therefore differ between nodes by
/// as much as their clocks do. The rest of a lease is counted on the clock of the node that was read, if that clock is known. Otherwise this machine's
/// clock is used: if it is fast, leases in force are shown as expired, and if it is slow, their rest is overestimated. Nothing is granted or released by
/// these times: the server alone decides when a lease ends.
struct LockSnapshot: Sendable, Hashable {
    let name: String
    /// Nil if the lock is free.
    var owner: String?
    var version: Int64 = 0
    var acquiredAt: WallTime?
    var expiresAt: WallTime?
    /// When the lock was last acquired, renewed or released.
    var modifiedAt: WallTime?
    var waiters = 0

    /// Whether the lock is unchanged since its term began, by an acquire or from the queue.
    var isUntouched: Bool { modifiedAt == nil || modifiedAt == acquiredAt }

    /// The time from the start of the term to its present end.
    var length: Duration? {
        guard let acquiredAt, let expiresAt else { return nil }
        return expiresAt - acquiredAt
    }

    /// Whether the last request came from a qq whose identity another process might have: its leases do not last whole seconds (`ttlOffset`).
    var hasTTLOffset: Bool {
        guard let modifiedAt, let expiresAt else { return false }
        return (expiresAt - modifiedAt).components.attoseconds != 0
    }

    /// A lock that the server does not know.
    init(unknown name: String) { self.name = name }

    init(_ info: Raftlock_LockInfo) {
        name = info.lockID
        owner = info.ownerID.isEmpty ? nil : info.ownerID
        version = info.version
        acquiredAt = info.hasAcquiredAt ? info.acquiredAt.wallTime : nil
        expiresAt = info.hasExpiresAt ? info.expiresAt.wallTime : nil
        modifiedAt = info.hasLastModifiedAt ? info.lastModifiedAt.wallTime : nil
        waiters = Int(info.waiterCount)
    }

    /// The rest of the lease, at least zero; nil if the lock is free or has no end.
    func remaining(at moment: BootInstant, wall: WallTime, clock: ServerClock?) -> Duration? {
        guard owner != nil, let expiresAt else { return nil }
        // The server's time is not before its own last write.
        let present = max(clock?.time(at: moment) ?? wall, modifiedAt ?? .goZero)
        return max(expiresAt - present, .zero)
    }

    func state(at moment: BootInstant, wall: WallTime, clock: ServerClock?) -> ElectionState {
        guard let owner else {
            var state = ElectionState(name: name, phase: .free)
            state.waiters = waiters
            return state
        }
        let left = remaining(at: moment, wall: wall, clock: clock)
        // The server checks for expired leases once a second: until then no one else gets the lock.
        var state = ElectionState(name: name, phase: left == .zero ? .expired : .held)
        state.leader = owner
        state.token = UInt64(exactly: version).map { FencingToken($0) }
        state.acquiredAt = acquiredAt
        state.renewedAt = modifiedAt
        state.remaining = left
        state.waiters = waiters
        if let expiresAt, let modifiedAt {
            // This is the last TTL, unless the lock was requested again since, which never shortens a lease.
            let ttl = expiresAt - modifiedAt
            if LockRules.ttls.contains(ttl) { state.ttl = ttl }
        }
        return state
    }
}

extension Raftlock_Lock {
    /// The time from the start of the term to its end.
    ///
    /// A new lease has the requested length, or less if the server stores a coarser value. A lease of a process with the same identity that this answer
    /// extended keeps its start, and is therefore longer from there, if only by a microsecond.
    var length: Duration? {
        guard let began, hasExpiresAt, let ends = expiresAt.wallTime else { return nil }
        return ends - began
    }

    /// The start of the term by the Raft leader's clock: each node writes its own time.
    var began: WallTime? { hasAcquiredAt ? acquiredAt.wallTime : nil }
}
