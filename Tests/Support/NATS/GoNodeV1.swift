import QQCore

/// The behaviour of a v1 node. For use by one thread.
final class GoNodeV1 {
    private let node: GoNode
    private let settings: GoNode.Settings
    private let client: GoClient
    private let bucket: GoBucket
    private let cooldownKey: String
    private let began = bootNow()
    private var lease: GoLeaseV1?
    private var leads = false

    init(_ node: GoNode) throws {
        self.node = node
        settings = node.settings
        client = try GoClient(node)
        bucket = GoBucket(client: client, name: "cluster-" + settings.cluster)
        cooldownKey = "cooldown-" + settings.node
    }

    func run() throws {
        try bucket.create(ttl: settings.ttl * 2)
        try bucket.delete(cooldownKey)
        try tick()
        // A separate connection, like that of a real node's health checker.
        let health = try GoClient(node)
        let subscription = health.subscribe("cluster.\(settings.cluster).health.\(settings.node)")
        node.state.withLock { $0.isStarted = true }
        var next = ContinuousClock.now + settings.interval
        do {
            while true {
                while let request = try health.next(until: min(next, ContinuousClock.now + .milliseconds(5))) { answer(request, health) }
                if node.state.withLock({ state in
                    defer { state.wantsStepDown = false }
                    return state.wantsStepDown
                }) {
                    try stepDown()
                }
                guard ContinuousClock.now >= next else {
                    // Reconnects if necessary.
                    _ = try client.next(until: ContinuousClock.now + .milliseconds(1))
                    continue
                }
                next = Swift.max(next + settings.interval, ContinuousClock.now)
                try tick()
            }
        } catch is GoClient.Ended {
            if !node.state.withLock({ $0.isKilled }) { health.unsubscribe(subscription) }
        }
    }

    private func tick() throws {
        if leads { try renew() } else { try acquire() }
        node.state.withLock { state in
            state.leader = lease?.node ?? ""
            state.epoch = lease?.epoch ?? 0
            if leads { state.beginBelief(epoch: state.epoch) } else { state.endBelief() }
        }
    }

    private func acquire() throws {
        switch try bucket.get("lease") {
        case .unknown: return
        case .entry(let entry):
            guard let found = GoLeaseV1(entry.value) else { return }
            lease = found
            let isOurs = found.node == settings.node
            if !isOurs, found.expires > WallTime.now() { return }
            if !isOurs, try bucket.isInCooldown(cooldownKey) { return }
            try take(epoch: isOurs ? found.epoch : found.epoch + 1, over: entry.revision)
        case .deleted, .none:
            // At this tick the node only forgets the lease that it remembered.
            if lease != nil {
                lease = nil
                return
            }
            if try bucket.isInCooldown(cooldownKey) { return }
            try take(epoch: 1, over: nil)
        }
    }

    private func take(epoch: Int64, over revision: UInt64?) throws {
        let now = WallTime.now()
        let new = GoLeaseV1(node: settings.node, epoch: epoch, expires: now + settings.ttl, acquired: now)
        let taken = if let revision { try bucket.update("lease", new.bytes, at: revision) } else { try bucket.create("lease", new.bytes) }
        guard taken != nil else { return }
        lease = new
        leads = true
        node.state.withLock { $0.renewals.append(bootNow()) }
    }

    private func renew() throws {
        guard case .entry(let entry) = try bucket.get("lease"), let found = GoLeaseV1(entry.value), var new = lease,
            found.node == settings.node,
            found.epoch == new.epoch
        else {
            leads = false
            return
        }
        new.expires = WallTime.now() + settings.ttl
        lease = new
        guard try bucket.update("lease", new.bytes, at: entry.revision) != nil else {
            leads = false
            return
        }
        node.state.withLock { $0.renewals.append(bootNow()) }
    }

    private func stepDown() throws {
        guard leads else { return }
        try bucket.setCooldown(cooldownKey, settings.ttl)
        node.state.withLock { $0.giveUp() }
        try bucket.delete("lease")
        leads = false
        lease = nil
        node.state.withLock { $0.endBelief() }
    }

    private func answer(_ request: NATSDelivery, _ health: GoClient) {
        guard let reply = request.reply else { return }
        health.publish(
            reply,
            JSONWriter.bytes([
                "nodeId": .string(settings.node), "role": leads ? "PRIMARY" : "PASSIVE", "leader": .string(lease?.node ?? ""),
                "uptimeMs": .integer(Int64((bootNow() - began) / 1_000_000)), "timestamp": .integer(GoBucket.now),
            ]))
    }
}
