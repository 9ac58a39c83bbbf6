import QQCore

/// Where a contender stands in the order of create revisions.
enum Standing: Sendable, Hashable {
    /// Leads, by a write of its key at this revision: the fencing token. The answer was given in this Raft term.
    case leads(token: Int64, term: UInt64)
    /// Behind this contender as of the revision.
    case waits(behind: Contender, own: Contender, revision: Int64)
    /// Has no key: it was deleted, or its lease has ended.
    case absent
}

// Entering the order, and taking the turn. Both read only what they need, whatever the number of contenders: the newest ones, without values.
extension EtcdCoordinator {
    /// Keys that are read first to find the contender just ahead. More are needed only if there are foreign keys below `NAME/`.
    private static let nearest: Int64 = 16
    /// Keys that are read after that, each time fewer bytes than an answer can have.
    private static let further: [Int64] = [500, 4_000]

    /// Creates the key of a campaign, and that of its note, unless it exists.
    func enter(_ name: String, _ campaign: Campaign, within ttl: Duration) async throws(EtcdFailure) -> Standing {
        let key = naming.key(name, lease: campaign.lease)
        let note = campaign.note.map {
            EtcdTransaction.Operation.put(key: naming.note(name, lease: campaign.lease), value: Array($0.utf8), lease: campaign.lease)
        }
        let transaction = EtcdTransaction(
            if: [.isAbsent(key)],
            then: [.put(key: key, value: Array(campaign.identity.utf8), lease: campaign.lease)] + (note.map { [$0] } ?? []) + [
                .range(newest(naming.below(name), limit: Self.nearest))
            ], otherwise: [.range(.state(of: key))])
        guard let answer = try await write(transaction, name, campaign, within: ttl) else { return .absent }
        guard case .range(let found)? = answer.answers.last else { throw Self.unfit }
        let seen = found.found.compactMap { Contender($0, of: name, naming) }
        guard let own = seen.first(where: { $0.key == key }) else {
            if answer.succeeded { throw Self.unfit }
            return .absent
        }
        // Found there. Its create revision can be lower than the tokens of terms that have ended since.
        guard answer.succeeded else { return try await takeTurn(name, campaign, own, within: ttl) }
        if let ahead = seen.filter({ $0.key != key }).max(by: { $0.createRevision < $1.createRevision }) {
            return .waits(behind: ahead, own: own, revision: answer.revision)
        }
        // An uncontended entry is its own proclamation.
        if !found.hasMore { return .leads(token: own.modRevision, term: answer.term) }
        return try await takeTurn(name, campaign, own, within: ttl)
    }

    /// Leads if no contender is ahead: writes the key once more, at a revision above the token of every term before. One transaction does so if the contender
    /// has the oldest key of all, and shows the contender just ahead if it has not.
    /// - Parameter own: the key of this contender as it was last seen.
    func takeTurn(_ name: String, _ campaign: Campaign, _ own: Contender, within ttl: Duration) async throws(EtcdFailure) -> Standing {
        var own = own
        var isNext = false
        for _ in 0..<Self.mostDecisions {
            // Of several tries without an answer only one is carried out, because it changes the revision of the key.
            var conditions = [EtcdTransaction.Condition.wasModified(own.key, at: own.modRevision)]
            // Nothing gets ahead of a contender later.
            if !isNext { conditions.append(.wereCreated(naming.below(name), atOrAfter: own.createRevision)) }
            let transaction = EtcdTransaction(
                if: conditions, then: [.put(key: own.key, value: Array(campaign.identity.utf8), lease: campaign.lease)],
                otherwise: [
                    .range(.state(of: own.key)),
                    .range(newest(naming.below(name), olderThan: own.createRevision, limit: Self.nearest)),
                ])
            guard let answer = try await write(transaction, name, campaign, within: ttl) else { return .absent }
            if answer.succeeded { return .leads(token: answer.revision, term: answer.term) }
            guard answer.answers.count == 2, case .range(let found) = answer.answers[0], case .range(let older) = answer.answers[1] else {
                throw Self.unfit
            }
            guard let present = found.found.first.flatMap({ Contender($0, of: name, naming) }) else { return .absent }
            // What is older than another key has been read. The key of this contender was deleted and put by something else.
            guard present.createRevision == own.createRevision else {
                (own, isNext) = (present, false)
                continue
            }
            own = present
            if let ahead = try await ahead(of: own, older, name, by: limit(ttl: ttl)) {
                // Otherwise the key would stay when this contender leaves.
                if !own.isBound {
                    guard let revision = try await bind(own, to: campaign, name, within: ttl) else { continue }
                    (own.boundTo, own.modRevision) = (campaign.lease, revision)
                }
                return .waits(behind: ahead, own: own, revision: answer.revision)
            }
            isNext = true
        }
        throw EtcdFailure(.notApplied(retry: .afterPause), "its key is written by something else again and again")
    }

    /// Binds the key of a waiter to its lease again.
    /// - Returns: the revision of that; nil if the key was not as it was seen any more.
    private func bind(
        _ own: Contender, to campaign: Campaign, _ name: String, within ttl: Duration
    ) async throws(EtcdFailure) -> Int64? {
        let transaction = EtcdTransaction(
            if: [.wasModified(own.key, at: own.modRevision)],
            then: [.put(key: own.key, value: Array(campaign.identity.utf8), lease: campaign.lease)])
        guard let answer = try await write(transaction, name, campaign, within: ttl), answer.succeeded else { return nil }
        return answer.revision
    }

    /// A transaction under the campaign's lease.
    /// - Returns: nil if the lease has ended. The campaign is over then.
    private func write(
        _ transaction: EtcdTransaction, _ name: String, _ campaign: Campaign, within ttl: Duration
    ) async throws(EtcdFailure) -> EtcdTransactionAnswer? {
        do throws(EtcdFailure) { return try await api.transact(transaction, by: limit(ttl: ttl)) } catch {
            guard error.meaning == .leaseGone else { throw error }
            state.withLock { state in
                if state.campaigns[name]?.lease == campaign.lease { state.campaigns[name] = nil }
            }
            return nil
        }
    }

    /// The contender just ahead.
    /// - Parameter found: the newest of the keys that are older than `own`.
    private func ahead(
        of own: Contender, _ found: EtcdRangeAnswer, _ name: String, by deadline: BootInstant
    ) async throws(EtcdFailure) -> Contender? {
        var found = found
        for limit in Self.further + [0] {
            let contenders = found.found.compactMap { Contender($0, of: name, naming) }
            if let nearest = contenders.max(by: { $0.createRevision < $1.createRevision }) { return nearest }
            if !found.hasMore { return nil }
            guard limit > 0 else { break }
            do throws(EtcdFailure) {
                found = try await api.range(newest(naming.below(name), olderThan: own.createRevision, limit: limit), by: deadline)
            } catch {
                if error.meaning == .tooLarge { break }
                throw error
            }
        }
        // Thousands of foreign keys.
        return try await sight(name, by: deadline).contenders.all.last { $0.createRevision < own.createRevision }
    }

    private func newest(_ keys: EtcdKeys, olderThan revision: Int64 = 0, limit: Int64) -> EtcdRange {
        var range = EtcdRange(keys)
        (range.order, range.limit, range.isKeysOnly) = (.newestFirst, limit, true)
        range.maximumCreateRevision = max(EtcdRevision.before(revision), 0)
        return range
    }

    private static var unfit: EtcdFailure { EtcdFailure(.unsupported, "the server's answer does not fit the request", wasSent: true) }
}
