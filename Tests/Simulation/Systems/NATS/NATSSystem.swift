import QQCore
import QQNATS

enum NATSSystem {
    static let requestTimeout: Duration = .seconds(5)

    /// The faults, by their place in `SimulatedSystem.faults`.
    enum Special: Int, CaseIterable {
        case leaderStepsDown, acknowledgementsLost, storesLate, answersLate, lags, consumersLost, stepDown, serverCutOff, connectionsClosed
    }

    static let faults: [SystemFault] = Special.allCases.map { fault in
        switch fault {
        case .leaderStepsDown: SystemFault("the bucket's leader steps down", longest: 0)
        case .acknowledgementsLost: SystemFault("acknowledgements get lost", longest: .seconds(10), weight: 15)
        case .storesLate: SystemFault("writes are stored late", longest: .seconds(10))
        case .answersLate: SystemFault("answers are late", longest: .seconds(10))
        case .lags: SystemFault("all but the leader's copies lag behind", longest: .seconds(20))
        case .consumersLost: SystemFault("consumers are lost", longest: 0, weight: 8)
        case .stepDown: SystemFault("an operator asks the leader to step down", longest: 0)
        case .serverCutOff: SystemFault("a server is cut off from its cluster", longest: .seconds(25))
        case .connectionsClosed: SystemFault("a server closes the connections of its clients", longest: 0, weight: 6)
        }
    }

    static func coordinator(for process: SimProcess, _ servers: NATSServers) -> any Campaigning {
        let traits = servers.traits
        var settings = NATSSettings(options: servers.options)
        settings.replicas = traits.replicas
        settings.formatToCreate = traits.format == .v1 ? .v1 : .v2
        if traits.isFormatGiven { settings.format = settings.formatToCreate }
        let world = servers.world
        let keepsWallClocks = traits.keepsWallClocks
        return NATSCoordinator(
            server: url(servers.hosts), settings: settings, explicitTTL: process.random.chance(500_000) ? servers.setting.times.ttl : nil,
            clock: process.clock, requestTimeout: requestTimeout,
            wallTime: { wall(process, world, isKept: keepsWallClocks) }, newTermID: { termID(&process.random) },
            makeClient: { _ in servers.client(process) })
    }

    private static func url(_ hosts: [Host]) -> ServerURL {
        let text = "nats://" + hosts.map(\.name).joined(separator: ",")
        guard let url = try? ServerURL.parse(text, as: [.nats]) else { preconditionFailure("\(text) is not a URL") }
        return url
    }

    /// The wall clock of a machine: as it is, or as it is kept by NTP.
    static func wall(_ process: SimProcess, _ world: World, isKept: Bool) -> WallTime {
        if !isKept { return process.host.wall }
        return WallTime(seconds: 1_700_000_000) + .nanoseconds(world.now + Int64(process.host.number) * 300_000)
    }

    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    private static func termID(_ random: inout Generator) -> String {
        String(decoding: (0..<22).map { _ in digits[Int(random.below(Int64(digits.count)))] }, as: UTF8.self)
    }
}

extension NATSServers {
    func begin(_ fault: Int, argument: UInt64) {
        let place = Int(argument % UInt64(hosts.count))
        switch NATSSystem.Special(rawValue: fault) {
        case .leaderStepsDown: for stream in streams { stream.elect(besides: stream.leader) }
        case .acknowledgementsLost: faults.acknowledgementsLost += 1
        case .storesLate: faults.storesLate += 1
        case .answersLate: faults.answersLate += 1
        case .lags: faults.lags += 1
        case .consumersLost: for stream in streams { for consumer in stream.consumers { consumer.remove() } }
        case .stepDown: askToStepDown()
        case .serverCutOff:
            eachOther(place) {
                world.network.cut(from: hosts[place], to: $0)
                world.network.cut(from: $0, to: hosts[place])
            }
        case .connectionsClosed: for connection in connections where connection.node == place { connection.pipe.closeAtServer() }
        case nil: break
        }
    }

    func end(_ fault: Int, argument: UInt64) {
        let place = Int(argument % UInt64(hosts.count))
        switch NATSSystem.Special(rawValue: fault) {
        case .acknowledgementsLost: faults.acknowledgementsLost -= 1
        case .storesLate: faults.storesLate -= 1
        case .answersLate: faults.answersLate -= 1
        case .lags:
            faults.lags -= 1
            for stream in streams { stream.lag(faults.lags > 0) }
        case .serverCutOff:
            eachOther(place) {
                world.network.heal(from: hosts[place], to: $0)
                world.network.heal(from: $0, to: hosts[place])
            }
        case .leaderStepsDown, .consumersLost, .stepDown, .connectionsClosed, nil: break
        }
    }

    private func eachOther(_ place: Int, _ body: (Host) -> Void) {
        for (node, host) in hosts.enumerated() where node != place { body(host) }
    }

    /// An operator's `qq step-down`: the node that the lease names is asked, over its micro service. Nodes of v1 have none.
    private func askToStepDown() {
        for stream in streams {
            guard let (id, node) = stream.holder(traits.format.leaseKey) else { continue }
            let cluster = stream.bucket.dropFirst(traits.format.bucket(of: "").count)
            publish(NATSMessage(subject: "cluster_\(cluster).control.\(id).stepdown", reply: "_INBOX.operator"), at: node)
        }
    }
}

extension SimulatedSystem {
    /// NATS, with the real coordinator and the real client but for its sockets.
    public static let nats: SimulatedSystem = {
        var system = SimulatedSystem(name: "nats") { world, setting in NATSServers(world, setting) }
        // The shortest is one second.
        system.ttls = [.seconds(1), .seconds(3), .seconds(10), .seconds(30)]
        system.alwaysKeepsIdentity = true
        system.patience = NATSSystem.requestTimeout * 2
        // An election among the servers, a watch whose consumer is gone, and messages that are removed late.
        system.slack = .seconds(30)
        system.hasSlots = true
        system.stepDowns = [.asking]
        system.faults = NATSSystem.faults
        system.peers = [Peer(name: "Go node", start: GoPeer.start)]
        return system
    }()
}
