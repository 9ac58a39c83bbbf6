import QQCore
import Support
import Testing

extension ClusterPlace {
    // MARK: Peers

    /// A client-go elector with a lease of 2 s, a deadline of 1.2 s and a retry period of 0.4 s.
    func clientGo(
        _ identity: String, for name: String = "x", at port: UInt16? = nil, restarts: Bool = false,
        _ change: (inout ClientGoElector.Settings) -> Void = { _ in }
    ) throws -> KubernetesPeer {
        var settings = ClientGoElector.Settings(PeerLease(namespace: "team", name: name), identity: identity)
        settings.leaseDuration = .seconds(2)
        settings.renewDeadline = .milliseconds(1200)
        settings.retryPeriod = .milliseconds(400)
        settings.releasesOnCancel = true
        settings.seed = UInt64(identity.utf8.reduce(0) { $0 &* 31 &+ Int($1) })
        change(&settings)
        return try KubernetesPeer.start(.clientGo(settings), at: peerServer(port), restarts: restarts, in: box)
    }

    /// A Consensus node with a lease of 2 s and an interval of 0.5 s.
    func consensus(
        _ identity: String, for name: String = "x", at port: UInt16? = nil, restarts: Bool = false,
        _ change: (inout ConsensusNode.Settings) -> Void = { _ in }
    ) throws -> KubernetesPeer {
        var settings = ConsensusNode.Settings(PeerLease(namespace: "team", name: name), identity: identity)
        settings.leaseDuration = .seconds(2)
        settings.retryInterval = .milliseconds(500)
        change(&settings)
        return try KubernetesPeer.start(.consensus(settings), at: peerServer(port), restarts: restarts, in: box)
    }

    func waitForLeader(_ peer: KubernetesPeer, within limit: Duration = waitingTime) async throws {
        try await waitUntil("\(peer.identity) leads", within: limit) { peer.isLeader }
    }

    // MARK: Guarded commands

    /// Arguments of `qq` that campaign with a command that leaves stamps.
    func stamping(
        _ options: [String] = ["--wait"], id: String, for name: String = "x", ttl: String = "2s", log: String = "stamps",
        work: [String] = []
    ) -> [String] {
        ["acquire", name, "-v", "--id", id, "--ttl", ttl] + options + ["--", Sandbox.stamp, box.path(log)] + work
    }
}
