import Glibc
import QQCore
import QQGRPC

// Taking a lease and giving it up.
extension RaftLockCoordinator {
    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        let claim = Claim(name: request.name, identity: request.identity)
        do throws(CoordinationError) {
            let answer = try await ask(request, claim)
            state.withLock { $0.places[claim]?.awaySince = nil }
            return answer
        } catch {
            // Who stands in the queue waits on for a cluster that is away for a moment.
            guard error.isPassing, !error.isUncertain, isPatient(claim) else { throw error }
            return .refused(ElectionState(name: request.name, phase: .unknown))
        }
    }

    /// Whether it stands in the queue, and the cluster has not been away for too long.
    private func isPatient(_ claim: Claim) -> Bool {
        let now = clock.now()
        return state.withLock { state in
            guard let place = state.places[claim] else { return false }
            let since = place.awaySince ?? now
            state.places[claim]?.awaySince = since
            return now < since + Self.patience
        }
    }

    private func ask(_ request: AcquireRequest, _ claim: Claim) async throws(CoordinationError) -> AcquireAnswer {
        let what = "cannot acquire \(Printable.text(request.name))"
        let deadline = requestDeadline
        let askedAt = clock.now()
        let look = try await look(request, what, until: deadline)
        if case .rival(let state) = look { return .refused(state) }
        let sentAt = clock.now()
        let response: Raftlock_AcquireResponse
        do throws(GRPCFailure) {
            response = try await service.write(
                LockCalls.acquire(request.name, request.identity, ttl: request.ttl, priority: priority), until: deadline)
        } catch {
            // Nobody has asked for this with `wait`, but a server may answer so.
            if LockRefusal(error) == .lockHeld { return .refused(await present(request.name, otherwise: .held, until: requestDeadline)) }
            var told = told(error, what, isChange: true)
            if told.isUncertain {
                state.withLock { state in
                    // What the queue brought us is extended by this, and began before it.
                    let isPromoted = state.places[claim] != nil
                    state.doubts[claim] = Doubt(
                        since: isPromoted ? sentAt - .seconds(5) : sentAt, ttl: request.ttl, isPending: !error.isAnswer)
                }
                told.hint =
                    told.hint ?? "it may still be carried out; the lease then ends by itself after \(DurationText.format(request.ttl))"
            }
            throw told
        }
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
        var isOurs = lock.isNewTerm(of: request.ttl)
        if !isOurs, mayExtend(request, claim, look) {
            isOurs = look == .notNeeded ? true : await isAlone(claim, lock.version, since: askedAt)
        }
        guard isOurs else {
            // Another process of our identity has taken it since we looked: the server takes us for one.
            state.withLock { _ = $0.rivals.insert(claim) }
            return .refused(await present(request.name, otherwise: .held, until: requestDeadline))
        }
        let hasPlace = state.withLock { state in
            let doubt = state.doubts.removeValue(forKey: claim)
            state.rivals.remove(claim)
            state.held[claim] = Held(
                version: lock.version, ttl: request.ttl, expiresAt: lock.hasExpiresAt ? lock.expiresAt.wallTime : nil,
                isDoubtful: doubt != nil)
            return state.places[claim] != nil
        }
        // Else it would come to us a second time when we give it up.
        if hasPlace { await giveUpPlace(claim, until: clock.now() + min(request.ttl / 4, .seconds(1))) }
        return .granted(
            grant(claim, version: lock.version, ttl: request.ttl, from: sentAt, began: request.continuing?.acquiredAt), nil)
    }

    /// What stood there before a lock was asked for.
    private enum Look: Sendable, Hashable {
        /// Nobody else has our identity.
        case notNeeded
        case free
        /// Ours, or somebody's whom the request will be refused for.
        case held
        /// Another's of our identity.
        case rival(ElectionState)
        case failed
    }

    /// Whether it may be a lease of ours that the server extended: one that goes on, that a request in doubt brought, or the queue.
    private func mayExtend(_ request: AcquireRequest, _ claim: Claim, _ look: Look) -> Bool {
        state.withLock { state in
            if state.doubts[claim] != nil { return true }
            // Whoever extends what was free has been forestalled.
            return look != .free && (request.continuing != nil || state.held[claim] != nil || state.places[claim] != nil)
        }
    }

    /// For so long at the most may it take from the look at a lock to the answer to acquire, and so long is waited for others who took as long.
    private static let settling: Duration = .seconds(1)

    /// Whether no other process of our identity has acquired the same lease at the same moment, which the server takes for one that asks twice. All of
    /// them saw it as it was before, and the last one's version stays: whoever took longer than is waited gives way, and the others look again once
    /// all who did not are through.
    private func isAlone(_ claim: Claim, _ version: Int64, since askedAt: BootInstant) async -> Bool {
        let answeredAt = clock.now()
        guard answeredAt < askedAt + Self.settling, (try? await clock.sleep(until: answeredAt + Self.settling)) != nil,
            let (reading, _) = try? await service.lockInfo(claim.name, until: requestDeadline)
        else { return false }
        return reading.owner == claim.identity && reading.version == version
    }

    /// The server extends a lease for whoever has its holder's name, and two processes may have one name: then both would lead. So where a name is not
    /// this process's alone, the lock is looked at before it is asked for.
    private func look(_ request: AcquireRequest, _ what: String, until deadline: BootInstant) async throws(CoordinationError) -> Look {
        let isUnique = request.identity.hasPrefix("\(Identity.hostName())/\(getpid())/")
        guard !isUnique || request.continuing != nil else { return .notNeeded }
        let claim = Claim(name: request.name, identity: request.identity)
        do throws(GRPCFailure) {
            let (reading, endpoint) = try await service.lockInfo(request.name, until: deadline)
            guard reading.owner == request.identity else { return reading.owner == nil ? .free : .held }
            if let token = request.continuing?.token, UInt64(exactly: reading.version) == token.value { return .held }
            if isOwn(reading, await service.serverClock(at: endpoint)) == true { return .held }
            state.withLock { _ = $0.rivals.insert(claim) }
            return .rival(await electionState(reading, from: endpoint))
        } catch {
            // Asking for it tells why nobody leads, and where else the leader may be; what is granted then is looked at, too.
            if error.isAnswer, error.code == .unavailable { return .failed }
            throw told(error, what, isChange: false)
        }
    }

    func grant(_ claim: Claim, version: Int64, ttl: Duration, from sentAt: BootInstant, began: WallTime?) -> Grant {
        let now = WallTime.now()
        return Grant(
            name: claim.name, identity: claim.identity, token: FencingToken(UInt64(clamping: version)), ttl: ttl, deadline: sentAt + ttl,
            acquiredAt: began ?? now, expiresAt: now + (ttl - clock.now().duration(since: sentAt)))
    }

    // MARK: Giving up

    public func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        let claim = Claim(name: grant.name, identity: grant.identity)
        let what = "cannot release \(Printable.text(grant.name))"
        guard let token = grant.token else {
            throw CoordinationError(.usage, what, because: "its token is not known", at: server.description, hint: "give it with --token")
        }
        let version = Int64(clamping: token.value)
        do throws(GRPCFailure) {
            let response = try await service.write(LockCalls.release(grant.name, grant.identity, version: version), until: requestDeadline)
            if !response.released { throw GRPCFailure(response.error, at: server.description) }
            forget(claim)
            return .released
        } catch {
            if LockRefusal(error)?.isAboutHolder == true {
                let wasDoubtful = state.withLock { $0.held[claim]?.isReleaseDoubtful ?? false }
                forget(claim)
                // An earlier try was carried out, then.
                if wasDoubtful { return .released }
                return .notHeld(await present(grant.name, otherwise: .free, until: requestDeadline))
            }
            let told = told(error, what, isChange: true)
            guard told.isUncertain else { throw told }
            // It may have been carried out although it failed.
            state.withLock { $0.held[claim]?.isReleaseDoubtful = true }
            guard let (reading, _) = try? await service.lockInfo(grant.name, until: requestDeadline) else { throw told }
            guard reading.owner != grant.identity || reading.version != version else { throw self.told(error, what, isChange: true) }
            forget(claim)
            return .released
        }
    }

    private func forget(_ claim: Claim) {
        state.withLock { state in
            state.held[claim] = nil
            state.doubts[claim] = nil
        }
    }

    /// Ends another's lease in its name, by what was read of it.
    public func askToStepDown(
        _ seen: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer {
        let what = "cannot make \(Printable.text(seen.leader ?? "the leader")) step down from \(Printable.text(seen.name))"
        if !byForce {
            try capabilities.require(.askNodeToStepDown, for: "ask \(Printable.text(seen.leader ?? "the leader")) to step down", at: server)
        }
        do throws(GRPCFailure) {
            let (reading, endpoint) = try await service.lockInfo(seen.name, until: requestDeadline)
            guard let owner = reading.owner else { return .done }
            let present = await electionState(reading, from: endpoint)
            guard present.isSameTerm(as: seen) else { return .changed(present) }
            let response = try await service.write(
                LockCalls.release(seen.name, owner, version: reading.version), until: requestDeadline)
            if !response.released { throw GRPCFailure(response.error, at: server.description) }
            return .done
        } catch {
            let told = told(error, what, isChange: true)
            guard LockRefusal(error)?.isAboutHolder == true || told.isUncertain else { throw told }
            guard let (reading, endpoint) = try? await service.lockInfo(seen.name, until: requestDeadline) else { throw told }
            guard reading.owner != nil else { return .done }
            let present = await electionState(reading, from: endpoint)
            if present.isSameTerm(as: seen) { throw self.told(error, what, isChange: true) }
            // Whoever came next in the queue has it when ours went through.
            return told.isUncertain ? .done : .changed(present)
        }
    }
}
