// Requesting the lease and waiting for it.
extension LeaseSession {
    mutating func ask(at now: BootInstant) -> [Action] {
        state = .asking(sentAt: now)
        return [.acquire(configuration.request)]
    }

    mutating func asking(_ event: Event, sentAt: BootInstant, at now: BootInstant) -> [Action] {
        switch event {
        case .acquired(let grant): return outageEnds(at: now) + granted(grant, sentAt: sentAt, at: now)
        case .refused(let blocker): return outageEnds(at: now) + refused(by: blocker, at: now)
        case .acquireFailed(let error) where error.isUncertain:
            state = .resolving(sentAt: sentAt, error, readAgainAt: nil)
            return [.read]
        case .acquireFailed(let error): return failed(error, at: now)
        default: return []
        }
    }

    mutating func resolving(
        _ event: Event, sentAt: BootInstant, error: CoordinationError, readAgainAt: BootInstant?, at now: BootInstant
    ) -> [Action] {
        switch event {
        case .read(let found):
            // A holder whose liveness lock is held is another process with the same identity: ours was lost with the answer.
            guard found.phase == .held, found.leader == configuration.request.identity, found.alive != true, found.isOwn != false else {
                return failed(error, at: now)
            }
            // The lease was granted after all, but its liveness lock, if any, is lost. Release it and ask again, as often as retries are allowed.
            countRetry()
            if !isWaiter, !configuration.retry.allows(retry: retries, after: error) { triedEnough = error }
            let grant = Grant(
                name: found.name, identity: configuration.request.identity, token: found.token, termID: found.termID,
                details: found.details,
                ttl: configuration.request.ttl,
                deadline: sentAt + configuration.request.ttl, acquiredAt: found.acquiredAt ?? .now(), expiresAt: .now())
            return release(grant, attempt: 1, campaignAfter: true)
        case .readFailed(let readError):
            // Still uncertain. Reading again is harmless, and the lease cannot outlive the request by more than its TTL.
            let end = min(sentAt + configuration.request.ttl, stopping ? .distantFuture : waitEnds)
            if readError.isTransient, now < end {
                countRetry()
                let pause = configuration.retry.pause(before: retries, random: configuration.random())
                let again = min(now + pause, end)
                state = .resolving(sentAt: sentAt, error, readAgainAt: again)
                return [isWaiter ? outageReport(readError, at: now) : .report(.retrying(readError, after: pause)), .timer(again)]
            }
            return failed(error, at: now)
        case .timer:
            // A timer of the previous term can still fire while the read is in flight.
            guard let readAgainAt, now >= readAgainAt else { return [] }
            state = .resolving(sentAt: sentAt, error, readAgainAt: nil)
            return [.read]
        default: return []
        }
    }

    private mutating func granted(_ answer: Grant, sentAt: BootInstant, at now: BootInstant) -> [Action] {
        var grant = answer
        let end = sentAt + grant.ttl
        // The turn of a waiter can have come before this request.
        grant.deadline = min(end, grant.endsBy ?? end)
        grant.endsBy = nil
        retries = 0
        lastFailure = nil
        stepDownSeen = nil
        if stopping { return release(grant, attempt: 1) }
        if now >= grant.deadline {
            // The answer took longer than the TTL, so the lease might be over.
            return release(grant, attempt: 1, campaignAfter: true)
        }
        let due = renewalDue(of: grant, after: grant.deadline - grant.ttl)
        state = .holding(grant, .due(at: due, retry: 0))
        return [.report(.elected(grant)), .timer(min(due, grant.deadline))]
    }

    private mutating func refused(by blocker: ElectionState, at now: BootInstant) -> [Action] {
        retries = 0
        if stopping { return end(.stopped) }
        let until: BootInstant
        switch configuration.waiting {
        case .no: return end(.refused(blocker))
        case .until(let deadline) where now >= deadline: return end(.timedOut(blocker))
        case .until(let deadline): until = deadline
        case .forever: until = .distantFuture
        }
        state = .queueing(behind: blocker, since: now)
        return [.report(.waiting(blocker)), .waitForTurn(configuration.request, behind: blocker, until: until)]
    }

    mutating func queueing(_ event: Event, behind blocker: ElectionState, since: BootInstant, at now: BootInstant) -> [Action] {
        switch event {
        case .turnCame:
            // A queue that answers immediately is believed a few times. After that it is asked at this pace.
            let earliest = since + configuration.shortestTurn
            quickTurns = now < earliest ? quickTurns + 1 : 0
            if quickTurns <= Self.quickTurnsAllowed { return ask(at: now) }
            state = .pausing(until: earliest)
            return [.timer(earliest)]
        case .waitFailed(let error): return failed(error, at: now)
        default: return []
        }
    }

    private mutating func failed(_ error: CoordinationError, at now: BootInstant) -> [Action] {
        if stopping { return end(.stopped) }
        if isWaiter { return rideOut(error, at: now) }
        countRetry()
        guard configuration.retry.allows(retry: retries, after: error) else { return end(.failed(error)) }
        let pause = configuration.retry.pause(before: retries, random: configuration.random())
        state = .pausing(until: now + pause)
        return [.report(.retrying(error, after: pause)), .timer(now + pause)]
    }
}
