import QQCore
import Support

extension Peer {
    /// `consul lock` 1.8.7, by its recorded calls (protocols/consul.md, and `ConsulLock` of Support).
    ///
    /// Its command runs on when it is killed, and when its lock is lost and it does not notice: it keeps no promise of ours after that. What must be true is
    /// what the servers promise: as long as its session has the key, no other contender leads, and it gets the key from nobody who still works. So it counts as
    /// the leader for that time.
    static let consulLock = Peer(name: "consul lock") { context in
        guard let cluster = context.server as? ConsulCluster else { return context.process.end() }
        ConsulLockPeer(context, cluster).begin()
    }
}

private struct ConsulLockPeer {
    private static let flags = 0x2ddc_cbc0_58a5_0c18
    private static let ttl: Duration = .seconds(15)
    private static let retry: Duration = .seconds(5)
    private static let answerTime: Duration = .seconds(10)
    private static let queryTime: Duration = .seconds(15)

    private static let writes = RequestKind("write", writes: true)
    private static let reads = RequestKind("read", writes: false)

    private let process: SimProcess
    private let cluster: ConsulCluster
    private let key: String
    private let place: Int
    private let lifetime: Duration

    /// It exits with a message.
    private struct Stop: Error {}

    init(_ context: PeerContext, _ cluster: ConsulCluster) {
        process = context.process
        self.cluster = cluster
        key = context.election + "/.lock"
        place = Int(process.random.below(3))
        lifetime = .nanoseconds(process.random.spread(.milliseconds(10)...(context.times.ttl.nanoseconds * 3)))
    }

    func begin() {
        process.world.note("is a consul lock", process)
        process.start { [self] in
            try? await run()
            process.post { [process] in process.end() }
        }
    }

    private func call(
        _ method: String, _ target: String, _ body: JSONValue? = nil, within limit: Duration = Self.answerTime
    ) async throws -> ConsulReply {
        let request = ConsulStore.Request(method, target, body: body.map { JSONWriter.bytes($0) } ?? [])
        return try await process.call(
            method == "GET" ? Self.reads : Self.writes, at: cluster.hosts[place], patience: limit
        ) { [cluster, place] in cluster.receive(request, at: place, $0) }
    }

    private func entry(_ reply: ConsulReply) -> JSONValue? {
        reply.status == 200 ? (try? JSONValue.parse(reply.body))?.arrayValue?.first : nil
    }

    private func isTrue(_ reply: ConsulReply) -> Bool { reply.status == 200 && reply.body == Array("true".utf8) }

    // MARK: The program

    private func run() async throws {
        let made = try await call("PUT", "/v1/session/create", ["Name": "Consul lock for 'work' at 'job'", "TTL": "15s"])
        guard let session = (try? JSONValue.parse(made.body))?["ID"]?.stringValue else { throw Stop() }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                // A failure is logged, and not acted on.
                while !process.isDead {
                    try await process.clock.sleep(for: Self.ttl / 2)
                    _ = try? await call("PUT", "/v1/session/renew/" + session)
                }
                return false
            }
            group.addTask {
                do { try await hold(session) } catch {
                    // The client library ends the session of a lock that it could not get.
                    _ = try? await call("PUT", "/v1/session/destroy/" + session)
                }
                return true
            }
            while let isOver = try await group.next(), !isOver {}
            group.cancelAll()
        }
    }

    private func hold(_ session: String) async throws {
        try await acquire(session)
        cluster.peerHolds(process, session)
        await work(session)
        cluster.peerEnds(session)
        _ = try await call("PUT", "/v1/kv/\(key)?flags=\(Self.flags)&release=\(session)")
        let left = entry(try await call("GET", "/v1/kv/" + key))
        _ = try await call("PUT", "/v1/session/destroy/" + session)
        guard let left, left["Session"] == nil else { return }
        _ = try await call("DELETE", "/v1/kv/\(key)?cas=\(left["ModifyIndex"]?.uint64Value ?? 0)")
    }

    private func acquire(_ session: String) async throws {
        var index: UInt64?
        while !process.isDead {
            let found = try await call(
                "GET", "/v1/kv/\(key)?\(index.map { "index=\($0)&" } ?? "")wait=15000ms", within: Self.queryTime + Self.answerTime)
            guard found.status == 200 || found.status == 404 else { throw Stop() }
            index = found.index
            if let holder = entry(found)?["Session"]?.stringValue, holder != session { continue }
            let acquired = try await call("PUT", "/v1/kv/\(key)?acquire=\(session)&flags=\(Self.flags)")
            if isTrue(acquired) { return }
            guard acquired.status == 200 else { throw Stop() }
            // Either another one was faster, or a lock-delay refused.
            if entry(try await call("GET", "/v1/kv/" + key))?["Session"] == nil {
                index = nil
                try await process.clock.sleep(for: Self.retry)
            }
        }
        throw Stop()
    }

    /// Runs the command until it ends, or the lock is seen to be lost.
    private func work(_ session: String) async {
        process.world.note("starts its command", process)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await process.clock.sleep(for: lifetime) }
            group.addTask { await monitor(session) }
            await group.next()
            group.cancelAll()
        }
        process.world.note("its command has ended", process)
    }

    /// Returns when the lock is lost, or the agents fail again and again.
    private func monitor(_ session: String) async {
        var (index, failures): (UInt64?, Int) = (nil, 0)
        while !Task.isCancelled, !process.isDead {
            let found = try? await call(
                "GET", "/v1/kv/\(key)?consistent=\(index.map { "&index=\($0)" } ?? "")", within: .seconds(330))
            if let found, found.status != 500 {
                guard entry(found)?["Session"]?.stringValue == session else { return }
                (index, failures) = (found.index, 0)
            } else {
                failures += 1
                // `-monitor-retry`.
                guard failures <= 3, (try? await process.clock.sleep(for: .seconds(1))) != nil else { return }
            }
        }
    }
}
