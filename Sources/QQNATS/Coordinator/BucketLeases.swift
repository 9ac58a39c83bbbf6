import QQCore

// Acquiring, renewing and releasing a lease.
extension NATSCoordinator {
    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        await gate.enter()
        defer { gate.leave() }
        return try await take(request)
    }

    // A separate function, whose frame is allocated only after the gate.
    @inline(never)
    private func take(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        do throws(JetStreamFailure) {
            var fresh = false
            for _ in 0..<Self.mostAttempts {
                let found = try await snapshot(request.name, cooldownOf: request.identity, fresh: fresh, timeout: timeout(ttl: request.ttl))
                guard let snapshot = found else {
                    try await createBucket(request)
                    continue
                }
                let ttl = try leaseTTL(request.name, snapshot)
                switch try await attempt(request, snapshot, ttl: ttl) {
                case .some(let answer): return answer
                // Another process wrote in between; its write decides.
                case nil: fresh = true
                }
            }
            throw .failed(NATSError(.timedOut, "the lease changes faster than it can be requested"))
        } catch {
            throw failure("cannot acquire \(request.name)", error)
        }
    }

    /// How often the lease is read again if other processes write in between.
    private static let mostAttempts = 5

    /// The TTL of leases in the bucket.
    private func leaseTTL(_ name: String, _ snapshot: BucketSnapshot) throws(JetStreamFailure) -> Duration {
        guard let ttl = snapshot.format.ttl(maxAge: snapshot.stream.configuration.maxAge) else {
            throw .failed(
                NATSError(
                    .configuration, "its bucket \(snapshot.format.bucket(cluster: name)) keeps values forever, so leases would never expire"
                )
            )
        }
        if let explicitTTL, explicitTTL != ttl {
            throw .failed(
                NATSError(
                    .configuration,
                    "leases of this cluster last \(DurationText.format(ttl)), as its bucket is configured, not \(DurationText.format(explicitTTL)): omit --ttl"
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
            // Another process was faster and created the bucket, perhaps with another TTL.
            guard error.refusal?.isStreamNameInUse == true else { throw error }
        }
    }

    /// - Returns: nil if the lease was written since it was read.
    private func attempt(_ request: AcquireRequest, _ snapshot: BucketSnapshot, ttl: Duration) async throws(JetStreamFailure)
        -> AcquireAnswer?
    {
        let name = request.name
        let rules = rules(name, snapshot)
        let uncertain = state.withLock { $0.uncertain[name] ?? [] }
        var continuing = request.continuing?.termID
        // A lease left by an uncertain request of this process blocks all others, and this process can resume it.
        let leftover = snapshot.lease.messageID.flatMap { uncertain.contains($0.termID) ? $0.termID : nil }
        if let leftover { continuing = leftover }
        let decision = rules.decide(
            .init(identity: request.identity, continuing: continuing, cooldown: snapshot.cooldown), at: moment)
        var term = LeaseTerm(
            format: snapshot.format, nodeID: request.identity, epoch: rules.nextEpoch, termID: newTermID(), acquiredAt: wallTime(),
            ttl: ttl, note: request.note)
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
            // The same term gets a new term ID, by which another process with the same saved grant sees that it no longer holds the term.
            term.epoch = snapshot.lease.value?.epoch ?? term.epoch
            term.note = snapshot.lease.value?.note
            if snapshot.format == .v1, let began = snapshot.lease.value?.acquiredAt { term.acquiredAt = began }
            let kept = request.continuing?.token ?? snapshot.lease.token ?? FencingToken(revision)
            token = kept
            write = term.renewal(1, token: kept, over: revision, wall: wallTime())
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
        // Before the write is sent: from then on it can be stored.
        state.withLock { state in state.uncertain[name] = (state.uncertain[name] ?? []).suffix(Self.mostUncertain - 1) + [term.termID] }
        do throws(JetStreamFailure) {
            let bucket = term.format.bucket(cluster: name)
            let answer = try await jetStream.write(bucket: bucket, write, timeout: timeout(ttl: term.ttl))
            resolved(name, term.termID)
            firstSeen.note(name, revision: answer.sequence)
            return answer.sequence
        } catch {
            if error.refusal?.isWrongLastSequence == true {
                resolved(name, term.termID)
                return nil
            }
            if !error.isUncertain { resolved(name, term.termID) }
            throw error
        }
    }

    /// The result of an older request has expired, or counts as another holder's until then.
    private static let mostUncertain = 256

    private func resolved(_ name: String, _ termID: String) {
        state.withLock { state in
            state.uncertain[name]?.removeAll { $0 == termID }
            if state.uncertain[name]?.isEmpty == true { state.uncertain[name] = nil }
        }
    }

    private func grant(_ name: String, _ held: HeldLease) -> Grant {
        var grant = Grant(
            name: name, identity: held.term.nodeID, token: held.token, termID: held.term.termID, ttl: held.term.ttl,
            deadline: clock.now() + held.term.ttl, acquiredAt: held.term.acquiredAt, expiresAt: wallTime() + held.term.ttl)
        grant.epoch = UInt64(exactly: held.term.epoch)
        return grant
    }

    // MARK: Renewing

    public func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        do throws(JetStreamFailure) {
            // A second attempt, in case this process's last write was stored without an answer.
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

    /// - Returns: nil if another process or an uncertain request of this process has written the lease.
    private func renew(_ name: String, _ held: HeldLease) async throws(JetStreamFailure) -> Grant? {
        // A count read from the bucket can have any value; after the largest it starts again.
        let number = max(held.renewals &+ 1, 1)
        let write = held.term.renewal(number, token: held.token, over: held.revision, wall: wallTime())
        do throws(JetStreamFailure) {
            let answer = try await jetStream.write(
                bucket: held.term.format.bucket(cluster: name), write, timeout: timeout(ttl: held.term.ttl))
            // An earlier, identical write was stored when it arrived. The lease counts from then, and another process can have it by now.
            if answer.isDuplicate { return nil }
            var renewed = held
            renewed.revision = answer.sequence
            renewed.renewals = number
            state.withLock { $0.held[name] = renewed }
            firstSeen.note(name, revision: answer.sequence)
            return grant(name, renewed)
        } catch {
            if error.refusal?.isWrongLastSequence == true { return nil }
            throw error
        }
    }

    /// The lease of a grant as this process holds it, or as it is in the bucket; nil if another process has it.
    private func ownLease(_ grant: Grant) async throws(JetStreamFailure) -> HeldLease? {
        if let held = state.withLock({ $0.held[grant.name] }), held.term.termID == grant.termID { return held }
        guard let snapshot = try await snapshot(grant.name, fresh: true, timeout: timeout(ttl: grant.ttl)) else { return nil }
        let rules = rules(grant.name, snapshot)
        let found = electionState(grant.name, rules)
        guard found.isLed, found.isTerm(of: grant), let value = snapshot.lease.value, let ttl = rules.ttl,
            let termID = snapshot.lease.messageID?.termID
        else { return nil }
        let term = LeaseTerm(
            format: snapshot.format, nodeID: value.nodeID, epoch: value.epoch, termID: termID,
            acquiredAt: snapshot.format == .v1 ? value.acquiredAt : grant.acquiredAt, ttl: ttl, note: value.note)
        let held = HeldLease(
            term: term, token: snapshot.lease.token ?? FencingToken(snapshot.lease.revision), revision: snapshot.lease.revision,
            renewals: snapshot.lease.messageID?.renewal?.count ?? 0)
        state.withLock { $0.held[grant.name] = held }
        return held
    }

    private func present(_ name: String) async throws(JetStreamFailure) -> ElectionState {
        let stepDowns = state.withLock { state in
            state.held[name] = nil
            return state.stepDowns.removeValue(forKey: name) ?? []
        }
        for answer in stepDowns { answer(NodeAnswer.notLeader) }
        guard let snapshot = try await snapshot(name, fresh: true, timeout: requestTimeout) else {
            return ElectionState(name: name, phase: .free)
        }
        return electionState(name, rules(name, snapshot))
    }

    // MARK: Releasing

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
                    state.clusterSnapshots[name] = ClusterSnapshot(epoch: UInt64(exactly: held.term.epoch) ?? 0)
                }
                return .released
            }
            state.withLock { $0.held[name] = nil }
        }
        return .notHeld(try await present(name))
    }

    func coolDown(_ name: String, _ format: LeaseFormat, node: String, ttl: Duration) async throws(JetStreamFailure) {
        _ = try await jetStream.write(
            bucket: format.bucket(cluster: name), LeaseTerm.cooldown(format, node: node, ttl: ttl, wall: wallTime()),
            timeout: timeout(ttl: ttl)
        )
    }

    /// - Returns: whether the lease was still at `revision`.
    func delete(_ name: String, _ format: LeaseFormat, at revision: UInt64, ttl: Duration) async throws(JetStreamFailure) -> Bool {
        do throws(JetStreamFailure) {
            let answer = try await jetStream.write(
                bucket: format.bucket(cluster: name), LeaseTerm.release(format, at: revision), timeout: timeout(ttl: ttl))
            firstSeen.note(name, revision: answer.sequence)
            return true
        } catch {
            if error.refusal?.isWrongLastSequence == true { return false }
            throw error
        }
    }
}
