import QQCore

extension RaftLockCluster {
    /// The state of a lock in the cluster.
    public struct Lock: Sendable, Hashable {
        /// nil while the lock is free.
        public var owner: String?
        public var version: Int64
        public var remaining: Duration
        /// Client ids of the waiters. The first one is promoted first; the others are in no particular order.
        public var waiters: [String]
    }

    /// The lock; nil if it was never requested.
    public func lock(_ id: String) -> Lock? {
        state.withLock { state in
            state.raft.table.locks[id].map { lock in
                Lock(
                    owner: lock.isHeld ? lock.owner : nil, version: lock.version,
                    remaining: .nanoseconds(lock.isHeld ? max(0, (lock.expires ?? 0) - clock.now) : 0), waiters: lock.waiters.heap.map(\.id)
                )
            }
        }
    }

    /// Number of commands of the log that a node has carried out.
    public func applied(_ node: Int) -> Int { state.withLock { $0.raft.nodes[node].applied } }

    public func owner(of id: String) -> String? { lock(id)?.owner }

    /// Has another client acquire a lock, bypassing the nodes.
    /// - Returns: whether the lock was free or held by the same client.
    @discardableResult public func acquire(_ id: String, by client: String, for ttl: Duration) -> Bool {
        perform(.acquire(id, by: client, ttl: ttl.nanoseconds))
    }

    /// Has the holder of a lock release it.
    @discardableResult public func release(_ id: String) -> Bool {
        guard let lock = lock(id), let owner = lock.owner else { return false }
        return perform(.release(id, by: owner, version: lock.version))
    }

    /// Has the holder of a lock renew it with a version, as an old request does that is carried out late.
    @discardableResult public func renew(_ id: String, version: Int64, for ttl: Duration) -> Bool {
        guard let owner = owner(of: id) else { return false }
        return perform(.renew(id, by: owner, version: version, ttl: ttl.nanoseconds))
    }

    /// Has another client wait for a lock.
    @discardableResult public func enqueue(_ id: String, by client: String, priority: Int32 = 0, for timeout: Duration) -> Bool {
        perform(.enqueue(id, by: client, priority: priority, timeout: timeout.nanoseconds))
    }

    /// Forgets all leases and queues, as after some failovers of the real cluster.
    public func forgetLocks() { state.withLock { $0.raft.forget() } }

    private func perform(_ command: LockTable.Command) -> Bool {
        state.withLock { state in
            if case .success = state.raft.commit(command, clock.now) { true } else { false }
        }
    }
}
