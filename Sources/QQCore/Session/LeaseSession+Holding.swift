// Holding the lease: renewing, losing and releasing it.
extension LeaseSession {
    func renewalDue(of grant: Grant, after sentAt: BootInstant) -> BootInstant {
        // Early by up to the jitter, never late.
        let spread = configuration.retry.jitter * configuration.random()
        // If the system grants less than requested, renewals are more frequent by the same factor.
        let share = min(grant.ttl.seconds / configuration.request.ttl.seconds, 1)
        let due = sentAt + .seconds(saturating: configuration.renewEvery.seconds * share * (1 - spread))
        let grid = UInt64(max(configuration.renewalGrid.nanoseconds, 0))
        return grid == 0 ? due : max(BootInstant(nanoseconds: due.nanoseconds - due.nanoseconds % grid), sentAt)
    }

    mutating func holding(_ event: Event, grant: Grant, renewal: Renewal, at now: BootInstant) -> [Action] {
        if now >= grant.deadline { return lost(grant, .expired(lastFailure), inFlight: !Self.answers(event, renewal), at: now) }
        switch (event, renewal) {
        case (.timer, .due(let at, let retry)) where now >= at:
            state = .holding(grant, .sent(at: now, retry: retry))
            return [.renew(grant), .timer(grant.deadline)]
        case (.timer, .due(let at, _)): return [.timer(min(at, grant.deadline))]
        case (.timer, _): return [.timer(grant.deadline)]
        case (.renewed(.renewed(let answer)), .sent(let sentAt, _)): return renewed(answer, was: grant, sentAt: sentAt, at: now)
        case (.renewed(.lost(let found)), .sent): return lost(grant, Self.reason(found), at: now)
        case (.renewFailed(let error), .sent(_, let retry)):
            lastFailure = error
            if error.isUncertain {
                state = .holding(grant, .resolving(retry: retry))
                return [.read]
            }
            return renewAgain(grant, retry: retry, after: error, at: now)
        case (.read(let found), .resolving(let retry)):
            if !found.isTerm(of: grant) { return lost(grant, Self.reason(found), at: now) }
            // Still ours, but perhaps not extended. Renewing again is harmless and shows it.
            return observed(found, grant: grant, renewal: .resolving(retry: retry))
                + renewAgain(grant, retry: retry, after: lastFailure, at: now)
        case (.readFailed(let error), .resolving(let retry)):
            lastFailure = error
            return renewAgain(grant, retry: retry, after: error, at: now)
        case (.clockJumped, _) where doubtedAt != now:
            doubtedAt = now
            return holding(.watchFailed, grant: grant, renewal: renewal, at: now)
        case (.watchFailed, .due(_, let retry)):
            // A renewal shows immediately whether the lease is still ours.
            state = .holding(grant, .sent(at: now, retry: retry))
            return [.renew(grant), .timer(grant.deadline)]
        case (.observed(let found), _): return observed(found, grant: grant, renewal: renewal)
        default: return []
        }
    }

    private mutating func renewed(_ answer: Grant, was grant: Grant, sentAt: BootInstant, at now: BootInstant) -> [Action] {
        var extended = answer
        let end = sentAt + answer.ttl
        // Others might not see that the lease was renewed, and count from an earlier renewal.
        extended.deadline = max(min(end, answer.endsBy ?? end), grant.deadline)
        extended.endsBy = nil
        lastFailure = nil
        if stopping { return release(extended, attempt: 1) }
        let isDoubted = doubtedAt.map { sentAt < $0 } ?? false
        let due = isDoubted ? now : renewalDue(of: extended, after: sentAt)
        state = .holding(extended, .due(at: due, retry: 0))
        return [.report(.extended(extended)), .timer(min(due, extended.deadline))]
    }

    /// A fraction of the rest of the lease could become arbitrarily short.
    private static let shortestPause: Duration = .milliseconds(10)

    /// Retries within the rest of the lease, regardless of the limit on retries: there is nothing better to do.
    private mutating func renewAgain(_ grant: Grant, retry: Int, after error: CoordinationError?, at now: BootInstant) -> [Action] {
        if stopping { return release(grant, attempt: 1) }
        // The work is ended some time before the lease. Pauses must take only a small part of the time until then.
        let longest = min(grant.deadline.duration(since: now), configuration.renewEvery) / 4
        let pause = max(
            min(configuration.retry.pause(before: retry + 1, random: configuration.random()), longest), Self.shortestPause)
        state = .holding(grant, .due(at: now + pause, retry: retry + 1))
        var actions: [Action] = [.timer(min(now + pause, grant.deadline))]
        if let error { actions.insert(.report(.retrying(error, after: pause)), at: 0) }
        return actions
    }

    private mutating func observed(_ found: ElectionState, grant: Grant, renewal: Renewal) -> [Action] {
        guard found.isTerm(of: grant) else {
            // A watch can show a state older than the grant; a read resolves it. If a request is in flight, its answer does.
            guard case .due(_, let retry) = renewal else { return [] }
            lastFailure = nil
            state = .holding(grant, .resolving(retry: retry))
            return [.read]
        }
        guard let by = found.stepDownAskedBy, stepDownSeen != by else { return [] }
        stepDownSeen = by
        return [.report(.stepDownAsked(by: by))]
    }

    private mutating func lost(_ grant: Grant, _ reason: LossReason, inFlight: Bool = false, at now: BootInstant) -> [Action] {
        let report = Action.report(.lost(grant, reason))
        if stopping || !configuration.campaignsAgain { return [report] + end(.lost(reason)) }
        retries = 0
        guard !inFlight else {
            state = .lapsed
            return [report]
        }
        return [report] + ask(at: now)
    }

    /// Whether no request is in flight after `event`.
    private static func answers(_ event: Event, _ renewal: Renewal) -> Bool {
        switch (renewal, event) {
        case (.due, _), (.sent, .renewed), (.sent, .renewFailed), (.resolving, .read), (.resolving, .readFailed): true
        default: false
        }
    }

    mutating func lapsed(_ event: Event, at now: BootInstant) -> [Action] {
        switch event {
        case .renewed, .renewFailed, .read, .readFailed: return ask(at: now)
        default: return []
        }
    }

    private static func reason(_ found: ElectionState) -> LossReason { found.phase == .free ? .removed : .takenOver(by: found.leader) }

    /// - Parameter campaignAfter: whether the lease is released only because its grant is useless, and not because the session was stopped.
    mutating func release(_ grant: Grant, attempt: Int, campaignAfter: Bool = false) -> [Action] {
        if !campaignAfter { stopping = true }
        state = .releasing(grant, attempt: attempt, inFlight: true, retryAt: .distantFuture)
        return [.release(grant)]
    }

    mutating func releasing(
        _ event: Event, grant: Grant, attempt: Int, inFlight: Bool, retryAt: BootInstant, at now: BootInstant
    ) -> [Action] {
        switch event {
        case .releaseAnswered:
            // That the lease was no longer held is success as well. The release is reported before the next request: a liveness lock that stayed
            // open would block that request.
            let report = outageEnds(at: now) + [.report(.released(grant))]
            if !stopping, let triedEnough { return report + end(.failed(triedEnough)) }
            if stopping { return report + end(.stopped) }
            // A system whose answers stay uncertain must not be asked without a pause.
            if isWaiter, retries > 0 { return report + pause(at: now) }
            return report + ask(at: now)
        case .releaseFailed(let error) where isWaiter && !stopping && error.isRiddenOut && now < waitEnds:
            return releaseAgain(grant, attempt: attempt, after: error, at: now)
        case .releaseFailed(let error):
            let pause = configuration.retry.pause(before: attempt, random: configuration.random())
            if configuration.retry.allows(retry: attempt, after: error), now + pause < grant.deadline {
                state = .releasing(grant, attempt: attempt + 1, inFlight: false, retryAt: now + pause)
                return [.report(.retrying(error, after: pause)), .timer(now + pause)]
            }
            let report = Action.report(.releaseFailed(grant, error))
            if stopping { return [report] + end(.stopped) }
            return [report] + end(isWaiter && error.isRiddenOut ? .timedOutInOutage(error) : .failed(error))
        case .timer where !inFlight && now >= retryAt: return release(grant, attempt: attempt, campaignAfter: !stopping)
        default: return []
        }
    }
}
