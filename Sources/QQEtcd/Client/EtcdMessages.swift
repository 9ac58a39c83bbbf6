import FoundationEssentials

// The calls' values as messages of the protocol, and back.

extension Etcdserverpb_RangeRequest {
    package init(_ range: EtcdRange) {
        self.init()
        (key, rangeEnd) = (Data(range.keys.key), Data(range.keys.end))
        (limit, revision, maxCreateRevision) = (range.limit, range.revision, range.maximumCreateRevision)
        (keysOnly, serializable) = (range.isKeysOnly, range.isSerializable)
        switch range.order {
        case .key: break
        case .oldestFirst: (sortOrder, sortTarget) = (.ascend, .create)
        case .newestFirst: (sortOrder, sortTarget) = (.descend, .create)
        }
    }
}

extension EtcdRangeAnswer {
    /// - Parameter revision: of the transaction that the read was part of; nil for a read alone.
    package init(_ response: Etcdserverpb_RangeResponse, at revision: Int64? = nil) {
        self.init(
            revision: revision ?? response.header.revision, term: response.header.raftTerm, found: response.kvs.map { EtcdKeyValue($0) },
            hasMore: response.more,
            count: response.count)
    }
}

extension EtcdKeyValue {
    init(_ message: Mvccpb_KeyValue) {
        self.init(
            key: Array(message.key), value: Array(message.value), createRevision: message.createRevision, modRevision: message.modRevision,
            version: message.version, lease: message.lease)
    }
}

extension Etcdserverpb_Compare {
    init(_ condition: EtcdTransaction.Condition) {
        self.init()
        result = .equal
        switch condition {
        // The value 0 is written out.
        case .isAbsent(let key): (self.key, target, createRevision) = (Data(key), .create, 0)
        case .wasCreated(let key, let revision): (self.key, target, createRevision) = (Data(key), .create, revision)
        case .wasModified(let key, let revision): (self.key, target, modRevision) = (Data(key), .mod, revision)
        case .wereCreated(let keys, let revision):
            // Holds for a range if it holds for each of its keys.
            (self.key, rangeEnd, target, createRevision) = (Data(keys.key), Data(keys.end), .create, EtcdRevision.before(revision))
            result = .greater
        case .hasValue(let key, let value): (self.key, target, self.value) = (Data(key), .value, Data(value))
        }
    }
}

extension Etcdserverpb_RequestOp {
    init(_ operation: EtcdTransaction.Operation) {
        self.init()
        switch operation {
        case .range(let range): requestRange = Etcdserverpb_RangeRequest(range)
        case .put(let key, let value, let lease):
            requestPut = .with { ($0.key, $0.value, $0.lease) = (Data(key), Data(value), lease) }
        case .delete(let keys): requestDeleteRange = .with { ($0.key, $0.rangeEnd) = (Data(keys.key), Data(keys.end)) }
        }
    }
}

extension Etcdserverpb_TxnRequest {
    package init(_ transaction: EtcdTransaction) {
        self.init()
        compare = transaction.conditions.map { Etcdserverpb_Compare($0) }
        success = transaction.success.map { Etcdserverpb_RequestOp($0) }
        failure = transaction.failure.map { Etcdserverpb_RequestOp($0) }
    }
}

extension EtcdTransactionAnswer {
    /// - Returns: nil if the answers are not those to the transaction's operations.
    package init?(_ response: Etcdserverpb_TxnResponse, to transaction: EtcdTransaction) {
        let operations = response.succeeded ? transaction.success : transaction.failure
        guard operations.count == response.responses.count else { return nil }
        var answers: [EtcdTransaction.Answer] = []
        for (operation, answer) in zip(operations, response.responses) {
            switch (operation, answer.response) {
            case (.range, .responseRange(let range)): answers.append(.range(EtcdRangeAnswer(range, at: response.header.revision)))
            case (.put, .responsePut): answers.append(.put)
            case (.delete, .responseDeleteRange(let deletion)): answers.append(.deleted(deletion.deleted))
            default: return nil
            }
        }
        self.init(revision: response.header.revision, term: response.header.raftTerm, succeeded: response.succeeded, answers: answers)
    }
}

extension EtcdChange {
    /// - Returns: nil for an event of a kind that this program does not know.
    init?(_ event: Mvccpb_Event) {
        switch event.type {
        case .put: self = .put(EtcdKeyValue(event.kv))
        case .delete: self = .deleted(Array(event.kv.key), at: event.kv.modRevision)
        case .UNRECOGNIZED: return nil
        }
    }
}

extension EtcdLease {
    /// - Returns: nil if there is no such lease.
    package init?(_ response: Etcdserverpb_LeaseTimeToLiveResponse, of id: Int64) {
        // An unknown lease has the TTL -1.
        guard response.ttl >= 0, response.grantedTtl > 0 else { return nil }
        self.init(id: id, secondsLeft: response.ttl, grantedSeconds: response.grantedTtl, keys: response.keys.map { Array($0) })
    }
}

extension EtcdMember {
    init(_ message: Etcdserverpb_Member) {
        self.init(id: message.id, name: message.name, clientURLs: message.clientUrls, isLearner: message.isLearner)
    }
}

extension EtcdStatus {
    init(_ response: Etcdserverpb_StatusResponse) {
        self.init()
        (clusterID, memberID, revision) = (response.header.clusterID, response.header.memberID, response.header.revision)
        (version, leader, isLearner, errors) = (response.version, response.leader, response.isLearner, response.errors)
        (databaseSize, databaseSizeInUse) = (response.dbSize, response.dbSizeInUse)
        databaseQuota = response.dbSizeQuota > 0 ? response.dbSizeQuota : nil
        (raftTerm, raftIndex, raftAppliedIndex) = (response.raftTerm, response.raftIndex, response.raftAppliedIndex)
    }
}

extension EtcdAlarm {
    init(_ message: Etcdserverpb_AlarmMember) {
        let kind: Kind =
            switch message.alarm {
            case .nospace: .noSpace
            case .corrupt: .corrupt
            case .none, .UNRECOGNIZED: .other(message.alarm.rawValue)
            }
        self.init(member: message.memberID, kind: kind)
    }
}
