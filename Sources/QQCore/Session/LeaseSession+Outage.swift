// Riding out outages: a waiter gives up only when its time is over, or if waiting cannot mend the failure.
extension LeaseSession {
    /// Whether this contender waits for its turn. The limit on retries is for single tries.
    var isWaiter: Bool { configuration.waiting != .no }

    /// The moment at which the wait is over.
    var waitEnds: BootInstant { if case .until(let deadline) = configuration.waiting { deadline } else { .distantFuture } }

    /// The largest number of retries that is counted; pauses have stopped growing by then.
    private static let mostRetries = 1_000_000

    mutating func countRetry() { retries = min(retries + 1, Self.mostRetries) }

    mutating func rideOut(_ error: CoordinationError, at now: BootInstant) -> [Action] {
        guard error.isRiddenOut else { return end(.failed(error)) }
        if now >= waitEnds { return end(.timedOutInOutage(error)) }
        countRetry()
        return [outageReport(error, at: now)] + pause(at: now)
    }

    /// Pauses before the next request, at most until the wait is over; the request at its end is the last one.
    mutating func pause(at now: BootInstant) -> [Action] {
        let until = min(now + configuration.retry.pause(before: retries, random: configuration.random()), max(waitEnds, now))
        state = .pausing(until: until)
        return [.timer(until)]
    }

    /// Releases a useless grant of a waiter again until that is answered. A release without an answer can still be carried out, and must not end the lease
    /// that the next request would be granted: systems resume the lease of an identity.
    mutating func releaseAgain(_ grant: Grant, attempt: Int, after error: CoordinationError, at now: BootInstant) -> [Action] {
        let pause = configuration.retry.pause(before: attempt, random: configuration.random())
        let until = min(now + pause, max(waitEnds, now))
        state = .releasing(grant, attempt: min(attempt + 1, Self.mostRetries), inFlight: false, retryAt: until)
        var actions = [outageReport(error, at: now), .timer(until)]
        // Its liveness lock must not outlast the lease: it would show work that was never begun.
        if until >= grant.deadline, unreleased != grant {
            unreleased = grant
            actions.insert(.report(.releaseFailed(grant, error)), at: 0)
        }
        return actions
    }

    mutating func outageReport(_ error: CoordinationError, at now: BootInstant) -> Action {
        let isNew = outageSince == nil
        outageSince = outageSince ?? now
        return .report(.outage(error, isNew: isNew))
    }

    /// A request was answered.
    mutating func outageEnds(at now: BootInstant) -> [Action] {
        guard let since = outageSince else { return [] }
        outageSince = nil
        return [.report(.outageOver(after: now.duration(since: since)))]
    }
}
