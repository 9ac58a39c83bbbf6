import QQCore

// Waiting for a key to become free.
extension ConsulCoordinator {
    /// The length of one blocking query. An agent that has fallen silent is noticed after that.
    static let queryTime: Duration = .seconds(30)

    public func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        let name = request.name
        do throws(ConsulFailure) { try await wait(name, behind: blocker, until: deadline) } catch {
            if !Task.isCancelled { throw told(error, "cannot wait for \(Printable.text(name))", isChange: false) }
        }
        if Task.isCancelled {
            throw CoordinationError(.unavailable, "gave up on \(Printable.text(name))", because: "interrupted", at: server.description)
        }
    }

    private func wait(_ name: String, behind blocker: ElectionState, until deadline: BootInstant) async throws(ConsulFailure) {
        // Within a lock-delay the key is free and nothing changes until its end.
        if let delay = state.withLock({ $0.delays.removeValue(forKey: name) }) {
            try? await clock.sleep(until: min(delay.until, deadline))
            return
        }
        let isBlocking = enterWatches()
        defer { if isBlocking { leaveWatches() } }
        var index: UInt64?
        while !Task.isCancelled {
            let now = clock.now()
            guard now < deadline else { return }
            let time = min(Self.queryTime, max(deadline.duration(since: now), .milliseconds(100)))
            let (place, next) = try await sight(name, hasRequest: false, after: index, wait: time)
            index = isBlocking ? next : nil
            let holder = naming.slot(name).map { place.semaphore?.blocker(of: $0) } ?? place.entry?.session
            guard let holder else {
                noteGone(name)
                return
            }
            await note(holder, of: name)
            // The new holder is reported.
            if blocker.isLed, holder != blocker.termID { return }
            guard index == nil else { continue }
            let pause = isBlocking ? .milliseconds(200) : Self.pollPace
            try? await clock.sleep(until: min(clock.now() + pause, deadline))
        }
    }

    /// Notes the holder that is waited for, and its lock-delay.
    private func note(_ holder: String, of name: String) async {
        guard state.withLock({ $0.departures[name]?.session != holder }) else { return }
        await learn(holder)
        state.withLock { $0.departures[name] = Departure(session: holder, lockDelay: $0.sessions[holder]?.lockDelay) }
    }

    private func noteGone(_ name: String) {
        let now = clock.now()
        state.withLock { state in
            if state.departures[name]?.goneAt == nil { state.departures[name]?.goneAt = now }
        }
    }

    // MARK: Leaving

    /// Ends the sessions that were made for this election and hold nothing, or might still come to hold it.
    public func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        let name = request.name
        let (sessions, risky) = state.withLock { state -> ([String], [String: Leftover]) in
            state.delays[name] = nil
            state.departures[name] = nil
            let risky = state.leftovers[name] ?? [:]
            return ((state.pending.removeValue(forKey: name).map { [$0.id] } ?? []) + risky.keys.sorted(), risky)
        }
        guard !sessions.isEmpty else { return nil }
        // Runs in a task of its own: a caller that was cancelled leaves as well.
        return await Task(executorPreference: executor) { await self.end(sessions, risky, of: request) }.value
    }

    private func end(_ sessions: [String], _ risky: [String: Leftover], of request: AcquireRequest) async -> CoordinationError? {
        var failure: ConsulFailure?
        for session in sessions {
            do throws(ConsulFailure) {
                let isOurs = if let leftover = risky[session] { try await unlock(request, session, leftover) } else { true }
                if isOurs { try await calls.destroySession(session, within: limit(ttl: request.ttl)) }
                state.withLock { $0.leftovers[request.name]?[session] = nil }
            } catch {
                if risky[session] != nil { failure = error }
            }
        }
        guard let failure else { return nil }
        var told = told(failure, "cannot take back the request for \(Printable.text(request.name))", isChange: true)
        told.hint = "it might still be carried out; the session then ends after \(DurationText.brief(request.ttl * 2))"
        return told
    }

    /// Releases the key if the session has it, so that its end makes nobody wait.
    /// - Returns: false if another process has resumed the term, and holds the key under the session.
    private func unlock(_ request: AcquireRequest, _ session: String, _ leftover: Leftover) async throws(ConsulFailure) -> Bool {
        let name = request.name
        for attempt in 0..<mostTries(name) {
            await giveWay(name, after: attempt)
            let found = try await look(name, within: limit(ttl: request.ttl))
            guard let entry = found.entry, entry.session == session else { return true }
            if isTakenOver(entry, from: leftover.token) { return false }
            let operations: [ConsulCalls.Operation] =
                naming.slot(name) != nil
                ? vacating(name, session, in: found)
                : [
                    .checkIndex(key: entry.key, entry.modifyIndex),
                    .unlock(key: entry.key, flags: flags(name, over: entry), session: session),
                ]
            if case .done = try await calls.transact(operations, within: limit(ttl: request.ttl)) { return true }
        }
        return true
    }
}
