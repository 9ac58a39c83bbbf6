/// The replicated state of RaftLock's servers, and the effect of each command of their log. Times are in nanoseconds, points in time since 1970.
package struct LockTable: Sendable {
    package struct Lock: Sendable {
        /// Empty while the lock is free.
        package var owner = ""
        package var version: Int64 = 0
        /// nil until the lock is held for the first time.
        package var acquired: Int64?
        package var expires: Int64?
        package var modified: Int64?
        var waiters = WaitQueue()

        package var isHeld: Bool { !owner.isEmpty }

        /// Estimated wait of a client that asks now: a tenth of the remaining time more for each waiter, one minute at most.
        package func wait(_ now: Int64) -> Int64 {
            guard isHeld, let expires else { return 0 }
            let remaining = max(0, expires - now)
            return min(60_000_000_000, remaining + remaining / 10 * Int64(waiters.count))
        }
    }

    package enum Command: Sendable {
        case acquire(String, by: String, ttl: Int64)
        case renew(String, by: String, version: Int64, ttl: Int64)
        case release(String, by: String, version: Int64)
        case enqueue(String, by: String, priority: Int32, timeout: Int64)
        case cancel(String, by: String)
    }

    package struct Outcome: Sendable {
        package var lock: Lock
        /// Position in the queue.
        package var position = 0
    }

    package enum Failure: String, Error {
        case held = "lock is already held"
        case notHeld = "lock is not currently held"
        case notOwner = "client is not the lock owner"
        case versionMismatch = "version mismatch"
        case notWaiting = "client not in wait queue"
        case queueFull = "wait queue is full"
        case notFound = "lock not found"

        package var text: String { "lockmanager: \(rawValue)" }
    }

    package private(set) var locks: [String: Lock] = [:]
    /// TTL of a promoted waiter, whatever it asked for.
    let defaultTTL: Int64
    /// Index of the last command that succeeded. A promoted waiter gets it as its version, so two successive holders can have the same version.
    private var lastSuccess: Int64 = 0

    package init(defaultTTL: Int64) { self.defaultTTL = defaultTTL }

    /// - Parameter index: the command's index in the log, which becomes the version of a lock that it acquires.
    package mutating func apply(_ command: Command, index: Int64, now: Int64) throws(Failure) -> Outcome {
        let outcome: Outcome
        switch command {
        case .acquire(let name, let client, let ttl): outcome = try acquire(name, client, ttl, index, now)
        case .renew(let name, let client, let version, let ttl):
            var lock = try held(name, by: client)
            // The real server does not compare the version but adopts it.
            (lock.version, lock.expires, lock.modified) = (version, now + ttl, now)
            locks[name] = lock
            outcome = Outcome(lock: lock)
        case .release(let name, let client, let version):
            var lock = try held(name, by: client)
            guard lock.version == version else { throw .versionMismatch }
            pass(&lock, now)
            locks[name] = lock
            outcome = Outcome(lock: lock)
        case .enqueue(let name, let client, let priority, let timeout): outcome = try enqueue(name, client, priority, timeout, now)
        case .cancel(let name, let client):
            guard var lock = locks[name], let place = lock.waiters.position(of: client) else { throw .notWaiting }
            lock.waiters.remove(place)
            locks[name] = lock
            outcome = Outcome(lock: lock)
        }
        lastSuccess = index
        return outcome
    }

    /// Passes expired locks on, and removes waiters whose timeout is over.
    package mutating func expire(_ now: Int64) {
        for (name, lock) in locks {
            let isOver = lock.isHeld && (lock.expires ?? .max) <= now
            guard isOver || lock.waiters.heap.contains(where: { $0.until <= now }) else { continue }
            var lock = lock
            lock.waiters.expire(now)
            if isOver { pass(&lock, now) }
            locks[name] = lock
        }
    }

    private func held(_ name: String, by client: String) throws(Failure) -> Lock {
        guard let lock = locks[name], lock.isHeld else { throw .notHeld }
        guard lock.owner == client else { throw .notOwner }
        return lock
    }

    private mutating func acquire(
        _ name: String, _ client: String, _ ttl: Int64, _ index: Int64, _ now: Int64
    ) throws(Failure) -> Outcome {
        var lock = locks[name] ?? Lock()
        guard !lock.isHeld || lock.owner == client else { throw .held }
        if lock.isHeld {
            // Acquiring again never shortens the lease.
            lock.expires = max(lock.expires ?? 0, now + ttl)
        } else {
            (lock.owner, lock.acquired, lock.expires) = (client, now, now + ttl)
        }
        (lock.version, lock.modified) = (index, now)
        locks[name] = lock
        return Outcome(lock: lock)
    }

    private mutating func enqueue(
        _ name: String, _ client: String, _ priority: Int32, _ timeout: Int64, _ now: Int64
    ) throws(Failure) -> Outcome {
        var lock = locks[name] ?? Lock()
        let position: Int
        if let place = lock.waiters.position(of: client) {
            lock.waiters.refresh(place, until: now + timeout)
            position = place
        } else {
            guard lock.waiters.count < 100 else { throw .queueFull }
            position = lock.waiters.add(.init(id: client, priority: priority, since: now, until: now + timeout))
        }
        locks[name] = lock
        return Outcome(lock: lock, position: position)
    }

    /// Grants the lock to the first waiter, whether it still runs or not; frees the lock if there is no waiter.
    private func pass(_ lock: inout Lock, _ now: Int64) {
        lock.waiters.expire(now)
        if let next = lock.waiters.popFirst() {
            (lock.owner, lock.version, lock.acquired, lock.expires) = (next.id, lastSuccess, now, now + defaultTTL)
        } else {
            // Version and times stay as they are.
            lock.owner = ""
        }
        lock.modified = now
    }
}
