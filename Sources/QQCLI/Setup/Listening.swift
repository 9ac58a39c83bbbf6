import QQCore
import QQGuard
import QQListen
import QQLoop
import Synchronization

/// `--listen`: answers requests about the elections of this process. Without the flag there is none, and nothing is started.
final class Listening: Sendable {
    private let setup: Setup
    private let address: ListenAddress
    private let board: Board
    private let listener = Mutex<Listener?>(nil)

    /// How often the loop shows that it works.
    private static let beat = Duration.seconds(1)

    /// Does not listen yet.
    /// - Returns: nil without `--listen`.
    init?(_ setup: Setup) {
        guard let address = setup.invocation[Flags.listen] else { return nil }
        self.setup = setup
        self.address = address
        board = Board(at: .now(setup.loop.now))
    }

    /// Adds an election, before `start`.
    func add(_ name: String, as identity: String) { board.add(Standing(name, identity: identity, slots: setup.slots)) }

    /// Begins to answer. Starts a thread.
    /// - Throws: a `CoordinationError` if the address cannot be used, or if there is no room for the thread.
    func start() throws(CoordinationError) {
        // NIO ends the process if it cannot create a thread.
        try Room.check(.network)
        let (messages, loop, metrics) = (setup.messages, setup.loop, setup.metrics)
        let started = try Listener(
            address, board: board, now: { loop.now() }, metrics: { metrics?.prometheus() ?? "" },
            failed: { messages.note("cannot answer requests: \($0)", .warning) })
        listener.withLock { $0 = started }
        // A port that the kernel has chosen cannot be known otherwise.
        if started.address == address {
            messages.detail("listening on \(started.address)")
        } else {
            messages.note("listening on \(started.address)")
        }
    }

    func stop() {
        let listener = listener.withLock { $0 }
        listener?.stop()
    }

    /// Shows that the loop works, until the task is cancelled.
    /// - Parameter jumped: called after the wall clock has jumped ahead: the machine might have been paused. Until leases are renewed, no work is allowed.
    func keepBeating(jumped: () async -> Void = {}) async {
        var last: BootInstant?
        while (try? await setup.loop.sleep(for: Self.beat)) != nil {
            let jump = board.beat(at: .now(setup.loop.now))
            if jump != last { await jumped() }
            last = jump
        }
    }

    // MARK: What happens to an election

    /// Takes an event of an election that is held without a command.
    /// - Parameter reserve: the time before the end of a lease at which work has to end, for a granted TTL.
    func take(_ event: SessionEvent, of name: String, reserve: (Duration) -> Duration) {
        switch event {
        case .elected(let grant):
            let term = term(grant, name, workEnds: grant.deadline - reserve(grant.ttl))
            board.change(name) { $0.begins(term) }
        case .extended(let grant):
            let term = term(grant, name, workEnds: grant.deadline - reserve(grant.ttl))
            board.change(name) { $0.extends(to: term) }
        // The lease is about to be given up.
        case .stepDownAsked: board.change(name) { $0.withdraws() }
        case .lost(_, let reason):
            let state = Self.state(of: name, after: reason)
            board.change(name) { $0.ends(state, at: .now()) }
        case .released, .releaseFailed: board.change(name) { $0.ends(at: .now()) }
        case .waiting: takeWait(event, of: name)
        case .retrying, .outage, .outageOver, .notWithdrawn: break
        }
    }

    /// Takes an event of an election whose terms are reported as holdings.
    func takeWait(_ event: SessionEvent, of name: String) {
        guard case .waiting(let state) = event else { return }
        board.change(name) { $0.waits(behind: state, at: .now()) }
    }

    /// The term of a guarded command has changed.
    func take(_ holding: GuardSession.Holding?, of name: String) {
        guard let holding else {
            return board.change(name) {
                $0.closes()
                $0.ends(at: .now())
            }
        }
        let term = term(holding.grant, name, workEnds: holding.workEnds ?? BootInstant(nanoseconds: 0))
        board.change(name) { standing in
            if holding.workEnds == nil { standing.closes() }
            standing.begins(term)
        }
    }

    /// A campaign begins.
    func campaigns(_ name: String) { board.change(name) { $0.campaigns() } }

    /// No term of an election allows work from now on, until another campaign. Called before a release is requested.
    func closes(_ name: String) { board.change(name) { $0.closes() } }

    private func term(_ grant: Grant, _ name: String, workEnds: BootInstant) -> Standing.Term {
        Standing.Term(grant, slot: setup.slot(of: grant, as: name)?.number, workEnds: workEnds)
    }

    private static func state(of name: String, after reason: LossReason) -> ElectionState? {
        guard case .takenOver(let by?) = reason else { return nil }
        var state = ElectionState(name: name, phase: .held)
        state.leader = by
        return state
    }
}

extension LeaseTiming {
    /// The time before the end of a lease at which work under it has to end if there is no command to end: as long as a command would have by default, so
    /// that a load balancer has that time to ask again. A lease that is renewed in time never comes that close to its end.
    /// - Parameter granted: the TTL that was granted.
    func reserve(of granted: Duration) -> Duration {
        let grace = min(Self.killAfter(nil, ttl: ttl), (ttl - renewEvery) / 2)
        let timing = Guardian.Timing(ttl: ttl, grace: grace).fitting(granted)
        return timing.margin + timing.grace
    }
}
