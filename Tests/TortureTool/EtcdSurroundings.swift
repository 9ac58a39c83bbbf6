import Support

/// A real etcd, and the network before it.
///
/// Programs of other kinds take no part: `etcdctl lock` never ends its command. For the same reason nobody deletes a leader's key: the next contender then leads
/// while the command still works, which only the token shows. A qq that does not answer in time is therefore not made to step down by force.
final class EtcdSurroundings: Surroundings {
    private let server: EtcdServer
    private let proxy: Proxy
    let faults: Set<Fault> = [.pauseServer, .killServer, .cutOff]
    let forcesStepDown = false
    /// The shortest that the server grants.
    let ttl = "2s"
    let environment: [String: String]

    init(in box: Sandbox) async throws {
        server = try await EtcdServer.start(in: box)
        proxy = try Proxy(to: server.port, in: box)
        environment = ["QQ_SERVER": "etcd://127.0.0.1:\(proxy.port)"]
    }

    func cause(_ fault: Fault, in name: String, for length: Duration, _ generator: inout SeededGenerator) async {
        switch fault {
        case .pauseServer: await server.pause(for: length)
        case .killServer: try? await server.restart(killed: Bool.random(using: &generator))
        case .cutOff: await proxy.disturb(for: length, &generator)
        default: break
        }
    }
}
