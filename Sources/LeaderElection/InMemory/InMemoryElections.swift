internal import QQCore

/// Elections in the memory of this process, for tests: with what real systems have, and faults on demand. Time passes only on ``clock``.
///
/// ```swift
/// let memory = InMemoryElections()
/// let election = try Election("backup", in: memory)
/// ```
public final class InMemoryElections: Sendable {
    /// The clock that leases are counted on.
    public let clock: ManualClock
    let store: MemoryStore

    /// A system without elections.
    public init(clock: ManualClock = ManualClock()) {
        self.clock = clock
        store = MemoryStore(clock: clock)
    }

    /// Cuts the servers off: requests fail until ``reconnect(_:)``, and leases run out.
    /// - Parameter identity: the only process that is cut off; nil for all.
    public func disconnect(_ identity: String? = nil) { store.setReachable(false, for: identity) }

    /// Makes the servers answer again.
    /// - Parameter identity: a process that was cut off alone; nil for all.
    public func reconnect(_ identity: String? = nil) { store.setReachable(true, for: identity) }

    /// Loses the answers to the next `count` requests that change something. The requests are carried out, but their callers cannot know
    /// that.
    public func loseAnswers(_ count: Int) { store.loseAnswers(count) }

    /// Gives the election to another process by force, for `ttl`.
    public func takeOver(_ name: String, by identity: String, ttl: Duration = .seconds(15)) { store.takeOver(name, by: identity, ttl: ttl) }

    /// Removes the lease, as an operator can at the servers.
    public func remove(_ name: String) { store.remove(name) }

    /// Asks the leader to step down, as an operator does with `qq step-down`.
    public func askToStepDown(_ name: String, by identity: String) { store.askToStepDown(name, by: identity) }

    /// The leader of an election; nil if nobody leads. `isUs` is not known.
    public func leader(of name: String) -> Leader? { Leader(store.state(of: name, for: nil), identity: "") }

    /// What an election needs of this system.
    func connected(_ options: ElectionOptions) throws(ElectionError) -> Connected {
        let owner = store.makeOwner()
        let identity = options.identity ?? "memory-\(owner)"
        let coordinator: MemoryCoordinator
        do throws(ServerURL.Invalid) { coordinator = try MemoryCoordinator(store: store, owner: owner, identity: identity) } catch {
            throw ElectionError(.configuration, "cannot name the elections in memory", because: error.reason, hint: error.hint)
        }
        return Connected(
            coordinator: coordinator, identity: identity,
            ttl: options.ttl ?? .seconds(15),
            // Without jitter, every run is the same.
            retry: QQCore.RetryPolicy(jitter: 0))
    }
}
