import QQCore

/// Three real members of one cluster. Each can be killed, stopped and restarted, and cut off from the others if the cluster is divisible.
public final class EtcdCluster: Sendable {
    public let servers: [EtcdServer]
    private let sandbox: Sandbox
    /// The members' IDs in Raft, as they name themselves to each other; empty if the cluster is not divisible.
    private let numbers: [String: String]

    /// Starts the members and waits until each answers linearizable reads.
    /// - Parameter isDivisible: whether the members reach each other through proxies that ``isolate(_:)`` can stop.
    public static func start(
        in sandbox: Sandbox, isDivisible: Bool = false, _ change: (inout EtcdServer.Settings) -> Void = { _ in }
    ) async throws -> EtcdCluster {
        let servers = try (1...3).map { number in
            var settings = EtcdServer.Settings()
            change(&settings)
            settings.name = "node\(number)"
            return try EtcdServer(settings, in: sandbox)
        }
        if isDivisible {
            for server in servers { server.bePeer(through: try Proxy(to: server.peerPort, in: sandbox, name: { sender(of: $0) })) }
        }
        let members = servers.map { "\($0.name)=\($0.peerURL)" }
        for server in servers {
            server.join(members)
            try server.launch()
        }
        for server in servers { try await server.ready() }
        var numbers: [String: String] = [:]
        for member in isDivisible ? try await list(Etcdctl(servers, in: sandbox)) : [] {
            guard let name = member["name"]?.stringValue, let number = member["ID"]?.uint64Value else { continue }
            numbers[name] = String(number, radix: 16)
        }
        return EtcdCluster(servers, numbers, sandbox)
    }

    private init(_ servers: [EtcdServer], _ numbers: [String: String], _ sandbox: Sandbox) {
        (self.servers, self.numbers, self.sandbox) = (servers, numbers, sandbox)
    }

    /// The URL of all members for `qq`: `etcd://127.0.0.1:P1,127.0.0.1:P2,127.0.0.1:P3`.
    public var url: String {
        (servers.first?.settings.tls == nil ? "etcd://" : "etcds://") + servers.map(\.endpoint).joined(separator: ",")
    }

    // MARK: The leader

    private static func list(_ client: Etcdctl) async throws -> [JSONValue] {
        let list = try await client.run(["member", "list", "--write-out", "json"])
        return (try? JSONValue.parse(Array(list.output.utf8))["members"]?.arrayValue) ?? []
    }

    /// The Raft leader, as a member that is asked knows it; nil while there is none.
    public func leader(asking server: EtcdServer) async throws -> EtcdServer? {
        let outcome = try await Etcdctl(server, in: sandbox).run(["endpoint", "status", "--write-out", "json"])
        guard outcome.isSuccess, let first = try? JSONValue.parse(Array(outcome.output.utf8)).arrayValue?.first,
            let leader = first["Status"]?["leader"]
        else { return nil }
        let name = try await Self.list(Etcdctl(server, in: sandbox)).first { $0["ID"] == leader }?["name"]?.stringValue
        return servers.first { $0.name == name }
    }

    /// Waits for a leader other than one server, as another one knows it.
    public func waitForLeader(otherThan old: EtcdServer? = nil, within limit: Duration = waitingTime) async throws -> EtcdServer {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end {
            if let asked = servers.first(where: { $0 !== old && $0.isRunning }), let leader = try await leader(asking: asked),
                leader !== old
            {
                return leader
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw TimedOut("waited \(limit) in vain for a leader of etcd")
    }

    // MARK: Partitions

    /// Stops everything between one member and the others, in both directions, without a sign to either side. Clients still reach all of them.
    public func isolate(_ server: EtcdServer) {
        let own = numbers[server.name] ?? ""
        let others = Set(numbers.values).subtracting([own])
        for each in servers { each.peerProxy?.conditions.silentNames = each === server ? others.union([""]) : [own] }
    }

    /// Lets everything through again, what was sent meanwhile included.
    public func join() { for server in servers { server.peerProxy?.pass() } }

    /// Which member sent an HTTP request to another: what its header `X-Server-From` says, or nothing, if it says nothing.
    /// - Returns: nil if the header is not complete.
    private static func sender(of bytes: [UInt8]) -> String? {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
        for line in text[..<end.lowerBound].split(separator: "\r\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == "x-server-from" { return String(parts[1].drop { $0 == " " }) }
        }
        return ""
    }
}
