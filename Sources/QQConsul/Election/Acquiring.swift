import QQCore

// Acquiring a key.
extension ConsulCoordinator {
    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        let what = "cannot acquire \(Printable.text(request.name))"
        // A process that requests the lease no longer counts as its holder, but its session might still hold the key.
        state.withLock { state in
            guard let held = state.held.removeValue(forKey: request.name) else { return }
            state.leftovers[request.name, default: [:]][held.session] = Leftover(token: FencingToken(held.token))
        }
        do throws(ConsulFailure) { return try await take(request) } catch {
            if error.meaning == .refused, error.status == nil {
                throw CoordinationError(
                    .configuration, what, because: error.message, at: server.description,
                    hint: naming.slot(request.name) == nil
                        ? "choose another name, or another prefix"
                        : "use the same number of slots everywhere; or choose another name, or another prefix")
            }
            var told = told(error, what, isChange: true)
            // A session that holds nothing does no harm.
            if state.withLock({ $0.leftovers[request.name]?.isEmpty ?? true }) { told.isUncertain = false }
            throw told
        }
    }

    /// How often a request is decided again if other processes write in between. All holders of a semaphore write one key.
    private func mostDecisions(_ name: String) -> Int { naming.slot(name) == nil ? 8 : 40 }

    private func take(_ request: AcquireRequest) async throws(ConsulFailure) -> AcquireAnswer {
        let name = request.name
        let start = clock.now()
        for attempt in 0..<mostDecisions(name) {
            await giveWay(name, after: attempt)
            let place = try await look(name, within: limit(ttl: request.ttl))
            if let problem = problem(name, place) { throw ConsulFailure(.refused, problem, at: "") }
            let session: OwnSession
            if isFull(name, place) { return .refused(await refused(name, place)) }
            if let entry = place.entry, let holder = entry.session {
                guard isResumable(holder, entry, request) else { return .refused(await refused(name, place)) }
                let sentAt = clock.now()
                guard let renewed = try await calls.renewSession(holder, within: limit(ttl: request.ttl)) else { continue }
                session = OwnSession(
                    id: holder, ttl: renewed.lease(atMost: request.ttl), renewedAt: sentAt, note: SessionName.note(renewed.name))
            } else {
                session = try await ownSession(request, since: start)
            }
            let past: Set<Slot>
            switch try await makeRoom(request, session, in: place) {
            case .free(let slots): past = slots
            case .delayed: return .refused(delayed(name, place))
            case .changed: continue
            }
            switch try await lock(request, session, over: place, past: past) {
            case .granted(let grant): return .granted(grant, nil)
            case .delayed: return .refused(delayed(name, place))
            case .changed: continue
            }
        }
        throw ConsulFailure(.unavailable, "the key changes faster than it can be requested", at: api.endpoints.first ?? "")
    }

    /// Why there can be no such election; nil if there can.
    private func problem(_ name: String, _ place: Place) -> String? {
        if let slot = naming.slot(name), let problem = place.semaphore?.problem(for: slot) { return problem }
        guard let entry = place.entry else { return nil }
        let key = Printable.text(entry.key)
        let isSlot = place.semaphore != nil
        if entry.flags == ConsulRules.semaphoreFlags, !isSlot {
            return "the key \(key) is that of a semaphore, as consul lock -n makes them"
        }
        // A plain put has set the flags of a held key to 0: it is still a lock.
        guard naming.isLock, entry.flags != flags(name, over: entry), entry.session == nil else { return nil }
        return isSlot
            ? "the key \(key) exists, and is not a slot: it has other flags than those of consul lock -n"
            : "the key \(key) exists, and is not a lock: it has other flags than those of consul lock"
    }

    /// Whether the session that holds the key is that of a term of this identity under which nothing works.
    private func isResumable(_ session: String, _ entry: KeyEntry, _ request: AcquireRequest) -> Bool {
        if let leftover = state.withLock({ $0.leftovers[request.name]?[session] }) {
            if !isTakenOver(entry, from: leftover.token) { return true }
            state.withLock { $0.leftovers[request.name]?[session] = nil }
        }
        guard let grant = request.continuing, grant.termID == session, grant.identity == request.identity else { return false }
        return !isTakenOver(entry, from: grant.token)
    }

    /// Whether another process has resumed the term since it had this token: it has locked the key again, for its own token. A plain put or cas does not count,
    /// which leaves the lock with its session.
    func isTakenOver(_ entry: KeyEntry?, from token: FencingToken?) -> Bool {
        guard let token, let entry, entry.modifyIndex != token.value else { return false }
        return entry.lockIndex > 0 || (naming.isLock && entry.flags == ConsulRules.lockFlags)
    }

    // MARK: Sessions

    /// A session that holds nothing, and whose TTL began at `start`, from which the lease is counted, or later.
    private func ownSession(_ request: AcquireRequest, since start: BootInstant) async throws(ConsulFailure) -> OwnSession {
        let name = request.name
        if var session = state.withLock({ $0.pending[name] }), session.ttl == request.ttl, session.note == request.note {
            let now = clock.now()
            if session.renewedAt >= start { return session }
            if try await calls.renewSession(session.id, within: limit(ttl: request.ttl)) != nil {
                session.renewedAt = now
                state.withLock { [session] in $0.pending[name] = session }
                return session
            }
        }
        let title = SessionName.made(for: name, isAttended: request.wantsLivenessLock, note: request.note, random: random())
        let sentAt = clock.now()
        let delay = ConsulRules.lockDelay(ttl: request.ttl, killAfter: settings.killAfter) ?? ConsulRules.maximumLockDelay
        let id: String
        do throws(ConsulFailure) {
            id = try await calls.createSession(title, ttl: request.ttl, lockDelay: delay, within: limit(ttl: request.ttl))
        } catch {
            guard error.isUncertain else { throw error }
            let found: String?
            // The failure of the creation is more informative than that of the read after it.
            do throws(ConsulFailure) {
                found = try await calls.sessions(within: limit(ttl: request.ttl)).first { $0.name == title }?.id
            } catch _ {
                throw error
            }
            guard let found else { throw error }
            id = found
        }
        let session = OwnSession(id: id, ttl: request.ttl, renewedAt: sentAt, note: request.note)
        state.withLock { $0.pending[name] = session }
        return session
    }

    // MARK: Locking

    private enum Locking {
        case granted(Grant)
        case delayed
        case changed
    }

    private func lock(
        _ request: AcquireRequest, _ session: OwnSession, over place: Place, past: Set<Slot>
    ) async throws(ConsulFailure) -> Locking {
        let name = request.name
        let key = naming.key(name)
        let entry = place.entry
        // With another version nothing is locked, however late the transaction is carried out.
        let check: ConsulCalls.Operation = entry.map { .checkIndex(key: key, $0.modifyIndex) } ?? .checkNotExists(key: key)
        let flags = flags(name, over: entry)
        let lock = ConsulCalls.Operation.lock(key: key, value: Array(request.identity.utf8), flags: flags, session: session.id)
        let entering = naming.slot(name).flatMap { slot in
            place.semaphore?.entering(session.id, identity: request.identity, slot: slot, past: past)
        }
        // Before the request is sent: from then on it can be carried out.
        state.withLock { state in
            state.pending[name] = nil
            state.leftovers[name, default: [:]][session.id] = Leftover()
        }
        do throws(ConsulFailure) {
            switch try await calls.transact([check, lock] + (entering ?? []), within: limit(ttl: request.ttl)) {
            case .done(let entries):
                guard let locked = entries.last(where: { $0.key == key }), locked.session == session.id else {
                    throw ConsulFailure(.uncertain, "the agent's answer is not understood", at: api.endpoints.first ?? "")
                }
                return .granted(granted(request, session, locked))
            case .failed(_, let what) where what.contains("invalid session"):
                forget(name, session)
                return .changed
            case .failed(_, let what):
                keep(name, session, over: entry)
                return what.contains("lock delay") ? .delayed : .changed
            }
        } catch {
            if error.meaning == .refused, error.message.contains("invalid session") {
                forget(name, session)
                return .changed
            }
            guard error.isUncertain else {
                keep(name, session, over: entry)
                throw error
            }
            return try await resolve(request, session, over: entry, error)
        }
    }

    /// Resolves a transaction without a known outcome by reading. It can still be carried out as long as the key has the version that it names, and its session
    /// lives: that is therefore ended.
    private func resolve(
        _ request: AcquireRequest, _ session: OwnSession, over entry: KeyEntry?, _ failure: ConsulFailure
    ) async throws(ConsulFailure) -> Locking {
        let name = request.name
        let found: KeyEntry?
        do throws(ConsulFailure) { found = try await calls.entry(naming.key(name), within: limit(ttl: request.ttl)) } catch _ {
            throw failure
        }
        if let found, found.session == session.id, found.modifyIndex != entry?.modifyIndex {
            return .granted(granted(request, session, found))
        }
        if found?.modifyIndex != entry?.modifyIndex {
            keep(name, session, over: nil)
            return .changed
        }
        do throws(ConsulFailure) { try await calls.destroySession(session.id, within: limit(ttl: request.ttl)) } catch _ { throw failure }
        forget(name, session)
        throw failure
    }

    /// Keeps a session for the next attempt.
    /// - Parameter entry: the key as it was to be locked.
    func keep(_ name: String, _ session: OwnSession, over entry: KeyEntry?) {
        state.withLock { state in
            if let entry, entry.session == session.id {
                state.leftovers[name, default: [:]][session.id] = Leftover(token: FencingToken(entry.modifyIndex))
                return
            }
            state.leftovers[name]?[session.id] = nil
            state.pending[name] = session
        }
    }

    func forget(_ name: String, _ session: OwnSession) {
        state.withLock { state in
            state.leftovers[name]?[session.id] = nil
            state.pending[name] = nil
        }
    }

    private func granted(_ request: AcquireRequest, _ session: OwnSession, _ entry: KeyEntry) -> Grant {
        let name = request.name
        let now = wall()
        let deadline = session.renewedAt + session.ttl
        state.withLock { state in
            // Every other attempt named a version of the key that this one has replaced.
            state.leftovers[name] = nil
            state.delays[name] = nil
            state.departures[name] = nil
            state.held[name] = HeldKey(
                identity: request.identity, session: session.id, token: entry.modifyIndex, ttl: session.ttl, deadline: deadline,
                acquiredAt: now, note: session.note)
        }
        return Grant(
            name: name, identity: request.identity, token: FencingToken(entry.modifyIndex), termID: session.id,
            details: [StatusDetail("key", .string(entry.key))], ttl: session.ttl, deadline: deadline, acquiredAt: now,
            expiresAt: now + deadline.duration(since: clock.now()))
    }

    // MARK: Refusals

    private func refused(_ name: String, _ place: Place) async -> ElectionState {
        if let session = holder(name, place) { await learn(session) }
        var found = electionState(name, place)
        if let slot = naming.slot(name), found.phase != .held, isFull(name, place) { found.refusal = "all \(slot.count) slots are held" }
        return found
    }

    /// How often it is tried to acquire a key within a lock-delay whose end is not known.
    private static let delayedPace: Duration = .seconds(1)

    /// The state of a key within its lock-delay, whose end is noted for the wait.
    private func delayed(_ name: String, _ place: Place) -> ElectionState {
        let now = clock.now()
        let delay = state.withLock { state -> Delay in
            var delay = Delay(until: now + Self.delayedPace, isKnown: false)
            if let departure = state.departures[name], let goneAt = departure.goneAt, let length = departure.lockDelay,
                goneAt + length > now
            {
                delay = Delay(until: goneAt + length, isKnown: true)
            }
            state.delays[name] = delay
            return delay
        }
        var found = electionState(name, place)
        let left = delay.until.duration(since: now)
        let time = delay.isKnown ? "another \(DurationText.brief(left))" : "up to \(DurationText.brief(ConsulRules.maximumLockDelay))"
        found.refusal = "it is free, but nobody can have it for \(time): its last holder's session was ended, and has a lock-delay"
        found.details["delayed"] = .bool(true)
        found.details["delay_left"] = delay.isKnown ? .double(left.seconds) : nil
        return found
    }
}
