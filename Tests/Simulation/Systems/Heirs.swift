import QQCore
import QQGuard

extension Peer {
    /// `qq keepalive` whose grant another process goes on with once nothing can work under it any more: one that was started on another machine because this one
    /// has ended, stands still or is cut off. The first one can come back later, and must leave the term alone that is the other's by then.
    /// - Parameter handOver: tells the servers' model.
    static func heirs(_ handOver: @escaping @Sendable (any SimulatedServer, Grant) -> Void) -> Peer {
        Peer(name: "keepalive with an heir") { context in Heirs(context, handOver).begin() }
    }
}

private final class Heirs: @unchecked Sendable {
    // Used on the world's thread only.
    private let context: PeerContext
    private let world: World
    private let handOver: @Sendable (any SimulatedServer, Grant) -> Void
    private var random: Generator
    private var first: KeepaliveRun?
    private var heir: KeepaliveRun?
    /// The newest grant of the first one, and whether it has lost it.
    private var grant: Grant?
    private var isLost = false

    init(_ context: PeerContext, _ handOver: @escaping @Sendable (any SimulatedServer, Grant) -> Void) {
        self.context = context
        self.handOver = handOver
        world = context.process.world
        random = context.process.random
    }

    private var ttl: Nanoseconds { context.times.ttl.nanoseconds }

    func begin() {
        let first = run(context.process, saved: nil) { [weak self] grant in
            guard let self else { return }
            isLost = grant == nil
            if let grant { self.grant = grant }
        }
        self.first = first
        context.process.onEnd { self.world.after(0) { self.look() } }
        first.begin()
        world.after(random.spread(ttl / 2...ttl * 12)) { first.stop() }
        look()
    }

    private func run(_ process: SimProcess, saved: Grant?, save: @escaping (Grant?) -> Void) -> KeepaliveRun {
        let times = context.times
        let request = AcquireRequest(name: context.election, identity: context.identity, ttl: times.ttl, guardsWork: false)
        var retry = times.retry
        retry.maximumRetries = nil
        var configuration = LeaseSession.Configuration(
            request: request, renewEvery: times.renewEvery, retry: retry, waiting: .forever, campaignsAgain: true,
            random: { [unowned process] in process.random.fraction() })
        configuration.renewalGrid = times.renewEvery / 64
        return KeepaliveRun(
            process, configuration, Guardian.Timing(ttl: times.ttl, grace: times.killAfter),
            context.server.coordinator(for: process, identity: context.identity), saved: saved, save: save)
    }

    /// Looks whether the grant can be taken over, now and then, until it was.
    private func look() {
        guard heir == nil else { return }
        let process = context.process
        if let grant, process.isDead || isLost || process.host.boot >= grant.deadline {
            return world.after(random.spread(.milliseconds(1)...ttl / 2)) { [weak self] in self?.inherit(grant) }
        }
        guard !process.isDead else { return }
        world.after(ttl / 32) { [weak self] in self?.look() }
    }

    private func inherit(_ grant: Grant) {
        guard heir == nil else { return }
        let machines = world.hosts.filter { host in !host.isStopped && !context.server.hosts.contains { $0 === host } }
        guard let machine = random.element(machines) else { return }
        let process = world.makeProcess(context.process.name + "h", on: machine)
        world.note("is started with the grant of another process", process)
        handOver(context.server, grant)
        let heir = run(process, saved: grant) { _ in }
        self.heir = heir
        process.onEnd { self.heir = nil }
        heir.begin()
        world.after(random.spread(ttl / 4...ttl * 6)) { heir.stop() }
    }
}
