import QQCore

// Releasing a lease.
extension KubernetesCoordinator {
    public func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        do throws(APIFailure) { return try await giveUp(grant) } catch {
            throw told(error, "cannot release \(Printable.text(grant.name))", .update, grant.name)
        }
    }

    private static let mostTries = 4
    private static let mostUnanswered = 2

    private func giveUp(_ grant: Grant) async throws(APIFailure) -> ReleaseAnswer {
        let name = grant.name
        guard var held = try await heldLease(grant) else { return .notHeld(lost(grant)) }
        let isOver = hasRunOut(held)
        var unanswered = 0
        for _ in 0..<Self.mostTries {
            var free = held.object
            free.release(wall: stampOfRelease)
            do throws(APIFailure) {
                released(name, held, try await write(calls.replace(free), within: limit(ttl: grant.ttl)))
                // A lease that has run out was no longer ours, although nobody else has taken it.
                return isOver ? .notHeld(ElectionState(name: name, phase: .free)) : .released
            } catch {
                guard error.isUncertain || error.status == 409 || error.status == 404 else { throw error }
                if error.isUncertain { unanswered += 1 }
                let found: LeaseObject?
                // The release's failure is more informative than that of the read after it.
                do throws(APIFailure) { found = try await readLease(name, within: limit(ttl: grant.ttl)) } catch let second {
                    throw error.isUncertain ? error : second
                }
                let finding = held.found(found)
                state.withLock { if $0.held[name] != nil { $0.held[name] = held } }
                guard case .lost = finding else {
                    // A release without an answer names the version that was just read, if that is still the same. Nothing else is written until it is repeated:
                    // one of the two is carried out, whichever comes first, and the other fails.
                    if unanswered >= Self.mostUnanswered { throw error }
                    continue
                }
                let present = lost(grant)
                // An earlier attempt was carried out: nobody else gives the lease up in our name.
                return unanswered > 0 ? .released : .notHeld(present)
            }
        }
        throw APIFailure(
            status: 409, reason: "Conflict", message: "the lease is changed all the time", endpoint: api.endpoint, credential: "")
    }

    /// Whether a lease has ended: by the boot clock if this process holds it, else by the times in its object.
    private func hasRunOut(_ held: HeldLease) -> Bool {
        if let deadline = held.deadline { return clock.now() >= deadline }
        guard let renewedAt = held.object.record.renewedAt else { return false }
        return (serverNow ?? wall()) - renewedAt >= max(held.object.record.ttl ?? .zero, held.mark.ttl)
    }

    private func released(_ name: String, _ held: HeldLease, _ object: LeaseObject) {
        state.withLock { state in
            state.held[name] = nil
            state.news[name] = nil
            state.own[name]?.remove(held.mark.id)
        }
        note(name, object)
    }

    // MARK: Calling off

    /// Leaves no lease behind that a write without an answer can still bring.
    public func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        let name = request.name
        let (open, follower) = state.withLock { state in
            state.awaySince[name] = nil
            let open = state.held[name] == nil ? state.own[name]?.attempts ?? [] : []
            return (open, state.followers.removeValue(forKey: name))
        }
        // It ends outside of the lock, which it needs for that.
        withExtendedLifetime(follower) {}
        guard !open.isEmpty else { return nil }
        // Runs in a task of its own: a caller that was cancelled leaves as well.
        return await Task(executorPreference: executor) { await self.callOff(name, open, ttl: request.ttl) }.value
    }

    private func callOff(_ name: String, _ open: [Attempt], ttl: Duration) async -> CoordinationError? {
        let what = "cannot take back the request for \(Printable.text(name))"
        var failure: APIFailure?
        for _ in 0..<Self.mostTries {
            do throws(APIFailure) {
                let found = try await readLease(name, within: limit(ttl: ttl))
                if let found, let mark = found.mark, open.contains(where: { $0.mark.id == mark.id }) {
                    var free = found
                    free.release(wall: stampOfRelease)
                    note(name, try await write(calls.replace(free), within: limit(ttl: ttl)))
                } else if let found, open.contains(where: { $0.uid == found.uid && $0.version == found.resourceVersion }) {
                    // The request can still be carried out over this version. Writing over it first makes it fail, but only a lease without a holder is ours to write.
                    guard found.record.holder == nil, found.clearedMark == nil else {
                        failure = nil
                        break
                    }
                    var free = found
                    free.release(wall: stampOfRelease)
                    note(name, try await write(calls.replace(free), within: limit(ttl: ttl)))
                }
                state.withLock { $0.own[name]?.removeAttempts() }
                return nil
            } catch {
                guard error.isUncertain || error.status == 409 else {
                    failure = error
                    break
                }
                failure = error
            }
        }
        var error =
            failure.map { told($0, what, .update, name) }
            ?? CoordinationError(.unavailable, what, because: "it was not carried out yet", at: server.description)
        error.hint = "it might still be carried out; the lease then expires after \(DurationText.brief(ttl))"
        return error
    }
}
