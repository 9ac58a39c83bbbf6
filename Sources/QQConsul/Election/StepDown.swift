import QQCore

/// The value of the key by which a holder is asked to step down.
struct StepDownRequest: Sendable, Hashable {
    /// The term.
    var session: String
    /// The identity that asks.
    var by: String

    init(session: String, by: String) { (self.session, self.by) = (session, by) }

    init?(_ entry: KeyEntry?) {
        guard let entry, let value = try? JSONValue.parse(entry.value), let session = value["session"]?.stringValue,
            let by = value["by"]?.stringValue
        else { return nil }
        self.init(session: session, by: Printable.text(String(by.prefix(Identity.maximumLength))))
    }

    var bytes: [UInt8] { JSONWriter.bytes(["session": .string(session), "by": .string(by)]) }
}

// Making a holder step down. A key that is deleted or written stops nobody, and would let the next one in at once. A `qq` is asked, by a key next to that of the
// election; the session of any other holder is destroyed, whose lock-delay keeps the next one out.
extension ConsulCoordinator {
    public func askToStepDown(
        _ seen: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer {
        let what = "cannot make \(Printable.text(seen.leader ?? "the leader")) step down from \(Printable.text(seen.name))"
        let answer: StepDownAnswer?
        do throws(ConsulFailure) { answer = try await stepDown(seen, by: identity, byForce: byForce) } catch {
            throw told(error, what, isChange: true)
        }
        if let answer { return answer }
        let reason =
            naming.hasRequests
            ? "only a qq that renews its lease can be asked, and this leader is none"
            : "nobody can be asked if the name is the whole key, as with key= in the URL"
        throw CoordinationError(
            .unavailable, what, because: reason,
            at: server.description, hint: "--force destroys its session; its lock-delay then keeps the next one out")
    }

    /// The holder of an election. A holder without a number can be shown at another slot by now.
    private func holder(_ name: String, _ place: Place, seenAs term: String?) -> String? {
        if let term, place.entry?.session == nil, place.semaphore?.living.contains(term) == true { return term }
        return holder(name, place)
    }

    /// - Returns: nil if the holder can only be made to step down by force.
    private func stepDown(
        _ seen: ElectionState, by identity: String, byForce: Bool
    ) async throws(ConsulFailure) -> StepDownAnswer? {
        let name = seen.name
        let place = try await look(name, within: settings.requestTimeout)
        guard let holder = holder(name, place, seenAs: seen.termID) else { return .done }
        await learn(holder)
        guard holder == seen.termID else { return .changed(electionState(name, place)) }
        let (session, isHeld) = state.withLock { ($0.sessions[holder], $0.held[name]?.session == holder) }
        let isAttended = isHeld || session.map { SessionName.isAttended($0.name) } ?? false
        if isAttended, naming.hasRequests, !byForce || seen.isOwn == true { return try await ask(name, holder, by: identity) }
        // Also a lease of our own that was acquired without a command: another process can have resumed it, and runs a command under it. Its lock-delay
        // counts, which a release would leave out.
        guard byForce || seen.isOwn == true else { return nil }
        return try await destroy(name, holder)
    }

    /// Writes the request next to the key, where the holder's query sees it.
    private func ask(_ name: String, _ holder: String, by identity: String) async throws(ConsulFailure) -> StepDownAnswer {
        let key = naming.key(name)
        let request = StepDownRequest(session: holder, by: identity)
        let operations: [ConsulCalls.Operation] = [
            .checkSession(key: key, holder), .set(key: KeyNaming.request(of: key), value: request.bytes),
        ]
        switch try await calls.transact(operations, within: settings.requestTimeout) {
        case .done: return .asked
        case .failed:
            let found = try await look(name, within: settings.requestTimeout)
            return self.holder(name, found) == nil ? .done : .changed(electionState(name, found))
        }
    }

    private func destroy(_ name: String, _ holder: String) async throws(ConsulFailure) -> StepDownAnswer {
        try await end(holder, of: name, within: settings.requestTimeout)
        let found = try await look(name, within: settings.requestTimeout)
        // Another holder of a semaphore that has no number can be shown in its place.
        guard self.holder(name, found, seenAs: holder) != holder else {
            throw ConsulFailure(.unavailable, "its session still holds the key", at: api.endpoints.first ?? "")
        }
        return .done
    }
}
