import Glibc
import QQCore

/// A stand-in for the NATS library of a Go node: connection, requests and KV, with the same protocol lines. For use by one thread.
final class GoClient {
    /// The node was stopped or killed.
    struct Ended: Error {}

    /// The outcome of a request.
    enum Answer {
        case message(NATSDelivery)
        /// No connection, or no answer in time.
        case nothing
    }

    private let node: GoNode
    private let inbox = "_INBOX." + GoClient.id()
    private var wire: NATSWire?
    /// Time of the next attempt to connect.
    private var nextTry = ContinuousClock.now
    private var nextPing = ContinuousClock.now
    private var hasInbox = false
    private var subscriptions: [(number: Int, text: String)] = []
    private var count = 0
    private var waiting: [NATSDelivery] = []
    /// Called after a reconnect.
    var onReconnect: () throws -> Void = {}

    init(_ node: GoNode) throws {
        self.node = node
        try connect()
    }

    deinit { wire?.close() }

    var isConnected: Bool { wire != nil }

    /// Random letters and digits, 22 as in the library.
    static func id(_ length: Int = 22) -> String {
        let letters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        return String((0..<length).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }

    private func connect() throws {
        let end = ContinuousClock.now + .seconds(2)
        var wire = try NATSWire(port: node.settings.port)
        do {
            guard try wire.next(until: end)?.verb == "INFO" else { throw SocketError("no INFO") }
            let options: JSONValue = [
                "verbose": false, "pedantic": false, "tls_required": false, "name": "", "lang": "go", "version": "1.48.0", "protocol": 1,
                "echo": true, "headers": true, "no_responders": true,
            ]
            try wire.send("CONNECT " + JSONWriter.string(options))
            try wire.send("PING")
            while let line = try wire.next(until: end) {
                if line.verb == "-ERR" { throw SocketError(line.text) }
                if line.verb != "PONG" { continue }
                for subscription in subscriptions { try wire.send(subscription.text) }
                nextPing = ContinuousClock.now + .seconds(2)
                self.wire = wire
                return
            }
            throw SocketError("no PONG")
        } catch {
            wire.close()
            throw error
        }
    }

    private func lose() {
        wire?.close()
        wire = nil
        nextTry = ContinuousClock.now + node.settings.reconnectWait
    }

    // MARK: Lines

    func subscribe(_ subject: String, queue: String = "") -> Int {
        count += 1
        let text = "SUB \(subject) \(queue) \(count)"
        subscriptions.append((count, text))
        send(text)
        return count
    }

    func unsubscribe(_ number: Int) {
        subscriptions.removeAll { $0.number == number }
        send("UNSUB \(number) ")
    }

    func publish(_ subject: String, _ payload: [UInt8], headers: [(String, String)] = [], reply: String? = nil) {
        let words = [headers.isEmpty ? "PUB" : "HPUB", subject] + (reply.map { [$0] } ?? [])
        send(words.joined(separator: " "), headers: headers.isEmpty ? nil : natsHeaders(headers), payload: payload)
    }

    private func send(_ text: String, headers: String? = nil, payload: [UInt8]? = nil) {
        do { try wire?.send(text, headers: headers, payload: payload) } catch { lose() }
    }

    func inboxForDelivery() -> String { String(inbox.dropLast(2)) + GoClient.id(2) }

    /// Sends a request, and waits for its answer.
    func request(_ subject: String, _ payload: [UInt8] = [], headers: [(String, String)] = []) throws -> Answer {
        if !hasInbox {
            hasInbox = true
            _ = subscribe(inbox + ".*")
        }
        let reply = "\(inbox).\(GoClient.id(8))"
        publish(subject, payload, headers: headers, reply: reply)
        let end = ContinuousClock.now + .seconds(5)
        while isConnected, ContinuousClock.now < end {
            if let place = waiting.firstIndex(where: { $0.subject == reply }) { return .message(waiting.remove(at: place)) }
            try read(until: end)
        }
        return .nothing
    }

    /// The next message of a subscription; nil if none arrives before `end`.
    func next(until end: ContinuousClock.Instant) throws -> NATSDelivery? {
        while true {
            if let place = waiting.firstIndex(where: { !$0.subject.hasPrefix(inbox + ".") }) { return waiting.remove(at: place) }
            if ContinuousClock.now >= end { return nil }
            try read(until: end)
        }
    }

    /// Reads a line and does the library's automatic work: reconnects, sends PING and PONG, and checks whether the node must end.
    private func read(until end: ContinuousClock.Instant) throws {
        while node.state.withLock({ $0.isPaused }) { usleep(1000) }
        if node.state.withLock({ $0.isKilled || $0.isStopping }) { throw Ended() }
        let slice = min(end, ContinuousClock.now + .milliseconds(5))
        guard wire != nil else {
            if ContinuousClock.now >= nextTry {
                do { try connect() } catch {
                    lose()
                    return
                }
                try onReconnect()
            } else {
                usleep(2000)
            }
            return
        }
        if ContinuousClock.now >= nextPing {
            nextPing = ContinuousClock.now + .seconds(2)
            send("PING")
        }
        do {
            guard let line = try wire?.next(until: slice) else { return }
            if line.verb == "PING" { send("PONG") }
            if let delivery = NATSDelivery(line) { waiting.append(delivery) }
        } catch { lose() }
    }
}

/// A bucket, used in the way of the library.
struct GoBucket {
    let client: GoClient
    let name: String

    var stream: String { "KV_" + name }

    struct Entry {
        var revision: UInt64
        var value: [UInt8]
    }

    enum Found {
        case entry(Entry)
        /// A tombstone, with its revision.
        case deleted(UInt64)
        case none
        /// The server gave no usable answer.
        case unknown
    }

    /// Creates the bucket, or uses the existing one.
    func create(ttl: Duration) throws {
        let age = JSONValue.integer(ttl.components.seconds * 1_000_000_000 + ttl.components.attoseconds / 1_000_000_000)
        _ = try client.request("$JS.API.INFO")
        let config: JSONValue = [
            "name": .string(stream), "subjects": [.string("$KV.\(name).>")], "retention": "limits", "max_consumers": -1, "max_msgs": -1,
            "max_bytes": -1, "discard": "new", "max_age": age, "max_msgs_per_subject": 1, "max_msg_size": -1, "storage": "file",
            "num_replicas": 1, "duplicate_window": age, "deny_delete": true, "allow_rollup_hdrs": true, "compression": "none",
            "allow_direct": true, "mirror_direct": false, "consumer_limits": [:],
        ]
        _ = try client.request("$JS.API.STREAM.CREATE." + stream, JSONWriter.bytes(config))
    }

    func get(_ key: String) throws -> Found {
        guard case .message(let answer) = try client.request("$JS.API.DIRECT.GET.\(stream).$KV.\(name).\(key)") else { return .unknown }
        if answer.status == 404 { return .none }
        guard answer.status == nil, let revision = answer["Nats-Sequence"].flatMap({ UInt64($0) }) else { return .unknown }
        return answer["KV-Operation"] == nil ? .entry(Entry(revision: revision, value: answer.payload)) : .deleted(revision)
    }

    /// The value of a key; nil if the key has none.
    func value(_ key: String) throws -> Entry? { if case .entry(let entry) = try get(key) { entry } else { nil } }

    func put(_ key: String, _ value: [UInt8]) throws -> UInt64? { try store(key, value, []) }

    func update(_ key: String, _ value: [UInt8], at revision: UInt64) throws -> UInt64? {
        try store(key, value, [("Nats-Expected-Last-Subject-Sequence", "\(revision)")])
    }

    /// Stores a value if the key does not exist or is a tombstone.
    func create(_ key: String, _ value: [UInt8]) throws -> UInt64? {
        if let revision = try update(key, value, at: 0) { return revision }
        guard case .deleted(let tombstone) = try get(key) else { return nil }
        return try update(key, value, at: tombstone)
    }

    func delete(_ key: String) throws { _ = try store(key, [], [("KV-Operation", "DEL")]) }

    private func store(_ key: String, _ value: [UInt8], _ headers: [(String, String)]) throws -> UInt64? {
        guard case .message(let answer) = try client.request("$KV.\(name).\(key)", value, headers: headers), answer.status == nil,
            let json = answer.json, json["error"] == nil
        else { return nil }
        return json["seq"]?.uint64Value
    }

    /// Whether the node's cooldown lasts, in both formats. A cooldown that is over is deleted.
    func isInCooldown(_ key: String) throws -> Bool {
        guard let entry = try value(key) else { return false }
        if let end = Int64(String(decoding: entry.value, as: UTF8.self)), GoBucket.now < end { return true }
        try delete(key)
        return false
    }

    func setCooldown(_ key: String, _ length: Duration) throws {
        let value = Array("\(GoBucket.now + Int64(length.milliseconds))".utf8)
        if try create(key, value) == nil { _ = try put(key, value) }
    }

    /// The current time in Unix milliseconds.
    static var now: Int64 {
        let now = WallTime.now()
        return now.seconds * 1000 + Int64(now.nanoseconds) / 1_000_000
    }
}
