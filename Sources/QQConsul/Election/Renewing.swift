import QQCore

// Renewing and releasing a key.
extension ConsulCoordinator {
    public func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        do throws(ConsulFailure) { return try await extend(grant) } catch {
            var told = told(error, "cannot renew \(Printable.text(grant.name))", isChange: true)
            // A renewal changes nothing but the time, and can be repeated.
            told.isUncertain = false
            throw told
        }
    }

    private func extend(_ grant: Grant) async throws(ConsulFailure) -> RenewAnswer {
        let name = grant.name
        let sentAt = clock.now()
        guard let session = grant.termID, let renewedSession = try await calls.renewSession(session, within: limit(until: grant.deadline))
        else { return .lost(await lost(grant)) }
        // A session outlives the deletion of its key, and a leader that has lost its cluster still answers renewals for a moment.
        let place = try await look(name, within: limit(until: grant.deadline))
        guard place.isHeld(by: session), !isTakenOver(place.entry, from: grant.token) else { return .lost(lost(grant, place)) }
        let deadline = sentAt + renewedSession.lease(atMost: grant.ttl)
        state.withLock { state in
            if state.held[name]?.session == session { state.held[name]?.deadline = deadline }
        }
        var renewed = grant.extended(to: deadline)
        renewed.expiresAt = wall() + deadline.duration(since: clock.now())
        return .renewed(renewed)
    }

    /// The state of a lease whose session has ended: free if it cannot be read.
    private func lost(_ grant: Grant) async -> ElectionState {
        lost(grant, (try? await look(grant.name, within: limit(until: grant.deadline))) ?? Place(nil))
    }

    /// The state of a lease that has ended. Its last holder is this process, which knows.
    private func lost(_ grant: Grant, _ place: Place) -> ElectionState {
        var found = ElectionState(name: grant.name, phase: .free)
        // The session has ended, and the key might not show it yet.
        if let holder = holder(grant.name, place), holder != grant.termID || isTakenOver(place.entry, from: grant.token) {
            found = electionState(grant.name, place)
        }
        forgetHeld(grant)
        return found
    }

    func forgetHeld(_ grant: Grant) {
        state.withLock { state in
            if state.held[grant.name]?.session == grant.termID { state.held[grant.name] = nil }
        }
    }

    // MARK: Releasing

    public func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        do throws(ConsulFailure) { return try await giveUp(grant) } catch {
            throw told(error, "cannot release \(Printable.text(grant.name))", isChange: true)
        }
    }

    /// How often a release is tried if others write in between. All holders of a semaphore write one key.
    func mostTries(_ name: String) -> Int { naming.slot(name) == nil ? 4 : 40 }

    private func giveUp(_ grant: Grant) async throws(ConsulFailure) -> ReleaseAnswer {
        let name = grant.name
        let key = naming.key(name)
        guard let session = grant.termID else { return .notHeld(electionState(name, try await place(grant))) }
        if grant.leavesProcesses {
            // Processes might live that the lock-delay gives time to be ended.
            try await end(session, of: name, within: limit(ttl: grant.ttl))
            forgetHeld(grant)
            return .released
        }
        let wasAsked = state.withLock { $0.held[name].map { $0.session == session && $0.wasAsked } ?? false }
        let isSlot = naming.slot(name) != nil
        var known: Place?
        // A lock that nobody has written has the flags and the version that this process gave it.
        if !naming.isLock || isSlot || grant.token == nil {
            let found = try await place(grant)
            guard found.entry?.session == session, !isTakenOver(found.entry, from: grant.token) else { return try await notHeld(grant) }
            known = found
        }
        for attempt in 0..<mostTries(name) {
            var operations: [ConsulCalls.Operation]
            if let known, isSlot {
                operations = vacating(name, session, in: known)
            } else {
                operations = [
                    .checkIndex(key: key, known?.entry?.modifyIndex ?? grant.token?.value ?? 0),
                    .unlock(key: key, flags: flags(name, over: known?.entry), session: session),
                ]
            }
            if wasAsked { operations.append(.delete(key: KeyNaming.request(of: key))) }
            var failure: ConsulFailure?
            do throws(ConsulFailure) {
                if case .done = try await calls.transact(operations, within: limit(ttl: grant.ttl)) {
                    return await released(grant, session)
                }
            } catch {
                guard error.isUncertain else { throw error }
                failure = error
            }
            await giveWay(name, after: attempt)
            let found: Place
            do throws(ConsulFailure) { found = try await place(grant) } catch { throw failure ?? error }
            guard found.entry?.session == session else {
                // Nobody else gives the lease up in our name.
                if failure != nil { return await released(grant, session) }
                return try await notHeld(grant)
            }
            // The session is that of the process that has resumed the term.
            if isTakenOver(found.entry, from: grant.token) { return try await notHeld(grant) }
            if let failure { throw failure }
            // A plain put has changed the key, or another holder the semaphore.
            known = found
        }
        throw ConsulFailure(.unavailable, "the key is changed all the time", at: api.endpoints.first ?? "")
    }

    private func place(_ grant: Grant) async throws(ConsulFailure) -> Place { try await look(grant.name, within: limit(ttl: grant.ttl)) }

    /// The key is free: only now can the session end without a lock-delay.
    private func released(_ grant: Grant, _ session: String) async -> ReleaseAnswer {
        forgetHeld(grant)
        // It holds nothing, and ends by itself if this fails.
        try? await calls.destroySession(session, within: limit(ttl: grant.ttl))
        return .released
    }

    private func notHeld(_ grant: Grant) async throws(ConsulFailure) -> ReleaseAnswer {
        forgetHeld(grant)
        let found = try await place(grant)
        // If the key still has the session, another process has resumed the term.
        if let session = grant.termID, found.entry?.session != session {
            try? await calls.destroySession(session, within: limit(ttl: grant.ttl))
        }
        return .notHeld(electionState(grant.name, found))
    }
}
