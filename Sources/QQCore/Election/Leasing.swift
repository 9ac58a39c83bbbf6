/// Acquires, renews and releases leases.
///
/// Each request is one attempt. Retries, deadlines and resolving uncertain answers are up to the lease session. A request that fails although it might
/// have been carried out throws a `CoordinationError` that `isUncertain`.
///
/// A grant says nothing of how the system keeps it: several elections can share one server-side lease, and a lease can outlive the key that it holds.
/// Another process can release a lease with the grant alone.
public protocol Leasing: Sendable {
    /// Checks what can be checked before anything is sent.
    /// - Throws: `CoordinationError` of kind `.usage`.
    func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError)

    /// Requests the lease once.
    func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer

    /// Extends a lease that this process holds.
    func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer

    /// Releases a lease.
    func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer
}

/// The parts of a system that a lease session uses.
public typealias Campaigning = Leasing & ElectionReader & WaitingQueue

/// A request for a lease, for `Leasing.acquire`.
public struct AcquireRequest: Sendable, Hashable {
    public var name: String
    public var identity: String
    public var ttl: Duration
    /// A term that this process holds already and wants to resume.
    public var continuing: Grant?
    /// Whether work is to run under the lease. A liveness lock is then wanted, and a term that another process works under cannot be shared.
    public var wantsLivenessLock: Bool
    /// Whether the liveness lock is inherited by work that must be dead before another process leads; otherwise it only shows that the holder lives.
    public var guardsWork: Bool
    /// Whether the effect of the lease lasts until its end even if its holder has died, as an address in the kernel does. No other process must lead
    /// before that end, whatever a liveness lock shows.
    public var outlivesHolder: Bool
    /// The `Note` of a new term; a term that is resumed keeps its own. Nil for none; ignored by a system that carries no notes.
    public var note: String?

    public init(
        name: String, identity: String, ttl: Duration, continuing: Grant? = nil, wantsLivenessLock: Bool = false, guardsWork: Bool = true,
        outlivesHolder: Bool = false, note: String? = nil
    ) {
        self.name = name
        self.identity = identity
        self.ttl = ttl
        self.continuing = continuing
        self.wantsLivenessLock = wantsLivenessLock
        self.guardsWork = guardsWork
        self.outlivesHolder = outlivesHolder
        self.note = note
    }
}

public enum AcquireAnswer: Sendable {
    case granted(Grant, (any LivenessLock)?)
    /// Another holder has it.
    case refused(ElectionState)
}

public enum RenewAnswer: Sendable, Hashable {
    case renewed(Grant)
    /// The lease is no longer ours; the state shows its holder.
    case lost(ElectionState)
}

public enum ReleaseAnswer: Sendable, Hashable {
    case released
    /// The lease was not ours to release; the state shows its holder.
    case notHeld(ElectionState)
}
