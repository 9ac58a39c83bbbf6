import QQCore

// Reading many keys: linearizable, in pages of one revision. Values are read of contenders alone: those of foreign keys can have 1.5 MiB each.
extension EtcdCoordinator {
    /// Keys in one answer.
    private static let pageSize: Int64 = 500
    /// The most keys that are read.
    private static let mostKeys = 100_000
    /// How often a list is begun whose revision the cluster has discarded.
    private static let mostBeginnings = 3
    /// The most reads in one transaction are 128.
    private static let mostReads = 100

    /// All keys of a range at one revision, without their values.
    func page(_ keys: EtcdKeys, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRangeAnswer {
        var range = EtcdRange(keys)
        (range.order, range.limit, range.isKeysOnly) = (.key, Self.pageSize, true)
        var answer: EtcdRangeAnswer?
        while true {
            let next: EtcdRangeAnswer
            do throws(EtcdFailure) { next = try await api.range(range, by: deadline) } catch {
                // Keys themselves can be long.
                guard error.meaning == .tooLarge, range.limit > 1 else { throw error }
                range.limit /= 8
                range.limit = max(range.limit, 1)
                continue
            }
            answer?.found += next.found
            answer?.hasMore = next.hasMore
            let all = answer ?? next
            answer = all
            guard all.hasMore, let last = next.found.last else { return all }
            guard all.found.count < Self.mostKeys else { throw EtcdFailure(.unsupported, "there are more than \(Self.mostKeys) keys") }
            (range.revision, range.keys.key) = (all.revision, last.key + [0])
        }
    }

    /// Reads what consists of several reads at one revision, and begins again if the cluster discards that revision meanwhile.
    func atOneRevision<Value>(_ body: () async throws(EtcdFailure) -> Value) async throws(EtcdFailure) -> Value {
        var beginnings = 1
        while true {
            do throws(EtcdFailure) { return try await body() } catch {
                guard error.meaning == .compacted else { throw error }
                guard beginnings < Self.mostBeginnings else {
                    throw EtcdFailure(
                        .notApplied(retry: .afterPause), "the cluster discards revisions faster than keys can be read", at: error.endpoint,
                        hint: "is the cluster compacted all the time? etcd's own interval is at least some minutes")
                }
                beginnings += 1
            }
        }
    }

    /// The values of keys at a revision, by key. Those that are too large for an answer are left out.
    func values(of keys: [[UInt8]], at revision: Int64, by deadline: BootInstant) async throws(EtcdFailure) -> [[UInt8]: [UInt8]] {
        var found: [[UInt8]: [UInt8]] = [:]
        var batches = stride(from: 0, to: keys.count, by: Self.mostReads).map { keys[$0..<min($0 + Self.mostReads, keys.count)] }
        while let batch = batches.popLast() {
            do throws(EtcdFailure) {
                for key in try await read(batch, at: revision, by: deadline) { found[key.key] = key.value }
            } catch {
                guard error.meaning == .tooLarge else { throw error }
                // A value that is too large alone is no identity.
                guard batch.count > 1 else { continue }
                let middle = batch.startIndex + batch.count / 2
                batches += [batch[..<middle], batch[middle...]]
            }
        }
        return found
    }

    private func read(
        _ keys: ArraySlice<[UInt8]>, at revision: Int64, by deadline: BootInstant
    ) async throws(EtcdFailure) -> [EtcdKeyValue] {
        let reads = keys.map { key in
            var range = EtcdRange(.one(key))
            range.revision = revision
            return EtcdTransaction.Operation.range(range)
        }
        return try await api.transact(EtcdTransaction(if: [], then: reads), by: deadline).answers.flatMap { answer in
            if case .range(let read) = answer { read.found } else { [EtcdKeyValue]() }
        }
    }
}
