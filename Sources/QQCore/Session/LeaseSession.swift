/// One contender for one election, as a pure state machine: campaign, hold, renew, lose, release.
///
/// It does no I/O and reads no clock. Whoever drives it hands in what happened and when, and carries out the actions that come back. Deadlines count
/// from the moment just before a request was sent. An answer in doubt is settled by reading back: until then the lease is not ours for starting work,
/// and is ours for releasing.
public struct LeaseSession: Sendable {
    public struct Configuration: Sendable {
        public var request: AcquireRequest
        /// How long after a renewal was sent the next one is due.
        public var renewEvery: Duration
        public var retry: RetryPolicy
        public var waiting: Waiting
        /// Whether to campaign again after a loss.
        public var campaignsAgain: Bool
        /// How soon after an unsuccessful look at the queue the election is asked for again; keeps a queue that answers at once from spinning.
        public var shortestTurn: Duration = .milliseconds(20)
        /// How long a new term goes unwatched. What a watch takes to begin and to end would be most of what a short command takes, and what it
        /// misses it tells when it begins.
        public var watchesAfter: Duration = .zero
        /// Renewals come at multiples of this, so that those of many sessions in one process go out together; zero for none.
        public var renewalGrid: Duration = .zero
        /// In 0..<1, for jitter.
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

    /// What to do when somebody else leads.
    public enum Waiting: Sendable, Hashable {
        case no
        case until(BootInstant)
        case forever
    }

    /// What happened.
    public indirect enum Event: Sendable {
        case start
        case acquired(Grant)
        case refused(ElectionState)
        case acquireFailed(CoordinationError)
        /// `waitForTurn` returned.
        case turnCame
        case waitFailed(CoordinationError)
        /// A read for settling a doubt.
        case read(ElectionState)
        case readFailed(CoordinationError)
        case renewed(RenewAnswer)
        case renewFailed(CoordinationError)
        /// A change seen by watching, at any time.
        case observed(ElectionState)
        /// The watch ended: what it watched may be gone.
        case watchFailed
        /// This machine may have been paused: only a renewal that is sent from now on shows that the lease is still ours.
        case clockJumped
        case timer
        /// Stop campaigning, or give up what is held.
        case stop
        case releaseAnswered(ReleaseAnswer)
        case releaseFailed(CoordinationError)
    }

    /// What to do now. At most one request is in flight at a time.
    public indirect enum Action: Sendable, Hashable {
        case acquire(AcquireRequest)
        case waitForTurn(AcquireRequest, behind: ElectionState, until: BootInstant)
        case read
        case renew(Grant)
        case release(Grant)
        /// Call back with `.timer` at this moment; replaces the timer set before.
        case timer(BootInstant)
        case report(SessionEvent)
        case end(SessionOutcome)
    }

    indirect enum State: Sendable, Hashable {
        case idle
        case asking(sentAt: BootInstant)
        /// An acquire in doubt; the read that settles it is in flight, or is to be tried again at `readAgainAt`.
        case resolving(sentAt: BootInstant, CoordinationError, readAgainAt: BootInstant?)
        case pausing(until: BootInstant)
        case queueing(behind: ElectionState, since: BootInstant)
        case holding(Grant, Renewal)
        /// The lease ran out while a request about it was in flight. Its answer has to be in before anything is asked: answers carry no mark of
        /// their request, and one about the old term must never count for the next.
        case lapsed
        case releasing(Grant, attempt: Int, inFlight: Bool, retryAt: BootInstant)
        case ended
    }

    enum Renewal: Sendable, Hashable {
        case due(at: BootInstant, retry: Int)
        case sent(at: BootInstant, retry: Int)
        /// A renewal in doubt; the read that settles it is in flight.
        case resolving(retry: Int)
    }

    public let configuration: Configuration
    var state: State = .idle
    /// Retries since the last answer of any kind.
    var retries = 0
    /// How often in a row the queue said at once that it is our turn, and it was not.
    var quickTurns = 0
    static let quickTurnsAllowed = 3
    var stopping = false
    /// The failure that a renewal met last, for the message when the lease runs out.
    var lastFailure: CoordinationError?
    /// Why the campaign ends once a grant that was never told of is given back: it has been tried as often as is allowed.
    var triedEnough: CoordinationError?
    var stepDownSeen: String?
    /// When the lease was last doubted: the answer to a renewal that was sent before says nothing.
    var doubtedAt: BootInstant?

    public init(_ configuration: Configuration) { self.configuration = configuration }

    /// The grant that we hold and may work under at `now`.
    public func held(at now: BootInstant) -> Grant? {
        guard case .holding(let grant, _) = state, now < grant.deadline else { return nil }
        return grant
    }

    /// Takes in what happened and says what to do. `now` is the present moment on the lease clock.
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
        // The answer decides: what was granted meanwhile is given up.
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
