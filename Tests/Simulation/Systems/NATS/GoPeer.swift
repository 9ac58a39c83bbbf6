import QQCore
import QQNATS
import Support

/// A node of the Go library, by the rules of `GoNodeV1` and `GoNodeV2` in Tests/Support. It ends as SIGTERM makes it: it leaves its lease behind.
enum GoPeer {
    static func start(_ context: PeerContext) {
        let process = context.process
        guard let servers = context.server as? NATSServers else { return process.end() }
        let format = servers.traits.format
        // Nodes of v1 judge leases by their wall clocks: they have no place where these are set at will. It does nothing, and lives.
        if format == .v1, !servers.traits.keepsWallClocks { return }
        let ttl = context.times.ttl
        let life = process.random.spread(ttl.nanoseconds...(ttl.nanoseconds * 10))
        process.at(process.host.boot + .nanoseconds(life)) { [weak process] in
            guard let process else { return }
            process.world.note("is stopped, and leaves its lease", process)
            process.end()
        }
        let client = servers.client(process)
        let bucket = GoPeerBucket(client: client, process: process, servers: servers, name: format.bucket(of: context.election))
        let interval = ttl * 3 / 10
        let identity = context.identity
        process.world.note("is a Go node", process)
        process.start {
            await bucket.create(maxAge: format.maxAge(ttl: ttl), replicas: servers.traits.replicas)
            await bucket.delete(format.cooldownKey(of: identity))
            switch format {
            case .v1:
                let node = GoPeerV1(bucket, identity, ttl: ttl, interval: interval)
                await node.run()
            case .v2:
                let node = GoPeerV2(bucket, identity, ttl: ttl, interval: interval)
                await node.run()
            }
        }
    }
}

/// A node of v1: polls, and judges by wall clocks.
final class GoPeerV1: @unchecked Sendable {
    // Used on the world's thread only.
    private let bucket: GoPeerBucket
    private let process: SimProcess
    private let identity: String
    private let ttl: Duration
    private let interval: Duration
    private let term: GoTerm
    private var lease: GoLeaseV1?
    private var leads = false

    init(_ bucket: GoPeerBucket, _ identity: String, ttl: Duration, interval: Duration) {
        self.bucket = bucket
        process = bucket.process
        self.identity = identity
        self.ttl = ttl
        self.interval = interval
        term = GoTerm(bucket.process, ttl: ttl)
    }

    func run() async {
        var next = process.clock.now()
        while !process.isDead {
            if leads { await renew() } else { await acquire() }
            if !leads { term.ended() }
            next = max(next + interval, process.clock.now())
            guard (try? await process.clock.sleep(until: next)) != nil else { return }
        }
    }

    private func acquire() async {
        switch await bucket.get("lease") {
        case .unknown: return
        case .entry(let revision, let value):
            guard let found = GoLeaseV1(value) else { return }
            lease = found
            let isOurs = found.node == identity
            if !isOurs, found.expires > bucket.wall { return }
            if !isOurs, await bucket.isInCooldown("cooldown-" + identity) { return }
            await take(epoch: isOurs ? found.epoch : found.epoch + 1, over: revision)
        case .deleted, .none:
            // At this tick the node only forgets the lease that it remembered.
            if lease != nil {
                lease = nil
                return
            }
            if await bucket.isInCooldown("cooldown-" + identity) { return }
            await take(epoch: 1, over: nil)
        }
    }

    private func take(epoch: Int64, over revision: UInt64?) async {
        let now = bucket.wall
        let sentAt = process.clock.now()
        let new = GoLeaseV1(node: identity, epoch: epoch, expires: now + ttl, acquired: now)
        let taken: UInt64? =
            if let revision { await bucket.update("lease", new.bytes, at: revision) } else { await bucket.create("lease", new.bytes) }
        guard let taken, !process.isDead else { return }
        lease = new
        leads = true
        term.acknowledged(taken, sentAt: sentAt)
    }

    private func renew() async {
        guard case .entry(let revision, let value) = await bucket.get("lease"), let found = GoLeaseV1(value), var new = lease,
            found.node == identity, found.epoch == new.epoch
        else {
            leads = false
            return
        }
        let sentAt = process.clock.now()
        new.expires = bucket.wall + ttl
        lease = new
        guard let renewed = await bucket.update("lease", new.bytes, at: revision), !process.isDead else {
            leads = false
            return
        }
        term.acknowledged(renewed, sentAt: sentAt)
    }
}

/// A node of v2: watches the key, and tries at each interval. While its heartbeats fail it goes on believing that it leads.
final class GoPeerV2: @unchecked Sendable {
    // Used on the world's thread only.
    private struct Lease {
        var node: String
        var epoch: Int64
        var revision: UInt64
    }

    private let bucket: GoPeerBucket
    private let process: SimProcess
    private let identity: String
    private let interval: Duration
    private let term: GoTerm
    private let bell = Bell()
    private var lease: Lease?
    private var leads = false
    private var watch: UInt64?
    private var watchNumber = 0
    private var arrived: [NATSMessage] = []
    private var mustWatch = true
    private var lastSign: BootInstant

    init(_ bucket: GoPeerBucket, _ identity: String, ttl: Duration, interval: Duration) {
        self.bucket = bucket
        process = bucket.process
        self.identity = identity
        self.interval = interval
        term = GoTerm(bucket.process, ttl: ttl)
        lastSign = bucket.process.clock.now()
    }

    func run() async {
        await startWatch()
        await acquire()
        var next = process.clock.now() + interval
        while !process.isDead {
            await bell.wait(until: next, process.clock)
            if process.isDead || Task.isCancelled { return }
            if mustWatch || process.clock.now() > lastSign + .milliseconds(12_500) { await startWatch() }
            while !arrived.isEmpty { await take(arrived.removeFirst()) }
            if process.clock.now() >= next {
                next = max(next + interval, process.clock.now())
                if leads { await heartbeat() } else { await acquire() }
            }
        }
    }

    private func startWatch() async {
        mustWatch = false
        lastSign = process.clock.now()
        if let watch { bucket.client.unsubscribe(watch) }
        watchNumber += 1
        let inbox = bucket.client.newInbox()
        // The client lets go of this when its process ends.
        watch = bucket.client.subscribe(inbox, queue: nil) { [self] delivery in
            switch delivery {
            case .message(let message):
                lastSign = process.clock.now()
                if message.headers.status == nil { arrived.append(message) }
            case .reconnected: mustWatch = true
            case .disconnected, .failed: break
            }
            bell.ring()
            return true
        }
        let request = #"{"stream_name":"\#(bucket.stream)","config":{"deliver_subject":"\#(inbox)","idle_heartbeat":5000000000}}"#
        _ = await bucket.request(
            "$JS.API.CONSUMER.CREATE.\(bucket.stream).go\(process.number)w\(watchNumber).$KV.\(bucket.name).leader", Array(request.utf8))
    }

    private func take(_ message: NATSMessage) async {
        if message.headers["KV-Operation"] != nil { return await acquire() }
        let revision = message.reply?.split(separator: ".").dropFirst(5).first.flatMap { UInt64($0) } ?? 0
        guard let found = read(message.payload, revision) else { return }
        lease = found
        // Only here does a leader whose heartbeats fail learn that it no longer leads, and a restarted one that its lease is still valid.
        leads = found.node == identity
        if !leads { term.ended() }
    }

    private func read(_ bytes: [UInt8], _ revision: UInt64) -> Lease? {
        guard let json = try? JSONValue.parse(bytes), let node = json["node_id"]?.stringValue, let epoch = json["epoch"]?.int64Value else {
            return nil
        }
        return Lease(node: node, epoch: epoch, revision: revision)
    }

    private func bytes(_ epoch: Int64) -> [UInt8] {
        Array(#"{"node_id":"\#(identity)","epoch":\#(epoch),"acquired_at":\#(bucket.milliseconds)}"#.utf8)
    }

    private func acquire() async {
        if leads { return }
        let remembered = lease?.epoch ?? 0
        if await bucket.isInCooldown("cooldown." + identity) { return }
        var epoch: Int64 = 1
        switch await bucket.get("leader") {
        case .unknown: return
        case .entry(let revision, let value):
            if let found = read(value, revision) {
                epoch = found.epoch + 1
                if found.node != identity {
                    lease = found
                    return
                }
            }
        case .deleted, .none: epoch = remembered + 1
        }
        let sentAt = process.clock.now()
        guard let revision = await bucket.create("leader", bytes(epoch)), !process.isDead else { return }
        lease = Lease(node: identity, epoch: epoch, revision: revision)
        leads = true
        term.acknowledged(revision, sentAt: sentAt)
    }

    private func heartbeat() async {
        guard let current = lease else { return }
        let sentAt = process.clock.now()
        guard let revision = await bucket.update("leader", bytes(current.epoch), at: current.revision), !process.isDead else { return }
        lease?.revision = revision
        term.acknowledged(revision, sentAt: sentAt)
    }
}
