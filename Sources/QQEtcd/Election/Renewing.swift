import QQCore

// Renewing and releasing a lease.
extension EtcdCoordinator {
    public func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        do throws(EtcdFailure) { return try await extend(grant) } catch {
            var told = told(error, "cannot renew \(Printable.text(grant.name))", isChange: true)
            // A renewal changes nothing but the time, and can be repeated.
            told.isUncertain = false
            throw told
        }
    }

    private func extend(_ grant: Grant) async throws(EtcdFailure) -> RenewAnswer {
        let name = grant.name
        // A lease outlives the deletion of its key.
        guard let lease = grant.termID.flatMap({ LeaseID.parse($0) }),
            let renewal = try await renew(
                lease, of: name, while: { isLast($0, grant.token) && $0.lease == lease }, { limit(until: grant.deadline, share: 2) })
        else { return .lost(await lost(grant)) }
        var renewed = grant
        renewed.ttl = LeaseTime.granted(renewal.seconds)
        renewed.deadline = renewal.sentAt + renewed.ttl
        renewed.expiresAt = wall() + renewed.deadline.duration(since: clock.now())
        state.withLock { [renewed] state in
            guard state.held[name]?.lease == lease else { return }
            state.held[name]?.deadline = renewed.deadline
            state.held[name]?.ttl = renewed.ttl
        }
        return .renewed(renewed)
    }

    func ownKey(_ name: String, _ lease: Int64, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdKeyValue? {
        try await api.range(.state(of: naming.key(name, lease: lease)), by: deadline).found.first
    }

    /// Whether the key was last written for the term with this token. Another process that resumes the term writes it again.
    func isLast(_ key: EtcdKeyValue, _ token: FencingToken?) -> Bool { token.map { $0.value == UInt64(clamping: key.modRevision) } ?? true }

    /// The state of a term that has ended: free if it cannot be read.
    private func lost(_ grant: Grant) async -> ElectionState {
        forgetHeld(grant)
        if let lease = grant.termID.flatMap({ LeaseID.parse($0) }) {
            await bindAgain(grant.name, lease, grant.identity, until: grant.deadline)
        }
        do throws(EtcdFailure) {
            let found = try await present(grant.name, by: limit(until: grant.deadline)).state
            // The key of this term is gone, or is another process's by now.
            if found.termID != grant.termID || found.token != grant.token { return found }
        } catch {}
        return ElectionState(name: grant.name, phase: .free)
    }

    /// Makes the key of a lost term end with the lease of that term, if something else has put the key without it: it would lead for ever. It still leads until
    /// that lease ends, which is not renewed any more; by then nothing works under the term.
    func bindAgain(_ name: String, _ lease: Int64, _ identity: String, until end: BootInstant) async {
        do throws(EtcdFailure) {
            guard let found = try await ownKey(name, lease, by: limit(until: end)), found.lease != lease else { return }
            let binding = EtcdTransaction(
                if: [.wasModified(found.key, at: found.modRevision)],
                then: [.put(key: found.key, value: Array(identity.utf8), lease: lease)])
            _ = try await api.transact(binding, by: limit(until: end))
        } catch {
            // Waiters and readers are told that nothing ends the key, and how to delete it.
        }
    }

    func forgetHeld(_ grant: Grant) {
        state.withLock { state in
            if let held = state.held[grant.name], LeaseID.text(held.lease) == grant.termID { state.held[grant.name] = nil }
        }
    }

    // MARK: Releasing

    /// Deletes the key, and ends its lease. The grant alone is enough: `termID` is the lease id, and `token` the revision of the key.
    public func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        do throws(EtcdFailure) { return try await giveUp(grant) } catch {
            throw told(error, "cannot release \(Printable.text(grant.name))", isChange: true)
        }
    }

    private func giveUp(_ grant: Grant) async throws(EtcdFailure) -> ReleaseAnswer {
        let name = grant.name
        guard let lease = grant.termID.flatMap({ LeaseID.parse($0) }) else {
            return .notHeld(try await present(name, by: limit(ttl: grant.ttl)).state)
        }
        let key = naming.key(name, lease: lease)
        let conditions: [EtcdTransaction.Condition] =
            grant.token.map { [.wasModified(key, at: Int64(clamping: $0.value))] } ?? [.hasValue(key, Array(grant.identity.utf8))]
        let note = LeaseID.hasNote(lease) ? [EtcdTransaction.Operation.delete(.one(naming.note(name, lease: lease)))] : []
        let transaction = EtcdTransaction(if: conditions, then: [.delete(.one(key))] + note, otherwise: [.range(.state(of: key))])
        let answer = try await api.transact(transaction, by: limit(ttl: grant.ttl))
        if answer.succeeded {
            forgetHeld(grant)
            // The election is free by now. The lease is this term's alone, and ends by itself if this fails.
            do throws(EtcdFailure) { try await api.revokeLease(lease, by: limit(ttl: grant.ttl)) } catch {}
            return .released
        }
        forgetHeld(grant)
        guard case .range(let keys)? = answer.answers.first else {
            throw EtcdFailure(.unsupported, "the server's answer does not fit the request", wasSent: true)
        }
        if let found = keys.found.first, found.lease != lease {
            // Something else has put the key, which does not end with the lease. Nothing works under the term any more.
            let isDeleted = try await deleteUnbound(name, lease, within: grant.ttl)
            do throws(EtcdFailure) { try await api.revokeLease(lease, by: limit(ttl: grant.ttl)) } catch {}
            if isDeleted { return .released }
        }
        if keys.found.isEmpty {
            // The transaction is repeated after a try without an answer, and then finds its own deletion: the lease is still there.
            if try await api.lease(lease, withKeys: false, by: limit(ttl: grant.ttl)) != nil {
                do throws(EtcdFailure) { try await api.revokeLease(lease, by: limit(ttl: grant.ttl)) } catch {}
                return .released
            }
        }
        return .notHeld(try await present(name, by: limit(ttl: grant.ttl)).state)
    }
}
