import QQCore

extension SimulatedSystem {
    /// A Kubernetes cluster: one to three API servers on one etcd, with electors of client-go among the contenders.
    public static let kubernetes: SimulatedSystem = {
        var system = SimulatedSystem(name: "kubernetes") { world, setting in KubernetesCluster(world, setting) }
        system.canKeepIdentity = true
        system.patience = KubernetesCluster.requestTimeout * 2
        // The lease of an elector of client-go can be longer than the others', and who waits behind a lease that vanished waits for one more.
        system.slack = .seconds(20)
        system.faults = KubernetesFault.allCases.map(\.fault)
        system.peers = [
            Peer(name: "client-go") { ClientGoPeer.start($0, releases: false) },
            Peer(name: "client-go with ReleaseOnCancel") { ClientGoPeer.start($0, releases: true) },
        ]
        return system
    }()
}

/// What can go wrong with a cluster, beside its machines and links.
enum KubernetesFault: Int, CaseIterable {
    /// Reads and writes are answered with 504 in the end; some of the writes are carried out when etcd goes on.
    case etcdHangs
    /// Some requests are answered with 500 or 504, or not at all. Of the writes some are carried out, at once or after a while.
    case badAnswers
    /// 429 for some requests.
    case tooManyRequests
    /// All watches end: in order, in the middle, or with the ERROR event of a version that is too old.
    case watchesEnd
    /// All watches are open and tell nothing. Nothing of a watch is proof, so somebody has to lead even so.
    case watchesAreSilent
    /// Somebody changes labels of the lease all the time: each write of a contender that comes later is a conflict.
    case labelsChange
    /// A lease that nobody holds is deleted.
    case deletedWhileFree
    /// The right to watch is taken away or given.
    case watchingIsForbidden

    var fault: SystemFault {
        switch self {
        case .etcdHangs: SystemFault("etcd hangs", longest: .seconds(20), weight: 12)
        case .badAnswers: SystemFault("some requests get bad answers", longest: .seconds(30), weight: 30)
        case .tooManyRequests: SystemFault("the servers have too many requests", longest: .seconds(20))
        case .watchesEnd: SystemFault("all watches end", longest: 0, isHarmless: true)
        case .watchesAreSilent: SystemFault("all watches are silent", longest: .seconds(60), isHarmless: true)
        case .labelsChange: SystemFault("labels of the lease are changed", longest: .seconds(10))
        case .deletedWhileFree: SystemFault("the lease is deleted if it is free", longest: 0)
        case .watchingIsForbidden: SystemFault("the right to watch is taken away or given", longest: 0, weight: 3, isHarmless: true)
        }
    }
}
