/// One contender for one election, as a pure state machine: campaign, hold, renew, lose, release.
///
/// The session does no I/O and reads no clock. Its driver passes in events with their time, and carries out the actions that it returns. Deadlines count
/// from the moment just before a request was sent. An uncertain answer is resolved by reading: until then the lease does not count as ours for starting
/// work, but it does for releasing.
public struct LeaseSession: Sendable {
    public struct Configuration: Sendable {
        public var request: AcquireRequest
        /// Time from sending a renewal to sending the next one.
        public var renewEvery: Duration
        public var retry: RetryPolicy
        public var waiting: Waiting
        /// Whether to campaign again after a loss.
        public var campaignsAgain: Bool
        /// The shortest time between two requests after a queue reported our turn in vain; keeps a queue that answers immediately from spinning.
        public var shortestTurn: Duration = .milliseconds(20)
        /// Delay before a new term is watched. Starting and stopping a watch would account for most of a short command's run time, and a watch
        /// reports on start whatever it has missed.
        public var watchesAfter: Duration = .zero
        /// Renewals are sent at multiples of this, so that those of many sessions in one process go out together; zero for no grid.
        public var renewalGrid: Duration = .zero
        /// A random number in 0..<1, for jitter.
        public var random: @Sendable () -> Double

        public init(
            request: AcquireRequest, renewEvery: Duration, retry: RetryPolicy = RetryPolicy(), waiting: Waiting = .no,
            campaignsAgain: Bool = false,
            random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
        ) {
            self.request = request
            self.renewEvery = renewEvery
            self.retry = retry
            self.waiting = waiting
            self.campaignsAgain = campaignsAgain
            self.random = random
        }
    }

    /// Whether to wait if another process leads.
    public enum Waiting: Sendable, Hashable {
        case no
        case until(BootInstant)
        case forever
    }

    /// An event, passed in by the driver.
    public indirect enum Event: Sendable {
        case start
        case acquired(Grant)
        case refused(ElectionState)
        case acquireFailed(CoordinationError)
        /// `waitForTurn` returned.
        case turnCame
        case waitFailed(CoordinationError)
        /// The result of a read that resolves an uncertain request.
        case read(ElectionState)
        case readFailed(CoordinationError)
        case renewed(RenewAnswer)
        case renewFailed(CoordinationError)
        /// A change seen by watching, at any time.
        case observed(ElectionState)
        /// The watch ended: the lease might be gone.
        case watchFailed
        /// This machine might have been paused: only a renewal sent from now on shows that the lease is still ours.
        case clockJumped
        case timer
        /// Stop campaigning, or release the lease.
        case stop
        case releaseAnswered(ReleaseAnswer)
        case releaseFailed(CoordinationError)
    }

    /// An action for the driver. At most one request is in flight at a time.
    public indirect enum Action: Sendable, Hashable {
        case acquire(AcquireRequest)
        case waitForTurn(AcquireRequest, behind: ElectionState, until: BootInstant)
        case read
        case renew(Grant)
        case release(Grant)
        /// Call back with `.timer` at this moment; replaces the previous timer.
        case timer(BootInstant)
        case report(SessionEvent)
        case end(SessionOutcome)
    }

    indirect enum State: Sendable, Hashable {
        case idle
        case asking(sentAt: BootInstant)
        /// An uncertain acquire. The read that resolves it is in flight, or is repeated at `readAgainAt`.
        case resolving(sentAt: BootInstant, CoordinationError, readAgainAt: BootInstant?)
        case pausing(until: BootInstant)
        case queueing(behind: ElectionState, since: BootInstant)
        case holding(Grant, Renewal)
        /// The lease expired while a request about it was in flight. The next request waits for its answer: answers do not identify their
        /// request, and one about the old term must never count for the next term.
        case lapsed
        case releasing(Grant, attempt: Int, inFlight: Bool, retryAt: BootInstant)
        case ended
    }

    enum Renewal: Sendable, Hashable {
        case due(at: BootInstant, retry: Int)
        case sent(at: BootInstant, retry: Int)
        /// An uncertain renewal; the read that resolves it is in flight.
        case resolving(retry: Int)
    }

    public let configuration: Configuration
    var state: State = .idle
    /// Retries since the last answer of any kind.
    var retries = 0
    /// How often in a row the queue reported our turn immediately and in vain.
    var quickTurns = 0
    static let quickTurnsAllowed = 3
    /// When the outage began that a waiter rides out; nil if the last request was answered.
    var outageSince: BootInstant?
    /// The useless grant that was reported as not released before its end.
    var unreleased: Grant?
    var stopping = false
    /// The last failure of a renewal, for the message when the lease expires.
    var lastFailure: CoordinationError?
    /// Why the campaign ends after a grant without a known answer is released: all allowed retries are used up.
    var triedEnough: CoordinationError?
    var stepDownSeen: String?
    /// When the clock jumped last: the answer to a renewal sent before that proves nothing.
    var doubtedAt: BootInstant?

    public init(_ configuration: Configuration) { self.configuration = configuration }

    /// The grant that allows work at `now`; nil if there is none.
    public func held(at now: BootInstant) -> Grant? {
        guard case .holding(let grant, _) = state, now < grant.deadline else { return nil }
        return grant
    }

    /// Takes an event and returns the actions to carry out. `now` is the present moment on the lease clock.
    public mutating func handle(_ event: Event, at now: BootInstant) -> [Action] {
        if case .stop = event { return stop(at: now) }
        switch state {
        case .idle:
            guard case .start = event else { return [] }
            return ask(at: now)
        case .asking(let sentAt): return asking(event, sentAt: sentAt, at: now)
        case .resolving(let sentAt, let error, let readAgainAt):
            return resolving(event, sentAt: sentAt, error: error, readAgainAt: readAgainAt, at: now)
        case .pausing(let until):
            guard case .timer = event, now >= until else { return [] }
            return ask(at: now)
        case .queueing(let blocker, let since): return queueing(event, behind: blocker, since: since, at: now)
        case .holding(let grant, let renewal): return holding(event, grant: grant, renewal: renewal, at: now)
        case .lapsed: return lapsed(event, at: now)
        case .releasing(let grant, let attempt, let inFlight, let retryAt):
            return releasing(event, grant: grant, attempt: attempt, inFlight: inFlight, retryAt: retryAt, at: now)
        case .ended: return []
        }
    }

    private mutating func stop(at now: BootInstant) -> [Action] {
        guard !stopping else { return [] }
        stopping = true
        switch state {
        case .idle, .pausing, .queueing, .lapsed: return end(.stopped)
        // The answer decides: a lease granted in the meantime is released.
        case .asking, .resolving, .releasing, .ended: return []
        case .holding(let grant, .due): return release(grant, attempt: 1)
        // One request at a time: the release follows the renewal's answer.
        case .holding: return []
        }
    }

    mutating func end(_ outcome: SessionOutcome) -> [Action] {
        state = .ended
        return [.end(outcome)]
    }
}
