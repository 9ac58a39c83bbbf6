import QQCore

/// The value of the key by which a holder is asked to step down (`ContenderNaming`).
public struct StepDownRequest: Sendable, Hashable {
    /// The lease of the term that has to end.
    public var lease: Int64
    /// The identity that asks.
    public var by: String

    public init(lease: Int64, by: String) { (self.lease, self.by) = (lease, by) }

    /// - Returns: nil for everything that is no such value.
    public init?(_ value: [UInt8]) {
        guard value.count <= 4_096, let parsed = try? JSONValue.parse(value), let lease = parsed["lease"]?.stringValue,
            let id = LeaseID.parse(lease), let by = parsed["by"]?.stringValue
        else { return nil }
        self.init(lease: id, by: Printable.text(String(by.prefix(Identity.maximumLength))))
    }

    var bytes: [UInt8] { JSONWriter.bytes(["lease": .string(LeaseID.text(lease)), "by": .string(by)]) }
}

// Making a holder step down. A `qq` that follows its lease answers a request by deleting it; whatever an identity looks like, only that shows that the holder can
// be asked. It then ends its command, and releases. Any other holder has its lease revoked: the next contender leads at once, and nothing but the fencing token
// separates it from the old one, which might go on working. etcd has no lock-delay, and contenders that are ahead leave no time to hold the election meanwhile.
extension EtcdCoordinator {
    /// How long a request can remain unanswered. A holder's watch begins 250 ms after its term, and takes a second or two to change members.
    private static let patience: Duration = .seconds(3)
    /// The TTL of the lease that a request is bound to, in seconds.
    private static let requestTTL: Int64 = 10

    public func askToStepDown(
        _ seen: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer {
        let name = seen.name
        let what = "cannot make \(Printable.text(seen.leader ?? "the leader")) step down from \(Printable.text(name))"
        let answer: StepDownAnswer?
        var isEndless = false
        do throws(EtcdFailure) {
            let (contenders, found) = try await look(name)
            guard let leader = contenders.leader else { return .done }
            guard LeaseID.text(leader.lease) == seen.termID else { return .changed(found) }
            isEndless = leader.isEndless
            answer = try await stepDown(name, leader, by: identity, byForce: byForce)
        } catch { throw told(error, what, isChange: true) }
        if let answer { return answer }
        if isEndless {
            throw CoordinationError(
                .unavailable, what, because: "something else has put its key without a lease, and a qq no longer holds the election by it",
                at: server.description, hint: "--force deletes the key; the next contender then leads at once")
        }
        throw CoordinationError(
            .unavailable, what, because: "only a qq that renews its lease can be asked, and this leader does not answer",
            at: server.description,
            hint: "--force revokes its lease; the next contender then leads at once, even if this leader goes on working")
    }

    /// The contenders, the leader with its identity, and the state.
    private func look(_ name: String) async throws(EtcdFailure) -> (Contenders, ElectionState) {
        try await atOneRevision { () throws(EtcdFailure) in
            let sight = try await sight(name, by: clock.now() + requestTimeout)
            let named = try await named(sight, by: clock.now() + requestTimeout)
            return (named, electionState(name, named))
        }
    }

    /// - Returns: nil if the holder can only be made to step down by force.
    private func stepDown(
        _ name: String, _ leader: Contender, by identity: String, byForce: Bool
    ) async throws(EtcdFailure) -> StepDownAnswer? {
        // A lock of etcdctl has no identity, and a qq always has one. It holds nothing by a key that does not end with its lease.
        if leader.identity != nil, leader.isBound {
            do throws(EtcdFailure) {
                if let answer = try await ask(name, leader, by: identity) { return answer }
            } catch {
                // Neither a full database nor missing permissions for the request prevent a revocation.
                if !byForce { throw error }
            }
        }
        return byForce ? try await end(name, leader) : nil
    }

    /// Puts the request, and waits for the answer.
    /// - Returns: nil if there was none.
    private func ask(_ name: String, _ leader: Contender, by identity: String) async throws(EtcdFailure) -> StepDownAnswer? {
        let lease = LeaseID.random(from: random())
        do throws(EtcdFailure) {
            _ = try await api.grantLease(lease, seconds: Self.requestTTL, by: clock.now() + requestTimeout)
            let answer = try await ask(name, leader, by: identity, lease)
            await forget(lease)
            return answer
        } catch {
            await forget(lease)
            throw error
        }
    }

    /// Ends the lease of a request. It ends by itself if this fails.
    private func forget(_ lease: Int64) async {
        do throws(EtcdFailure) { try await api.revokeLease(lease, by: clock.now() + requestTimeout) } catch {}
    }

    private func ask(
        _ name: String, _ leader: Contender, by identity: String, _ lease: Int64
    ) async throws(EtcdFailure) -> StepDownAnswer? {
        let key = naming.request(name)
        let value = StepDownRequest(lease: leader.lease, by: identity).bytes
        let put = EtcdTransaction(
            if: [.wasCreated(leader.key, at: leader.createRevision)], then: [.put(key: key, value: value, lease: lease)])
        for _ in 0..<Self.mostRequests {
            let answer = try await api.transact(put, by: clock.now() + requestTimeout)
            guard answer.succeeded else { return try await present(name, leader) }
            switch await reaction(to: key, after: answer.revision) {
            case .heard: return .asked
            case .replaced: continue
            case .none:
                // The watch can have been lost.
                let found = try await api.range(.state(of: key), by: clock.now() + requestTimeout).found.first
                guard let found else { return .asked }
                if found.lease == lease { return nil }
            }
        }
        return nil
    }

    /// How often a request is made again that other requests have replaced.
    private static let mostRequests = 3

    /// What became of a request. Once another process has put its own over it, a deletion says nothing: that one ends with its lease.
    private enum Reaction: Sendable { case heard, replaced, none }

    private func reaction(to key: [UInt8], after revision: Int64) async -> Reaction {
        let deadline = clock.now() + Self.patience
        return await withTaskGroup(of: Reaction.self) { group in
            group.addTask {
                for await event in self.api.watch([.one(key)], from: EtcdRevision.after(revision)) {
                    guard case .changed(let changes) = event, let first = changes.first else { continue }
                    if case .deleted = first { return .heard } else { return .replaced }
                }
                try? await self.clock.sleep(until: deadline)
                return .none
            }
            group.addTask {
                try? await self.clock.sleep(until: deadline)
                return .none
            }
            let first = await group.next() ?? .none
            group.cancelAll()
            return first
        }
    }

    /// The state of an election whose leader has just let go.
    private func present(_ name: String, _ leader: Contender) async throws(EtcdFailure) -> StepDownAnswer {
        let found = try await present(name, by: clock.now() + requestTimeout).state
        return found.phase == .free ? .done : .changed(found)
    }

    /// Revokes the holder's lease if it carries this key alone, or with its note. If it carries others as well or not this one, or it cannot be seen whether it
    /// does, only the key is deleted, unless it has changed since it was looked at: other elections and foreign data must not end with this one.
    private func end(_ name: String, _ leader: Contender) async throws(EtcdFailure) -> StepDownAnswer {
        var isAlone = false
        do throws(EtcdFailure) {
            let keys = try await api.lease(leader.lease, withKeys: true, by: clock.now() + requestTimeout)?.keys
            isAlone = keys?.filter { $0 != naming.note(name, lease: leader.lease) } == [leader.key]
        } catch { if error.meaning != .denied { throw error } }
        if isAlone {
            try await api.revokeLease(leader.lease, by: clock.now() + requestTimeout)
        } else {
            _ = try await api.transact(
                EtcdTransaction(
                    if: [
                        leader.isBound
                            ? .wasCreated(leader.key, at: leader.createRevision) : .wasModified(leader.key, at: leader.modRevision)
                    ],
                    then: [.delete(.one(leader.key))]),
                by: clock.now() + requestTimeout)
        }
        state.withLock { state in
            if state.held[name]?.lease == leader.lease { state.held[name] = nil }
        }
        let contenders = try await sight(name, by: clock.now() + requestTimeout).contenders
        // The next contender leads: that is what was asked for.
        guard contenders.leader?.lease == leader.lease else { return .done }
        throw EtcdFailure(.notApplied(retry: .afterPause), "its key still exists")
    }
}
