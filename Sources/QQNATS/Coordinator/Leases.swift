import QQCore

// Taking, renewing and giving up a lease.
extension NATSCoordinator {
    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        await gate.enter()
        defer { gate.leave() }
        return try await take(request)
    }

    // Of its own, so that its frame is allocated behind the gate.
    @inline(never)
    private func take(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        do throws(JetStreamFailure) {
            var fresh = false
            for _ in 0..<Self.mostAttempts {
                let found = try await survey(request.name, cooldownOf: request.identity, fresh: fresh, timeout: timeout(ttl: request.ttl))
                guard let survey = found else {
                    try await createBucket(request)
                    continue
                }
                let ttl = try leaseTTL(request.name, survey)
                switch try await attempt(request, survey, ttl: ttl) {
                case .some(let answer): return answer
                // Somebody else wrote in between: what they wrote decides.
                case nil: fresh = true
                }
            }
            throw .failed(NATSError(.timedOut, "it changes faster than it can be asked for"))
        } catch {
            throw failure("cannot acquire \(request.name)", error)
        }
    }

    /// So often it is looked again before an answer, where others write in between.
    private static let mostAttempts = 5

    /// How long leases in the bucket run.
    private func leaseTTL(_ name: String, _ survey: Survey) throws(JetStreamFailure) -> Duration {
        guard let ttl = survey.format.ttl(maxAge: survey.stream.configuration.maxAge) else {
            throw .failed(
                NATSError(
                    .configuration, "its bucket \(survey.format.bucket(cluster: name)) keeps values for ever, so that no lease would end"))
        }
        if let explicitTTL, explicitTTL != ttl {
            throw .failed(
                NATSError(
                    .configuration,
                    "leases of this cluster run \(DurationText.format(ttl)), which its bucket was made for, and not \(DurationText.format(explicitTTL)): leave --ttl out"
                ))
        }
        return ttl
    }

    private func createBucket(_ request: AcquireRequest) async throws(JetStreamFailure) {
        let format = settings.format ?? settings.formatToCreate
        let configuration = StreamConfiguration.bucket(
            format.bucket(cluster: request.name), maxAge: format.maxAge(ttl: request.ttl), replicas: settings.replicas)
        do throws(JetStreamFailure) {
            _ = try await jetStream.create(configuration, timeout: requestTimeout)
            state.withLock { $0.formats[request.name] = format }
        } catch {
            // Another was faster, and made it for another TTL.
            guard error.refusal?.isStreamNameInUse == true else { throw error }
        }
    }

    /// - Returns: nil where the lease was written to since it was read.
    private func attempt(_ request: AcquireRequest, _ survey: Survey, ttl: Duration) async throws(JetStreamFailure) -> AcquireAnswer? {
        let name = request.name
        let rules = rules(name, survey)
        let doubtful = state.withLock { $0.doubtful[name] ?? [] }
        var continuing = request.continuing?.termID
        // What an attempt of ours left behind, of which we were not told, stands in nobody's way but ours.
        let leftover = survey.lease.mark.flatMap { doubtful.contains($0.nonce) ? $0.nonce : nil }
        if let leftover { continuing = leftover }
        let decision = rules.decide(
            .init(identity: request.identity, continuing: continuing, cooldown: survey.cooldown), at: moment)
        var term = LeaseTerm(
            format: survey.format, nodeID: request.identity, epoch: rules.nextEpoch, nonce: TermMark.newNonce(), acquiredAt: .now(),
            ttl: ttl)
        let write: KeyValueWrite
        var token: FencingToken?
        switch decision {
        case .refuse: return .refused(electionState(name, rules))
        case .coolingDown(let left):
            var found = electionState(name, rules)
            found.cooldown = left
            return .refused(found)
        case .take(let revision, let epoch):
            term.epoch = epoch
            write = term.acquisition(over: revision)
        case .renew(let revision) where leftover != nil: write = term.acquisition(over: revision)
        case .renew(let revision):
            // The same term under a new mark: whoever held it before with the same saved grant sees that it has passed on.
            term.epoch = survey.lease.value?.epoch ?? term.epoch
            if survey.format == .v1, let began = survey.lease.value?.acquiredAt { term.acquiredAt = began }
            let kept = request.continuing?.token ?? survey.lease.token ?? FencingToken(revision)
            token = kept
            write = term.renewal(1, token: kept, over: revision, wall: .now())
        }
        guard let revision = try await take(name, term, write) else { return nil }
        let held = HeldLease(term: term, token: token ?? FencingToken(revision), revision: revision, renewals: token == nil ? 0 : 1)
        let follower = state.withLock { state in
            state.held[name] = held
            return state.followers.removeValue(forKey: name)
        }
        follower?.stop()
        return .granted(grant(name, held), nil)
    }

    private func take(_ name: String, _ term: LeaseTerm, _ write: KeyValueWrite) async throws(JetStreamFailure) -> UInt64? {
        // Before it is sent: from then on it may be there.
        state.withLock { state in state.doubtful[name] = (state.doubtful[name] ?? []).suffix(Self.mostDoubtful - 1) + [term.nonce] }
        do throws(JetStreamFailure) {
            let bucket = term.format.bucket(cluster: name)
            let answer = try await jetStream.write(bucket: bucket, write, timeout: timeout(ttl: term.ttl))
            settled(name, term.nonce)
            sighted(name, answer.sequence, at: clock.now())
            return answer.sequence
        } catch {
            if error.refusal?.isWrongLastSequence == true {
                settled(name, term.nonce)
                return nil
            }
            if !error.isUncertain { settled(name, term.nonce) }
            throw error
        }
    }

    /// What an older attempt left behind is long over, or counts as another's until it is.
    private static let mostDoubtful = 256

    private func settled(_ name: String, _ nonce: String) {
        state.withLock { state in
            state.doubtful[name]?.removeAll { $0 == nonce }
            if state.doubtful[name]?.isEmpty == true { state.doubtful[name] = nil }
        }
    }

    private func grant(_ name: String, _ held: HeldLease) -> Grant {
        Grant(
            name: name, identity: held.term.nodeID, token: held.token, termID: held.term.nonce, epoch: UInt64(exactly: held.term.epoch),
            ttl: held.term.ttl, deadline: clock.now() + held.term.ttl, acquiredAt: held.term.acquiredAt, expiresAt: .now() + held.term.ttl)
    }

    // MARK: Renewing

    public func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        do throws(JetStreamFailure) {
            // A second look where our own last write went through without our being told.
            for _ in 0..<2 {
                guard let held = try await ownLease(grant) else { return .lost(try await present(grant.name)) }
                if let renewed = try await renew(grant.name, held) { return .renewed(renewed) }
                state.withLock { $0.held[grant.name] = nil }
            }
            return .lost(try await present(grant.name))
        } catch {
            throw failure("cannot renew \(grant.name)", error)
        }
    }

    /// - Returns: nil where it was written to by somebody else, or by ourselves without our being told.
    private func renew(_ name: String, _ held: HeldLease) async throws(JetStreamFailure) -> Grant? {
        // Read back, the number is whatever somebody wrote: after the last one it begins anew.
        let number = max(held.renewals &+ 1, 1)
        let write = held.term.renewal(number, token: held.token, over: held.revision, wall: .now())
        do throws(JetStreamFailure) {
            let answer = try await jetStream.write(
                bucket: held.term.format.bucket(cluster: name), write, timeout: timeout(ttl: held.term.ttl))
            // An earlier one of ours, which was stored when it came: the lease runs from then, and may be another's by now.
            if answer.isDuplicate { return nil }
            var renewed = held
            renewed.revision = answer.sequence
            renewed.renewals = number
            state.withLock { $0.held[name] = renewed }
            sighted(name, answer.sequence, at: clock.now())
            return grant(name, renewed)
        } catch {
            if error.refusal?.isWrongLastSequence == true { return nil }
            throw error
        }
    }

    /// The lease of a grant, as this process holds it, or as it is found in the bucket; nil where it is another's.
    private func ownLease(_ grant: Grant) async throws(JetStreamFailure) -> HeldLease? {
        if let held = state.withLock({ $0.held[grant.name] }), held.term.nonce == grant.termID { return held }
        guard let survey = try await survey(grant.name, fresh: true, timeout: timeout(ttl: grant.ttl)) else { return nil }
        let rules = rules(grant.name, survey)
        let found = electionState(grant.name, rules)
        guard found.isLed, found.isTerm(of: grant), let value = survey.lease.value, let ttl = rules.ttl,
            let nonce = survey.lease.mark?.nonce
        else { return nil }
        let term = LeaseTerm(
            format: survey.format, nodeID: value.nodeID, epoch: value.epoch, nonce: nonce,
            acquiredAt: survey.format == .v1 ? value.acquiredAt : grant.acquiredAt, ttl: ttl)
        let held = HeldLease(
            term: term, token: survey.lease.token ?? FencingToken(survey.lease.revision), revision: survey.lease.revision,
            renewals: survey.lease.mark?.renewal?.count ?? 0)
        state.withLock { $0.held[grant.name] = held }
        return held
    }

    private func present(_ name: String) async throws(JetStreamFailure) -> ElectionState {
        let stepDowns = state.withLock { state in
            state.held[name] = nil
            return state.stepDowns.removeValue(forKey: name) ?? []
        }
        for answer in stepDowns { answer(NodeAnswer.notLeader) }
        guard let survey = try await survey(name, fresh: true, timeout: requestTimeout) else {
            return ElectionState(name: name, phase: .free)
        }
        return electionState(name, rules(name, survey))
    }

    // MARK: Giving up

    public func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        let name = grant.name
        let stepDowns = state.withLock { $0.stepDowns.removeValue(forKey: name) ?? [] }
        do throws(JetStreamFailure) {
            let answer = try await giveUp(grant, coolingDown: !stepDowns.isEmpty)
            for answer in stepDowns { answer(nil) }
            return answer
        } catch {
            for answer in stepDowns { answer(error.description) }
            throw failure("cannot release \(name)", error)
        }
    }

    private func giveUp(_ grant: Grant, coolingDown: Bool) async throws(JetStreamFailure) -> ReleaseAnswer {
        let name = grant.name
        for _ in 0..<3 {
            guard let held = try await ownLease(grant) else { break }
            if coolingDown { try await coolDown(name, held.term.format, node: held.term.nodeID, ttl: held.term.ttl) }
            if try await delete(name, held.term.format, at: held.revision, ttl: held.term.ttl) {
                state.withLock { state in
                    state.held[name] = nil
                    state.views[name] = NodeView(epoch: UInt64(exactly: held.term.epoch) ?? 0)
                }
                return .released
            }
            state.withLock { $0.held[name] = nil }
        }
        return .notHeld(try await present(name))
    }

    func coolDown(_ name: String, _ format: LeaseFormat, node: String, ttl: Duration) async throws(JetStreamFailure) {
        _ = try await jetStream.write(
            bucket: format.bucket(cluster: name), LeaseTerm.cooldown(format, node: node, ttl: ttl, wall: .now()), timeout: timeout(ttl: ttl)
        )
    }

    /// - Returns: whether it still stood at `revision`.
    func delete(_ name: String, _ format: LeaseFormat, at revision: UInt64, ttl: Duration) async throws(JetStreamFailure) -> Bool {
        do throws(JetStreamFailure) {
            let answer = try await jetStream.write(
                bucket: format.bucket(cluster: name), LeaseTerm.release(format, at: revision), timeout: timeout(ttl: ttl))
            sighted(name, answer.sequence, at: clock.now())
            return true
        } catch {
            if error.refusal?.isWrongLastSequence == true { return false }
            throw error
        }
    }
}
