import QQCore

extension RaftLockCluster {
    /// A lock as the nodes have it.
    public struct Lock: Sendable, Hashable {
        /// nil while nobody holds it.
        public var owner: String?
        public var version: Int64
        public var remaining: Duration
        /// The ids of those who wait; the first one is promoted first, the others are in no order.
        public var waiters: [String]
    }

    /// nil for one that was never asked for.
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

    /// How many commands of the log a node has carried out.
    public func applied(_ node: Int) -> Int { state.withLock { $0.raft.nodes[node].applied } }

    public func owner(of id: String) -> String? { lock(id)?.owner }

    /// Has somebody else take a lock, past all nodes.
    /// - Returns: whether it was free, or the same client's.
    @discardableResult public func acquire(_ id: String, by client: String, for ttl: Duration) -> Bool {
        perform(.acquire(id, by: client, ttl: ttl.nanoseconds))
    }

    /// Has whoever holds a lock release it.
    @discardableResult public func release(_ id: String) -> Bool {
        guard let lock = lock(id), let owner = lock.owner else { return false }
        return perform(.release(id, by: owner, version: lock.version))
    }

    /// Has whoever holds a lock renew it with a version, as an old request does that is carried out late.
    @discardableResult public func renew(_ id: String, version: Int64, for ttl: Duration) -> Bool {
        guard let owner = owner(of: id) else { return false }
        return perform(.renew(id, by: owner, version: version, ttl: ttl.nanoseconds))
    }

    /// Has somebody else wait for a lock.
    @discardableResult public func enqueue(_ id: String, by client: String, priority: Int32 = 0, for timeout: Duration) -> Bool {
        perform(.enqueue(id, by: client, priority: priority, timeout: timeout.nanoseconds))
    }

    /// All leases and queues are forgotten, as after some failovers of the real one.
    public func forgetLocks() { state.withLock { $0.raft.forget() } }

    private func perform(_ command: LockTable.Command) -> Bool {
        state.withLock { state in
            if case .success = state.raft.commit(command, clock.now) { true } else { false }
        }
    }
}
