import QQCore

/// The calls to a cluster of etcd that elections and reports need.
///
/// Each call returns by its deadline, and throws an `EtcdFailure` that states what is known of the request. A call is repeated at other
/// members until then if that is safe: a transaction is assumed to be idempotent, such as one that puts a key only if it does not exist.
public protocol EtcdCalling: Sendable {
    /// Reads keys: linearizable, unless the request says otherwise.
    func range(_ request: EtcdRange, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRangeAnswer

    /// Carries out a transaction, which must be idempotent.
    func transact(_ transaction: EtcdTransaction, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdTransactionAnswer

    /// Makes a lease.
    /// - Parameters:
    ///   - id: above 0, chosen at random by the caller for this lease alone. If it exists after a try without an answer, that try was
    ///     carried out.
    ///   - seconds: the TTL. The server raises short ones.
    /// - Returns: the granted TTL, in seconds.
    func grantLease(_ id: Int64, seconds: Int64, by deadline: BootInstant) async throws(EtcdFailure) -> Int64

    /// Ends a lease; its keys are deleted. Returns as well if there is no such lease.
    func revokeLease(_ id: Int64, by deadline: BootInstant) async throws(EtcdFailure)

    /// Reads a lease; nil if there is no such lease.
    /// - Parameter withKeys: whether to read which keys are bound to it. That needs permission to read all of them.
    func lease(_ id: Int64, withKeys: Bool, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdLease?

    /// Renews a lease. Count its end from a moment before this call.
    /// - Parameter term: the lowest Raft term in which an answer counts. Members with a lower one, which do not know of a new leader yet, are passed over.
    func keepAlive(_ id: Int64, atLeast term: UInt64, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRenewal

    /// Watches keys. The sequence reports events at and after the revision, and ends after `.compacted` or `.lost`. Stop reading to cancel.
    /// - Parameter revision: the first revision of interest: one above that of the read that the watch continues.
    func watch(_ keys: [EtcdKeys], from revision: Int64) -> EtcdWatch

    /// The members of the cluster, as any of them knows them: possibly outdated.
    func members(by deadline: BootInstant) async throws(EtcdFailure) -> [EtcdMember]

    /// The configured endpoints, in the configured order.
    var endpoints: [ServerURL.Host] { get }

    /// The state of the member at one endpoint.
    func status(of endpoint: ServerURL.Host, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdStatus

    /// The alarms of all members, as the member at one endpoint knows them.
    func alarms(at endpoint: ServerURL.Host, by deadline: BootInstant) async throws(EtcdFailure) -> [EtcdAlarm]
}

extension EtcdCalling {
    /// Renews a lease, at whatever member answers.
    public func keepAlive(_ id: Int64, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRenewal {
        try await keepAlive(id, atLeast: 0, by: deadline)
    }
}
