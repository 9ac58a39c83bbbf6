import QQCore

// Renewing a lease.
extension KubernetesCoordinator {
    public func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        do throws(APIFailure) { return try await extend(grant) } catch {
            var told = told(error, "cannot renew \(Printable.text(grant.name))", .update, grant.name)
            // It was resolved as far as possible: all that is left is to try again.
            told.isUncertain = false
            throw told
        }
    }

    /// How often a renewal is sent again if something else wrote the object in between, such as a label.
    private static let mostTries = 4

    private func extend(_ grant: Grant) async throws(APIFailure) -> RenewAnswer {
        let name = grant.name
        guard var held = try await heldLease(grant) else { return .lost(lost(grant)) }
        for _ in 0..<Self.mostTries {
            var failure: APIFailure?
            let (wanted, renewal) = held.renewal(at: clock.now(), wall: stamp)
            do throws(APIFailure) {
                let answer = try await write(calls.replace(wanted), within: limit(until: grant.deadline))
                held.confirm(renewal, as: answer)
                return .renewed(renewed(grant, held))
            } catch {
                guard error.isUncertain || error.status == 409 || error.status == 404 else { throw error }
                if error.isUncertain {
                    held.leaveOpen(renewal)
                    keep(name, held)
                    failure = error
                }
            }
            let found: LeaseObject?
            do throws(APIFailure) { found = try await readLease(name, within: limit(until: grant.deadline)) } catch {
                throw failure ?? error
            }
            switch held.found(found) {
            case .lost: return .lost(lost(grant))
            case .ours(let wasRenewed):
                keep(name, held)
                tellStepDown(name, held)
                guard let failure else { continue }
                if wasRenewed { return .renewed(renewed(grant, held)) }
                // Sending it again now would most likely meet the same fault. The session paces that.
                throw failure
            }
        }
        throw APIFailure(
            status: 409, reason: "Conflict", message: "the lease is changed all the time", endpoint: api.endpoint, credential: "")
    }

    /// The lease of a grant as this process holds it, or as it is at the server; nil if it is another's.
    func heldLease(_ grant: Grant) async throws(APIFailure) -> HeldLease? {
        if let held = state.withLock({ $0.held[grant.name] }), held.mark.id == grant.termID { return held }
        let found = try await readLease(grant.name, within: limit(until: grant.deadline))
        guard let found, let mark = found.mark, mark.identity == grant.identity else { return nil }
        guard state.withLock({ $0.own[grant.name]?.hasLost(mark.id) != true }) else { return nil }
        // Without its ID, the token names the term as well: both are written once.
        guard grant.termID.map({ $0 == mark.id }) ?? (grant.token != nil && mark.token == grant.token) else { return nil }
        return HeldLease(mark: mark, object: found, shownSince: nil)
    }

    private func keep(_ name: String, _ held: HeldLease) { state.withLock { $0.held[name] = held } }

    private func renewed(_ grant: Grant, _ held: HeldLease) -> Grant {
        keep(grant.name, held)
        note(grant.name, held.object)
        if let version = held.object.version { watcher.expect(grant.name, version) }
        let end = held.deadline ?? grant.deadline
        var renewed = self.grant(grant.name, held.mark, held.object.record, deadline: end)
        renewed.endsBy = end
        return renewed
    }

    /// Forgets a lease that is no longer this process's.
    /// - Returns: the present state; free if nobody else has taken the lease.
    func lost(_ grant: Grant) -> ElectionState {
        state.withLock { state in
            if state.held[grant.name]?.mark.id == grant.termID { state.end(grant.name, isLost: true) }
        }
        let present = electionState(grant.name)
        return present.termID == grant.termID && (present.details["cleared"] != nil || present.details["deleting"] != nil)
            ? ElectionState(name: grant.name, phase: .free) : present
    }
}
