import QQCore

// The slots of a semaphore, as far as they differ from other elections.
extension ConsulCoordinator {
    public func slot(named name: String) -> Slot? { naming.isLock ? Slot(name: name) : nil }

    /// Whether others hold all slots.
    func isFull(_ name: String, _ place: Place) -> Bool {
        guard let slot = naming.slot(name), let semaphore = place.semaphore else { return false }
        return semaphore.room(for: slot, without: place.entry?.session) == .full
    }

    /// The session that holds an election; for a slot without one of its own, that of the holder that is shown there.
    func holder(_ name: String, _ place: Place) -> String? {
        if let session = place.entry?.session { return session }
        return naming.slot(name).flatMap { place.semaphore?.foreign(at: $0) }
    }

    /// Pauses for longer the more often other processes were faster, so that the contenders of a semaphore do not hinder each other for long.
    func giveWay(_ name: String, after attempt: Int) async {
        guard attempt > 0, naming.slot(name) != nil else { return }
        try? await clock.sleep(for: .milliseconds(Int64(1 + random() % UInt64(min(attempt, 20) * 5))))
    }

    enum Clearing {
        /// There is room; these slots besides the own one were found to be past their lock-delay.
        case free(Set<Slot>)
        case delayed
        case changed
    }

    /// Makes sure that no slot counts as free whose last holder might still work, where the others leave no room for it.
    ///
    /// Holders that `consul lock -n` has made have no number. Beside them the lock-delay of a slot's own key is not enough: its last holder, the holders
    /// without a number, and those of the other slots could be more than the limit. A key that can be locked is past its lock-delay, and is deleted.
    func makeRoom(_ request: AcquireRequest, _ session: OwnSession, in place: Place) async throws(ConsulFailure) -> Clearing {
        let own = place.entry?.session
        guard let slot = naming.slot(request.name), let semaphore = place.semaphore,
            case .behind(let keys) = semaphore.room(for: slot, without: own)
        else { return .free([]) }
        var allowed = semaphore.mostDelayed(for: slot, without: own)
        var past: Set<Slot> = []
        for entry in keys {
            let operations: [ConsulCalls.Operation] = [
                .checkIndex(key: entry.key, entry.modifyIndex),
                .lock(key: entry.key, value: [], flags: ConsulRules.semaphoreFlags, session: session.id), .delete(key: entry.key),
            ]
            switch try await calls.transact(operations, within: limit(ttl: request.ttl)) {
            case .done: if let slot = naming.slot(ofKey: entry.key) { past.insert(slot) }
            case .failed(_, let what) where what.contains("lock delay"):
                allowed -= 1
                if allowed < 0 { return .delayed }
            case .failed(_, let what):
                if what.contains("invalid session") { forget(request.name, session) }
                return .changed
            }
        }
        return .free(past)
    }

    /// Ends the session of a holder that might still work.
    ///
    /// The lock-delay of its keys keeps other holders out, but not those of `consul lock -n`, which count whom `.lock` names and are not told of delays. So
    /// a stand-in takes its place first, whose session ends by itself.
    func end(_ holder: String, of name: String, within limit: Duration) async throws(ConsulFailure) {
        if let slot = naming.slot(name) { try await standIn(for: holder, slot, within: limit) }
        try await calls.destroySession(holder, within: limit)
    }

    private func standIn(for holder: String, _ slot: Slot, within limit: Duration) async throws(ConsulFailure) {
        var place = try await look(slot.name, within: limit)
        guard place.semaphore?.living.contains(holder) == true else { return }
        // The longest one if the token must not read sessions.
        let delay = (try? await calls.session(holder, within: limit))?.lockDelay ?? ConsulRules.maximumLockDelay
        // A session lives for its TTL at least.
        let session = try await calls.createSession(
            SessionName.made(for: slot.name, isAttended: false, random: random()), ttl: max(delay, ConsulRules.minimumTTL),
            lockDelay: .zero, within: limit)
        for attempt in 0..<mostTries(slot.name) {
            if attempt > 0 {
                await giveWay(slot.name, after: attempt)
                place = try await look(slot.name, within: limit)
            }
            guard let operations = place.semaphore?.replacing(holder, by: session, of: slot) else {
                try? await calls.destroySession(session, within: limit)
                return
            }
            if case .done = try await calls.transact(operations, within: limit) { return }
        }
        throw ConsulFailure(.unavailable, "the semaphore is changed all the time", at: api.endpoints.first ?? "")
    }

    /// The operations that make a slot free, if it and its semaphore were not written since `place` was read.
    func vacating(_ name: String, _ session: String, in place: Place) -> [ConsulCalls.Operation] {
        let key = naming.key(name)
        return [.checkIndex(key: key, place.entry?.modifyIndex ?? 0), .delete(key: key)] + (place.semaphore?.leaving(session) ?? [])
    }
}

extension Slot {
    /// Whether the name of any slot of `election` can contain `text`.
    static func name(of election: String, canContain text: String) -> Bool {
        let between = "-slot-"
        if (election + between).contains(text) { return true }
        // The rest of the name, with numbers that are not known, follows the last occurrence.
        if let range = text.ranges(of: between).last { return election.hasSuffix(text[..<range.lowerBound]) }
        return "-of-".contains(text) || text.utf8.contains { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}
