import QQCore
import QQEtcd

/// `etcdctl lock NAME CMD`, as it was measured with 3.4 and 3.6.
///
/// It never looks at the loss of its lock while its command runs, and never ends the command. What it tells the checker is therefore not that its command
/// runs, but what is true: that it leads while its lease is in force, which ends a TTL after the last keep-alive that counted was sent. A keep-alive that a
/// former leader of the cluster has answered does not count, although `etcdctl` believes in it.
final class EtcdctlLock: @unchecked Sendable {
    // Used on the world's thread only.
    private let process: SimProcess
    private let world: World
    private let cluster: EtcdClusterModel
    private let client: EtcdClientModel
    private let naming = ContenderNaming(prefix: "")
    private let name: String
    private let lease: Int64
    private let seconds: Int64
    /// When the lease ends if nothing renews it any more, on the clock of this machine.
    private var deadline = BootInstant(nanoseconds: 0)
    private var term: Term?
    /// How long its command runs.
    private let lifetime: Duration

    /// The time for each request. clientv3 has none, and waits.
    private static let patience: Duration = .seconds(20)

    static func begin(_ context: PeerContext) {
        guard let cluster = context.server as? EtcdClusterModel else { return context.process.end() }
        let peer = EtcdctlLock(context, cluster)
        context.process.onEnd { peer.endTerm() }
        context.process.start { await peer.run() }
    }

    private init(_ context: PeerContext, _ cluster: EtcdClusterModel) {
        process = context.process
        world = context.process.world
        self.cluster = cluster
        client = EtcdClientModel(cluster, process)
        name = context.election
        lease = process.random.within(1...(.max / 2))
        seconds = LeaseTime.seconds(context.times.ttl)
        lifetime = .nanoseconds(process.random.spread(.milliseconds(5)...(context.times.ttl.nanoseconds * 3)))
        cluster.foreign.removeAll { $0.process.isDead }
        cluster.foreign.append((process, lease))
    }

    private var limit: BootInstant { process.clock.now() + Self.patience }

    private func run() async {
        world.note("etcdctl lock asks for the lock", process)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.contend() }
            await group.next()
            group.cancelAll()
        }
        endTerm()
        process.post { [process] in process.end() }
    }

    private func contend() async {
        do throws(EtcdFailure) {
            let sentAt = process.clock.now()
            let granted = try await client.grantLease(lease, seconds: seconds, by: limit)
            extend(to: sentAt + LeaseTime.granted(granted))
            process.start { await self.keepAlive(LeaseTime.granted(granted)) }
            let key = naming.key(name, lease: lease)
            let entering = EtcdTransaction(
                if: [.isAbsent(key)], then: [.put(key: key, value: [], lease: lease), .range(oldest)],
                otherwise: [.range(.state(of: key)), .range(oldest)])
            let entered = try await client.transact(entering, by: limit)
            var revision = entered.revision
            guard case .range(let first)? = entered.answers.last else { return }
            if first.found.first?.key != key {
                guard let own = try await client.range(.state(of: key), by: limit).found.first else { return }
                guard let passed = try await wait(own) else { return }
                revision = passed
            }
            await lead(revision, key)
        } catch {
            // It prints the error, and ends. Its lease runs out.
            world.note("etcdctl lock fails", process)
        }
    }

    private var oldest: EtcdRange {
        var range = EtcdRange(naming.below(name))
        (range.order, range.limit, range.isKeysOnly) = (.oldestFirst, 1, true)
        return range
    }

    /// Waits until no key is older than its own.
    /// - Returns: the revision of the answer that shows that its own key is still there; nil if it is not.
    private func wait(_ own: EtcdKeyValue) async throws(EtcdFailure) -> Int64? {
        world.note("etcdctl lock waits", process)
        while !process.isDead {
            var range = EtcdRange(naming.below(name))
            (range.order, range.limit, range.isKeysOnly) = (.newestFirst, 1, true)
            range.maximumCreateRevision = own.createRevision - 1
            let answer = try await client.range(range, by: limit)
            guard let ahead = answer.found.first else { break }
            watching: for await event in client.watch([.one(ahead.key)], from: answer.revision + 1) {
                switch event {
                case .began: continue
                case .changed(let changes):
                    for change in changes { if case .deleted = change { break watching } }
                case .compacted, .lost: break watching
                }
            }
            if Task.isCancelled { return nil }
            // An error of the watch ends etcdctl; a pause keeps this from asking again and again.
            try? await process.clock.sleep(for: .milliseconds(10))
        }
        let answer = try await client.range(.state(of: own.key), by: limit)
        return answer.found.isEmpty ? nil : answer.revision
    }

    private func lead(_ revision: Int64, _ key: [UInt8]) async {
        if process.clock.now() < deadline {
            term = world.checker.elected(
                process, token: FencingToken(UInt64(clamping: revision)), deadline: deadline, margin: .seconds(seconds) / 20)
        }
        world.note("etcdctl lock starts its command", process)
        try? await process.clock.sleep(for: lifetime)
        world.note("the command of etcdctl lock has ended", process)
        endTerm()
        do throws(EtcdFailure) {
            _ = try await client.transact(EtcdTransaction(if: [], then: [.delete(.one(key))]), by: limit)
        } catch { world.note("etcdctl lock could not delete its key", process) }
    }

    /// Renews the lease each third of its TTL.
    private func keepAlive(_ ttl: Duration) async {
        while !process.isDead {
            guard (try? await process.clock.sleep(for: ttl / 3)) != nil else { return }
            let sentAt = process.clock.now()
            do throws(EtcdFailure) {
                guard case .renewed(let granted, let answered) = try await client.keepAlive(lease, by: sentAt + ttl / 3) else { return }
                if answered == cluster.store.term { extend(to: sentAt + LeaseTime.granted(granted)) }
            } catch { continue }
        }
    }

    private func extend(to end: BootInstant) {
        guard end > deadline else { return }
        deadline = end
        if let term { world.checker.extended(term, to: end) }
    }

    private func endTerm() {
        guard let ended = term else { return }
        term = nil
        world.checker.ended(ended)
    }
}
