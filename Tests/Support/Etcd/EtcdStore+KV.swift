import Foundation
import QQEtcd
import SwiftProtobuf

/// Keys and values.
extension EtcdStore {
    /// `--max-request-bytes`.
    static let maximumRequest = 1_572_864
    /// `--max-txn-ops`.
    static let maximumOperations = 128

    package mutating func range(
        _ request: Etcdserverpb_RangeRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_RangeResponse {
        try admit("KV/Range", caller)
        if request.key.isEmpty { throw .noKey }
        if !request.serializable { try confirm("KV/Range", caller) }
        try check(login(caller), .read, EtcdKeyRange(request.key, request.rangeEnd))
        var response = try (request.serializable ? view(caller.member) : keys).range(request)
        response.header = header(caller.member, response.header.revision)
        return response
    }

    /// The keys that begin with a prefix, as the majority has them.
    package func states(below prefix: String) -> [Mvccpb_KeyValue] {
        keys.states(EtcdKeyRange(Data(prefix.utf8), Data(prefix.utf8.dropLast()) + [(prefix.utf8.last ?? 0) + 1]))
    }

    package mutating func put(
        _ request: Etcdserverpb_PutRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_PutResponse {
        try admit("KV/Put", caller)
        try Self.validate(request)
        try Self.checkSize(request)
        return try propose("KV/Put", caller, timeout: .timedOut) { store throws(EtcdServerError) in
            let user = try store.login(caller)
            try store.check(user, request)
            try store.checkSpace()
            var response = try store.apply(request)
            store.commit()
            response.header = store.header(caller.member)
            return response
        }
    }

    package mutating func deleteRange(
        _ request: Etcdserverpb_DeleteRangeRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_DeleteRangeResponse {
        try admit("KV/DeleteRange", caller)
        if request.key.isEmpty { throw .noKey }
        return try propose("KV/DeleteRange", caller, timeout: .timedOut) { store throws(EtcdServerError) in
            let user = try store.login(caller)
            try store.check(user, request)
            var response = store.apply(request)
            store.commit()
            response.header = store.header(caller.member)
            return response
        }
    }

    /// KV/Compact, for which `qq` has no messages: forgets what was replaced or deleted up to a revision.
    package mutating func compact(_ revision: Int64, _ caller: Caller = Caller()) throws(EtcdServerError) {
        try admit("KV/Compact", caller)
        try propose("KV/Compact", caller, timeout: .timedOut) { store throws(EtcdServerError) in
            _ = try store.login(caller)
            try store.keys.compact(revision)
            store.commit()
        }
    }

    package mutating func transact(
        _ request: Etcdserverpb_TxnRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_TxnResponse {
        try admit("KV/Txn", caller)
        try Self.validate(request, depth: 0)
        try Self.checkSize(request)
        let isRead = !Self.writes(request)
        if isRead {
            try confirm("KV/Txn", caller)
            let user = try login(caller)
            try check(user, request)
            return try answer(request, caller)
        }
        return try propose("KV/Txn", caller, timeout: .deadline(version)) { store throws(EtcdServerError) in
            let user = try store.login(caller)
            try store.check(user, request)
            if Self.puts(request) { try store.checkSpace() }
            return try store.answer(request, caller)
        }
    }

    // MARK: Carrying out

    /// Carries a transaction out entirely or not at all.
    private mutating func answer(_ request: Etcdserverpb_TxnRequest, _ caller: Caller) throws(EtcdServerError) -> Etcdserverpb_TxnResponse {
        if Self.cannotFailHalfway(request) {
            var response = try apply(request)
            commit()
            response.header = header(caller.member)
            return response
        }
        let (keysBefore, leasesBefore) = (keys, leases)
        do {
            var response = try apply(request)
            commit()
            response.header = header(caller.member)
            return response
        } catch {
            (keys, leases) = (keysBefore, leasesBefore)
            throw error
        }
    }

    /// Whether no operation that can fail follows one that changes something. A copy of all keys, to go back to, takes time.
    private static func cannotFailHalfway(_ request: Etcdserverpb_TxnRequest) -> Bool {
        for branch in [request.success, request.failure] {
            var hasChanged = false
            for operation in branch {
                switch operation.request {
                case .requestRange(let range): if hasChanged, range.revision != 0 { return false }
                case .requestPut:
                    if hasChanged { return false }
                    hasChanged = true
                case .requestDeleteRange: hasChanged = true
                case .requestTxn: return false
                case nil: break
                }
            }
        }
        return true
    }

    private mutating func apply(_ request: Etcdserverpb_TxnRequest) throws(EtcdServerError) -> Etcdserverpb_TxnResponse {
        var response = Etcdserverpb_TxnResponse()
        response.succeeded = request.compare.allSatisfy { holds($0) }
        for operation in response.succeeded ? request.success : request.failure {
            var answer = Etcdserverpb_ResponseOp()
            switch operation.request {
            case .requestRange(let range): answer.responseRange = try keys.range(range)
            case .requestPut(let put): answer.responsePut = try apply(put)
            case .requestDeleteRange(let deletion): answer.responseDeleteRange = apply(deletion)
            case .requestTxn(let inner): answer.responseTxn = try apply(inner)
            case nil: break
            }
            response.responses.append(answer)
        }
        response.header.revision = keys.shown
        return response
    }

    private mutating func apply(_ request: Etcdserverpb_PutRequest) throws(EtcdServerError) -> Etcdserverpb_PutResponse {
        let old = keys.state(request.key)
        if request.ignoreValue || request.ignoreLease, old == nil { throw .keyNotFound }
        let lease = request.ignoreLease ? old?.lease ?? 0 : request.lease
        if lease != 0, leases[lease] == nil { throw .leaseNotFound }
        keys.put(request.key, request.ignoreValue ? old?.value ?? Data() : request.value, lease: lease)
        leases.move(request.key, from: old?.lease ?? 0, to: lease)
        var response = Etcdserverpb_PutResponse()
        response.header.revision = keys.shown
        if request.prevKv, let old { response.prevKv = old }
        return response
    }

    private mutating func apply(_ request: Etcdserverpb_DeleteRangeRequest) -> Etcdserverpb_DeleteRangeResponse {
        let old = keys.delete(EtcdKeyRange(request.key, request.rangeEnd))
        for state in old { leases.move(state.key, from: state.lease, to: 0) }
        var response = Etcdserverpb_DeleteRangeResponse()
        response.header.revision = keys.shown
        response.deleted = Int64(old.count)
        if request.prevKv { response.prevKvs = old }
        return response
    }

    /// A comparison with a range holds if it holds for all its keys. Without any, as with one key that does not exist, it is one with zeros (3.4.23, tried);
    /// a value equals nothing then.
    private func holds(_ compare: Etcdserverpb_Compare) -> Bool {
        let states = keys.states(EtcdKeyRange(compare.key, compare.rangeEnd))
        if states.isEmpty {
            return compare.target != .value && holds(compare, Mvccpb_KeyValue())
        }
        return states.allSatisfy { holds(compare, $0) }
    }

    private func holds(_ compare: Etcdserverpb_Compare, _ state: Mvccpb_KeyValue) -> Bool {
        func holds<Value: Equatable>(_ own: Value, _ other: Value, _ precedes: (Value, Value) -> Bool) -> Bool {
            switch compare.result {
            case .equal: own == other
            case .notEqual: own != other
            case .greater: precedes(other, own)
            case .less: precedes(own, other)
            case .UNRECOGNIZED: true
            }
        }
        return switch compare.target {
        case .version: holds(state.version, compare.version, <)
        case .create: holds(state.createRevision, compare.createRevision, <)
        case .mod: holds(state.modRevision, compare.modRevision, <)
        case .value: holds(state.value, compare.value) { $0.lexicographicallyPrecedes($1) }
        case .lease: holds(state.lease, compare.lease, <)
        case .UNRECOGNIZED: true
        }
    }

    // MARK: Permissions and space

    func checkSpace() throws(EtcdServerError) {
        if alarms.contains(where: { $0.alarm == .nospace }) { throw .noSpace }
    }

    private func check(_ user: String?, _ request: Etcdserverpb_PutRequest) throws(EtcdServerError) {
        let key = EtcdKeyRange(request.key, Data())
        try check(user, .write, key)
        if request.prevKv { try check(user, .read, key) }
        // The keys of a lease share its end: attaching to it needs write permission on all of them.
        if let lease = leases[request.lease] { for owned in lease.keys { try check(user, .write, EtcdKeyRange(owned, Data())) } }
    }

    private func check(_ user: String?, _ request: Etcdserverpb_DeleteRangeRequest) throws(EtcdServerError) {
        let range = EtcdKeyRange(request.key, request.rangeEnd)
        try check(user, .write, range)
        if request.prevKv { try check(user, .read, range) }
    }

    private func check(_ user: String?, _ request: Etcdserverpb_TxnRequest) throws(EtcdServerError) {
        for compare in request.compare { try check(user, .read, EtcdKeyRange(compare.key, compare.rangeEnd)) }
        for operation in request.success + request.failure {
            switch operation.request {
            case .requestRange(let range): try check(user, .read, EtcdKeyRange(range.key, range.rangeEnd))
            case .requestPut(let put): try check(user, put)
            case .requestDeleteRange(let deletion): try check(user, deletion)
            case .requestTxn(let inner): try check(user, inner)
            case nil: break
            }
        }
    }

    // MARK: Validity

    private static func checkSize(_ request: Etcdserverpb_PutRequest) throws(EtcdServerError) {
        if longest(request) <= maximumRequest { return }
        try checkExactSize(request)
    }

    private static func checkSize(_ request: Etcdserverpb_TxnRequest) throws(EtcdServerError) {
        if longest(request) <= maximumRequest { return }
        try checkExactSize(request)
    }

    /// No message is longer than this; to encode each of them would take far longer.
    private static func longest(_ request: Etcdserverpb_PutRequest) -> Int { 100 + request.key.count + request.value.count }

    private static func longest(_ request: Etcdserverpb_TxnRequest) -> Int {
        let compares = request.compare.reduce(0) { $0 + 100 + $1.key.count + $1.rangeEnd.count + $1.value.count }
        return operations(request).reduce(100 + compares) { sum, operation in
            let length =
                switch operation.request {
                case .requestRange(let range): 200 + range.key.count + range.rangeEnd.count
                case .requestPut(let put): longest(put)
                case .requestDeleteRange(let deletion): 100 + deletion.key.count + deletion.rangeEnd.count
                case .requestTxn(let inner): longest(inner)
                case nil: 0
                }
            return sum + 20 + length
        }
    }

    private static func checkExactSize(_ request: some Message) throws(EtcdServerError) {
        let bytes: [UInt8]? = try? request.serializedBytes()
        if (bytes?.count ?? 0) > maximumRequest { throw .requestTooLarge }
    }

    private static func validate(_ request: Etcdserverpb_PutRequest) throws(EtcdServerError) {
        if request.key.isEmpty { throw .noKey }
        if request.ignoreValue, !request.value.isEmpty { throw .valueGiven }
        if request.ignoreLease, request.lease != 0 { throw .leaseGiven }
    }

    /// - Parameter depth: how many transactions enclose this one. etcd bounds the number of operations only.
    private static func validate(_ request: Etcdserverpb_TxnRequest, depth: Int) throws(EtcdServerError) {
        let most = max(request.compare.count, request.success.count, request.failure.count)
        if most > maximumOperations || depth > maximumOperations { throw .tooManyOperations }
        if request.compare.contains(where: { $0.key.isEmpty }) { throw .noKey }
        for branch in [request.success, request.failure] {
            var written: Set<Data> = []
            for operation in branch {
                switch operation.request {
                case .requestRange(let range): if range.key.isEmpty { throw .noKey }
                case .requestPut(let put):
                    try validate(put)
                    if !written.insert(put.key).inserted { throw .duplicateKey }
                case .requestDeleteRange(let deletion): if deletion.key.isEmpty { throw .noKey }
                case .requestTxn(let inner): try validate(inner, depth: depth + 1)
                case nil: break
                }
            }
        }
    }

    private static func operations(_ request: Etcdserverpb_TxnRequest) -> [Etcdserverpb_RequestOp] { request.success + request.failure }

    private static func writes(_ request: Etcdserverpb_TxnRequest) -> Bool {
        operations(request).contains { operation in
            switch operation.request {
            case .requestPut, .requestDeleteRange: true
            case .requestTxn(let inner): writes(inner)
            case .requestRange, nil: false
            }
        }
    }

    private static func puts(_ request: Etcdserverpb_TxnRequest) -> Bool {
        operations(request).contains { operation in
            switch operation.request {
            case .requestPut: true
            case .requestTxn(let inner): puts(inner)
            case .requestRange, .requestDeleteRange, nil: false
            }
        }
    }
}
