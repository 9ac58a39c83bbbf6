import QQCore
import QQNATS

/// A bucket, used in the way of the Go library: requests that are not sent again, reads from any server, and no answer for five seconds is a failure. The
/// same rules as `GoBucket` in Tests/Support, whose nodes have threads and sockets.
struct GoPeerBucket: Sendable {
    let client: WorldNATSClient
    let process: SimProcess
    let servers: NATSServers
    let name: String

    enum Found: Sendable {
        case entry(revision: UInt64, value: [UInt8])
        /// A tombstone.
        case deleted(UInt64)
        case none
        /// No usable answer.
        case unknown
    }

    var stream: String { "KV_" + name }

    func request(_ subject: String, _ payload: [UInt8] = [], headers: [NATSHeaders.Field] = []) async -> NATSMessage? {
        try? await client.request(
            subject, headers: NATSHeaders(headers), payload: payload, isRepeatable: false, isLocal: false, timeout: .seconds(5))
    }

    /// Creates the bucket, or uses the existing one.
    func create(maxAge: Nanoseconds, replicas: Int) async {
        let request = #"{"name":"\#(stream)","subjects":["$KV.\#(name).>"],"max_age":\#(maxAge),"num_replicas":\#(replicas)}"#
        _ = await self.request("$JS.API.STREAM.CREATE." + stream, Array(request.utf8))
    }

    func get(_ key: String) async -> Found {
        guard let answer = await request("$JS.API.DIRECT.GET.\(stream).$KV.\(name).\(key)") else { return .unknown }
        if answer.headers.status == 404 { return .none }
        guard answer.headers.status == nil, let revision = answer.headers["Nats-Sequence"].flatMap({ UInt64($0) }) else { return .unknown }
        return answer.headers["KV-Operation"] == nil ? .entry(revision: revision, value: answer.payload) : .deleted(revision)
    }

    /// - Returns: the new revision; nil if it was refused or not answered.
    func update(_ key: String, _ value: [UInt8], at revision: UInt64) async -> UInt64? {
        await store(key, value, [.init("Nats-Expected-Last-Subject-Sequence", String(revision))])
    }

    /// Stores a value if the key does not exist or is a tombstone.
    func create(_ key: String, _ value: [UInt8]) async -> UInt64? {
        if let revision = await update(key, value, at: 0) { return revision }
        guard case .deleted(let tombstone) = await get(key) else { return nil }
        return await update(key, value, at: tombstone)
    }

    func delete(_ key: String) async { _ = await store(key, [], [.init("KV-Operation", "DEL")]) }

    private func store(_ key: String, _ value: [UInt8], _ headers: [NATSHeaders.Field]) async -> UInt64? {
        guard let answer = await request("$KV.\(name).\(key)", value, headers: headers), answer.headers.status == nil,
            let json = try? JSONValue.parse(answer.payload), json["error"] == nil
        else { return nil }
        return json["seq"]?.uint64Value
    }

    /// Whether the node's cooldown lasts. One that is over is deleted.
    func isInCooldown(_ key: String) async -> Bool {
        guard case .entry(_, let value) = await get(key) else { return false }
        if let end = Int64(String(decoding: value, as: UTF8.self)), milliseconds < end { return true }
        await delete(key)
        return false
    }

    var wall: WallTime { NATSSystem.wall(process, process.world, isKept: servers.traits.keepsWallClocks) }

    /// Unix milliseconds.
    var milliseconds: Int64 { wall.seconds * 1000 + Int64(wall.nanoseconds) / 1_000_000 }
}

/// What a Go node has, for the checker: a lease from each write that was acknowledged, as long as the TTL. That it believes more is its weakness, and nothing
/// that `qq` could change.
final class GoTerm: @unchecked Sendable {
    // Used on the world's thread only.
    private let process: SimProcess
    private let ttl: Duration
    private var term: Term?

    init(_ process: SimProcess, ttl: Duration) {
        self.process = process
        self.ttl = ttl
        process.onEnd { [weak self] in self?.ended() }
    }

    func acknowledged(_ revision: UInt64, sentAt: BootInstant) {
        let deadline = sentAt + ttl
        // Its lease can be over before the answer comes.
        if let term, process.host.boot < term.deadline { return process.world.checker.extended(term, to: deadline) }
        ended()
        guard process.host.boot < deadline else { return }
        term = process.world.checker.elected(process, token: FencingToken(revision), deadline: deadline, margin: ttl / 20)
    }

    func ended() {
        guard let ended = term else { return }
        term = nil
        process.world.checker.ended(ended)
    }
}
