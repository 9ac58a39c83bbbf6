internal import QQCore
internal import Synchronization

/// One campaign, and the term that it can win: decides when work begins and when it has to stop. The lease itself is the session's
/// business.
///
/// The session reports to it from its own task, the work's task asks it, and ``watch()`` looks at the clock.
final class Turn: Sendable {
    private struct State {
        /// Whether the session was told to stop before it had a lease: a lease that it is granted nevertheless is released, and nothing
        /// begins under it.
        var isCalledOff = false
        var term: Term?
        var work = Work.notBegun
        /// Why and when the work was told to stop.
        var cancelled: (reason: LeadershipLost.Reason, at: BootInstant)?
        /// When the lease was lost, if it did not just run out.
        var lostAt: BootInstant?
        var hasToldOverrun = false
        /// Whether a release, a loss or a failed release was told.
        var hasToldEnd = false
        /// The last failed request since the lease was renewed.
        var lastFailure: ElectionError?
        var outcome: SessionOutcome?
    }

    private enum Work { case notBegun, runs, over }

    let name: String
    private let identity: String
    private let driver: SessionDriver
    private let timing: Timing
    private let clock: any LeaseClock
    private let hub: EventHub
    private let news: LeadershipNews
    private let state = Mutex(State())
    /// Opens when there is a term, or will be none.
    private let begun = Gate()
    /// Opens when the work has to stop.
    let stopsWork = Gate()
    let workTask = WorkTask()
    /// Opens when the session has ended and the work has returned.
    let over = Gate()
    /// Rings when ``watch()`` has to look again.
    private let changed = Bell()

    init(
        name: String, identity: String, driver: SessionDriver, timing: Timing, clock: any LeaseClock, hub: EventHub, news: LeadershipNews
    ) {
        self.name = name
        self.identity = identity
        self.driver = driver
        self.timing = timing
        self.clock = clock
        self.hub = hub
        self.news = news
    }

    /// What users see of it.
    var shown: ElectionState {
        let (term, isStopping) = state.withLock { ($0.term, $0.cancelled != nil || $0.work == .over || $0.outcome != nil) }
        guard let term else { return .campaigning }
        let lease = Lease(term: term)
        return isStopping || !lease.isHeld ? .stopping : .leading(lease)
    }

    /// The present lease, unless it is lost or has been released.
    var lease: Lease? { state.withLock { $0.term }.map { Lease(term: $0) } }

    var outcome: SessionOutcome? { state.withLock { $0.outcome } }

    // MARK: The work's side

    /// Waits for a term, also if the task is cancelled.
    /// - Returns: nil if the session ended without one.
    func waitForTerm() async -> Term? {
        await begun.wait()
        return state.withLock { $0.term }
    }

    /// Marks the work as begun.
    /// - Returns: whether it can begin: not if it would have to stop at once.
    func beginsWork() -> Bool {
        look()
        return state.withLock { state in
            guard state.term != nil, state.cancelled == nil, state.outcome == nil else { return false }
            state.work = .runs
            return true
        }
    }

    /// Marks the work as over, and has the lease released.
    /// - Returns: why leadership had ended before; nil if it had not.
    func endWork() -> LeadershipLost.Reason? {
        let now = clock.now()
        let reason = state.withLock { state -> LeadershipLost.Reason? in
            guard let term = state.term else { return nil }
            if state.work == .runs { tellOverrun(&state, term, at: now, isEnd: true) }
            state.work = .over
            var reason = state.cancelled?.reason
            // The clock can have passed the end before anything else could run.
            if reason == nil, now >= term.deadline { reason = .expired(state.lastFailure) }
            term.end(reason ?? .released)
            return reason
        }
        hub.deliver()
        news.end()
        changed.ring()
        driver.stop()
        return reason
    }

    /// Ends the campaign, or has the work stop and the lease released after it.
    func stop(_ reason: LeadershipLost.Reason) {
        callOff()
        cancelWork(reason)
    }

    /// Ends the campaign, if it has not won yet.
    func callOff() {
        let isCampaign = state.withLock { state in
            guard state.term == nil else { return false }
            state.isCalledOff = true
            return true
        }
        if isCampaign { driver.stop() }
    }

    /// Has the work stop; the lease is released when it has returned. Does nothing during a campaign.
    /// - Returns: whether there is a term.
    @discardableResult
    func cancelWork(_ reason: LeadershipLost.Reason) -> Bool {
        let now = clock.now()
        let hasTerm = state.withLock { state in
            guard let term = state.term else { return false }
            cancel(&state, term, reason, at: now)
            return true
        }
        hub.deliver()
        return hasTerm
    }

    private func cancel(_ state: inout State, _ term: Term, _ reason: LeadershipLost.Reason, at now: BootInstant) {
        guard state.cancelled == nil, state.work != .over else { return }
        state.cancelled = (reason, now)
        hub.append(.cancelled(reason, within: term.remaining(at: now)))
        news.end()
        stopsWork.open()
        changed.ring()
    }

    // MARK: The clock's side

    /// Looks after the work until it is over: cancels it before the lease ends, and tells if it runs on.
    func watch() async {
        while let next = look() { await changed.wait(until: next, clock) }
    }

    /// Does what is due.
    /// - Returns: when to look again; nil if there is nothing left to do.
    @discardableResult
    private func look() -> BootInstant? {
        let now = clock.now()
        let (next, isCancelled) = state.withLock { state in
            let next = look(&state, at: now)
            return (next, state.cancelled != nil)
        }
        // Before the events, whose observers take time.
        if isCancelled { workTask.cancel() }
        hub.deliver()
        return next
    }

    private func look(_ state: inout State, at now: BootInstant) -> BootInstant? {
        if state.work == .over { return nil }
        guard let term = state.term else { return state.outcome == nil ? .distantFuture : nil }
        if state.cancelled == nil {
            let end = term.deadline - term.timing.stopTime
            if now < end { return end }
            cancel(&state, term, .expired(state.lastFailure), at: now)
        }
        guard !state.hasToldOverrun else { return .distantFuture }
        let end = overrunBegins(state, term)
        if now < end { return end }
        // Work that was never begun cannot run on.
        if state.work == .runs { tellOverrun(&state, term, at: now, isEnd: false) }
        return .distantFuture
    }

    /// When the lease is over and the time to stop as well.
    private func overrunBegins(_ state: State, _ term: Term) -> BootInstant {
        let stopEnds = (state.cancelled?.at).map { $0 + term.timing.stopTime } ?? term.deadline
        return max(stopEnds, state.lostAt ?? term.deadline)
    }

    private func tellOverrun(_ state: inout State, _ term: Term, at now: BootInstant, isEnd: Bool) {
        guard isEnd ? now > overrunBegins(state, term) : !state.hasToldOverrun else { return }
        state.hasToldOverrun = true
        hub.append(.overran(now.duration(since: state.lostAt ?? term.deadline)))
    }

    // MARK: The session's side

    /// Takes an event of the session.
    func take(_ event: SessionEvent) {
        let now = clock.now()
        let isElected = state.withLock { take(event, &$0, at: now) }
        hub.deliver()
        guard isElected else { return }
        begun.open()
        changed.ring()
    }

    /// - Returns: whether a term began.
    private func take(_ event: SessionEvent, _ state: inout State, at now: BootInstant) -> Bool {
        switch event {
        case .elected(let grant):
            guard !state.isCalledOff else { return false }
            let term = Term(grant, timing: timing.fitting(grant.ttl), clock: clock)
            state.term = term
            state.lastFailure = nil
            // A lease that this campaign was granted before, without being able to use it, can have failed to be released.
            state.hasToldEnd = false
            hub.append(.elected(Lease(term: term)))
            if let leader = news.change(to: ourselves(term, at: now)) { hub.append(.leaderChanged(leader)) }
            news.begin(Lease(term: term))
            return true
        case .extended(let grant):
            guard let term = state.term else { break }
            term.extend(to: grant.deadline)
            state.lastFailure = nil
            hub.append(.renewed(Lease(term: term), remaining: term.remaining(at: now)))
            // A task can have begun to wait a moment before, when the lease did not count as held any more.
            if state.cancelled == nil, state.work != .over { news.begin(Lease(term: term)) }
        case .waiting(let blocker):
            let leader = Leader(blocker, identity: identity)
            hub.append(.waiting(leader))
            if let changed = news.change(to: leader) { hub.append(.leaderChanged(changed)) }
        case .retrying(let error, let pause):
            let error = ElectionError(error)
            state.lastFailure = error
            hub.append(.retrying(error, after: pause))
        case .outage(let error, let isNew): if isNew { hub.append(.outage(ElectionError(error))) }
        case .outageOver(let length): hub.append(.outageOver(after: length))
        case .stepDownAsked(let by):
            hub.append(.stepDownAsked(by: by))
            if let term = state.term { cancel(&state, term, .steppedDown(by: by), at: now) }
        case .lost(_, let reason): lost(reason, &state, at: now)
        case .released:
            guard let term = state.term, !state.hasToldEnd else { break }
            state.hasToldEnd = true
            term.end(.released)
            hub.append(.released)
            news.forget()
        case .releaseFailed(_, let error), .notWithdrawn(let error):
            state.hasToldEnd = true
            state.term?.end(.released)
            hub.append(.releaseFailed(ElectionError(error)))
        }
        return false
    }

    private func lost(_ found: LossReason, _ state: inout State, at now: BootInstant) {
        guard let term = state.term, !state.hasToldEnd else { return }
        let reason: LeadershipLost.Reason =
            switch found {
            case .expired(let error): .expired(error.map { ElectionError($0) } ?? state.lastFailure)
            case .takenOver(let by): .takenOver(by: by)
            case .removed: .removed
            }
        state.hasToldEnd = true
        state.lostAt = min(now, term.deadline)
        term.end(reason)
        cancel(&state, term, reason, at: now)
        // The end has come earlier than was expected.
        changed.ring()
        hub.append(.lost(LeadershipLost(name: name, reason: reason)))
        if case .takenOver(let by) = reason {
            if let leader = news.change(to: Leader(identity: by, isUs: false)) { hub.append(.leaderChanged(leader)) }
        } else {
            news.forget()
        }
    }

    private func ourselves(_ term: Term, at now: BootInstant) -> Leader {
        let lease = Lease(term: term)
        return Leader(identity: lease.identity, token: lease.token, isUs: true, remaining: term.remaining(at: now))
    }

    /// The session has ended.
    func sessionEnded(_ outcome: SessionOutcome) {
        state.withLock { $0.outcome = outcome }
        begun.open()
        changed.ring()
    }
}
