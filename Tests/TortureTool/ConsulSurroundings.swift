import Support

/// Consul's real program, or the simulated agent where there is none, and the network before it.
final class ConsulSurroundings: Surroundings {
    private enum Server: Sendable {
        case real(RealConsul)
        case simulated(ConsulServer)
    }

    private let server: Server
    private let proxy: Proxy
    /// The shortest that servers accept.
    let ttl = "10s"
    /// Servers end a session up to a TTL late, and then keep everybody out for as long as its lock-delay, another TTL. A second fault can follow.
    let patience: Duration = .seconds(180)
    let environment: [String: String]

    init(in box: Sandbox) async throws {
        let port: UInt16
        if ConsulProgram.path == nil {
            let agent = try await ConsulServer.start(in: box)
            (server, port) = (.simulated(agent), agent.port)
        } else {
            let real = try await RealConsul.start(keeping: true, in: box)
            (server, port) = (.real(real), real.port)
        }
        proxy = try Proxy(to: port, in: box)
        environment = ["QQ_SERVER": "consul://127.0.0.1:\(proxy.port)"]
    }

    var faults: Set<Fault> {
        switch server {
        case .real: [.pauseServer, .killServer, .cutOff]
        case .simulated: [.pauseServer, .killServer, .cutOff, .badAnswers]
        }
    }

    func cause(_ fault: Fault, in name: String, for length: Duration, _ generator: inout SeededGenerator) async {
        switch (fault, server) {
        case (.cutOff, _): await proxy.disturb(for: length, &generator)
        case (.pauseServer, .real(let real)): await real.pause(for: length)
        case (.killServer, .real(let real)): try? await real.restart()
        case (.pauseServer, .simulated(let agent)):
            agent.isSilent = true
            try? await Task.sleep(for: length)
            agent.isSilent = false
        case (.killServer, .simulated(let agent)):
            await agent.kill()
            try? await Task.sleep(for: length)
            try? await agent.restart()
            agent.store.electLeader()
        case (.badAnswers, .simulated(let agent)):
            let faults: [ConsulStore.Fault] = [
                .noLeader, .leadershipLost(), .leadershipLost(applied: .yes), .leadershipLost(applied: .later(.milliseconds(700))),
                .rpcError(), .rpcError(applied: .yes), .tooManyRequests, .silence(applied: .later(.seconds(1))), .closed(),
                .closed(applied: .yes), .slow(.seconds(1)),
            ]
            let operations: Set<ConsulStore.Operation> = [.create, .renew, .destroy, .read, .transaction]
            agent.store.fail(
                operations, times: Int.random(in: 1...3, using: &generator), with: faults.randomElement(using: &generator) ?? .noLeader)
        default: break
        }
    }
}
