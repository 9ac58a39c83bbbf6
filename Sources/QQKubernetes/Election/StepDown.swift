import QQCore

// Making a holder step down. A lease that is cleared or deleted stops nobody: its holder works on until it notices, and client-go just takes it again. So a `qq`
// is asked, and whoever cannot be asked, or does not answer, is outlasted.
extension KubernetesCoordinator {
    public func askToStepDown(
        _ seen: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer {
        let name = seen.name
        let leader = Printable.text(seen.leader ?? "the leader")
        let what = "cannot make \(leader) step down from \(name)"
        func refuse(_ reason: String) -> CoordinationError {
            CoordinationError(
                .unavailable, what, because: reason, at: server.description,
                hint: "--force holds the election itself until the leader must have stopped")
        }
        let found: LeaseObject?
        do throws(APIFailure) { found = try await readLease(name, within: requestTimeout) } catch { throw told(error, what, .get, name) }
        let present = electionState(name)
        guard let found, present.phase != .free else { return .done }
        guard present.isSameTerm(as: seen) else { return .changed(present) }
        guard let mark = found.mark else {
            guard byForce else { throw refuse("only a qq that renews its lease can be asked, and this leader is none") }
            return .outlast(outlasting(seen, by: identity, asksFirst: false, lasting: .other))
        }
        if mark.isAttended {
            do throws(APIFailure) {
                if let answer = try await ask(name, mark, by: identity) { return answer }
            } catch { throw told(error, what, .update, name) }
            guard byForce, seen.isOwn != true else { return .asked }
            return .outlast(outlasting(seen, by: identity, asksFirst: true, lasting: .qq))
        }
        if seen.isOwn == true {
            // No process renews it: the command that acquired it has ended, and the user gives the lease up.
            _ = try await release(grant(name, mark, found.record, deadline: clock.now() + mark.ttl))
            return .done
        }
        guard byForce else { throw refuse("no process renews its lease that could be asked") }
        return .outlast(outlasting(seen, by: identity, asksFirst: false, lasting: .qq))
    }

    /// Writes the request into the holder's lease. The holder sees it by watching, or when its next renewal meets another version.
    /// - Returns: the answer if the term has ended meanwhile.
    private func ask(_ name: String, _ mark: TermMark, by identity: String) async throws(APIFailure) -> StepDownAnswer? {
        for _ in 0..<Self.mostRenewalsBetween {
            let found = try await readLease(name, within: requestTimeout)
            guard var wanted = found, wanted.mark?.id == mark.id else {
                let present = electionState(name)
                return present.phase == .free ? .done : .changed(present)
            }
            if wanted.stepDownAskedBy == identity { return nil }
            wanted.askToStepDown(mark, by: identity)
            do throws(APIFailure) {
                note(name, try await write(calls.replace(wanted), within: requestTimeout))
                return nil
            } catch {
                // Asking twice does no harm.
                guard error.status == 409 || error.isUncertain else { throw error }
            }
        }
        throw APIFailure(
            status: 409, reason: "Conflict", message: "the lease is renewed faster than it can be changed", endpoint: api.endpoint,
            credential: "")
    }

    private static let mostRenewalsBetween = 10

    // MARK: Outlasting

    private enum Holder {
        /// Works for at most one TTL after its last renewal.
        case qq
        /// client-go leads until its renew deadline has passed since its last success, even after it has read another holder, and looks once in a retry period:
        /// deadline < duration and 1.2 × retry < deadline, so that twice the duration bounds both. Consensus gives up after two of its intervals.
        case other

        func lasts(_ ttl: Duration) -> Duration { self == .qq ? ttl : ttl * 2 }
    }

    /// The duration of leases that name none.
    private static let usualTTL: Duration = .seconds(15)

    private func outlasting(_ seen: ElectionState, by identity: String, asksFirst: Bool, lasting holder: Holder) -> Outlasting {
        let ttl = seen.ttl.flatMap { LeaseNaming.seconds($0) == nil ? nil : $0 } ?? Self.usualTTL
        // client-go takes a holder with its own identity for itself: a leader would not stop, and a contender, such as one in this pod, would start to lead.
        let ours = Identity.isOurAlone(identity) ? identity : Identity.generated()
        return Outlasting(duration: (asksFirst ? ttl : .zero) + holder.lasts(ttl), identity: ours, ttl: ttl) {
            [self] report async throws(CoordinationError) in
            if asksFirst {
                report(.asking(ttl))
                if await hasLetGo(seen, until: clock.now() + ttl) { return .done }
            }
            return try await hold(seen, as: ours, ttl: ttl, for: holder.lasts(ttl), report)
        }
    }

    /// Waits until the term has ended.
    private func hasLetGo(_ seen: ElectionState, until deadline: BootInstant) async -> Bool {
        let follower = LeaseFollower(seen.name, self)
        while clock.now() < deadline, !Task.isCancelled {
            var lookAgainAt = clock.now() + .milliseconds(500)
            if let (_, at) = try? await follower.current() {
                let present = electionState(seen.name)
                if present.phase == .free || !present.isSameTerm(as: seen) { return true }
                lookAgainAt = at
            }
            await follower.bell.wait(until: min(lookAgainAt, deadline), clock)
        }
        return false
    }

    private func hold(
        _ seen: ElectionState, as identity: String, ttl: Duration, for length: Duration,
        _ report: @escaping @Sendable (Outlasting.Stage) -> Void
    ) async throws(CoordinationError) -> StepDownAnswer {
        let name = seen.name
        let what = "cannot make \(Printable.text(seen.leader ?? "the leader")) step down from \(name)"
        var held: Grant?
        // The holder notices no sooner than the lease is taken.
        var end: BootInstant?
        while true {
            if Task.isCancelled { throw CoordinationError(.unavailable, what, because: "interrupted", at: server.description) }
            let now = clock.now()
            if let held, let end, now >= end {
                _ = try await retrying(until: held.deadline) { () async throws(CoordinationError) in try await release(held) }
                return .done
            }
            guard let grant = held else {
                let taken: Grant?
                do throws(APIFailure) { taken = try await takeAway(seen, as: identity, ttl: ttl, isAgain: end != nil) } catch {
                    throw told(error, what, .update, name)
                }
                guard let taken else {
                    let present = electionState(name)
                    return present.phase == .free ? .done : .changed(present)
                }
                held = taken
                let until = end ?? clock.now() + length
                end = until
                report(.holding(until.duration(since: clock.now())))
                continue
            }
            try? await clock.sleep(until: min(now + ttl / 3, end ?? now))
            if Task.isCancelled { continue }
            switch try await retrying(until: grant.deadline, { () async throws(CoordinationError) in try await renew(grant) }) {
            case .renewed(let renewed): held = renewed
            case .lost(let present):
                held = nil
                // A client-go leader that stops wipes whatever lease is there. Its work might still be ending.
                guard present.phase == .free || present.details["cleared"] != nil else { return .changed(present) }
            }
        }
    }

    private func retrying<Answer: Sendable>(
        until deadline: BootInstant, _ request: () async throws(CoordinationError) -> Answer
    ) async throws(CoordinationError) -> Answer {
        while true {
            do throws(CoordinationError) { return try await request() } catch {
                guard error.isTransient, clock.now() < deadline, !Task.isCancelled else { throw error }
                try? await clock.sleep(for: .milliseconds(200))
            }
        }
    }

    /// Takes a lease that is in force.
    /// - Parameter isAgain: whether it was taken before, and was cleared since.
    /// - Returns: nil if the term has ended meanwhile, or another process has taken the lease.
    private func takeAway(_ seen: ElectionState, as identity: String, ttl: Duration, isAgain: Bool) async throws(APIFailure) -> Grant? {
        let name = seen.name
        for _ in 0..<Self.mostRenewalsBetween {
            guard let found = try await readLease(name, within: limit(ttl: ttl)) else { return nil }
            let present = electionState(name)
            if isAgain {
                guard found.record.holder == nil else { return nil }
            } else {
                guard present.phase != .free, present.isSameTerm(as: seen) else { return nil }
            }
            let record = found.record.taken(by: identity, for: LeaseNaming.seconds(ttl) ?? 15, at: stamp)
            let mark = TermMark(
                id: TermMark.newID(random), token: found.version.map { FencingToken($0) }, identity: identity,
                acquireTime: record.acquireTime ?? "",
                transitions: record.transitions, seconds: LeaseNaming.seconds(ttl) ?? 15, isAttended: false)
            if let grant = try await write(name, mark, record, note: nil, over: found, ttl: ttl) { return grant }
        }
        throw APIFailure(
            status: 409, reason: "Conflict", message: "the lease is renewed faster than it can be taken", endpoint: api.endpoint,
            credential: "")
    }
}
