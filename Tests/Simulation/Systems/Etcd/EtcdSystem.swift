import QQCore
import QQEtcd

extension SimulatedSystem {
    /// A cluster of etcd of one, three or five members, with `etcdctl lock` as a program of others.
    public static let etcd: SimulatedSystem = {
        var system = SimulatedSystem(name: "etcd") { world, setting in EtcdClusterModel(world, setting) }
        // The servers raise the first to 2 s.
        system.ttls = [.seconds(1), .seconds(4), .seconds(10), .seconds(30)]
        // An attempt asks several times: for what is left over, a sight, a lease, a place.
        system.patience = .seconds(20)
        // A new leader is elected, and prolongs the leases by an election time-out; the look for ended ones comes every half second.
        system.slack = .seconds(15)
        system.faults = EtcdFault.all
        // By force, the next one leads at once, and can be at work beside the old one: etcd has no lock-delay (docs/etcd.md).
        system.stepDowns = [.asking]
        system.canContinue = true
        let heirs = Peer.heirs { server, grant in
            guard let cluster = server as? EtcdClusterModel, let lease = grant.termID.flatMap({ LeaseID.parse($0) }) else { return }
            cluster.terms.isHandedOver(lease)
        }
        system.peers = [Peer(name: "etcdctl lock") { context in EtcdctlLock.begin(context) }, heirs, heirs]
        return system
    }()
}

/// The faults that only etcd has, in the order of `SimulatedSystem.faults`.
enum EtcdFault: Int, CaseIterable {
    case move, isolate, former, keepLeases, compact, cancelWatches, lag, loseAnswers, fill, silence, refuse, lateWrites, putOver, cutOff,
        slowThenCutOff

    static var all: [SystemFault] { allCases.map(\.description) }

    private var description: SystemFault {
        switch self {
        case .move: SystemFault("the cluster's leader moves to another member, and leases begin anew", longest: 0)
        case .isolate: SystemFault("a member is cut off from the others", longest: .seconds(20), weight: 15)
        case .former:
            SystemFault("the leader is cut off, and goes on answering keep-alives without effect", longest: 0, weight: 20)
        case .keepLeases: SystemFault("leases that have ended are kept for a while", longest: .seconds(10))
        case .compact: SystemFault("revisions are discarded", longest: 0)
        case .cancelWatches: SystemFault("watches end", longest: 0)
        case .lag: SystemFault("a member lags behind the others", longest: .seconds(20))
        case .loseAnswers: SystemFault("answers to writes are lost", longest: .seconds(10))
        case .fill: SystemFault("the database is full", longest: .seconds(10), weight: 4)
        case .silence: SystemFault("watches tell nothing for a while", longest: .seconds(10), weight: 5)
        case .refuse: SystemFault("the next requests are refused", longest: 0)
        case .lateWrites: SystemFault("writes are carried out late", longest: .seconds(20))
        case .putOver: SystemFault("something else writes the leader's key", longest: 0)
        case .cutOff: SystemFault("a machine is cut off from all members", longest: .seconds(60), weight: 20)
        case .slowThenCutOff:
            SystemFault("all members answer late, and then a machine is cut off from them", longest: .seconds(60), weight: 30)
        }
    }
}
