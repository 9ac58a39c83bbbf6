import QQCore
import QQQuorumQuest
import Support

/// Quorum Quest: one to three servers over one store. The leases are those of the test server in Tests/Support, which replays recordings of the real one;
/// this adds the network, the clocks and the failures.
///
/// Each server sends its commands to the store in order, and answers "no" (to a release, "yes") if the store refuses, fails or takes too long. The store
/// carries out a command whenever it comes, whether or not somebody waits for the answer. It keeps its leases when it starts again.
final class QuorumQuestModel: SimulatedServer, @unchecked Sendable {
    // Used on the world's thread only.

    /// The faults that only this system has, in the order of `SimulatedSystem.faults`.
    enum StoreFault: Int {
        /// Servers cannot use their store: no command reaches it.
        case failsBefore
        /// The store carries commands out, and its answers are lost.
        case failsAfter
        /// The store stands still, and carries out what waited when it goes on.
        case hangs
        /// The link between a server and its store is cut.
        case cut
    }

    /// The longest that a server waits for its store.
    private static let patience: (acquire: Duration, others: Duration) = (.seconds(6), .seconds(3))
    /// The time after which a server answers whose store refuses.
    private static let refusal: ClosedRange<Nanoseconds> = .milliseconds(45)...(.milliseconds(110))

    let hosts: [Host]
    private let servers: [Host]
    private let store: Host
    private let world: World
    /// Of the election.
    private let key: String
    private var random: Generator
    private var table = QuorumQuestTable()
    /// The connections of each server to the store and back.
    private let orders: [(there: Network.Order, back: Network.Order)]
    /// How many faults of each kind there are at each server.
    private var failuresBefore: [Int]
    private var failuresAfter: [Int]

    init(_ world: World, _ setting: ServerSetting) {
        self.world = world
        key = QuorumQuestCaller.key(of: setting.election)
        var random = world.generator(.server)
        let count = Int(random.within(1...3))
        servers = (1...count).map { number in world.makeHost("quest\(number)", drift: setting.drift(&random)) }
        store = world.makeHost("store", drift: setting.drift(&random))
        hosts = servers + [store]
        self.random = random
        orders = servers.map { _ in (Network.Order(), Network.Order()) }
        failuresBefore = servers.map { _ in 0 }
        failuresAfter = failuresBefore
    }

    var serverCount: Int { servers.count }

    func machine(_ place: Int) -> Host { servers[place % servers.count] }

    func coordinator(for process: SimProcess, identity: String) -> any Campaigning {
        QuorumQuestCaller.coordinator(of: self, for: process)
    }

    // MARK: Requests

    /// Serves a request at the server at `place`: true if the store has carried the command out and says so.
    func serve(_ command: QuorumQuestTable.Command, _ key: String, _ id: String, at place: Int, _ reply: Reply<Bool>) {
        let server = servers[place]
        let answer = Answer(reply)
        let limit = command.isAcquire ? Self.patience.acquire : Self.patience.others
        server.at(server.boot + limit) { answer.give(false) }
        if failuresBefore[place] > 0 { return refuse(answer, at: server) }
        world.network.send(from: server, to: store, order: orders[place].there) { [self] in
            guard store.isUp else {
                return world.network.send(from: store, to: server) { [self] in refuse(answer, at: server) }
            }
            let isDone = carryOut(command, key, id, reply.caller)
            world.network.send(from: store, to: server, order: orders[place].back) { [self] in
                if failuresAfter[place] > 0 { return refuse(answer, at: server) }
                answer.give(isDone)
            }
        }
    }

    private func refuse(_ answer: Answer, at server: Host) {
        server.at(server.boot + .nanoseconds(random.within(Self.refusal))) { answer.give(false) }
    }

    private func carryOut(_ command: QuorumQuestTable.Command, _ key: String, _ id: String, _ caller: SimProcess) -> Bool {
        let now = Int64(clamping: store.boot.nanoseconds)
        let before = table.lease(key, at: now)?.holder
        let isDone = table.perform(command, key, id, at: now)
        let end = table.lease(key, at: now)?.end ?? now
        switch command {
        case .acquire where !isDone: break
        case .acquire where before == id: world.note("the store keeps its lease for @1 more, asked to acquire", caller, end - now)
        case .acquire: world.note("the store grants it the lease for @1", caller, end - now)
        case .keepAlive where isDone: world.note("the store keeps its lease for @1 more", caller, end - now)
        case .keepAlive: world.note("the store does not keep its lease: it holds none", caller)
        case .release where isDone: world.note("the store ends its lease", caller)
        case .release: world.note("the store ends no lease: it holds none", caller)
        }
        return isDone
    }

    /// The one answer to a request.
    private final class Answer {
        private let reply: Reply<Bool>
        private var isGiven = false

        init(_ reply: Reply<Bool>) { self.reply = reply }

        func give(_ isDone: Bool) {
            guard !isGiven else { return }
            isGiven = true
            reply.send(isDone)
        }
    }

    func isHeld(_ term: Term) -> Bool? {
        let now = Int64(clamping: store.boot.nanoseconds)
        guard let lease = table.lease(key, at: now), lease.holder == term.identity else { return false }
        // A release cuts a lease down to a second first, and is believed then.
        return lease.end - now <= .seconds(1) ? nil : true
    }

    // MARK: Faults

    func begin(_ fault: Int, argument: UInt64) { change(fault, argument, by: 1) }
    func end(_ fault: Int, argument: UInt64) { change(fault, argument, by: -1) }

    private func change(_ fault: Int, _ argument: UInt64, by delta: Int) {
        guard let fault = StoreFault(rawValue: fault) else { return }
        let first = Int(argument % UInt64(servers.count))
        // At one server, or at all of them.
        let places = argument >> 32 & 1 == 0 ? [first] : Array(servers.indices)
        switch fault {
        case .failsBefore: for place in places { failuresBefore[place] += delta }
        case .failsAfter: for place in places { failuresAfter[place] += delta }
        case .hangs: if delta > 0 { store.stop(countsTime: true) } else { store.resume() }
        case .cut:
            let bothWays = argument >> 33 & 1 == 0
            for place in places {
                let ways = bothWays ? [(servers[place], store), (store, servers[place])] : [(store, servers[place])]
                for (from, to) in ways {
                    if delta > 0 { world.network.cut(from: from, to: to) } else { world.network.heal(from: from, to: to) }
                }
            }
        }
    }
}

extension QuorumQuestTable.Command {
    var isAcquire: Bool { if case .acquire = self { true } else { false } }
}

extension SimulatedSystem {
    /// Quorum Quest servers over one store.
    public static let quorumQuest: SimulatedSystem = {
        var system = SimulatedSystem(name: "quorum-quest") { world, setting in QuorumQuestModel(world, setting) }
        system.tokensGrow = false
        system.faults = [
            SystemFault("servers cannot use their store", longest: .seconds(20), weight: 15),
            SystemFault("the store's answers are lost", longest: .seconds(20), weight: 15),
            SystemFault("the store hangs", longest: .seconds(20), weight: 15),
            SystemFault("servers are cut off from their store", longest: .seconds(20), weight: 10),
        ]
        system.peers = [QuorumQuestClient.go, QuorumQuestClient.rust]
        return system
    }()
}
