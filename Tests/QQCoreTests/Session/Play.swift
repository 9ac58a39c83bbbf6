import QQCore

/// A lease session that a test feeds with events. Times are in milliseconds.
///
/// TTL 9 s, renewal every 3 s, retries after 200, 400, 800 ms, no jitter.
struct Play {
    var session: LeaseSession

    init(
        waiting: LeaseSession.Waiting = .no, campaignsAgain: Bool = false, retry: RetryPolicy = Play.retry, random: Double = 0.5,
        continuing: Grant? = nil
    ) {
        var request = Play.request
        request.continuing = continuing
        session = LeaseSession(
            LeaseSession.Configuration(
                request: request, renewEvery: .seconds(3), retry: retry, waiting: waiting, campaignsAgain: campaignsAgain,
                random: { random }))
    }

    static let request = AcquireRequest(name: "backup", identity: "us", ttl: .seconds(9), wantsLivenessLock: true)
    static let retry = RetryPolicy(maximumRetries: 3, initial: .milliseconds(200), maximum: .seconds(5), multiplier: 2, jitter: 0)

    mutating func feed(_ event: LeaseSession.Event, at milliseconds: Int) -> [LeaseSession.Action] {
        session.handle(event, at: at(milliseconds))
    }

    /// A session that requested the lease at 1000 and was granted it at 1010. The lease ends at 10 000, and its renewal is due at 4000.
    static func holding(
        campaignsAgain: Bool = false, waiting: LeaseSession.Waiting = .no, random: Double = 0.5, retry: RetryPolicy = Play.retry
    ) -> Play {
        var play = Play(waiting: waiting, campaignsAgain: campaignsAgain, retry: retry, random: random)
        _ = play.feed(.start, at: 1000)
        _ = play.feed(.acquired(grant(until: 77)), at: 1010)
        return play
    }

    /// `holding`, after the renewal that was due at 4000 was sent.
    static func renewing(campaignsAgain: Bool = false) -> Play {
        var play = holding(campaignsAgain: campaignsAgain)
        _ = play.feed(.timer, at: 4000)
        return play
    }

    static func queueing(_ waiting: LeaseSession.Waiting = .forever) -> Play {
        var play = Play(waiting: waiting)
        _ = play.feed(.start, at: 1000)
        _ = play.feed(.refused(theirs), at: 1010)
        return play
    }

    /// `holding`, after a stop at 2000, with the release in flight.
    static func releasing() -> Play {
        var play = holding()
        _ = play.feed(.stop, at: 2000)
        return play
    }
}

func at(_ milliseconds: Int) -> BootInstant { BootInstant(nanoseconds: UInt64(milliseconds) * 1_000_000) }

let someTime = WallTime(seconds: 1_772_366_400)

/// The session's term, ending at `milliseconds`.
func grant(until milliseconds: Int, token: UInt64? = 7) -> Grant {
    Grant(
        name: "backup", identity: "us", token: token.map { FencingToken($0) }, ttl: .seconds(9), deadline: at(milliseconds),
        acquiredAt: someTime,
        expiresAt: someTime)
}

func state(_ phase: ElectionState.Phase, _ leader: String? = nil, token: UInt64? = nil, stepDown: String? = nil, alive: Bool? = nil)
    -> ElectionState
{
    var state = ElectionState(name: "backup", phase: phase)
    state.leader = leader
    state.token = token.map { FencingToken($0) }
    state.stepDownAskedBy = stepDown
    state.alive = alive
    return state
}

let theirs = state(.held, "them", token: 8)
let ours = state(.held, "us", token: 7)
let nobodys = state(.free, token: 7)
/// A definite failure that a retry can cure.
let down = CoordinationError(.unavailable, "cannot ask", because: "connection refused")
/// An uncertain failure: the request might have been carried out.
let uncertain = CoordinationError(.unavailable, "cannot ask", because: "no answer in time", isUncertain: true)
/// A failure that no retry can cure.
let denied = CoordinationError(.denied, "cannot ask", because: "permission denied")
