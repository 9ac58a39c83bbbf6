import QQCore

/// A plain lock server: one record for each name, leases with a TTL by its own clock, tokens that grow, and queries that wait for a change.
/// What it stores is there after a restart.
final class ReferenceServer: SimulatedServer, @unchecked Sendable {
    // Used on the world's thread only.
    struct Record: Sendable {
        var holder: String?
        var token: UInt64 = 0
        var ttl: Duration = .zero
        var end = BootInstant(nanoseconds: 0)
        /// Grows with each change of the holder.
        var version: UInt64 = 0
    }

    /// A query that waits for a version above this one.
    private struct Waiting {
        var reply: Reply<Record>
        var above: UInt64
    }

    let hosts: [Host]
    private let host: Host
    private let world: World
    private var record = Record()
    private var waiting: [Waiting] = []

    init(_ world: World, _ setting: ServerSetting) {
        self.world = world
        var random = world.generator(.server)
        host = world.makeHost("server", drift: setting.drift(&random))
        hosts = [host]
    }

    func coordinator(for process: SimProcess, identity: String) -> any Campaigning {
        ReferenceCoordinator(server: self, process: process, identity: identity)
    }

    func isHeld(_ term: Term) -> Bool? {
        record.holder == term.identity && record.token == term.token?.value && host.boot < record.end
    }

    func restarts(_ host: Host) { waiting = [] }

    var machine: Host { host }

    // MARK: Requests

    /// The record as of now: without a holder once the lease has ended.
    var now: Record {
        if record.holder != nil, host.boot >= record.end {
            record.holder = nil
            change()
        }
        return record
    }

    private func change() {
        record.version += 1
        let all = waiting
        waiting = []
        for wait in all { if record.version > wait.above { wait.reply.send(record) } else { waiting.append(wait) } }
    }

    func acquire(_ identity: String, _ ttl: Duration, _ reply: Reply<Record>) {
        if now.holder == nil {
            record.holder = identity
            record.token += 1
            record.ttl = ttl
            record.end = host.boot + ttl
            world.note("grants token #1", host: host, Int64(record.token))
            change()
            expireLater()
        } else if record.holder == identity {
            record.end = host.boot + ttl
            expireLater()
        }
        reply.send(record)
    }

    func renew(_ identity: String, _ token: UInt64, _ reply: Reply<Record>) {
        if now.holder == identity, record.token == token {
            record.end = host.boot + record.ttl
            expireLater()
        }
        reply.send(record)
    }

    func release(_ identity: String, _ token: UInt64, _ reply: Reply<Record>) {
        let isHeld = now.holder == identity && record.token == token
        let before = record
        if isHeld {
            record.holder = nil
            world.note("takes token #1 back", host: host, Int64(token))
            change()
        }
        reply.send(isHeld ? before : record)
    }

    func read(_ reply: Reply<Record>) { reply.send(now) }

    /// Answers when the version is above this one, or after a while.
    func wait(above version: UInt64, _ reply: Reply<Record>) {
        if now.version > version { return reply.send(record) }
        waiting.append(Waiting(reply: reply, above: version))
        host.at(host.boot + .seconds(5)) { [weak self] in
            guard let self else { return }
            waiting.removeAll { $0.reply.isAbandoned }
            reply.send(now)
        }
    }

    /// Tells those that wait when the lease ends.
    private func expireLater() { host.at(record.end) { [weak self] in _ = self?.now } }
}

extension SimulatedSystem {
    /// The plain lock server.
    public static let reference: SimulatedSystem = {
        var system = SimulatedSystem(name: "reference") { world, setting in ReferenceServer(world, setting) }
        system.canContinue = true
        system.patience = ReferenceCoordinator.patience
        return system
    }()
}
