import QQCore

// Renewals that count. A member that led the cluster, and does not know of its successor yet because its disk or its network is stuck, still answers
// keep-alives; the successor ends the lease at its own time (etcd 12528, 15247). Its Raft term shows it: a linearizable answer to a request that was not sent
// before the keep-alive comes from the present term. If that is the term of the keep-alive's answer, the cluster had no other leader when the keep-alive was
// sent, and one that follows later gives every lease its whole TTL again.
extension EtcdCoordinator {
    struct Renewal: Sendable {
        /// Before the keep-alive was sent.
        var sentAt: BootInstant
        var seconds: Int64
        var term: UInt64
    }

    /// How often a keep-alive is repeated that a former leader has answered.
    private static let mostRenewals = 3

    /// Renews a lease, and reads its key: the lease outlives the deletion of the key.
    ///
    /// Both are asked for at the same time. One after the other, each would have only half of the time, and a member that does not answer can take all of that.
    /// - Parameters:
    ///   - term: a term that the cluster is known to have reached.
    ///   - isOurs: whether the key is still that of the contender.
    ///   - limit: the end of the time for the next attempt.
    /// - Returns: nil if the lease has ended, or the key is not ours any more.
    func renew(
        _ lease: Int64, of name: String, atLeast term: UInt64 = 0, while isOurs: (EtcdKeyValue) -> Bool, _ limit: () -> BootInstant
    ) async throws(EtcdFailure) -> Renewal? {
        var term = term
        for _ in 0..<Self.mostRenewals {
            let (sentAt, end) = (clock.now(), limit())
            async let reading = readOwn(name, lease, by: end)
            let renewal: EtcdRenewal
            do throws(EtcdFailure) { renewal = try await api.keepAlive(lease, atLeast: term, by: end) } catch {
                // The key can still show that the term has ended.
                if case .success(let read) = await reading, read.found.first.map(isOurs) != true { return nil }
                throw error
            }
            guard case .renewed(let seconds, let answered) = renewal else { return nil }
            let read = try await reading.get()
            guard let key = read.found.first, isOurs(key) else { return nil }
            if read.term <= answered { return Renewal(sentAt: sentAt, seconds: seconds, term: answered) }
            term = read.term
        }
        throw EtcdFailure(.notApplied(retry: .afterPause), "the cluster is changing its leader", wasSent: true)
    }

    private func readOwn(_ name: String, _ lease: Int64, by deadline: BootInstant) async -> Result<EtcdRangeAnswer, EtcdFailure> {
        do throws(EtcdFailure) {
            return .success(try await api.range(.state(of: naming.key(name, lease: lease)), by: deadline))
        } catch { return .failure(error) }
    }

    /// The campaign with a renewal that counts.
    /// - Parameter term: that of the answer to a write that was sent after the last renewal.
    /// - Returns: nil if the lease has ended.
    func proven(
        _ campaign: Campaign, in term: UInt64, _ name: String, within ttl: Duration
    ) async throws(EtcdFailure) -> Campaign? {
        guard let renewedIn = campaign.renewedIn, renewedIn < term else { return campaign }
        guard
            let renewal = try await renew(
                campaign.lease, of: name, atLeast: term, while: { $0.lease == campaign.lease }, { limit(ttl: ttl) })
        else { return nil }
        var proven = campaign
        (proven.renewedAt, proven.renewedIn, proven.ttl) = (renewal.sentAt, renewal.term, LeaseTime.granted(renewal.seconds))
        state.withLock { state in if state.campaigns[name]?.lease == campaign.lease { state.campaigns[name] = proven } }
        return proven
    }
}
