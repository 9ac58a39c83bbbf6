import QQCore

// Acquiring a lease.
extension KubernetesCoordinator {
    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        await gate.enter()
        defer { gate.leave() }
        return try await ask(request)
    }

    // A separate function, whose frame is allocated only after the gate.
    @inline(never)
    private func ask(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        let what = "cannot acquire \(Printable.text(request.name))"
        guard let seconds = LeaseNaming.seconds(request.ttl) else {
            throw CoordinationError(.usage, what, because: "its TTL is not in whole seconds", at: server.description)
        }
        // A process that requests the lease no longer counts as its holder, but the lease might still exist.
        state.withLock { state in
            state.news[request.name] = nil
            state.end(request.name, isLost: false)
        }
        do throws(APIFailure) {
            let answer = try await take(request, seconds)
            state.withLock { $0.awaySince[request.name] = nil }
            return answer
        } catch {
            var told = told(error, what, .update, request.name)
            // A lease without a holder does no harm if it is created late.
            if state.withLock({ $0.own[request.name]?.attempts.isEmpty ?? true }) { told.isUncertain = false }
            // A waiter keeps waiting for a server that is unavailable for a moment.
            guard told.isTransient, !told.isUncertain, isPatient(request.name) else { throw told }
            return .refused(ElectionState(name: request.name, phase: .unknown))
        }
    }

    /// How long the server can be unavailable before that counts as an outage, which the lease session reports and rides out.
    static let patience: Duration = .seconds(5)

    private func isPatient(_ name: String) -> Bool {
        let now = clock.now()
        return state.withLock { state in
            guard state.followers[name] != nil else { return false }
            let since = state.awaySince[name] ?? now
            state.awaySince[name] = since
            return now < since + Self.patience
        }
    }

    /// How often a request is decided again if other processes write in between.
    private static let mostDecisions = 8

    private func take(_ request: AcquireRequest, _ seconds: Int32) async throws(APIFailure) -> AcquireAnswer {
        let name = request.name
        // A copy is enough to take the lease: the write fails if the object was changed since. It is not enough to refuse.
        var isFresh = false
        var created: LeaseObject?
        for _ in 0..<Self.mostDecisions {
            var known = state.withLock { $0.histories[name] }
            if known?.object == nil, !isFresh {
                _ = try await readLease(name, within: limit(ttl: request.ttl))
                isFresh = true
                known = state.withLock { $0.histories[name] }
            }
            guard let history = known else { continue }
            if let grant = try await resume(request, seconds, history.object) { return .granted(grant, nil) }
            switch history.verdict(
                at: clock.now(), wall: wall(), server: serverNow, own: state.withLock { $0.own[name] ?? OwnTerms() })
            {
            case .absent:
                created = try await create(name, within: limit(ttl: request.ttl))
                isFresh = created != nil
            case .takeable(let object):
                var record = object.record.taken(by: request.identity, for: seconds, at: stamp)
                // The first holder of a new lease changed no holder.
                if let created, created.resourceVersion == object.resourceVersion { record.transitions = object.record.transitions }
                let mark = TermMark(
                    id: TermMark.newID(random), token: object.version.map { FencingToken($0) }, identity: request.identity,
                    acquireTime: record.acquireTime ?? "",
                    transitions: record.transitions, seconds: seconds, isAttended: request.wantsLivenessLock)
                if let grant = try await write(name, mark, record, note: request.note, over: object, ttl: request.ttl) {
                    return .granted(grant, nil)
                }
                isFresh = false
                _ = try await readLease(name, within: limit(ttl: request.ttl))
                isFresh = true
            case .refused(let refusal, _):
                if isFresh { return .refused(refused(name, refusal)) }
                _ = try await readLease(name, within: limit(ttl: request.ttl))
                isFresh = true
            }
        }
        throw APIFailure(
            status: 409, reason: "Conflict", message: "the lease changes faster than it can be requested", endpoint: api.endpoint,
            credential: "")
    }

    /// Writes a term's first record over `object`.
    /// - Parameter note: the note of the term, in place of that of any other.
    /// - Returns: nil if the object was changed since it was read.
    func write(
        _ name: String, _ mark: TermMark, _ record: LeaseRecord, note: String?, over object: LeaseObject, ttl: Duration
    ) async throws(APIFailure) -> Grant? {
        var wanted = object
        wanted.write(record)
        wanted.mark(mark, note: note)
        let attempt = Attempt(mark: mark, record: record, uid: object.uid, version: object.resourceVersion, sentAt: clock.now())
        // Before the write is sent: from then on it can be carried out.
        state.withLock { state in
            state.own[name, default: OwnTerms()].add(mark.id, [record])
            state.own[name]?.add(attempt)
        }
        do throws(APIFailure) {
            let answer = try await write(calls.replace(wanted), within: limit(ttl: ttl))
            return granted(name, attempt, answer)
        } catch {
            guard error.isUncertain else {
                forget(name, attempt)
                guard error.status == 409 else { throw error }
                return nil
            }
            return try await resolve(name, attempt, error, ttl: ttl)
        }
    }

    /// Resolves a write without a known outcome by reading.
    private func resolve(_ name: String, _ attempt: Attempt, _ failure: APIFailure, ttl: Duration) async throws(APIFailure) -> Grant? {
        let found: LeaseObject?
        // The write's failure is more informative than that of the read after it.
        do throws(APIFailure) { found = try await readLease(name, within: limit(ttl: ttl)) } catch { throw failure }
        if let found, found.uid == attempt.uid, found.mark?.id == attempt.mark.id, found.record == attempt.record {
            return granted(name, attempt, found)
        }
        // The write can still be carried out as long as the object has the version that it names. Another write over that version then fails, or makes it fail.
        if let found, found.uid == attempt.uid, found.resourceVersion == attempt.version { throw failure }
        forget(name, attempt)
        return nil
    }

    private func granted(_ name: String, _ attempt: Attempt, _ object: LeaseObject) -> Grant {
        note(name, object)
        if let version = object.version { watcher.expect(name, version) }
        state.withLock { state in
            // Every other attempt named a version that this one has replaced.
            state.own[name]?.removeAttempts()
            state.own[name]?.remove(attempt.mark.id)
            state.news[name] = nil
            // The start of a term differs from every record before it: contenders see it.
            state.held[name] = HeldLease(mark: attempt.mark, object: object, shownSince: attempt.sentAt)
        }
        return grant(name, attempt.mark, object.record, deadline: attempt.sentAt + attempt.mark.ttl)
    }

    private func forget(_ name: String, _ attempt: Attempt) {
        state.withLock { state in
            state.own[name]?.remove(attempt)
            state.own[name]?.remove(attempt.mark.id)
        }
    }

    func grant(_ name: String, _ mark: TermMark, _ record: LeaseRecord, deadline: BootInstant) -> Grant {
        let now = wall()
        return Grant(
            name: name, identity: mark.identity, token: mark.token, termID: mark.id,
            details: [StatusDetail("transitions", .integer(Int64(record.transitions)))], ttl: mark.ttl, deadline: deadline,
            acquiredAt: record.acquiredAt ?? now, expiresAt: now + deadline.duration(since: clock.now()))
    }

    // MARK: Resuming

    /// Resumes a term of an earlier command, as long as nothing else has written the lease. The term gets a new ID, by which another process with the same saved
    /// grant sees that it no longer holds the term.
    /// - Returns: nil if the lease is of another term.
    private func resume(_ request: AcquireRequest, _ seconds: Int32, _ object: LeaseObject?) async throws(APIFailure) -> Grant? {
        guard let object, let id = request.continuing?.termID, var mark = object.mark, mark.id == id, mark.identity == request.identity,
            !object.isDeleting
        else { return nil }
        mark.id = TermMark.newID(random)
        (mark.seconds, mark.isAttended) = (seconds, request.wantsLivenessLock)
        var record = object.record
        // Contenders have to see the difference, because nothing else tells since when they count.
        record.renew(for: seconds, at: stamp)
        return try await write(request.name, mark, record, note: object.note, over: object, ttl: request.ttl)
    }

    // MARK: Creating

    /// Creates the lease without a holder. The term that then begins is a write over a known version, which is its token: a token is known before the term begins,
    /// and everyone can read it from the first record on.
    /// - Returns: nil if the lease exists meanwhile.
    private func create(_ name: String, within limit: Duration) async throws(APIFailure) -> LeaseObject? {
        let wanted = LeaseObject(new: name, namespace: namespace, wall: stampOfRelease)
        do throws(APIFailure) {
            let answer: LeaseObject
            do throws(APIFailure) { answer = try await write(calls.create(wanted), within: limit) } catch {
                guard error.status == 403 else { throw error }
                // A role for certain names alone cannot allow POST, which names none. A PUT without a version creates the lease, and is refused if it exists.
                do throws(APIFailure) { answer = try await write(calls.replace(wanted), within: limit) } catch let second {
                    throw second.status == 403 ? error : second
                }
            }
            note(name, answer)
            return answer
        } catch {
            if error.status == 409 || error.status == 422 {
                let found = try await readLease(name, within: limit)
                if found == nil, error.status == 422 { throw error }
                return nil
            }
            guard error.isUncertain else { throw error }
            // A lease without a holder does no harm, whenever it is created.
            guard try await readLease(name, within: limit) != nil else { throw error }
            return nil
        }
    }

    // MARK: Refusals

    func refused(_ name: String, _ refusal: LeaseHistory.Refusal) -> ElectionState {
        var state = electionState(name)
        switch refusal {
        case .held: break
        case .unobserved:
            state.refusal =
                "by its holder's clock the lease has ended less than one TTL ago, which proves nothing: --wait watches it until its end"
        case .vanished:
            if state.phase == .free { state.phase = .expired }
            state.refusal =
                "its lease was cleared or deleted, and the holder might still work: --wait waits until its lease would have ended"
        case .deleting: state.refusal = "the lease object is being deleted, and its finalizers keep it"
        }
        return state
    }
}
