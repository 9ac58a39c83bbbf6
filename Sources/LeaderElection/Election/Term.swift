internal import QQCore
internal import Synchronization

/// One term: what is known of its lease, for all copies of a ``Lease``, the work under it, and the election.
final class Term: Sendable {
    /// The grant that the term began with. Its deadline is that of the beginning.
    let grant: Grant
    let timing: Timing
    let clock: any LeaseClock

    private struct State {
        var deadline: BootInstant
        /// Why the lease is over; nil while it is held.
        var over: LeadershipLost.Reason?
    }

    private let state: Mutex<State>

    init(_ grant: Grant, timing: Timing, clock: any LeaseClock) {
        self.grant = grant
        self.timing = timing
        self.clock = clock
        state = Mutex(State(deadline: grant.deadline))
    }

    /// The end of the lease unless it is renewed.
    var deadline: BootInstant { state.withLock { $0.deadline } }

    func extend(to deadline: BootInstant) { state.withLock { $0.deadline = max($0.deadline, deadline) } }

    /// Marks the lease as lost, or as being released. The first reason stays.
    func end(_ reason: LeadershipLost.Reason) { state.withLock { if $0.over == nil { $0.over = reason } } }

    func remaining(at now: BootInstant) -> Duration {
        state.withLock { $0.over == nil ? max($0.deadline.duration(since: now), .zero) : .zero }
    }

    /// Why the lease does not count as held; nil if it does.
    func whyNotHeld(at now: BootInstant) -> LeadershipLost.Reason? {
        state.withLock { state in
            if let over = state.over { return over }
            return now < state.deadline - timing.margin ? nil : .expired(nil)
        }
    }
}
