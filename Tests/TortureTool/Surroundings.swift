import Glibc
import Support

/// The system that elections live on, with what can go wrong there.
protocol Surroundings: Sendable {
    /// Of every `qq`.
    var environment: [String: String] { get }
    /// A short TTL that the system grants.
    var ttl: String { get }
    /// Longer than the system's own rules can keep an election without a leader.
    var patience: Duration { get }
    /// Whether a holder that does not answer is made to step down.
    var forcesStepDown: Bool { get }
    /// The faults that strike the system itself.
    var faults: Set<Fault> { get }

    /// Causes one of these faults, and mends it after this time.
    func cause(_ fault: Fault, in name: String, for length: Duration, _ generator: inout SeededGenerator) async

    /// Each case of a command that ran while a program of another kind led by right.
    func violations(_ terms: [TermLog.Name: TermLog.Term], in name: String) -> [String]

    /// Ends programs of other kinds.
    func end()
}

extension Surroundings {
    var ttl: String { "1s" }
    var patience: Duration { .seconds(60) }
    var forcesStepDown: Bool { true }
    func violations(_ terms: [TermLog.Name: TermLog.Term], in name: String) -> [String] { [] }
    func end() {}
}

/// Lease files.
struct FileSurroundings: Surroundings {
    let box: Sandbox
    let environment: [String: String] = [:]
    let faults: Set<Fault> = [.foreignWrite]

    func cause(_ fault: Fault, in name: String, for length: Duration, _ generator: inout SeededGenerator) async {
        if fault == .foreignWrite { truncate(box.leaseFile(name), 0) }
    }
}

/// A NATS server.
struct NATSSurroundings: Surroundings {
    let server: NATSServer
    let faults: Set<Fault> = [.pauseServer, .killServer]
    var environment: [String: String] { ["QQ_SERVER": server.url + "?format=v2"] }

    init(in box: Sandbox) async throws { server = try await NATSServer.start(in: box) }

    func cause(_ fault: Fault, in name: String, for length: Duration, _ generator: inout SeededGenerator) async {
        switch fault {
        case .pauseServer: await server.pause(for: length)
        case .killServer: try? await server.restart(killed: true)
        default: break
        }
    }
}

/// A server's process that can be stopped.
protocol Pausable {
    func pause() async throws
    func resume()
}

extension NATSServer: Pausable {}
extension EtcdServer: Pausable {}
extension RealConsul: Pausable {}

extension Pausable {
    /// Stops it, and lets it go on after this time.
    func pause(for length: Duration) async {
        try? await pause()
        try? await Task.sleep(for: length)
        resume()
    }
}

extension Proxy {
    /// Resets all connections, or forwards nothing for a time, in both directions or only to the clients.
    func disturb(for length: Duration, _ generator: inout SeededGenerator) async {
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: cut()
        case 1: silence()
        default: silence([.toClient])
        }
        try? await Task.sleep(for: length)
        pass()
    }
}
