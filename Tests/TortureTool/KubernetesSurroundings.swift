import QQCore
import Support
import Synchronization

/// An API server, the network before it, and programs of the field that take part in its elections.
final class KubernetesSurroundings: Surroundings {
    private let box: Sandbox
    private let server: KubernetesServer
    private let proxy: Proxy
    private let recorder: LeaseHistory.Recorder
    private let peers = Mutex<[String: [KubernetesPeer]]>([:])
    let faults: Set<Fault> = [.foreignWrite, .pauseServer, .killServer, .badAnswers, .cutOff, .replacePeer]
    let environment: [String: String]

    init(in box: Sandbox) async throws {
        self.box = box
        var settings = LeaseAPI.Settings()
        settings.tokens = ["qq-token": LeaseAPI.User("qq"), "peer-token": LeaseAPI.User("peer")]
        settings.grants = [LeaseAPI.Grant("qq", LeaseAPI.Grant.watching), LeaseAPI.Grant("peer", LeaseAPI.Grant.electing)]
        server = try await KubernetesServer.start(LeaseAPI(settings: settings), in: box)
        proxy = try Proxy(to: server.port, in: box)
        recorder = LeaseHistory.Recorder(server.store)
        try box.write(
            """
            current-context: torture
            clusters: [{name: c, cluster: {server: "https://127.0.0.1:\(proxy.port)", certificate-authority: \(server.certificates.authority)}}]
            users: [{name: u, user: {token: qq-token}}]
            contexts: [{name: torture, context: {cluster: c, user: u, namespace: team}}]

            """, to: "kubeconfig")
        environment = ["QQ_SERVER": "k8s://torture", "KUBECONFIG": box.path("kubeconfig")]
    }

    // MARK: Peers

    func addPeers(to name: String, seed: UInt64) throws {
        let lease = PeerLease(namespace: "team", name: name)
        let place = PeerServer(port: server.port, authority: server.certificates.authority, token: "peer-token")
        var elector = ClientGoElector.Settings(lease, identity: "client-go")
        (elector.leaseDuration, elector.renewDeadline, elector.retryPeriod) = (.seconds(2), .milliseconds(1200), .milliseconds(400))
        (elector.releasesOnCancel, elector.seed) = (true, seed)
        var node = ConsensusNode.Settings(lease, identity: "consensus")
        (node.leaseDuration, node.retryInterval) = (.seconds(1), .milliseconds(400))
        let started = [
            try KubernetesPeer.start(.clientGo(elector), at: place, restarts: true, in: box),
            try KubernetesPeer.start(.consensus(node), at: place, restarts: true, in: box),
        ]
        peers.withLock { $0[name] = started }
    }

    /// Stops the programs of the field for a time, in which another can lead, and starts them again.
    private func replacePeers(of name: String, for length: Duration) async {
        let peers = peers.withLock { $0[name] ?? [] }
        for peer in peers { peer.replace() }
        // The release takes a moment.
        try? await Task.sleep(for: .milliseconds(50))
        for peer in peers { peer.pause() }
        try? await Task.sleep(for: length)
        for peer in peers { peer.resume() }
    }

    func end() { for peer in peers.withLock({ $0.values.flatMap(\.self) }) { peer.kill() } }

    func violations(_ terms: [TermLog.Name: TermLog.Term], in name: String) -> [String] {
        let identities = Set(peers.withLock { $0[name] ?? [] }.map(\.identity))
        return recorder.history(name, calls: server.api.calls).violations(
            terms.map { Stamps.Term(token: $0.key.token, first: $0.value.first, last: $0.value.last) }, peers: identities, user: "qq")
    }

    // MARK: Faults

    func cause(_ fault: Fault, in name: String, for length: Duration, _ generator: inout SeededGenerator) async {
        switch fault {
        case .foreignWrite: wipe(name)
        case .pauseServer: await pause(for: length)
        case .killServer: await restart()
        case .badAnswers: answerBadly(name)
        case .replacePeer: await replacePeers(of: name, for: length)
        case .cutOff: await proxy.disturb(for: length, &generator)
        default: break
        }
    }

    /// Clears a lease as a client-go leader does that releases without looking.
    private func wipe(_ name: String) {
        guard var lease = server.store.lease(name)?.objectValue, var spec = lease["spec"]?.objectValue else { return }
        spec["holderIdentity"] = ""
        spec["leaseDurationSeconds"] = 1
        let now: JSONValue = .string(WallTime.now().rfc3339(fractionDigits: 6))
        (spec["acquireTime"], spec["renewTime"]) = (now, now)
        spec["leaseTransitions"] = .integer(max(0, (spec["leaseTransitions"]?.int64Value ?? 0) - 1))
        lease["spec"] = .object(spec)
        try? server.store.put(.object(lease))
    }

    /// Stops etcd for a time. Each write that hung is carried out afterwards, or never.
    private func pause(for length: Duration) async {
        server.store.set(.paused)
        try? await Task.sleep(for: length)
        server.store.resume { _ in Bool.random() }
    }

    private func restart() async {
        if Bool.random() { await server.kill() } else { await server.finishShutdown() }
        try? await server.start()
    }

    private func answerBadly(_ name: String) {
        let faults: [LeaseAPI.Fault] = [
            .timeout(applied: .yes), .timeout(), .timeout(applied: .later(.milliseconds(400))), .unavailable(), .conflict,
            .tooManyRequests(),
            .closed(applied: .yes), .closed(), .noAnswer(applied: .later(.milliseconds(900))), .unauthorized,
        ]
        server.api.fail([.create, .update], name: name, times: Int.random(in: 1...3), with: faults.randomElement() ?? .conflict)
        if Bool.random() { server.api.fail([.watch], name: name, times: 2, with: .silentWatch) }
    }
}
