import QQCore

// Reading elections. Nothing here changes anything.
extension EtcdCoordinator {
    /// The contenders as one read has found them, without identities.
    struct Sight: Sendable {
        var contenders: Contenders
        var revision: Int64
    }

    func sight(_ name: String, by deadline: BootInstant) async throws(EtcdFailure) -> Sight {
        try await atOneRevision { () throws(EtcdFailure) in
            let answer = try await page(naming.below(name), by: deadline)
            return Sight(contenders: Contenders(answer.found, of: name, naming), revision: answer.revision)
        }
    }

    /// The contenders with the identities of the leader and of the waiters that are shown, as they were at that sight.
    /// - Throws: a failure that means `compacted` if that revision has been discarded.
    func named(_ sight: Sight, by deadline: BootInstant) async throws(EtcdFailure) -> Contenders {
        var contenders = sight.contenders
        let keys = contenders.all.prefix(1 + Self.mostShown).map(\.key)
        if !keys.isEmpty { contenders.name(by: try await values(of: keys, at: sight.revision, by: deadline)) }
        return contenders
    }

    /// The state of an election as it is now, with identities and the times of the leader's lease, and the revision that it was read at.
    func present(_ name: String, by deadline: BootInstant) async throws(EtcdFailure) -> (state: ElectionState, revision: Int64) {
        try await atOneRevision { () throws(EtcdFailure) in
            let sight = try await sight(name, by: deadline)
            return (try await state(name, sight, by: deadline), sight.revision)
        }
    }

    /// - Throws: a failure that means `compacted` if the revision of the sight has been discarded.
    func state(_ name: String, _ sight: Sight, by deadline: BootInstant) async throws(EtcdFailure) -> ElectionState {
        // Neither waits for the other.
        async let lease = lease(of: sight.contenders.leader, in: name)
        async let note = note(of: sight.contenders.leader, in: name)
        let contenders = try await named(sight, by: deadline)
        return electionState(name, contenders, await lease, note: await note)
    }

    public func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        // While this process holds the lease, there must be time to act on the answer.
        let ttl = state.withLock { $0.held[name]?.ttl }
        do throws(EtcdFailure) { return try await present(name, by: limit(ttl: ttl ?? requestTimeout * 3)).state } catch {
            throw told(error, "cannot read \(Printable.text(name))", isChange: false)
        }
    }

    /// The state of an election by its contenders.
    /// - Parameters:
    ///   - lease: the lease that the leader's key ends with; nil if it was not read.
    ///   - note: the leader's note; nil if it has none, or if it was not read.
    func electionState(_ name: String, _ contenders: Contenders, _ lease: EtcdLease? = nil, note: String? = nil) -> ElectionState {
        guard let leader = contenders.leader else { return ElectionState(name: name, phase: .free) }
        let held = state.withLock { $0.held[name] }
        var found = ElectionState(name: name, phase: .held)
        found.leader = leader.shown
        found.note = note
        found.token = FencingToken(UInt64(clamping: leader.modRevision))
        found.termID = LeaseID.text(leader.lease)
        found.isOwn = false
        found.waiters = contenders.all.count - 1
        if let lease {
            found.ttl = LeaseTime.granted(lease.grantedSeconds)
            found.remaining = LeaseTime.granted(lease.secondsLeft)
        }
        if let held, held.lease == leader.lease {
            if held.token == leader.modRevision {
                let left = held.deadline.duration(since: clock.now())
                found.isOwn = true
                found.leader = held.identity
                found.phase = left > .zero ? .held : .expired
                found.remaining = left > .zero ? left : nil
                (found.ttl, found.acquiredAt, found.stepDownAskedBy) = (held.ttl, held.acquiredAt, held.askedBy)
            } else {
                // Another process has written the key: this process has lost the term.
                found.termID = nil
            }
        }
        let key = Printable.text(String(decoding: leader.key, as: UTF8.self))
        found.details["key"] = .string(key)
        found.details["lease"] = leader.isEndless ? .null : .string(LeaseID.text(leader.boundTo))
        // `etcdctl lock` leaves the value empty: such a holder is known by its lease alone.
        found.details["kind"] = .string(leader.identity == nil && found.isOwn != true ? "lock" : "election")
        found.details["create_revision"] = .number(UInt64(clamping: leader.createRevision))
        if !leader.isBound { found.details["unbound"] = true }
        if leader.isEndless {
            found.obstacle = "something else has put its key '\(key)' without a lease, and nothing ends it: step-down --force deletes it"
        }
        if contenders.all.count > 1 {
            found.details["contenders"] = .array(contenders.all.dropFirst().prefix(Self.mostShown).map { .string($0.shown) })
        }
        return found
    }

    /// The most waiters that are named.
    private static let mostShown = 1_000

    /// The lease that the leader's key ends with, unless this process holds it, or if the user is not allowed to read it.
    private func lease(of leader: Contender?, in name: String) async -> EtcdLease? {
        guard let leader, !leader.isEndless, state.withLock({ $0.held[name]?.lease }) != leader.lease else { return nil }
        do throws(EtcdFailure) {
            return try await api.lease(leader.boundTo, withKeys: false, by: clock.now() + min(requestTimeout, .seconds(2)))
        } catch { return nil }
    }

    /// The leader's note; nil if it has none, or if the user is not allowed to read it. Its key is named by the lease, and bound to it: whatever was put there
    /// without the lease is not the leader's.
    private func note(of leader: Contender?, in name: String) async -> String? {
        guard let leader, LeaseID.hasNote(leader.lease) else { return nil }
        do throws(EtcdFailure) {
            let range = EtcdRange(.one(naming.note(name, lease: leader.lease)))
            let found = try await api.range(range, by: clock.now() + min(requestTimeout, .seconds(2))).found.first
            return found.flatMap { $0.lease == leader.lease ? Note.read($0.value) : nil }
        } catch { return nil }
    }

    // MARK: Listing

    /// The elections below the prefix: those with a key whose last part is its own lease.
    public func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState] {
        do throws(EtcdFailure) {
            let found = try await atOneRevision { () throws(EtcdFailure) in
                let deadline = clock.now() + requestTimeout
                let answer = try await page(.below(Array(naming.root.utf8)), by: deadline)
                var elections: [String: [EtcdKeyValue]] = [:]
                var isElection: Set<String> = []
                for key in answer.found {
                    guard let (name, lease) = naming.place(of: key.key), filter.name.map({ name.contains($0) }) ?? true else { continue }
                    elections[name, default: []].append(key)
                    if key.lease == lease { isElection.insert(name) }
                }
                let contenders = elections.filter { isElection.contains($0.key) }.map { ($0.key, Contenders($0.value, of: $0.key, naming)) }
                    .sorted { $0.0 < $1.0 }
                let values = try await values(of: contenders.compactMap { $1.leader?.key }, at: answer.revision, by: deadline)
                return contenders.map { name, found in
                    var named = found
                    named.name(by: values)
                    return (name: name, contenders: named)
                }
            }
            return await listed(found).filter { filter.admits($0) }
        } catch { throw told(error, "cannot list elections", isChange: false, isList: true) }
    }

    /// Reads of leases under way at a time.
    private static let mostLeaseReads = 16

    private func listed(_ elections: [(name: String, contenders: Contenders)]) async -> [ElectionState] {
        await withTaskGroup(of: (Int, EtcdLease?, note: String?).self) { group in
            var leases: [Int: EtcdLease] = [:]
            var notes: [Int: String] = [:]
            for (index, election) in elections.enumerated() {
                if index >= Self.mostLeaseReads, let (place, lease, note) = await group.next() {
                    (leases[place], notes[place]) = (lease, note)
                }
                group.addTask {
                    async let note = self.note(of: election.contenders.leader, in: election.name)
                    return (index, await self.lease(of: election.contenders.leader, in: election.name), note: await note)
                }
            }
            for await (place, lease, note) in group { (leases[place], notes[place]) = (lease, note) }
            return elections.enumerated().map { index, election in
                var found = electionState(election.name, election.contenders, leases[index], note: notes[index])
                // Their identities were not read.
                found.details["contenders"] = nil
                return found
            }
        }
    }
}
