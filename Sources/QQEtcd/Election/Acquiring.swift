import QQCore

// Entering an election, and leading it.
extension EtcdCoordinator {
    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        let name = request.name
        // A process that requests the lease no longer counts as its holder, but its key might still exist.
        state.withLock { state in
            if let held = state.held.removeValue(forKey: name), LeaseID.text(held.lease) != request.continuing?.termID {
                state.former[name, default: [:]][held.lease] = held.token
            }
        }
        // Nothing that is left over leads: this contender does.
        if let (campaign, token) = turnTaken(request, at: clock.now()) { return .granted(granted(request, campaign, token), nil) }
        do throws(EtcdFailure) {
            try await endFormer(name, except: request.continuing.flatMap { $0.termID.flatMap { LeaseID.parse($0) } })
            try await endLeftovers(name)
            if let grant = request.continuing, let resumed = try await resume(grant, request) { return .granted(resumed, nil) }
            return try await take(request)
        } catch {
            var told = told(error, "cannot acquire \(Printable.text(name))", isChange: true)
            if error.meaning == .noSpace { told.reason += ", and no lease can be made; holders keep theirs" }
            // A request that is carried out late creates a key of this campaign, which the next attempt finds, and `leaveQueue` ends.
            told.isUncertain = false
            throw told
        }
    }

    /// How often the order is decided again if keys of this process vanish or change in between.
    static let mostDecisions = 4

    private func take(_ request: AcquireRequest) async throws(EtcdFailure) -> AcquireAnswer {
        let name = request.name
        let start = clock.now()
        // A single try that another contender refuses must not leave a key, or enter a queue even for a moment. Places are taken by `waitForTurn`.
        if state.withLock({ $0.campaigns[name] == nil }) {
            let sight = try await sight(name, by: limit(ttl: request.ttl))
            if sight.contenders.leader != nil { return .refused(try await refused(request, sight)) }
        }
        for _ in 0..<Self.mostDecisions {
            let campaign = try await campaign(request, since: start)
            switch try await enter(name, campaign, within: request.ttl) {
            case .absent: continue
            case .waits: return .refused(try await present(name, by: limit(ttl: request.ttl)).state)
            case .leads(let token, let term):
                guard let proven = try await proven(campaign, in: term, name, within: request.ttl) else {
                    abandon(name, campaign.lease)
                    try await endLeftovers(name)
                    continue
                }
                return .granted(granted(request, proven, token), nil)
            }
        }
        throw EtcdFailure(.notApplied(retry: .afterPause), "its key vanishes as soon as it is created")
    }

    private func refused(_ request: AcquireRequest, _ sight: Sight) async throws(EtcdFailure) -> ElectionState {
        do throws(EtcdFailure) { return try await state(request.name, sight, by: limit(ttl: request.ttl)) } catch {
            guard error.meaning == .compacted else { throw error }
            return try await present(request.name, by: limit(ttl: request.ttl)).state
        }
    }

    /// How long a turn is believed in without being asked for again: nothing watches the key between the wait and the term, and this process can be stopped.
    private static let turnLasts = Duration.seconds(1)

    /// The campaign whose turn has come while it waited, and its token.
    /// - Returns: nil if there is none, or it came so long ago that it has to be asked for again.
    private func turnTaken(_ request: AcquireRequest, at now: BootInstant) -> (Campaign, token: Int64)? {
        state.withLock { state in
            guard let known = state.campaigns[request.name], let token = known.token, let turnAt = known.turnAt, let ttl = known.ttl else {
                return nil
            }
            state.campaigns[request.name]?.token = nil
            guard known.identity == request.identity, known.note == request.note, known.seconds == LeaseTime.seconds(request.ttl),
                now < known.renewedAt + ttl / 2, now < turnAt + Self.turnLasts
            else { return nil }
            return (known, token)
        }
    }

    /// The campaign of this process, with a lease whose TTL began at `start`, from which the lease is counted, or later.
    func campaign(_ request: AcquireRequest, since start: BootInstant) async throws(EtcdFailure) -> Campaign {
        let name = request.name
        let seconds = LeaseTime.seconds(request.ttl)
        if var known = state.withLock({ $0.campaigns[name] }) {
            if known.identity == request.identity, known.note == request.note, known.seconds == seconds, known.ttl != nil {
                if known.renewedAt >= start { return known }
                let sentAt = clock.now()
                if case .renewed(let granted, let term) = try await api.keepAlive(known.lease, by: limit(ttl: request.ttl)) {
                    (known.renewedAt, known.renewedIn, known.ttl) = (sentAt, term, LeaseTime.granted(granted))
                    state.withLock { [known] in $0.campaigns[name] = known }
                    return known
                }
            }
            abandon(name, known.lease)
            try await endLeftovers(name)
        }
        var made = Campaign(
            lease: LeaseID.random(withNote: request.note != nil, from: random()), identity: request.identity, seconds: seconds, ttl: nil,
            renewedAt: clock.now(), note: request.note)
        // Noted before the request is sent: from then on the lease can exist.
        state.withLock { [made] in $0.campaigns[name] = made }
        do throws(EtcdFailure) {
            made.ttl = LeaseTime.granted(try await api.grantLease(made.lease, seconds: seconds, by: limit(ttl: request.ttl)))
        } catch {
            // It is another program's lease, and must not be ended as one of this process.
            if error.meaning == .leaseExists { state.withLock { $0.campaigns[name] = nil } }
            throw error
        }
        state.withLock { [made] in $0.campaigns[name] = made }
        return made
    }

    /// Resumes a term of this identity under which nothing works. The key is written again: a process that still holds the term notices by its new revision, and
    /// the token grows.
    /// - Returns: nil if the term has ended, or another process has resumed it.
    private func resume(_ grant: Grant, _ request: AcquireRequest) async throws(EtcdFailure) -> Grant? {
        guard let lease = grant.termID.flatMap({ LeaseID.parse($0) }), let token = grant.token.flatMap({ Int64(exactly: $0.value) }),
            grant.identity == request.identity, LeaseTime.seconds(grant.ttl) == LeaseTime.seconds(request.ttl)
        else { return nil }
        let name = request.name
        let key = naming.key(name, lease: lease)
        // Only the leader's key was ever granted, and a key that has led leads until it is deleted.
        let transaction = EtcdTransaction(
            if: [.wasModified(key, at: token), .hasValue(key, Array(request.identity.utf8))],
            then: [.put(key: key, value: Array(request.identity.utf8), lease: lease)])
        var written: Int64?
        do throws(EtcdFailure) {
            written = try await rewrite(transaction, within: request.ttl)
            guard let written else {
                try await deleteUnbound(name, lease, within: request.ttl)
                return nil
            }
            // Not before that: a term that is another process's by now must not be renewed.
            let renewal = try await renew(lease, of: name, while: { $0.modRevision == written }, { limit(ttl: request.ttl) })
            guard let renewal else { return nil }
            let campaign = Campaign(
                lease: lease, identity: request.identity, seconds: LeaseTime.seconds(request.ttl), ttl: LeaseTime.granted(renewal.seconds),
                renewedAt: renewal.sentAt, renewedIn: renewal.term)
            return granted(request, campaign, written)
        } catch {
            // A write without an answer cannot be told from one of another process that has resumed the term: if there was one, the key is left to end with its
            // lease.
            state.withLock { $0.former[name, default: [:]][lease] = written ?? token }
            throw error
        }
    }

    /// - Returns: the revision of the write; nil if the key is not as it was any more, or its lease is gone.
    private func rewrite(_ transaction: EtcdTransaction, within ttl: Duration) async throws(EtcdFailure) -> Int64? {
        do throws(EtcdFailure) {
            let answer = try await api.transact(transaction, by: limit(ttl: ttl))
            return answer.succeeded ? answer.revision : nil
        } catch {
            if error.meaning == .leaseGone { return nil }
            throw error
        }
    }

    private func granted(_ request: AcquireRequest, _ campaign: Campaign, _ token: Int64) -> Grant {
        let name = request.name
        let ttl = campaign.ttl ?? request.ttl
        let now = wall()
        let deadline = campaign.renewedAt + ttl
        state.withLock { state in
            state.campaigns[name] = nil
            state.wereHeld.insert(name)
            state.held[name] = HeldKey(
                identity: request.identity, lease: campaign.lease, token: token, ttl: ttl, deadline: deadline, acquiredAt: now)
        }
        let key = String(decoding: naming.key(name, lease: campaign.lease), as: UTF8.self)
        var grant = Grant(
            name: name, identity: request.identity, token: FencingToken(UInt64(clamping: token)), termID: LeaseID.text(campaign.lease),
            details: [StatusDetail("key", .string(key)), StatusDetail("lease", .string(LeaseID.text(campaign.lease)))], ttl: ttl,
            deadline: deadline, acquiredAt: now, expiresAt: now + deadline.duration(since: clock.now()))
        // The turn can have come before this request.
        grant.endsBy = deadline
        return grant
    }

    // MARK: Leases that are not wanted any more

    /// Notes that the campaign's lease is to be ended.
    func abandon(_ name: String, _ lease: Int64) {
        state.withLock { state in
            if state.campaigns[name]?.lease == lease { state.campaigns[name] = nil }
            state.leftovers[name, default: []].insert(lease)
        }
    }

    /// Ends leases of this process that might have keys of the election. A write that is carried out late finds its lease gone.
    func endLeftovers(_ name: String) async throws(EtcdFailure) {
        for lease in state.withLock({ $0.leftovers[name] ?? [] }).sorted() {
            try await api.revokeLease(lease, by: clock.now() + requestTimeout)
            state.withLock { state in
                state.leftovers[name]?.remove(lease)
                if state.leftovers[name]?.isEmpty == true { state.leftovers[name] = nil }
            }
        }
    }

    /// Ends former terms of this process, as far as they are still its own: another process can have resumed one under the same lease, and work under it.
    private func endFormer(_ name: String, except resumed: Int64?) async throws(EtcdFailure) {
        for (lease, token) in state.withLock({ $0.former[name] ?? [:] }).sorted(by: { $0.key < $1.key }) where lease != resumed {
            let key = naming.key(name, lease: lease)
            let deletion = EtcdTransaction(
                if: [.wasModified(key, at: token)], then: [.delete(.one(key))], otherwise: [.range(.state(of: key))])
            let answer = try await api.transact(deletion, by: clock.now() + requestTimeout)
            var isOver = answer.succeeded
            if !isOver, case .range(let found)? = answer.answers.first { isOver = found.found.isEmpty }
            state.withLock { state in
                state.former[name]?[lease] = nil
                if state.former[name]?.isEmpty == true { state.former[name] = nil }
                if isOver { state.leftovers[name, default: []].insert(lease) }
            }
        }
    }

    /// Deletes the key of a term of this process, under which nothing works, if something else has put it: it would not end with the lease.
    /// - Returns: whether there was such a key.
    @discardableResult
    func deleteUnbound(_ name: String, _ lease: Int64, within ttl: Duration) async throws(EtcdFailure) -> Bool {
        guard let found = try await ownKey(name, lease, by: limit(ttl: ttl)), found.lease != lease else { return false }
        let deletion = EtcdTransaction(if: [.wasModified(found.key, at: found.modRevision)], then: [.delete(.one(found.key))])
        return try await api.transact(deletion, by: limit(ttl: ttl)).succeeded
    }
}
