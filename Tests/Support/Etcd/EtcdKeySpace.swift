import Foundation
import QQEtcd

/// A range of keys, in etcd's notation.
struct EtcdKeyRange: Sendable, Hashable {
    var first: Data
    /// The first key that no longer belongs to the range; nil for all keys from `first` on.
    var end: Data?

    /// - Parameter rangeEnd: empty for the one key, a single zero byte for all keys from `key` on.
    init(_ key: Data, _ rangeEnd: Data) {
        first = key
        if rangeEnd.isEmpty {
            end = key + [0]
        } else {
            end = rangeEnd == Data([0]) ? nil : rangeEnd
        }
    }

    var isOne: Bool { end == first + [0] }
    var isEmpty: Bool { end.map { !first.precedes($0) } ?? false }

    func contains(_ key: Data) -> Bool { !key.precedes(first) && (end.map { key.precedes($0) } ?? true) }

    func contains(_ other: EtcdKeyRange) -> Bool {
        guard !other.first.precedes(first) else { return false }
        guard let end else { return true }
        return other.end.map { !end.precedes($0) } ?? false
    }
}

extension Data {
    /// `lexicographicallyPrecedes` goes through its iterator, byte by byte, which takes many times as long.
    fileprivate func precedes(_ other: Data) -> Bool {
        withUnsafeBytes { own in other.withUnsafeBytes { own.lexicographicallyPrecedes($0) } }
    }
}

/// etcd's keys with all their revisions since the last compaction.
struct EtcdKeySpace: Sendable {
    /// A state of a key; a version of 0 is a deletion.
    typealias State = Mvccpb_KeyValue

    struct Change: Sendable {
        var state: State
        var previous: State?
        var isDeletion: Bool { state.version == 0 }
    }

    private(set) var revision: Int64 = 1
    private(set) var compacted: Int64 = 0
    /// By key, in the order of revisions.
    private var history: [Data: [State]] = [:]
    /// The keys that exist.
    private var present: Set<Data> = []
    /// All changes since the last compaction, in their order. A transaction's changes share a revision.
    private(set) var changes: [Change] = []
    /// Number of changes of the transaction that is under way.
    private var pending = 0

    /// The revision that reads of the transaction under way show.
    var shown: Int64 { revision + (pending > 0 ? 1 : 0) }
    /// The changes of the transaction under way.
    var latest: ArraySlice<Change> { changes.suffix(pending) }

    // MARK: Reads

    func state(_ key: Data, at revision: Int64 = .max) -> State? {
        guard let state = history[key]?.last(where: { $0.modRevision <= revision }), state.version > 0 else { return nil }
        return state
    }

    /// The states of a range's keys, in the order of the keys.
    func states(_ keys: EtcdKeyRange, at revision: Int64 = .max) -> [State] {
        if keys.isOne { return state(keys.first, at: revision).map { [$0] } ?? [] }
        let known = revision == .max ? present.filter { keys.contains($0) } : Set(history.keys.filter { keys.contains($0) })
        return known.sorted { $0.precedes($1) }.compactMap { state($0, at: revision) }
    }

    func range(_ request: Etcdserverpb_RangeRequest) throws(EtcdServerError) -> Etcdserverpb_RangeResponse {
        if request.revision > shown { throw .future }
        if request.revision > 0, request.revision < compacted { throw .compacted }
        let all = states(EtcdKeyRange(request.key, request.rangeEnd), at: request.revision > 0 ? request.revision : .max)
        var response = Etcdserverpb_RangeResponse()
        response.header.revision = shown
        response.count = Int64(all.count)
        if request.countOnly { return response }
        var kept = all.filter { state in
            (request.minModRevision == 0 || state.modRevision >= request.minModRevision)
                && (request.maxModRevision == 0 || state.modRevision <= request.maxModRevision)
                && (request.minCreateRevision == 0 || state.createRevision >= request.minCreateRevision)
                && (request.maxCreateRevision == 0 || state.createRevision <= request.maxCreateRevision)
        }
        Self.sort(&kept, request)
        if request.limit > 0, kept.count > request.limit {
            kept.removeLast(kept.count - Int(request.limit))
            response.more = true
        }
        if request.keysOnly { for index in kept.indices { kept[index].value = Data() } }
        response.kvs = kept
        return response
    }

    /// Keys of a range are in ascending order already. A target other than the key sorts in ascending order unless another one is requested.
    private static func sort(_ states: inout [State], _ request: Etcdserverpb_RangeRequest) {
        let isDescending = request.sortOrder == .descend
        func sort(by precedes: (State, State) -> Bool) { states.sort { isDescending ? precedes($1, $0) : precedes($0, $1) } }
        switch request.sortTarget {
        case .key where isDescending: states.reverse()
        case .key, .UNRECOGNIZED: break
        case .version: sort { $0.version < $1.version }
        case .create: sort { $0.createRevision < $1.createRevision }
        case .mod: sort { $0.modRevision < $1.modRevision }
        case .value: sort { $0.value.lexicographicallyPrecedes($1.value) }
        }
    }

    /// The changes from a revision on, up to the present one.
    func changes(from revision: Int64) -> ArraySlice<Change> {
        // The changes are sorted by revision: bisect.
        var (low, high) = (0, changes.count)
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].state.modRevision < revision { low = middle + 1 } else { high = middle }
        }
        return changes[low...]
    }

    // MARK: Changes

    mutating func put(_ key: Data, _ value: Data, lease: Int64) {
        let old = state(key)
        var new = State()
        (new.key, new.value, new.lease) = (key, value, lease)
        new.modRevision = revision + 1
        new.createRevision = old?.createRevision ?? new.modRevision
        new.version = (old?.version ?? 0) + 1
        record(new, old)
    }

    /// - Returns: the states of the keys that were deleted.
    @discardableResult mutating func delete(_ keys: EtcdKeyRange) -> [State] {
        let old = states(keys)
        for state in old {
            var new = State()
            (new.key, new.modRevision) = (state.key, revision + 1)
            record(new, state)
        }
        return old
    }

    private mutating func record(_ new: State, _ old: State?) {
        history[new.key, default: []].append(new)
        if new.version > 0 { present.insert(new.key) } else { present.remove(new.key) }
        changes.append(Change(state: new, previous: old))
        pending += 1
    }

    /// Ends the transaction under way. Its changes get a revision of their own, if there are any.
    mutating func commit() {
        if pending > 0 { revision += 1 }
        pending = 0
    }

    /// Forgets what was replaced or deleted up to a revision.
    mutating func compact(_ upTo: Int64) throws(EtcdServerError) {
        if upTo <= compacted { throw .compacted }
        if upTo > revision { throw .future }
        compacted = upTo
        for (key, states) in history {
            // The state at the revision stays readable, unless it is a deletion.
            let current = states.last { $0.modRevision <= upTo }
            let kept = states.filter { $0.modRevision > upTo || ($0 == current && $0.version > 0) }
            history[key] = kept.isEmpty ? nil : kept
        }
        changes.removeAll { $0.state.modRevision < upTo }
    }

    /// Raises the revision as changes of other keys would, which are compacted since.
    mutating func skip(to revision: Int64) { self.revision = max(self.revision, revision) }
}
