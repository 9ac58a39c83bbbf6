import Glibc
import QQCore
import QQGRPC

// Acquiring and releasing leases.
extension RaftLockCoordinator {
    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        let claim = Claim(name: request.name, identity: request.identity)
        do throws(CoordinationError) {
            // A process that requests the lease no longer counts as its holder, but the lease might still exist.
            state.withLock { state in
                guard let held = state.held.removeValue(forKey: claim) else { return }
                state.extended[claim] = Extended(version: held.version, began: held.began, wasQuick: true)
            }
            let answer = try await ask(request, claim, until: requestDeadline)
            state.withLock { $0.places[claim]?.awaySince = nil }
            return answer
        } catch {
            // A process in the queue keeps waiting for a cluster that is unavailable for a moment.
            guard error.isTransient, !error.isUncertain, isPatient(claim) else { throw error }
            return .refused(ElectionState(name: request.name, phase: .unknown))
        }
    }

    /// Whether this process is in the queue, and the cluster has not been unavailable for too long.
    private func isPatient(_ claim: Claim) -> Bool {
        let now = clock.now()
        return state.withLock { state in
            guard let place = state.places[claim] else { return false }
            let since = place.awaySince ?? now
            state.places[claim]?.awaySince = since
            return now < since + Self.patience
        }
    }

    private func ask(
        _ request: AcquireRequest, _ claim: Claim, until deadline: BootInstant, after tries: Int = 0
    ) async throws(CoordinationError) -> AcquireAnswer {
        let what = "cannot acquire \(Printable.text(request.name))"
        let readAt = clock.now()
        let priorState = try await priorState(request, what, until: deadline)
        if case .others(let state) = priorState { return .refused(state) }
        let length = lengthToAsk(request)
        let sentAt = clock.now()
        let answer: Raftlock_AcquireResponse?
        do throws(GRPCFailure) {
            answer = try await service.write(
                LockCalls.acquire(request.name, request.identity, ttl: length, priority: priority), until: deadline,
                beginBy: validity(of: priorState, since: readAt, after: tries))
        } catch {
            // Requests are sent without `wait`, but a server can answer this anyway.
            if LockRefusal(error) == .lockHeld { return .refused(await present(request.name, otherwise: .held, until: requestDeadline)) }
            throw remembering(error, claim, length, sentAt: sentAt, what)
        }
        // The turn in the write queue came too late: the lock might have changed since it was read.
        guard let response = answer else { return try await ask(request, claim, until: deadline, after: tries + 1) }
        guard response.acquired else {
            if response.hasError, let refusal = LockRefusal(response.error), refusal != .lockHeld {
                throw told(GRPCFailure(response.error, at: server.description), what, isChange: false)
            }
            return .refused(await present(request.name, otherwise: .held, until: requestDeadline))
        }
        let lock = response.lock
        guard lock.version > 0 else {
            throw CoordinationError(
                .brokenData, what, because: "the server grants it without a version", at: server.description, isUncertain: true)
        }
        let isNew = began(lock, claim, by: length)
        var isOurs = isNew
        if !isOurs { isOurs = await self.isOurs(lock, claim, after: priorState, at: readAt) }
        guard isOurs else {
            // Another process with the same identity has acquired the lock since the read, or might have: the server cannot tell the two apart.
            state.withLock { _ = $0.heldBySameIdentity.insert(claim) }
            let present = await present(request.name, otherwise: .held, until: requestDeadline)
            if mightBelongToSameIdentity(present, claim) { await giveUpPlace(claim, until: clock.now() + .seconds(1)) }
            return .refused(present)
        }
        if !isNew, isMostlyOver(claim, after: priorState, ttl: request.ttl, from: sentAt) {
            return .refused(await present(request.name, otherwise: .held, until: requestDeadline))
        }
        let hasPlace = state.withLock { state in
            let uncertain = state.uncertain.removeValue(forKey: claim)
            state.heldBySameIdentity.remove(claim)
            state.extended[claim] = nil
            state.held[claim] = Held(
                version: lock.version, began: lock.began,
                isPrivate: request.wantsLivenessLock && request.guardsWork && request.continuing == nil, ttl: request.ttl,
                expiresAt: lock.hasExpiresAt ? lock.expiresAt.wallTime : nil, isUncertain: uncertain != nil)
            return state.places[claim] != nil
        }
        // Otherwise the queue would grant the lock to this process again after its release.
        if hasPlace { await giveUpPlace(claim, until: clock.now() + min(request.ttl / 4, .seconds(1))) }
        let acquiredAt = isNew ? nil : request.continuing?.acquiredAt
        return .granted(grant(claim, version: lock.version, ttl: min(request.ttl, length), from: sentAt, began: acquiredAt), nil)
    }

    /// Remembers a request that might have been carried out although it failed.
    private func remembering(
        _ failure: GRPCFailure, _ claim: Claim, _ length: Duration, sentAt: BootInstant, _ what: String
    ) -> CoordinationError {
        var told = told(failure, what, isChange: true)
        guard told.isUncertain else { return told }
        var uncertain = uncertainRequests(of: claim) ?? UncertainRequests(since: sentAt, asked: [], isPending: false)
        uncertain.since = sentAt
        if !uncertain.asked.contains(length) { uncertain.asked.append(length) }
        if !failure.isAnswer { uncertain.isPending = true }
        state.withLock { $0.uncertain[claim] = uncertain }
        told.hint =
            told.hint ?? "it might still be carried out; the lease then expires after \(DurationText.format(length))"
        return told
    }

    /// Whether a request of this process began the granted term; otherwise the request extended an existing one.
    private func began(_ lock: Raftlock_Lock, _ claim: Claim, by length: Duration) -> Bool {
        guard let lasts = lock.length else { return true }
        return lasts <= length || uncertainRequests(of: claim)?.asked.contains(lasts) ?? false
    }

    func grant(_ claim: Claim, version: Int64, ttl: Duration, from sentAt: BootInstant, began: WallTime?) -> Grant {
        let now = wallTime
        return Grant(
            name: claim.name, identity: claim.identity, token: FencingToken(UInt64(clamping: version)), ttl: ttl, deadline: sentAt + ttl,
            acquiredAt: began ?? now, expiresAt: now + (ttl - clock.now().duration(since: sentAt)))
    }

    // MARK: Releasing

    public func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        let what = "cannot release \(Printable.text(grant.name))"
        guard let token = grant.token else {
            throw CoordinationError(.usage, what, because: "its token is unknown", at: server.description, hint: "give it with --token")
        }
        let version = Int64(clamping: token.value)
        do throws(GRPCFailure) {
            do throws(GRPCFailure) { try await release(grant, version: version) } catch {
                // Another process with the same identity that backed off has changed the version.
                guard LockRefusal(error)?.isAboutHolder == true,
                    let (snapshot, _) = try? await service.lockInfo(grant.name, until: requestDeadline),
                    snapshot.owner == grant.identity, snapshot.version != version, asHeld(snapshot).version == version
                else { throw error }
                try await release(grant, version: snapshot.version)
            }
            return .released
        } catch { return try await resolveRelease(of: grant, version: version, error, what) }
    }

    private func release(_ grant: Grant, version: Int64) async throws(GRPCFailure) {
        let response = try await service.write(LockCalls.release(grant.name, grant.identity, version: version), until: requestDeadline)
        if !response.released { throw GRPCFailure(response.error, at: server.description) }
        forget(Claim(name: grant.name, identity: grant.identity))
    }

    /// Resolves a release that failed.
    private func resolveRelease(
        of grant: Grant, version: Int64, _ failure: GRPCFailure, _ what: String
    ) async throws(CoordinationError) -> ReleaseAnswer {
        let claim = Claim(name: grant.name, identity: grant.identity)
        if LockRefusal(failure)?.isAboutHolder == true {
            forget(claim)
            return .notHeld(await present(grant.name, otherwise: .free, until: requestDeadline))
        }
        let told = told(failure, what, isChange: true)
        guard told.isUncertain else { throw told }
        // The release might have been carried out although it failed.
        guard let (snapshot, _) = try? await service.lockInfo(grant.name, until: requestDeadline) else { throw told }
        guard snapshot.owner != grant.identity || asHeld(snapshot).version != version else {
            throw self.told(failure, what, isChange: true)
        }
        forget(claim)
        return .released
    }

    private func forget(_ claim: Claim) {
        state.withLock { state in
            state.held[claim] = nil
            state.uncertain[claim] = nil
            state.extended[claim] = nil
        }
    }

    /// Ends the lease of another holder under its identity, with the version that was read.
    public func askToStepDown(
        _ seen: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer {
        let what = "cannot make \(Printable.text(seen.leader ?? "the leader")) step down from \(Printable.text(seen.name))"
        if !byForce {
            try capabilities.require(.askNodeToStepDown, for: "ask \(Printable.text(seen.leader ?? "the leader")) to step down", at: server)
        }
        do throws(GRPCFailure) {
            let (snapshot, endpoint) = try await service.lockInfo(seen.name, until: requestDeadline)
            guard let owner = snapshot.owner else { return .done }
            let present = await electionState(snapshot, from: endpoint)
            guard present.isSameTerm(as: seen) else { return .changed(present) }
            let response = try await service.write(
                LockCalls.release(seen.name, owner, version: snapshot.version), until: requestDeadline)
            if !response.released { throw GRPCFailure(response.error, at: server.description) }
            return .done
        } catch {
            let told = told(error, what, isChange: true)
            guard LockRefusal(error)?.isAboutHolder == true || told.isUncertain else { throw told }
            guard let (snapshot, endpoint) = try? await service.lockInfo(seen.name, until: requestDeadline) else { throw told }
            guard snapshot.owner != nil else { return .done }
            let present = await electionState(snapshot, from: endpoint)
            if present.isSameTerm(as: seen) { throw self.told(error, what, isChange: true) }
            // If the release was carried out, the next waiter has the lock.
            return told.isUncertain ? .done : .changed(present)
        }
    }
}
