/// A lease that was granted to this process, with all that is needed to renew and release it.
public struct Grant: Sendable, Hashable {
    /// The election.
    public var name: String
    /// The identity that holds it.
    public var identity: String
    /// The term's fencing token; nil if the system has none.
    public var token: FencingToken?
    /// Identifies the term, if the system has such an id; opaque.
    public var termID: String?
    /// Everything else that the system reports of the term.
    public var details: [StatusDetail]
    /// The TTL that was requested.
    public var ttl: Duration
    /// The end of the lease unless it is renewed, counted from before the request was sent.
    public var deadline: BootInstant
    /// The latest end that this request can give the lease, if it is counted from an earlier request than this one; nil if every request counts by itself.
    public var endsBy: BootInstant?
    /// The start of the term, by this machine's wall clock. Shown to users; nothing is decided by it.
    public var acquiredAt: WallTime
    /// The end of the lease, by this machine's wall clock. Shown to users; nothing is decided by it.
    public var expiresAt: WallTime
    /// Whether the previous term is known to have ended together with all processes that worked under it.
    public var followsCleanEnd = false
    /// Whether processes of an earlier term might live, so that releasing this lease is not a clean end.
    public var leavesProcesses = false

    public init(
        name: String, identity: String, token: FencingToken?, termID: String? = nil, details: [StatusDetail] = [], ttl: Duration,
        deadline: BootInstant, acquiredAt: WallTime, expiresAt: WallTime
    ) {
        self.name = name
        self.identity = identity
        self.token = token
        self.termID = termID
        self.details = details
        self.ttl = ttl
        self.deadline = deadline
        self.acquiredAt = acquiredAt
        self.expiresAt = expiresAt
    }
}

/// A descriptor that exists as long as the term's work does. An open copy shows other processes that the holder, or its work, lives.
///
/// A guarded command inherits it. When the last copy is closed, by exit or by the kernel, a system that watches for this grants the election
/// immediately. Only lease files have one.
public protocol LivenessLock: Sendable {
    /// The descriptor to hand to the guarded command.
    var descriptor: Int32 { get }
    /// Closes this process's copy.
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
