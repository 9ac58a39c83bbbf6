/// A lease that was granted to us: what it takes to renew and to release it.
public struct Grant: Sendable, Hashable {
    /// What is led.
    public var name: String
    /// The identity that holds it.
    public var identity: String
    /// The term's fencing token; nil where the system has none.
    public var token: FencingToken?
    /// Tells the term from every other, where the system has such a mark; opaque.
    public var termID: String?
    /// The number of the term among the nodes of the cluster, where it is counted.
    public var epoch: UInt64?
    /// For how long the lease was asked.
    public var ttl: Duration
    /// When the lease ends unless it is renewed, counted from before the request was sent.
    public var deadline: BootInstant
    /// When the term began, by this machine's wall clock. For people; nothing is decided by it.
    public var acquiredAt: WallTime
    /// When the lease ends, by this machine's wall clock. For people; nothing is decided by it.
    public var expiresAt: WallTime
    /// Whether the term before this one is known to have ended together with all processes that worked under it.
    public var followsCleanEnd = false
    /// Whether processes of an earlier term may live: giving this lease up is then no clean end.
    public var leavesProcesses = false

    public init(
        name: String, identity: String, token: FencingToken?, termID: String? = nil, epoch: UInt64? = nil, ttl: Duration,
        deadline: BootInstant, acquiredAt: WallTime, expiresAt: WallTime
    ) {
        self.name = name
        self.identity = identity
        self.token = token
        self.termID = termID
        self.epoch = epoch
        self.ttl = ttl
        self.deadline = deadline
        self.acquiredAt = acquiredAt
        self.expiresAt = expiresAt
    }
}

/// A descriptor that lives as long as the term's work does: whoever holds a copy of it is a sign to others that the holder is alive.
///
/// A guarded command inherits it; when the last copy is closed, by exit or by the kernel, a system that can watch for that grants the election
/// at once. Only lease files have one.
public protocol LivenessLock: Sendable {
    /// The descriptor to hand to the guarded command.
    var descriptor: Int32 { get }
    /// Gives up this process's copy.
    func close()
}

extension Grant {
    /// The same grant with a lease that lasts until `deadline`.
    public func extended(to deadline: BootInstant) -> Grant {
        var grant = self
        grant.deadline = deadline
        return grant
    }
}
