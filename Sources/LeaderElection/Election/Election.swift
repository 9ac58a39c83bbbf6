internal import QQCore
internal import Synchronization

/// An election in which this process contends for the lead. One campaign at a time.
///
/// The lease is renewed in the background while work runs. If it cannot be renewed, the task of the work is cancelled early enough to stop
/// before another process can lead. That is all that a process can do for itself: one that is stopped, swapped out or busy cannot cancel
/// its own task, and goes on where it was when another process leads already. Send ``Lease/token`` with each external write, and have
/// smaller tokens refused; or run the work as a command with `qq acquire NAME -- COMMAND`, which another process ends in time.
public final class Election: Sendable {
    /// The name of the election.
    public let name: String
    /// The identity under which this process asks for the lease.
    public let identity: String
    /// The server URL, without credentials.
    public let server: String

    let system: ElectionSystem
    let options: ElectionOptions
    let timing: Timing
    let hub: EventHub
    let news = LeadershipNews()
    private let standing = Mutex(Standing())
    /// Rings when ``stop()`` is called, for the pauses of `run`.
    let stopBell = Bell()

    private struct Standing {
        var isRunning = false
        var hasRun = false
        var isStopped = false
        var turn: Turn?
    }

    /// An election at a server URL, such as `nats://n1,n2` or `file:///var/lib/leases`. Sends nothing.
    ///
    /// - Parameters:
    ///   - name: the election. What names there are depends on the system.
    ///   - server: where it lives. Credentials in it are used, and shown nowhere.
    ///   - options: how this process takes part.
    /// - Throws: ``ElectionError`` for a name, URL or option that cannot be used, and `.unsupported` for a system that this build does not
    /// have.
    public convenience init(_ name: String, at server: String, options: ElectionOptions = .init()) throws(ElectionError) {
        let clock = ContinuousLeaseClock()
        let connected = try Connector.coordinator(for: server, options: options, clock: clock, executor: globalConcurrentExecutor)
        try self.init(name, ElectionSystem(connected, clock: clock, executor: nil), connected, options)
    }

    /// An election in the memory of this process, for tests. Its work runs on the executor of the memory's clock.
    ///
    /// - Throws: ``ElectionError`` for a name or option that cannot be used.
    public convenience init(_ name: String, in memory: InMemoryElections, options: ElectionOptions = .init()) throws(ElectionError) {
        let connected = try memory.connected(options)
        try self.init(name, ElectionSystem(connected, clock: memory.store.clock, executor: memory.clock.executor), connected, options)
    }

    init(_ name: String, _ system: ElectionSystem, _ connected: Connected, _ options: ElectionOptions) throws(ElectionError) {
        let identity = options.identity ?? connected.identity
        if let problem = Identity.problem(with: identity) {
            throw ElectionError(.usage, "cannot use the identity \(Printable.text(identity))", because: problem)
        }
        if let problem = options.note.flatMap(Note.problem(with:)) { throw ElectionError(.usage, "cannot use the note", because: problem) }
        if let problem = options.retry.problem {
            throw ElectionError(.usage, "cannot use the retry policy", because: problem.reason, hint: problem.hint)
        }
        if case .atMost(let limit) = options.wait, limit < .zero {
            throw ElectionError(.usage, "cannot wait for less than nothing", hint: "use .no to try once")
        }
        guard options.requestTimeout > .zero else {
            throw ElectionError(.usage, "a request cannot take less than nothing", hint: "choose a longer requestTimeout")
        }
        timing = try Timing(ttl: options.ttl ?? connected.ttl, renewEvery: options.renewEvery, stopTime: options.stopTime)
        do throws(CoordinationError) { try system.coordinator.validate(name: name, identity: identity, ttl: timing.ttl) } catch {
            throw ElectionError(error)
        }
        self.name = name
        self.identity = identity
        self.system = system
        self.options = options
        server = system.coordinator.server.description
        hub = EventHub(name: name, observers: options.observers)
    }

    deinit { hub.finish() }

    // MARK: What it is doing

    /// What this election is doing, by the clock: a lease that has run out is not shown as leading, even if nothing could notice its end.
    public var state: ElectionState {
        let (turn, isRunning, hasRun) = standing.withLock { ($0.turn, $0.isRunning, $0.hasRun || $0.isStopped) }
        if let turn { return turn.shown }
        return hasRun && !isRunning ? .ended : .idle
    }

    /// Whether this process holds the lease, by the clock. It might be about to give it up: see ``state``.
    public var isLeader: Bool { standing.withLock { $0.turn }?.lease?.isHeld ?? false }

    /// The events from now on. Each reader gets all of them.
    public var events: ElectionEvents { ElectionEvents(reader: hub.makeReader()) }

    /// Waits until this process leads, and returns its lease at once if it does. If no campaign has begun yet, waits for that as well.
    ///
    /// - Throws: ``ElectionError`` of kind `.notRunning`, or the failure of the campaign, once `run` or `withLeadership` has ended;
    /// `CancellationError`.
    public func waitForLeadership() async throws -> Lease { try await news.wait() }

    /// Asks the servers who leads. Reads only.
    ///
    /// - Returns: nil if nobody leads.
    /// - Throws: ``ElectionError``; of kind `.unsupported` for a system that does not say.
    public func leader() async throws(ElectionError) -> Leader? { try await readLeader(lease: standing.withLock { $0.turn }?.lease) }

    // MARK: Giving it up

    /// Gives leadership up: the work is cancelled, and the lease released when it has returned. `run` campaigns again after one TTL. Does
    /// nothing during a campaign.
    ///
    /// Returns when the lease has been released, or has ended by itself, or when the calling task is cancelled. Work can call it: its own
    /// task is then cancelled. Work that waits for another task which calls it waits for itself.
    public func stepDown() async {
        guard let turn = standing.withLock({ $0.turn }), turn.cancelWork(.steppedDown(by: nil)) else { return }
        await turn.over.waitUnlessCancelled()
    }

    /// Ends `run` or `withLeadership` for good: as ``stepDown()``, or calls the campaign off, and does not campaign again. Returns
    /// immediately; `run` returns when the lease has been released. Before `run`, it has `run` return at once.
    public func stop() {
        let turn = standing.withLock { standing in
            standing.isStopped = true
            return standing.turn
        }
        turn?.stop(.stopped)
        stopBell.ring()
        finishIfOver()
    }

    var isStopped: Bool { standing.withLock { $0.isStopped } }

    // MARK: One run at a time

    /// Takes the only place.
    /// - Throws: `.alreadyRunning`.
    func enter() throws(ElectionError) {
        let isFree = standing.withLock { standing in
            if standing.isRunning { return false }
            standing.isRunning = true
            return true
        }
        guard isFree else {
            throw ElectionError(
                .alreadyRunning, "cannot contend for \(name) twice", because: "a run of this election is under way",
                hint: "make another Election, or wait for the end of the run")
        }
        news.open()
        system.link.begin(hub)
    }

    func leave(after failure: (any Error)?) {
        news.close(
            failure as? ElectionError
                ?? ElectionError(.notRunning, "cannot wait to lead \(name)", because: "neither run nor withLeadership is under way"))
        standing.withLock { standing in
            standing.isRunning = false
            standing.hasRun = true
        }
        finishIfOver()
    }

    /// Shows the turn in ``state``.
    /// - Returns: false if the election was stopped.
    func begin(_ turn: Turn) -> Bool {
        standing.withLock { standing in
            if standing.isStopped { return false }
            standing.turn = turn
            return true
        }
    }

    func end(_ turn: Turn) {
        standing.withLock { $0.turn = nil }
        turn.over.open()
    }

    /// Ends the readers of events after the last one.
    private func finishIfOver() { if standing.withLock({ $0.isStopped && !$0.isRunning }) { hub.finish() } }
}

extension Election: CustomReflectable {
    /// The name, the identity and the server alone, so that `dump` shows no login of the connection.
    public var customMirror: Mirror { Mirror(self, children: ["name": name, "identity": identity, "server": server]) }
}
