import Glibc

/// A server that is a cluster of its own, and keeps nothing.
final class ConsulServer: Sendable {
    let port: UInt16
    private let child: Child

    init(_ program: String) {
        port = freePort()
        let others = (0..<3).map { _ in freePort() }
        child = dependent([
            program, "agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1", "-http-port=\(port)", "-server-port=\(others[0])",
            "-serf-lan-port=\(others[1])", "-serf-wan-port=\(others[2])", "-dns-port=-1", "-grpc-port=-1", "-node=server1",
        ])
        waitUntil("consul listens") { connectSocket(port).map { close($0) } != nil }
        waitUntil("consul has a leader") {
            let connection = HTTPConnection(port)
            connection.send("GET", "/v1/status/leader")
            let (status, leader) = connection.answer()
            return status == 200 && leader.count > 2
        }
    }

    /// Begins to wait for the next write of a key. What this returns goes on, and returns the time when the write was told.
    func change(of key: String) -> () -> UInt64 {
        let connection = HTTPConnection(port)
        let entry = connection.get("/v1/kv/" + key)
        guard let field = entry.firstRange(of: "\"ModifyIndex\":") else { stop("\(key) is not held: \(entry)") }
        connection.send("GET", "/v1/kv/\(key)?wait=60s&index=\(entry[field.upperBound...].prefix { $0.isNumber })")
        return {
            _ = connection.answer()
            return now()
        }
    }

    func end() {
        child.kill()
        child.wait()
    }
}
