import QQCore

/// The behaviour of a v2 node. For use by one thread.
final class GoNodeV2 {
    private struct Lease {
        var node: String
        var epoch: Int64
        var revision: UInt64

        init(node: String, epoch: Int64, revision: UInt64) {
            self.node = node
            self.epoch = epoch
            self.revision = revision
        }

        init?(_ bytes: [UInt8], revision: UInt64) {
            guard let json = try? JSONValue.parse(bytes), let node = json["node_id"]?.stringValue, let epoch = json["epoch"]?.int64Value
            else {
                return nil
            }
            self.init(node: node, epoch: epoch, revision: revision)
        }

        var bytes: [UInt8] {
            JSONWriter.bytes(["node_id": .string(node), "epoch": .integer(epoch), "acquired_at": .integer(GoBucket.now)])
        }
    }

    private let node: GoNode
    private let settings: GoNode.Settings
    private let client: GoClient
    private let bucket: GoBucket
    private let cooldownKey: String
    private let began = bootNow()
    private var service: GoMicroService
    private var watch = 0
    private var lease: Lease?
    private var leads = false

    init(_ node: GoNode) throws {
        self.node = node
        settings = node.settings
        client = try GoClient(node)
        bucket = GoBucket(client: client, name: "KV_CLUSTER_" + settings.cluster)
        cooldownKey = "cooldown." + settings.node
        service = GoMicroService(settings)
    }

    func run() throws {
        try bucket.create(ttl: settings.ttl)
        try bucket.delete(cooldownKey)
        try startWatch()
        service.start(client)
        client.onReconnect = { [unowned self] in
            client.unsubscribe(watch)
            try bucket.create(ttl: settings.ttl)
            try startWatch()
        }
        var next = ContinuousClock.now + settings.interval
        try acquire()
        node.state.withLock { $0.isStarted = true }
        do {
            while true {
                if let message = try client.next(until: min(next, ContinuousClock.now + .milliseconds(5))) { try take(message) }
                if node.state.withLock({ state in
                    defer { state.wantsStepDown = false }
                    return state.wantsStepDown
                }) {
                    _ = try stepDown()
                }
                if ContinuousClock.now >= next {
                    next = Swift.max(next + settings.interval, ContinuousClock.now)
                    if leads { try heartbeat() } else { try acquire() }
                }
                publishState()
            }
        } catch is GoClient.Ended {
            guard !node.state.withLock({ $0.isKilled }) else { return }
            client.unsubscribe(watch)
            service.stop(client)
        }
    }

    private func publishState() {
        node.state.withLock { state in
            state.leader = lease?.node ?? ""
            state.epoch = lease?.epoch ?? 0
            if leads { state.beginBelief(epoch: state.epoch) } else { state.endBelief() }
        }
    }

    private func startWatch() throws {
        let subject = "$KV.\(bucket.name).leader"
        let delivery = client.inboxForDelivery()
        watch = client.subscribe(delivery)
        let request: JSONValue = [
            "stream_name": .string(bucket.stream),
            "config": [
                "deliver_policy": "last_per_subject", "ack_policy": "none", "ack_wait": 79_200_000_000_000, "max_deliver": 1,
                "filter_subject": .string(subject), "replay_policy": "instant", "flow_control": true, "idle_heartbeat": 5_000_000_000,
                "deliver_subject": .string(delivery), "num_replicas": 1, "mem_storage": true,
            ],
        ]
        _ = try client.request("$JS.API.CONSUMER.CREATE.\(bucket.stream).\(GoClient.id(8)).\(subject)", JSONWriter.bytes(request))
    }

    private func take(_ message: NATSDelivery) throws {
        guard message.subscription == watch else {
            try service.take(message, client, status: status, stepDown: stepDown)
            return
        }
        if message.status == 100 {
            // Flow control requires an answer, a heartbeat does not.
            if let reply = message.reply { client.publish(reply, []) }
            return
        }
        if message["KV-Operation"] != nil {
            try acquire()
            return
        }
        let place = message.reply?.split(separator: ".").dropFirst(5).first.flatMap { UInt64($0) } ?? 0
        guard let found = Lease(message.payload, revision: place) else { return }
        lease = found
        // Only here does a leader whose heartbeats fail learn that it no longer leads, and a restarted one that its lease is still valid.
        leads = found.node == settings.node
    }

    private func acquire() throws {
        if leads { return }
        let remembered = lease?.epoch ?? 0
        if try bucket.isInCooldown(cooldownKey) { return }
        var epoch: Int64 = 1
        switch try bucket.get("leader") {
        case .unknown: return
        case .entry(let entry):
            if let found = Lease(entry.value, revision: entry.revision) {
                epoch = found.epoch + 1
                if found.node != settings.node {
                    lease = found
                    return
                }
            }
        case .deleted, .none: epoch = remembered + 1
        }
        var new = Lease(node: settings.node, epoch: epoch, revision: 0)
        guard let revision = try bucket.create("leader", new.bytes) else { return }
        new.revision = revision
        lease = new
        leads = true
        acknowledged()
    }

    private func heartbeat() throws {
        guard var current = lease else { return }
        current.node = settings.node
        guard let revision = try bucket.update("leader", current.bytes, at: current.revision) else { return }
        lease?.revision = revision
        acknowledged()
    }

    private func acknowledged() {
        node.state.withLock { $0.renewals.append(bootNow()) }
        publishState()
    }

    /// Steps down. Returns the reason if the node does not lead, otherwise nil.
    private func stepDown() throws -> String? {
        guard leads else { return "not the leader" }
        try bucket.setCooldown(cooldownKey, settings.ttl)
        node.state.withLock { $0.giveUp() }
        try bucket.delete("leader")
        leads = false
        lease = nil
        publishState()
        return nil
    }

    private func status() -> JSONValue {
        [
            "nodeId": .string(settings.node), "role": leads ? "PRIMARY" : "PASSIVE", "leader": .string(lease?.node ?? ""),
            "epoch": .integer(lease?.epoch ?? 0), "uptimeMs": .integer(Int64((bootNow() - began) / 1_000_000)),
            "connected": .bool(client.isConnected),
        ]
    }
}

/// The micro service of a v2 node.
struct GoMicroService {
    private struct Endpoint {
        var name: String
        var subject: String
        var subscription = 0
        var requests: Int64 = 0
        var nanoseconds: Int64 = 0
    }

    private let name: String
    private let cluster: String
    private let version: String
    private let id = GoClient.id()
    private let started = WallTime.now()
    private var verbs: [Int: String] = [:]
    private var endpoints: [Endpoint]

    init(_ settings: GoNode.Settings) {
        cluster = settings.cluster
        name = "cluster_" + settings.cluster
        version = settings.version
        endpoints = [
            Endpoint(name: "status", subject: "\(name).status.\(settings.node)"),
            Endpoint(name: "ping", subject: "\(name).ping.\(settings.node)"),
            Endpoint(name: "stepdown", subject: "\(name).control.\(settings.node).stepdown"),
        ]
    }

    mutating func start(_ client: GoClient) {
        for verb in ["INFO", "PING", "STATS"] {
            for rest in ["", ".\(name)", ".\(name).\(id)"] { verbs[client.subscribe("$SRV.\(verb)\(rest)")] = verb }
        }
        for place in endpoints.indices { endpoints[place].subscription = client.subscribe(endpoints[place].subject, queue: "q") }
    }

    func stop(_ client: GoClient) {
        for endpoint in endpoints { client.unsubscribe(endpoint.subscription) }
        for number in verbs.keys { client.unsubscribe(number) }
    }

    mutating func take(
        _ message: NATSDelivery, _ client: GoClient, status: () -> JSONValue, stepDown: () throws -> String?
    ) throws {
        guard let reply = message.reply else { return }
        if let verb = verbs[message.subscription] {
            client.publish(reply, JSONWriter.bytes(describe(verb)))
            return
        }
        guard let place = endpoints.firstIndex(where: { $0.subscription == message.subscription }) else { return }
        let began = bootNow()
        let answer: JSONValue
        switch endpoints[place].name {
        case "status": answer = status()
        case "ping": answer = ["ok": true, "timestamp": .integer(GoBucket.now)]
        default: answer = try stepDown().map { ["ok": false, "error": .string($0)] } ?? ["ok": true]
        }
        endpoints[place].requests += 1
        endpoints[place].nanoseconds += Int64(bootNow() - began)
        client.publish(reply, JSONWriter.bytes(answer))
    }

    private func describe(_ verb: String) -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("name", .string(name)), ("id", .string(id)), ("version", .string(version)), ("metadata", [:]),
            ("type", .string("io.nats.micro.v1.\(verb.lowercased())_response")),
        ]
        switch verb {
        case "INFO":
            let list = endpoints.map { endpoint -> JSONValue in
                ["name": .string(endpoint.name), "subject": .string(endpoint.subject), "queue_group": "q", "metadata": .null]
            }
            members += [("description", .string("Cluster coordination service for \(cluster)")), ("endpoints", .array(list))]
        case "STATS":
            let list = endpoints.map { endpoint -> JSONValue in
                [
                    "name": .string(endpoint.name), "subject": .string(endpoint.subject), "queue_group": "q",
                    "num_requests": .integer(endpoint.requests), "num_errors": 0, "last_error": "",
                    "processing_time": .integer(endpoint.nanoseconds),
                    "average_processing_time": .integer(endpoint.requests == 0 ? 0 : endpoint.nanoseconds / endpoint.requests),
                ]
            }
            members += [("started", .string(started.rfc3339Nano)), ("endpoints", .array(list))]
        default: break
        }
        return .object(JSONObject(members.map { JSONObject.Member(name: $0, value: $1) }))
    }
}
