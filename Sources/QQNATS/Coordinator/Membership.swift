import QQCore

// Membership in a cluster, as its other nodes and their tools see it.
extension NATSCoordinator {
    /// Becomes a member, which answers requests, until `leave`. Like a Go node, the member first ends its own cooldown, because the user started it on purpose.
    public func join(_ name: String, as identity: String) async throws(CoordinationError) {
        await gate.enter()
        defer { gate.leave() }
        try await becomeMember(of: name, as: identity)
    }

    // A separate function, whose frame is allocated only after the gate.
    @inline(never)
    private func becomeMember(of name: String, as identity: String) async throws(CoordinationError) {
        var format = settings.format ?? settings.formatToCreate
        do throws(JetStreamFailure) {
            if let snapshot = try await snapshot(name, cooldownOf: identity, fresh: true, timeout: requestTimeout) {
                format = snapshot.format
                let bucket = format.bucket(cluster: name)
                _ = try await jetStream.write(
                    bucket: bucket, LeaseTerm.endOfCooldown(format, node: identity), timeout: requestTimeout)
            }
        } catch { throw failure("cannot join \(name)", error) }
        let node = node(name, identity)
        let isNew = state.withLock { state in
            if state.nodes[name] != nil { return false }
            state.nodes[name] = node
            return true
        }
        if isNew { node.start(format) }
    }

    public func leave(_ name: String) async { state.withLock { $0.nodes.removeValue(forKey: name) }?.stop() }

    /// A node for the time of a term; nil if this process is a member anyway.
    func serveWhileHolding(_ name: String, _ held: HeldLease) -> ClusterNode? {
        if state.withLock({ $0.nodes[name] != nil }) { return nil }
        let node = node(name, held.term.nodeID)
        node.start(held.term.format)
        return node
    }

    private func node(_ name: String, _ identity: String) -> ClusterNode {
        ClusterNode(
            cluster: name, node: identity, version: settings.serviceVersion, client: client, clock: clock,
            snapshot: { [weak self] in self?.clusterSnapshot(name) ?? ClusterSnapshot() },
            stepDown: { [weak self] answer in
                guard let self else { return }
                askedToStepDown(name, answer)
            })
    }

    private func clusterSnapshot(_ name: String) -> ClusterSnapshot {
        state.withLock { state in
            guard let held = state.held[name] else { return state.clusterSnapshots[name] ?? ClusterSnapshot() }
            return ClusterSnapshot(leader: held.term.nodeID, epoch: UInt64(exactly: held.term.epoch) ?? 0, isLeader: true)
        }
    }

    private func askedToStepDown(_ name: String, _ answer: @escaping ClusterNode.StepDownAnswer) {
        let refusal: String? = state.withLock { state in
            guard state.held[name] != nil, let bell = state.bells[name] else { return NodeAnswer.notLeader }
            guard state.stepDowns[name, default: []].count < Self.mostStepDowns else { return NodeAnswer.busy }
            state.stepDowns[name, default: []].append(answer)
            bell.ring()
            return nil
        }
        if let refusal { answer(refusal) }
    }

    /// The most requests for one step-down that are answered when it is done.
    private static let mostStepDowns = 64

    func isAskedToStepDown(_ name: String) -> Bool { state.withLock { !($0.stepDowns[name] ?? []).isEmpty } }

    /// The state of the lease that this process holds, as far as it knows.
    func ownState(_ name: String) -> ElectionState? {
        guard let held = state.withLock({ $0.held[name] }) else { return nil }
        var found = ElectionState(name: name, phase: .held)
        found.leader = held.term.nodeID
        found.token = held.token
        found.termID = held.term.termID
        found.isOwn = true
        found.epoch = UInt64(exactly: held.term.epoch)
        found.revision = held.revision
        found.ttl = held.term.ttl
        return found
    }
}
