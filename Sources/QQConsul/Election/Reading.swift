import QQCore

// Reading elections. Nothing here changes anything.
extension ConsulCoordinator {
    public func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        // While this process holds the lease, there must be time to act on the answer.
        let ttl = state.withLock { $0.held[name]?.ttl }
        do throws(ConsulFailure) {
            let place = try await look(name, within: ttl.map { limit(ttl: $0) } ?? settings.requestTimeout)
            if let session = holder(name, place) { await learn(session) }
            return electionState(name, place)
        } catch { throw told(error, "cannot read \(Printable.text(name))", isChange: false) }
    }

    /// The most sessions of other holders that are remembered.
    private static let mostSessions = 10_000

    /// Notes the session of a holder. The election is known without it.
    func learn(_ id: String) async {
        guard state.withLock({ $0.sessions[id] == nil && !$0.held.values.contains { $0.session == id } }) else { return }
        guard let found = try? await calls.session(id, within: settings.requestTimeout) else { return }
        state.withLock { state in
            if state.sessions.count >= Self.mostSessions { state.sessions = [:] }
            state.sessions[id] = found
        }
    }

    /// The state of an election by its keys.
    func electionState(_ name: String, _ place: Place) -> ElectionState {
        if let slot = naming.slot(name), let semaphore = place.semaphore, place.entry?.session == nil,
            let found = foreignState(slot, semaphore)
        {
            return found
        }
        guard let entry = place.entry else { return ElectionState(name: name, phase: .free) }
        let now = clock.now()
        let (held, session, isLeftover) = state.withLock { state in
            (
                state.held[name], entry.session.flatMap { state.sessions[$0] },
                entry.session.flatMap { state.leftovers[name]?[$0] }.map { !isTakenOver(entry, from: $0.token) } ?? false
            )
        }
        guard let holder = entry.session else { return vacant(name, entry) }
        var found = ElectionState(name: name, phase: .held)
        found.leader = entry.text ?? session.map { Printable.text(SessionName.withoutNote($0.name)) } ?? "session \(holder)"
        found.token = FencingToken(entry.modifyIndex)
        found.termID = holder
        found.ttl = session?.ttl
        found.note = session.flatMap { SessionName.note($0.name) }
        found.isOwn = isLeftover
        let isOverwritten = entry.lockIndex == 0
        if let held, held.session == holder {
            if isTakenOver(entry, from: FencingToken(held.token)) || !place.isHeld(by: holder) {
                // Another process has resumed the term, or has taken it out of its semaphore: this one has lost it.
                found.termID = nil
            } else {
                found.isOwn = true
                // A plain put can have overwritten the value. The session is what counts.
                found.leader = held.identity
                found.token = FencingToken(held.token)
                (found.ttl, found.acquiredAt, found.note) = (held.ttl, held.acquiredAt, held.note)
                let left = held.deadline.duration(since: now)
                found.phase = left > .zero ? .held : .expired
                found.remaining = left > .zero ? left : nil
                if let asked = StepDownRequest(place.request), asked.session == holder { found.stepDownAskedBy = asked.by }
            }
        }
        describe(&found, entry, holder, session)
        if isOverwritten { found.details["overwritten"] = .bool(true) }
        return found
    }

    /// The state of a slot that is shown for a holder without a number; nil if it is not.
    private func foreignState(_ slot: Slot, _ semaphore: Semaphore) -> ElectionState? {
        guard let holder = semaphore.foreign(at: slot) else { return nil }
        let session = state.withLock { $0.sessions[holder] }
        // Any key that its session locks would show that it lives.
        let contender = semaphore.contenders[holder] ?? semaphore.lock
        var found = ElectionState(name: slot.name, phase: .held)
        found.leader =
            semaphore.contenders[holder]?.text ?? session.map { Printable.text(SessionName.withoutNote($0.name)) } ?? "session \(holder)"
        // No number shows when it became a holder.
        found.termID = holder
        found.ttl = session?.ttl
        found.isOwn = false
        if let contender { describe(&found, contender, holder, session) }
        return found
    }

    private func describe(_ found: inout ElectionState, _ entry: KeyEntry, _ holder: String, _ session: SessionEntry?) {
        found.details["key"] = .string(entry.key)
        found.details["session"] = .string(holder)
        if let session {
            found.details["session_name"] = .string(SessionName.withoutNote(session.name))
            found.details["node"] = .string(session.node)
            found.details["lock_delay"] = .double(session.lockDelay.seconds)
        }
        found.details["kind"] = .string(kind(entry, session))
    }

    /// The state of a key without a session. What `qq` has released has no value.
    private func vacant(_ name: String, _ entry: KeyEntry) -> ElectionState {
        var found = ElectionState(name: name, phase: .free)
        let held = state.withLock { $0.held[name] }
        let isSlot = naming.slot(name) != nil
        if entry.flags == ConsulRules.semaphoreFlags, !isSlot {
            found.phase = .unknown
            found.refusal = "the key is that of a semaphore, as consul lock -n makes them"
        } else if naming.isLock, entry.flags == flags(name, over: entry), let last = entry.text, held?.identity != last {
            // The last holder, unless that is this process, which is then told that it holds no more.
            found.phase = .expired
            found.leader = last
            found.token = FencingToken(entry.modifyIndex)
        }
        found.details["key"] = .string(entry.key)
        found.details["kind"] = .string(kind(entry, nil))
        return found
    }

    /// What uses the key, as far as can be seen.
    private func kind(_ entry: KeyEntry, _ session: SessionEntry?) -> String {
        if let session, SessionName.isOfQQ(session.name) { return "qq" }
        if entry.flags == ConsulRules.semaphoreFlags { return naming.slot(ofKey: entry.key) == nil ? "semaphore" : "qq" }
        if entry.flags == ConsulRules.lockFlags { return "lock" }
        return "key"
    }

    // MARK: Listing

    /// The keys below the prefix that are elections by their last part. Those of semaphores show as such.
    public func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState] {
        do throws(ConsulFailure) {
            // Values of other keys can be large, and are not read.
            let all = try await calls.keys(below: naming.root, within: settings.requestTimeout).filter { isWanted($0, by: filter) }
            let keys = all.filter { naming.slot(ofKey: $0) == nil }
            if !all.isEmpty { await learnAll() }
            var found: [ElectionState] = []
            var semaphores = Set(all.compactMap { naming.slot(ofKey: $0)?.election })
            for start in stride(from: 0, to: keys.count, by: ConsulCalls.mostOperations) {
                let batch = Array(keys[start..<min(start + ConsulCalls.mostOperations, keys.count)])
                for entry in try await calls.entries(batch, within: settings.requestTimeout) {
                    if naming.isLock, entry.flags == ConsulRules.semaphoreFlags, let name = naming.name(ofKey: entry.key) {
                        semaphores.insert(name)
                    } else if let state = listed(entry) {
                        found.append(state)
                    }
                }
            }
            for election in semaphores { found += try await slots(of: election) }
            return found.filter { filter.admits($0) }.sorted { $0.name < $1.name }
        } catch { throw told(error, "cannot list elections", isChange: false) }
    }

    /// Whether a key can be that of an election which the filter admits, or of a semaphore with such slots.
    private func isWanted(_ key: String, by filter: ElectionFilter) -> Bool {
        guard let name = naming.name(ofKey: key) else { return false }
        guard let wanted = filter.name, !name.contains(wanted) else { return true }
        guard naming.isLock else { return false }
        return Slot.name(of: naming.slot(ofKey: key)?.election ?? name, canContain: wanted)
    }

    /// The slots of a semaphore, held or not. One whose number of slots cannot be told, or is too large, shows as itself.
    private func slots(of election: String) async throws(ConsulFailure) -> [ElectionState] {
        let entries = try await calls.entries(below: naming.semaphore(election), within: settings.requestTimeout)
        let semaphore = Semaphore(election, naming, entries: entries)
        // Slots that are held although `.lock` is gone have their number of slots in their keys.
        guard let count = semaphore.limit ?? semaphore.slots.first?.slot.count, semaphore.damage == nil, (2...Slot.most).contains(count)
        else {
            guard let lock = semaphore.lock, lock.flags == ConsulRules.semaphoreFlags else { return [] }
            return listed(lock).map { [$0] } ?? []
        }
        return Slot.all(count, of: election).map { electionState($0.name, Place($0.name, naming, entries: entries)) }
    }

    /// The election of a key; nil if it has none. A free key with other flags than those of a lock is none.
    private func listed(_ entry: KeyEntry) -> ElectionState? {
        guard let name = naming.name(ofKey: entry.key) else { return nil }
        let isMarked = entry.flags == ConsulRules.lockFlags || entry.flags == ConsulRules.semaphoreFlags
        guard entry.session != nil || isMarked || (!naming.isLock && naming.ending?.isEmpty == false) else { return nil }
        return electionState(name, Place(entry))
    }

    /// Notes all sessions. The elections are known without them.
    private func learnAll() async {
        guard let found = try? await calls.sessions(within: settings.requestTimeout) else { return }
        state.withLock { state in
            for session in found.prefix(Self.mostSessions) { state.sessions[session.id] = session }
        }
    }
}
