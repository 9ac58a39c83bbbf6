import QQCore

// Making a holder step down: its node is asked, and its lease is ended only if the user insists.
extension NATSCoordinator {
    public func askToStepDown(
        _ seen: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer {
        let name = seen.name
        let what = "cannot make \(Printable.text(seen.leader ?? "the leader")) step down from \(name)"
        if let node = seen.leader, LeaseFormat.problem(withNode: node) == nil {
            switch await ask(node, of: name) {
            case .success(nil): return .asked
            case .success(.some(let refusal)):
                let present = try await read(name)
                guard present.isLed, present.isSameTerm(as: seen) else { return present.isLed ? .changed(present) : .done }
                if !byForce {
                    throw CoordinationError(
                        .unavailable, what, because: "it answers: \(refusal)", at: server.description,
                        hint: "--force ends its lease anyway")
                }
            case .failure(let error) where !byForce:
                if error.kind == .timedOut { return .asked }
                guard error.kind == .noResponders else { throw failure(what, error) }
                // Asking again is no use if it is the format that has no such request.
                let cannotBeAsked = (settings.format ?? state.withLock { $0.formats[name] }) == .v1
                throw CoordinationError(
                    cannotBeAsked ? .unsupported : .unavailable, what,
                    because: "no node \(Printable.text(node)) answers requests"
                        + (cannotBeAsked ? ": nodes of format v1 cannot be asked" : ""),
                    at: server.description, hint: "--force ends its lease anyway")
            case .failure: break
            }
        }
        guard byForce else {
            throw CoordinationError(
                .unavailable, what, because: "the lease names no node to ask", at: server.description, hint: "--force ends its lease anyway"
            )
        }
        do throws(JetStreamFailure) { return try await endLease(seen) } catch { throw failure(what, error) }
    }

    /// Asks a node to step down. Returns nil if it does, or the reason why it does not.
    private func ask(_ node: String, of name: String) async -> Result<String?, NATSError> {
        do throws(NATSError) {
            let subject = NodeSubject.stepDown(name, node)
            return .success(Self.refusal(try await client.request(subject, isRepeatable: true, timeout: requestTimeout)))
        } catch { return .failure(error) }
    }

    /// Deletes the lease, and keeps its node from acquiring it again immediately.
    private func endLease(_ seen: ElectionState) async throws(JetStreamFailure) -> StepDownAnswer {
        for _ in 0..<Self.mostRenewalsBetween {
            guard let snapshot = try await snapshot(seen.name, fresh: true, timeout: requestTimeout) else { return .done }
            let present = electionState(seen.name, rules(seen.name, snapshot))
            guard present.phase != .free else { return .done }
            guard present.isSameTerm(as: seen) else { return .changed(present) }
            let ttl = present.ttl ?? Self.defaultTTL
            if let node = snapshot.lease.value?.nodeID, LeaseFormat.problem(withNode: node) == nil {
                try await coolDown(seen.name, snapshot.format, node: node, ttl: ttl)
            }
            if try await delete(seen.name, snapshot.format, at: snapshot.lease.revision, ttl: ttl) { return .done }
        }
        throw .failed(NATSError(.timedOut, "the lease is renewed faster than it can be ended"))
    }

    private static let mostRenewalsBetween = 5

    /// Why a node did not step down; nil if it did.
    private static func refusal(_ answer: NATSMessage) -> String? {
        if let error = answer.headers["Nats-Service-Error"] { return Printable.text(error) }
        guard let object = (try? JSONValue.parse(answer.payload))?.objectValue else { return "something that is not an answer" }
        if object["ok"]?.boolValue == true { return nil }
        return Printable.text(object["error"]?.stringValue ?? "no")
    }
}
