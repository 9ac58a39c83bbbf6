import QQCore

/// A lock as a server shows it. Pure.
///
/// Each node writes its own clock into `expires_at` and its like when it applies a command, so one lock's times differ from node to node by as much as
/// their clocks do. What is left of a lease is therefore counted on the clock of the node that was read, where it told us the time. Where it did not,
/// ours has to do: a host that is ahead then shows leases as expired that still run, and one that is behind shows more than there is. Nothing is
/// granted or given up by these times: the server alone decides when a lease ends.
struct LockSnapshot: Sendable, Hashable {
    let name: String
    /// nil for nobody.
    var owner: String?
    var version: Int64 = 0
    var acquiredAt: WallTime?
    var expiresAt: WallTime?
    /// When it was acquired, renewed or released last.
    var modifiedAt: WallTime?
    var waiters = 0

    /// Whether nobody has touched it since its term began, by an acquire or from the queue.
    var isUntouched: Bool { modifiedAt == nil || modifiedAt == acquiredAt }

    /// From the beginning of the term to its present end.
    var length: Duration? {
        guard let acquiredAt, let expiresAt else { return nil }
        return expiresAt - acquiredAt
    }

    /// Whether it was asked for last by a qq whose identity may be another's: by what does not last whole seconds from then on.
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

    /// How long the lease still runs, not below zero; nil where nobody has it, or it has no end.
    func remaining(at moment: BootInstant, wall: WallTime, clock: ServerClock?) -> Duration? {
        guard owner != nil, let expiresAt else { return nil }
        // The server has already seen what it wrote itself.
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
        // The server looks for leases that have ended once a second: until then nobody else gets it.
        var state = ElectionState(name: name, phase: left == .zero ? .expired : .held)
        state.leader = owner
        state.token = UInt64(exactly: version).map { FencingToken($0) }
        state.acquiredAt = acquiredAt
        state.renewedAt = modifiedAt
        state.remaining = left
        state.waiters = waiters
        if let expiresAt, let modifiedAt {
            // So it was granted last, unless it was asked for again meanwhile, which never shortens a lease.
            let ttl = expiresAt - modifiedAt
            if LockRules.ttls.contains(ttl) { state.ttl = ttl }
        }
        return state
    }
}

extension Raftlock_Lock {
    /// From the beginning of the term to its end.
    ///
    /// A lease that was granted just now lasts for what was asked for, or less where the server keeps less of it. One that somebody of the same identity
    /// had, and that was extended by this answer, keeps the time it was acquired at, and so lasts longer from there, if only by a microsecond.
    var length: Duration? {
        guard let began, hasExpiresAt, let ends = expiresAt.wallTime else { return nil }
        return ends - began
    }

    /// When the term began, as the leader has it: each node writes its own time.
    var began: WallTime? { hasAcquiredAt ? acquiredAt.wallTime : nil }
}
