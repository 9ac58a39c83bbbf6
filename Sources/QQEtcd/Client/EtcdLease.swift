/// A lease as a member of the cluster knows it (Lease/LeaseTimeToLive).
public struct EtcdLease: Sendable, Hashable {
    public var id: Int64
    /// Time left, in whole seconds.
    public var secondsLeft: Int64
    /// The granted TTL, in seconds.
    public var grantedSeconds: Int64
    /// The keys bound to it; empty if they were not asked for.
    public var keys: [[UInt8]]

    public init(id: Int64, secondsLeft: Int64, grantedSeconds: Int64, keys: [[UInt8]] = []) {
        self.id = id
        self.secondsLeft = secondsLeft
        self.grantedSeconds = grantedSeconds
        self.keys = keys
    }
}

/// The answer to a keep-alive.
public enum EtcdRenewal: Sendable, Hashable {
    /// Renewed, for this many seconds from some moment after the call was made. It counts for nothing if the cluster had elected another leader before
    /// that call: only a linearizable answer of the same term, or of an earlier one, to a later request shows that it had not.
    /// - Parameter term: the Raft term that the member was in which answers.
    case renewed(seconds: Int64, term: UInt64 = 0)
    /// There is no such lease any more.
    case gone
}
