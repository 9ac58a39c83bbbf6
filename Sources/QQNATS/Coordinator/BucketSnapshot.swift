import QQCore

/// The bucket of an election as it was read at one moment.
struct BucketSnapshot: Sendable {
    let format: LeaseFormat
    let stream: StreamInfo
    let lease: LeaseEntry
    let cooldown: KeyValueEntry?
    /// When the answers had arrived.
    let takenAt: BootInstant
}

extension NATSCoordinator {
    /// Reads an election in one round trip: its format, the configuration of its bucket, its lease and the cooldown of a node.
    ///
    /// - Parameter fresh: whether the stream leader must answer, instead of any of its servers, which can lag behind.
    /// - Returns: nil if there is no bucket.
    func snapshot(
        _ name: String, cooldownOf node: String? = nil, fresh: Bool, timeout: Duration
    ) async throws(JetStreamFailure) -> BucketSnapshot? {
        if let forced = settings.format {
            return try await snapshot(name, forced, cooldownOf: node, fresh: fresh, timeout: timeout).get()
        }
        if let known = state.withLock({ $0.formats[name] }) {
            if let found = try await snapshot(name, known, cooldownOf: node, fresh: fresh, timeout: timeout).get() { return found }
            // The bucket was deleted. There might be a new one in the other format.
            state.withLock { $0.formats[name] = nil }
        }
        async let older = snapshot(name, .v1, cooldownOf: node, fresh: fresh, timeout: timeout)
        async let newer = snapshot(name, .v2, cooldownOf: node, fresh: fresh, timeout: timeout)
        let (v1, v2) = try (await older.get(), await newer.get())
        // After a cluster was moved from one format to the other, both buckets exist. A leader in the old one still counts.
        let found: BucketSnapshot? =
            if let v1, let v2 { v2.lease.content == .free && v1.lease.content != .free ? v1 : v2 } else { v2 ?? v1 }
        if let found, v1 == nil || v2 == nil { state.withLock { $0.formats[name] = found.format } }
        return found
    }

    private func snapshot(
        _ name: String, _ format: LeaseFormat, cooldownOf node: String?, fresh: Bool, timeout: Duration
    ) async -> Result<BucketSnapshot?, JetStreamFailure> {
        let jetStream = jetStream
        let bucket = format.bucket(cluster: name)
        async let information = result { () throws(JetStreamFailure) in
            try await jetStream.stream(format.stream(cluster: name), timeout: timeout)
        }
        async let lease = entry(bucket, format.leaseKey, fresh: fresh, timeout: timeout)
        async let cooldown =
            node == nil ? .success(nil) : entry(bucket, format.cooldownKey(node: node ?? ""), fresh: fresh, timeout: timeout)
        let (stream, found, cooling) = (await information, await lease, await cooldown)
        return await result { () throws(JetStreamFailure) in
            guard let stream = try stream.get() else { return nil }
            if !fresh, !stream.configuration.allowDirect || found.isUnanswered || cooling.isUnanswered {
                // The bucket does not allow direct reads, or the account does not import them: the stream leader answers.
                return try await self.snapshot(name, format, cooldownOf: node, fresh: true, timeout: timeout).get()
            }
            var entry = try found.get()
            if !fresh, let known = self.firstSeen.newestRevision(of: name), (entry?.revision ?? 0) < known {
                entry = try await jetStream.entry(bucket: bucket, key: format.leaseKey, direct: false, timeout: timeout)
            }
            let now = self.clock.now()
            if let entry { self.firstSeen.note(name, revision: entry.revision) }
            return BucketSnapshot(
                format: format, stream: stream, lease: LeaseEntry(entry, format: format), cooldown: try cooling.get(), takenAt: now)
        }
    }

    private func entry(
        _ bucket: String, _ key: String, fresh: Bool, timeout: Duration
    ) async -> Result<KeyValueEntry?, JetStreamFailure> {
        let jetStream = jetStream
        return await result { () throws(JetStreamFailure) in
            try await jetStream.entry(bucket: bucket, key: key, direct: !fresh, timeout: timeout)
        }
    }

    private func result<Value: Sendable>(
        _ body: @Sendable () async throws(JetStreamFailure) -> Value
    ) async -> Result<Value, JetStreamFailure> {
        do throws(JetStreamFailure) { return .success(try await body()) } catch { return .failure(error) }
    }

    func rules(_ name: String, _ snapshot: BucketSnapshot) -> LeaseEntryRules {
        rules(
            name, snapshot.lease, stream: snapshot.stream,
            clock: snapshot.stream.timestamp.map { ServerClock(time: $0, readAt: snapshot.takenAt) })
    }

    func rules(_ name: String, _ lease: LeaseEntry, stream: StreamInfo, clock serverClock: ServerClock?) -> LeaseEntryRules {
        LeaseEntryRules(
            lease: lease, maxAge: stream.configuration.maxAge, lastSequence: max(stream.state.lastSequence, lease.revision),
            serverClock: serverClock, firstSeen: firstSeen.note(name, revision: lease.revision), ownTTL: explicitTTL ?? Self.defaultTTL)
    }

    /// The default of the Go library.
    static let defaultTTL: Duration = .seconds(10)

    // MARK: State for readers

    func electionState(_ name: String, _ rules: LeaseEntryRules) -> ElectionState {
        let snapshot = LeaseSnapshot(rules, at: moment)
        var found = ElectionState(name: name, phase: snapshot.phase)
        found.leader = snapshot.leader
        found.note = snapshot.note
        found.problem = snapshot.junk.map { reason in
            CoordinationError(
                .brokenData, "cannot read the lease of \(name)", because: reason,
                at: "\(server.description), bucket \(rules.lease.format.bucket(cluster: name)), key \(rules.lease.format.leaseKey)",
                hint: "the value is ignored once it is as old as a lease; qq step-down \(name) --force removes it now")
        }
        found.token = snapshot.token
        found.termID = snapshot.termID
        found.epoch = snapshot.epoch
        found.revision = snapshot.revision
        found.acquiredAt = snapshot.acquiredAt
        found.renewedAt = snapshot.renewedAt
        found.ttl = snapshot.ttl
        found.remaining = snapshot.remaining
        state.withLock { state in
            // Only a process that requested the lease can tell whether it is its own.
            let uncertain = state.uncertain[name] ?? []
            if let held = state.held[name] {
                found.isOwn = rules.lease.messageID.map { $0.termID == held.term.termID || uncertain.contains($0.termID) } ?? false
            } else if !uncertain.isEmpty {
                found.isOwn = rules.lease.messageID.map { uncertain.contains($0.termID) } ?? false
            }
            state.clusterSnapshots[name] = ClusterSnapshot(
                leader: found.isLed ? found.leader ?? "" : "", epoch: snapshot.epoch ?? 0, isLeader: false)
        }
        return found
    }
}

extension Result where Failure == JetStreamFailure {
    fileprivate var isUnanswered: Bool {
        if case .failure(let failure) = self { failure.isUnanswered } else { false }
    }
}
