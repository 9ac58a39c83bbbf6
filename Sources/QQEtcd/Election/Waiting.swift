import QQCore

// Waiting in order: behind the contender just ahead, while watching our own key too.
extension EtcdCoordinator {
    private enum Wake: Sendable {
        /// The contender ahead or our own key has changed, or changes might have been missed.
        case changed
        case lost(EtcdFailure)
        /// The lease has ended, or the time is over.
        case done
    }

    public func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        let name = request.name
        do throws(EtcdFailure) { try await wait(request, until: deadline) } catch {
            if !Task.isCancelled {
                var told = told(error, "cannot wait for \(Printable.text(name))", isChange: true)
                if error.meaning == .noSpace { told.reason += ", and no lease can be made; holders keep theirs" }
                // The place is found again by the next attempt, or is ended by `leaveQueue`.
                told.isUncertain = false
                throw told
            }
        }
        if Task.isCancelled {
            throw CoordinationError(.unavailable, "gave up on \(Printable.text(name))", because: "interrupted", at: server.description)
        }
    }

    private func wait(_ request: AcquireRequest, until deadline: BootInstant) async throws(EtcdFailure) {
        let name = request.name
        guard clock.now() < deadline else { return }
        // A turn that was not taken counts no more: from here on the key is written again, or even created again behind others.
        state.withLock { $0.campaigns[name]?.token = nil }
        let campaign = try await campaign(request, since: clock.now() - (request.ttl / 3))
        var askedAt = clock.now()
        var standing = try await enter(name, campaign, within: request.ttl)
        // Nothing is reported by a wait: it ends when the contender ahead becomes one that nothing ends, and the next request is refused with that.
        var hadEnd = false
        while !Task.isCancelled, clock.now() < deadline, case .waits(let ahead, let own, let revision) = standing {
            if hadEnd, ahead.isEndless { return }
            hadEnd = !ahead.isEndless
            switch await wake(name, behind: ahead, own, from: EtcdRevision.after(revision), campaign, until: deadline) {
            case .changed: break
            case .lost(let failure): throw failure
            case .done: return
            }
            // The renewal is for the term that might begin. It is sent first, and neither waits for the other.
            let now = clock.now()
            askedAt = now
            async let renewal: Void = refresh(name, campaign.lease, at: now)
            standing = try await takeTurn(name, campaign, own, within: request.ttl)
            await renewal
        }
        guard case .leads(let token, let term) = standing, let known = state.withLock({ $0.campaigns[name] }),
            known.lease == campaign.lease,
            try await proven(known, in: term, name, within: request.ttl) != nil
        else { return }
        state.withLock { [askedAt] state in
            guard state.campaigns[name]?.lease == campaign.lease else { return }
            state.campaigns[name]?.token = token
            state.campaigns[name]?.turnAt = askedAt
        }
    }

    /// Renews the lease of a waiter, unless it was renewed just now. A failure shows in what follows.
    private func refresh(_ name: String, _ lease: Int64, at now: BootInstant) async {
        guard let known = state.withLock({ $0.campaigns[name] }), known.lease == lease, let ttl = known.ttl,
            now >= known.renewedAt + ttl / 12
        else { return }
        do throws(EtcdFailure) { _ = try await renewWaiter(name, known, ttl, at: now) } catch {}
    }

    /// - Returns: whether the lease still exists.
    private func renewWaiter(_ name: String, _ known: Campaign, _ ttl: Duration, at now: BootInstant) async throws(EtcdFailure) -> Bool {
        guard case .renewed(let seconds, let term) = try await api.keepAlive(known.lease, by: limit(ttl: ttl)) else { return false }
        state.withLock { state in
            guard state.campaigns[name]?.lease == known.lease else { return }
            state.campaigns[name]?.renewedAt = now
            state.campaigns[name]?.renewedIn = term
            state.campaigns[name]?.ttl = LeaseTime.granted(seconds)
        }
        return true
    }

    /// Watches the keys and renews the lease, until one of both shows that something has to be done.
    private func wake(
        _ name: String, behind ahead: Contender, _ own: Contender, from revision: Int64, _ campaign: Campaign, until deadline: BootInstant
    ) async -> Wake {
        await withTaskGroup(of: Wake.self) { group in
            group.addTask {
                for await event in self.api.watch([.one(ahead.key), .one(own.key)], from: revision) {
                    switch event {
                    case .began: continue
                    case .changed(let changes):
                        // A key that is written again under the same lease keeps its place: that is how a term begins, or is resumed.
                        if changes.contains(where: { !$0.keepsPlace(of: ahead) && !$0.keepsPlace(of: own) }) { return .changed }
                    case .compacted: return .changed
                    case .lost(let failure): return .lost(failure)
                    }
                }
                return .lost(EtcdFailure(.unavailable, "the watch has ended"))
            }
            group.addTask { await self.renew(name, campaign, until: deadline) }
            let first = await group.next() ?? .done
            group.cancelAll()
            return first
        }
    }

    /// Renews the lease of a waiter, until the deadline or until the lease has ended.
    private func renew(_ name: String, _ campaign: Campaign, until deadline: BootInstant) async -> Wake {
        var failures = 0
        while !Task.isCancelled {
            guard let known = state.withLock({ $0.campaigns[name] }), known.lease == campaign.lease else { return .done }
            let ttl = known.ttl ?? .seconds(known.seconds)
            let due = failures == 0 ? known.renewedAt + ttl / 3 : clock.now() + min(ttl / 12, .seconds(1))
            guard (try? await clock.sleep(until: min(due, deadline))) != nil else { return .done }
            let sentAt = clock.now()
            if sentAt >= deadline { return .done }
            do throws(EtcdFailure) {
                guard try await renewWaiter(name, known, ttl, at: sentAt) else {
                    abandon(name, campaign.lease)
                    return .done
                }
                failures = 0
            } catch {
                failures += 1
                // The outage is reported, and waited out, by the session. Its next attempt finds the place if the lease still exists.
                if sentAt >= known.renewedAt + ttl { return .lost(error) }
            }
        }
        return .done
    }

    /// Ends the campaign's lease, and with it the place in the queue.
    public func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        let name = request.name
        let hasLeases = state.withLock { state in
            if let campaign = state.campaigns.removeValue(forKey: name) { state.leftovers[name, default: []].insert(campaign.lease) }
            return state.leftovers[name] != nil
        }
        guard hasLeases else { return nil }
        // Runs in a task of its own: a caller that was cancelled leaves as well.
        return await Task(executorPreference: executor) { () -> CoordinationError? in
            do throws(EtcdFailure) {
                try await self.endLeftovers(name)
                return nil
            } catch {
                var told = self.told(error, "cannot take back the request for \(Printable.text(name))", isChange: true)
                told.hint = "its lease ends after \(DurationText.brief(request.ttl))"
                return told
            }
        }.value
    }
}

extension EtcdChange {
    /// Whether it leaves a contender where it was.
    fileprivate func keepsPlace(of contender: Contender) -> Bool {
        guard case .put(let key) = self else { return false }
        return key.key == contender.key && key.createRevision == contender.createRevision && key.lease == contender.boundTo
    }
}
