import QQCore
import QQNATS

/// A message as a stream keeps it.
struct StoredMessage {
    var subject: String
    var headers: [NATSHeaders.Field]
    var payload: [UInt8]
    var sequence: UInt64
    /// By the clock of the server that took it in.
    var stored: WallTime
    var id: String?
    /// The process that sent it; empty for a server.
    var writer = ""
}

/// The stream behind a bucket: one log, of which each of its servers has applied a part. A server that believes that it is the leader takes messages in; they
/// are in the log once it reaches a majority. Each server removes old messages by its own clock.
final class NATSStream {
    final class Replica {
        let node: Int
        /// How much of the log it has.
        var applied = 0
        /// The last message of each subject, with tombstones.
        var messages: [StoredMessage] = []
        /// IDs of messages, the oldest first.
        var ids: [(id: String, sequence: UInt64, stored: WallTime)] = []
        /// Whether it acts as the stream's leader. One that was replaced does not know at once.
        var believes = false
        /// Messages are taken in one after another.
        var busyUntil: Nanoseconds = 0

        init(node: Int) { self.node = node }

        func last(_ subject: String) -> StoredMessage? { messages.first { $0.subject == subject } }
        var lastSequence: UInt64 { UInt64(applied) }
    }

    private struct Proposal {
        var message: StoredMessage
        var reply: String?
    }

    let name: String
    let bucket: String
    /// The beginning of the subjects of its keys.
    let prefix: String
    let maxAge: Nanoseconds
    let created: WallTime
    private(set) lazy var configuration: String = describe()
    unowned let servers: NATSServers
    private(set) var replicas: [Replica] = []
    /// The place of the real leader among the replicas; nil while there is none.
    private(set) var leader: Int?
    private var log: [StoredMessage] = []
    private var proposals: [Proposal] = []
    /// When the leader last reached a majority, and how long others wait until they elect another.
    private var heardAt: Nanoseconds = 0
    private var patience: Nanoseconds = 0
    var consumers: [NATSConsumer] = []
    /// The lease by the log, for the checker.
    private(set) var lease: LoggedLease

    private var world: World { servers.world }

    init(_ name: String, maxAge: Nanoseconds, _ servers: NATSServers) {
        self.name = name
        bucket = String(name.dropFirst(3))
        prefix = "$KV.\(bucket)."
        lease = LoggedLease(servers.traits.format, bucket: bucket, maxAge: maxAge)
        self.maxAge = maxAge
        self.servers = servers
        let first = Int(servers.random.below(Int64(servers.hosts.count)))
        for number in 0..<servers.traits.replicas { replicas.append(Replica(node: (first + number) % servers.hosts.count)) }
        created = servers.wall(first)
        leader = 0
        replicas[0].believes = true
        heardAt = servers.world.now
        patience = Self.electionTime(&servers.random)
    }

    /// nats-server: 4 to 9 s.
    private static func electionTime(_ random: inout Generator) -> Nanoseconds { random.within(.seconds(4)...(.seconds(9))) }

    /// The server by whose clock the lease lasts.
    var clock: Int { replicas[leader ?? 0].node }

    // MARK: Who answers

    /// The servers to which messages for the stream go.
    var listeners: [Int] {
        var found: [Int] = []
        for replica in replicas where replica.believes && servers.hosts[replica.node].isUp { found.append(replica.node) }
        return found
    }

    func replica(at node: Int) -> Replica? { replicas.first { $0.node == node } }

    /// The replica that answers a direct get of a client at `node`; nil if none can.
    func reader(near node: Int) -> Replica? {
        if let own = replica(at: node) { return own }
        let up = replicas.filter { servers.hosts[$0.node].isUp }
        return servers.random.element(up)
    }

    // MARK: Writing

    func receive(_ message: NATSMessage, at node: Int, from writer: String) {
        guard let replica = replica(at: node) else { return }
        var span = servers.traits.storeDelay + servers.random.below(servers.traits.storeDelay)
        if servers.faults.storesLate > 0, servers.random.chance(500_000) {
            span += servers.random.spread(.milliseconds(1)...(.milliseconds(1_500)))
        }
        replica.busyUntil = max(replica.busyUntil, world.now) + span
        servers.later(node, replica.busyUntil - world.now) { [weak self] in self?.take(message, replica, writer) }
    }

    private func take(_ message: NATSMessage, _ replica: Replica, _ writer: String) {
        guard replica.believes else { return }
        let id = message.headers["Nats-Msg-Id"]
        let expected = message.headers["Nats-Expected-Last-Subject-Sequence"].flatMap { UInt64($0) }
        func refuse(_ code: Int, _ number: Int, _ text: String) {
            acknowledge(
                #"{"error":{"code":\#(code),"err_code":\#(number),"description":"\#(text)"},"stream":"\#(name)","seq":0}"#, message.reply,
                replica)
        }
        func isRepeated() -> Bool {
            guard let id else { return false }
            if proposals.contains(where: { $0.message.id == id }) {
                refuse(409, 10158, "duplicate message id is in process")
                return true
            }
            let now = servers.wall(replica.node)
            let window = Duration.nanoseconds(min(maxAge, .seconds(120)))
            guard let known = replica.ids.last(where: { $0.id == id }), now - known.stored < window else { return false }
            acknowledge(#"{"stream":"\#(name)","seq":\#(known.sequence),"duplicate":true}"#, message.reply, replica)
            return true
        }
        if servers.traits.isOld, isRepeated() { return }
        if let expected {
            if proposals.contains(where: { $0.message.subject == message.subject }) {
                return refuse(400, servers.traits.isOld ? 10071 : 10164, "wrong last sequence")
            }
            let last = replica.last(message.subject)?.sequence ?? 0
            if last != expected { return refuse(400, 10071, "wrong last sequence: \(last)") }
        }
        if !servers.traits.isOld, isRepeated() { return }
        let stored = StoredMessage(
            subject: message.subject, headers: message.headers.fields, payload: message.payload, sequence: 0,
            stored: servers.wall(replica.node), id: id, writer: writer)
        guard isLeader(replica) else {
            // It was replaced, and does not know: nobody agrees, so nothing is stored and nothing is answered.
            return world.note("takes a message in that nobody agrees to", host: servers.hosts[replica.node])
        }
        proposals.append(Proposal(message: stored, reply: message.reply))
        if replicas.count == 1 { return agree() }
        servers.later(replica.node, servers.random.spread(.microseconds(200)...(.milliseconds(5)))) { [weak self] in self?.agree() }
    }

    private func isLeader(_ replica: Replica) -> Bool { leader.map { replicas[$0] === replica } ?? false }

    /// Puts what was taken in into the log, if a majority has it.
    private func agree() {
        guard let leader, servers.isRunning(replicas[leader].node), hasMajority(leader) else { return }
        while !proposals.isEmpty {
            let proposal = proposals.removeFirst()
            append(proposal.message)
            apply(replicas[leader])
            let message = #"{"stream":"\#(name)","seq":\#(log.count)}"#
            acknowledge(message, proposal.reply, replicas[leader])
            for replica in replicas where replica !== replicas[leader] {
                servers.later(replica.node, servers.random.spread(.microseconds(200)...(.milliseconds(20)))) { [weak self] in
                    self?.follow(replica)
                }
            }
        }
    }

    private func acknowledge(_ text: String, _ reply: String?, _ replica: Replica) {
        guard let reply else { return }
        if servers.faults.acknowledgementsLost > 0, servers.random.chance(500_000) {
            return world.note("loses an acknowledgement", host: servers.hosts[replica.node])
        }
        servers.answer(NATSMessage(subject: reply, payload: Array(text.utf8)), at: replica.node)
    }

    private func append(_ message: StoredMessage) {
        var message = message
        message.sequence = UInt64(log.count) + 1
        log.append(message)
        let isTombstone = message.headers.contains { $0.name == "KV-Operation" }
        if let broken = lease.take(message, isTombstone: isTombstone) { world.fail(.model, "\(message.writer) \(broken)") }
        world.note(isTombstone ? "a key is deleted at #1" : "a key is written at #1", Int64(message.sequence))
    }

    // MARK: Applying

    /// A server that is not the leader gets what was agreed on.
    private func follow(_ replica: Replica) {
        guard let leader, servers.isRunning(replica.node), servers.reaches(replica.node, replicas[leader].node), !isLagging(replica) else {
            return
        }
        apply(replica)
    }

    private func isLagging(_ replica: Replica) -> Bool { servers.faults.lags > 0 && !isLeader(replica) }

    private func apply(_ replica: Replica) {
        while replica.applied < log.count {
            let message = log[replica.applied]
            replica.applied += 1
            replica.messages.removeAll { $0.subject == message.subject }
            replica.messages.append(message)
            if let id = message.id {
                if replica.ids.count >= 64 { replica.ids.removeFirst() }
                replica.ids.append((id, message.sequence, message.stored))
            }
            expireLater(message.stored, replica)
            for consumer in consumers where consumer.node == replica.node { consumer.take(message) }
        }
    }

    private func expireLater(_ stored: WallTime, _ replica: Replica) {
        let host = servers.hosts[replica.node]
        let left = (stored + .nanoseconds(maxAge)) - servers.wall(replica.node)
        host.at(host.boot + left + .nanoseconds(servers.random.within(0...servers.traits.expiryDelay))) { [weak self] in
            self?.expire(replica)
        }
    }

    private func expire(_ replica: Replica) {
        let now = servers.wall(replica.node)
        let age = Duration.nanoseconds(maxAge)
        guard replica.messages.contains(where: { $0.stored + age <= now }) else { return }
        replica.messages.removeAll { message in
            guard message.stored + age <= now else { return false }
            world.note("removes the old message #1", host: servers.hosts[replica.node], Int64(message.sequence))
            return true
        }
    }

    // MARK: Leaders

    private func hasMajority(_ place: Int) -> Bool {
        let node = replicas[place].node
        guard servers.isRunning(node) else { return false }
        var count = 0
        for replica in replicas where servers.isRunning(replica.node) && servers.reaches(node, replica.node) { count += 1 }
        return count * 2 > replicas.count
    }

    /// A step of the protocol among the servers.
    func tick() {
        guard replicas.count > 1 else { return }
        if let leader, hasMajority(leader) {
            heardAt = world.now
            for (place, replica) in replicas.enumerated() where place != leader && servers.isRunning(replica.node) {
                guard servers.reaches(replica.node, replicas[leader].node) else { continue }
                replica.believes = false
                follow(replica)
            }
            agree()
        } else {
            if let leader, !servers.hosts[replicas[leader].node].isUp {
                replicas[leader].believes = false
                self.leader = nil
            }
            if let leader, world.now - heardAt > .seconds(10), servers.isRunning(replicas[leader].node) {
                replicas[leader].believes = false
            }
            if world.now - heardAt > patience { elect(besides: leader) }
        }
    }

    /// Another server becomes the leader. What the old one had not got agreed on is kept or dropped; nobody hears of it.
    func elect(besides old: Int?) {
        guard replicas.count > 1 else { return }
        let first = Int(servers.random.below(Int64(replicas.count)))
        for offset in 0..<replicas.count {
            let place = (first + offset) % replicas.count
            guard place != old, hasMajority(place) else { continue }
            let kept = Int(servers.random.below(Int64(proposals.count) + 1))
            for proposal in proposals.prefix(kept) { append(proposal.message) }
            proposals = []
            if let old, servers.isRunning(replicas[old].node), servers.reaches(replicas[old].node, replicas[place].node) {
                replicas[old].believes = false
            }
            leader = place
            let replica = replicas[place]
            replica.believes = true
            world.note(
                "is the leader of the bucket; #1 writes were kept that nobody hears of", host: servers.hosts[replica.node], Int64(kept))
            apply(replica)
            heardAt = world.now
            patience = Self.electionTime(&servers.random)
            return
        }
    }

    func restarts(_ node: Int) {
        consumers.removeAll { $0.node == node }
        guard let replica = replica(at: node) else { return }
        replica.believes = false
        replica.busyUntil = 0
        expire(replica)
        if replicas.count == 1 {
            servers.later(node, servers.random.spread(.milliseconds(1)...(.milliseconds(500)))) { replica.believes = true }
        } else if isLeader(replica) {
            leader = nil
        }
    }

    // MARK: Faults

    func lag(_ begins: Bool) { if !begins { for replica in replicas { follow(replica) } } }

    /// The node that the lease names, by the leader's copy.
    func holder(_ key: String) -> (id: String, node: Int)? {
        guard let leader, let message = replicas[leader].last(prefix + key), !message.payload.isEmpty,
            let id = (try? JSONValue.parse(message.payload))?["node_id"]?.stringValue
        else { return nil }
        return (id, replicas[leader].node)
    }
}
