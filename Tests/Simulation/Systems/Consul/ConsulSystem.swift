import QQConsul
import QQCore

/// The faults of `SimulatedSystem.consul`, by their places.
enum ConsulFault: Int {
    case cutOff, standsStill, givesUp, stalls, slowDisks, brokenCalls, destroys
}

extension SimulatedSystem {
    /// A cluster of Consul with three servers, in which `consul lock` contends, too.
    public static let consul: SimulatedSystem = {
        var system = SimulatedSystem(name: "consul") { world, setting in ConsulCluster(world, setting) }
        system.ttls = [.seconds(10), .seconds(15), .seconds(30)]
        system.canKeepIdentity = true
        // An attempt to acquire is up to six requests, each of which takes 5 s at most.
        system.patience = .seconds(30)
        // A lock-delay of 30 s. That of `consul lock`, 15 s, comes after a session of up to 30 s.
        system.slack = .seconds(40)
        // By the places in ConsulFault.
        system.faults = [
            SystemFault("the leader is cut off", longest: .seconds(20), weight: 15),
            SystemFault("the leader's machine stands still", longest: .seconds(30), weight: 15),
            SystemFault("the leader gives up", longest: 0),
            SystemFault("the leader commits nothing more, and gives up", longest: .seconds(1), weight: 20),
            SystemFault("the servers' disks are slow", longest: .seconds(10), weight: 15),
            SystemFault("answers between servers are lost", longest: .seconds(10)),
            SystemFault("an operator destroys the holder's session", longest: .seconds(40), weight: 25),
        ]
        system.canContinue = true
        let heirs = Peer.heirs { server, grant in (server as? ConsulCluster)?.terms.isHandedOver(grant.termID) }
        system.peers = [.consulLock, heirs, heirs]
        return system
    }()
}

extension ConsulCluster {
    func coordinator(for process: SimProcess, identity: String) -> any Campaigning {
        let agents = ConsulAgents(self, process)
        return ConsulCoordinator(
            server: Self.url, api: agents, naming: Self.access.naming,
            settings: .init(requestTimeout: .seconds(5), killAfter: killAfter), clock: process.clock, executor: process.executor,
            wall: { process.host.wall }, random: { process.random.next() })
    }

    private static let (url, access): (ServerURL, ConsulAccess) = {
        do {
            let url = try ServerURL.parse("consul://server1,server2,server3", as: [.consul])
            return (url, try ConsulAccess.resolve(url: url, options: .init()) { _ in nil })
        } catch { fatalError("the URL of the servers: \(error)") }
    }()
}
