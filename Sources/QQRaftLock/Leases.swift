import Glibc
import QQCore
import QQGRPC

// Taking a lease and giving it up.
extension RaftLockCoordinator {
    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        let claim = Claim(name: request.name, identity: request.identity)
        let what = "cannot acquire \(Printable.text(request.name))"
        let deadline = requestDeadline
        if let rival = try await rival(request, what, until: deadline) { return .refused(rival) }
        let sentAt = clock.now()
        let response: Raftlock_AcquireResponse
        do throws(GRPCFailure) {
            response = try await service.write(
                LockCalls.acquire(request.name, request.identity, ttl: request.ttl, priority: priority), until: deadline)
        } catch {
            // Nobody has asked for this with `wait`, but a server may answer so.
            if LockRefusal(error) == .lockHeld { return .refused(await present(request.name, otherwise: .held, until: requestDeadline)) }
            let told = told(error, what, isChange: true)
            if told.isUncertain {
                state.withLock { state in
                    // What the queue brought us is extended by this, and began before it.
                    let isPromoted = state.places[claim] != nil
                    state.doubts[claim] = Doubt(since: isPromoted ? sentAt - .seconds(5) : sentAt, ttl: request.ttl)
                }
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
        let isOurs =
            lock.isNewTerm(of: request.ttl)
            || state.withLock { state in
                request.continuing != nil || state.held[claim] != nil || state.doubts[claim] != nil || state.places[claim] != nil
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

    /// The server extends a lease for whoever has its holder's name, and two processes may have one name: then both would lead. So where a name is not
    /// this process's alone, the lock is looked at before it is asked for.
    /// - Returns: the election, where another of our name holds it.
    private func rival(
        _ request: AcquireRequest, _ what: String, until deadline: BootInstant
    ) async throws(CoordinationError) -> ElectionState? {
        let isUnique = request.identity.hasPrefix("\(Identity.hostName())/\(getpid())/")
        guard !isUnique || request.continuing != nil else { return nil }
        let claim = Claim(name: request.name, identity: request.identity)
        do throws(GRPCFailure) {
            let (reading, endpoint) = try await service.lockInfo(request.name, until: deadline)
            guard reading.owner == request.identity else { return nil }
            if let token = request.continuing?.token, UInt64(exactly: reading.version) == token.value { return nil }
            if isOwn(reading, await service.serverClock(at: endpoint)) == true { return nil }
            state.withLock { _ = $0.rivals.insert(claim) }
            return await electionState(reading, from: endpoint)
        } catch {
            // Asking for it tells why nobody leads, and where else the leader may be; what is granted then is looked at, too.
            if error.isAnswer, error.code == .unavailable { return nil }
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
