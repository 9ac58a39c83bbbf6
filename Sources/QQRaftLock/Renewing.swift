import QQCore
import QQGRPC

// Renewing a lease. The servers answer INTERNAL to a renewal that they carry out; only reading the lock shows the outcome.
extension RaftLockCoordinator {
    public func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        let claim = Claim(name: grant.name, identity: grant.identity)
        let what = "cannot renew \(Printable.text(grant.name))"
        guard let token = grant.token else {
            throw CoordinationError(.usage, what, because: "its token is unknown", at: server.description, hint: "give it with --token")
        }
        let version = Int64(clamping: token.value)
        let sentAt = clock.now()
        let deadline = requestDeadline(within: grant.deadline)
        var held =
            state.withLock { $0.held[claim].flatMap { $0.version == version ? $0 : nil } }
            ?? Held(version: version, began: nil, ttl: grant.ttl, expiresAt: nil, isUncertain: true)
        // After its end the lock can belong to another process with the same identity, and the servers would accept this renewal for it.
        if held.isUncertain || held.expiresAt == nil || sentAt >= grant.deadline {
            // Whichever renewal moves the end after this read is not older than the read. The lease can therefore be counted from `sentAt`.
            do throws(GRPCFailure) {
                let (snapshot, endpoint) = try await service.lockInfo(grant.name, until: deadline)
                guard snapshot.owner == grant.identity, asHeld(snapshot).version == version else {
                    return .lost(await lost(claim, snapshot, endpoint))
                }
                (held.began, held.expiresAt) = (snapshot.acquiredAt, snapshot.expiresAt)
            } catch { throw told(error, what, isChange: false) }
        }
        do throws(GRPCFailure) {
            let response = try await service.write(
                LockCalls.renew(grant.name, grant.identity, version: version, ttl: held.ttl), until: deadline)
            guard response.renewed else { throw GRPCFailure(response.error, at: server.description) }
            if response.lock.version > 0 { held.version = response.lock.version }
            held.expiresAt = response.lock.hasExpiresAt ? response.lock.expiresAt.wallTime : nil
            return .renewed(extended(grant, claim, held, from: sentAt))
        } catch {
            if LockRefusal(error)?.isAboutHolder == true {
                forgetHeld(claim)
                return .lost(await present(grant.name, otherwise: .free, until: requestDeadline))
            }
            guard told(error, what, isChange: true).isUncertain else { throw told(error, what, isChange: false) }
            return try await resolve(grant, claim, held, error, what, from: sentAt)
        }
    }

    /// Resolves an uncertain renewal by reading the lock.
    private func resolve(
        _ grant: Grant, _ claim: Claim, _ before: Held, _ failure: GRPCFailure, _ what: String, from sentAt: BootInstant
    ) async throws(CoordinationError) -> RenewAnswer {
        var held = before
        do throws(GRPCFailure) {
            let (snapshot, endpoint) = try await service.lockInfo(grant.name, until: requestDeadline(within: grant.deadline))
            guard snapshot.owner == grant.identity, asHeld(snapshot).version == held.version else {
                service.resolved(.refused, at: failure.endpoint)
                return .lost(await lost(claim, snapshot, endpoint))
            }
            // The new end can be earlier: a waiter that the queue granted the lock has 30 s, whatever it requested.
            let wasCarriedOut = snapshot.expiresAt != held.expiresAt
            service.resolved(wasCarriedOut ? .carriedOut : .ignored(wasHeard: failure.isAnswer), at: failure.endpoint)
            if wasCarriedOut {
                held.expiresAt = snapshot.expiresAt
                return .renewed(extended(grant, claim, held, from: sentAt))
            }
        } catch {
            // The renewal's failure is more informative than that of the read after it.
        }
        held.isUncertain = true
        state.withLock { $0.held[claim] = held }
        var told = told(failure, what, isChange: true)
        // Nothing is left to resolve: all that can be done is to try again.
        told.isUncertain = false
        throw told
    }

    /// - Parameter sentAt: the start of the extension; the renewal cannot have happened before.
    private func extended(_ grant: Grant, _ claim: Claim, _ held: Held, from sentAt: BootInstant) -> Grant {
        state.withLock { $0.held[claim] = held }
        return self.grant(claim, version: held.version, ttl: held.ttl, from: sentAt, began: grant.acquiredAt)
    }

    private func lost(_ claim: Claim, _ snapshot: LockSnapshot, _ endpoint: Int?) async -> ElectionState {
        forgetHeld(claim)
        return await electionState(snapshot, from: endpoint)
    }

    private func forgetHeld(_ claim: Claim) { state.withLock { $0.held[claim] = nil } }
}
