import QQCore

/// Three real servers with JetStream, whose routes to each other go through proxies, so that tests can partition them.
public final class NATSCluster: Sendable {
    public let servers: [NATSServer]
    /// The proxies, by the index of the connecting server and the index of the server to which it connects.
    private let routes: [[Proxy?]]

    /// Starts the servers and waits until streams with three replicas can be created.
    public static func start(
        _ version: NATSVersion = .latest, in sandbox: Sandbox, _ change: (inout NATSSettings) -> Void = { _ in }
    ) async throws -> NATSCluster {
        let places = 0..<3
        let routes = try places.map { from in try places.map { to in from == to ? nil : try Proxy(to: 1, in: sandbox) } }
        let servers = try places.map { place in
            var settings = NATSSettings()
            change(&settings)
            settings.name = "n\(place + 1)"
            // Routes that servers announce to each other would bypass the proxies. Nothing listens on port 1.
            settings.cluster = NATSSettings.Cluster(
                name: "three", routes: routes[place].compactMap { $0?.port }, advertise: "127.0.0.1:1")
            return try NATSServer(version, settings, in: sandbox)
        }
        let cluster = NATSCluster(servers, routes)
        for (place, server) in servers.enumerated() {
            try await server.start()
            for from in places { routes[from][place]?.upstream = server.routingPort }
        }
        try await cluster.waitForStreams()
        return cluster
    }

    private init(_ servers: [NATSServer], _ routes: [[Proxy?]]) {
        self.servers = servers
        self.routes = routes
    }

    /// The URL of all servers for `qq`: `nats://127.0.0.1:P1,127.0.0.1:P2,127.0.0.1:P3`.
    public var url: String { "nats://" + servers.map { "127.0.0.1:\($0.port)" }.joined(separator: ",") }

    public subscript(name: String) -> NATSServer? { servers.first { $0.name == name } }
    private func place(_ server: NATSServer) -> Int { servers.firstIndex { $0 === server } ?? 0 }

    /// Waits until a stream with three replicas can be created.
    private func waitForStreams() async throws {
        let probe: JSONValue = ["name": "probe", "subjects": ["probe"], "num_replicas": 3, "storage": "memory"]
        try await waitUntil("three replicas: \(servers.map { $0.log.suffix(800) })", within: .seconds(180)) {
            guard let client = try? RawNATS(servers[0].port),
                (try? client.jetStream("STREAM.CREATE.probe", probe, within: .seconds(5))) != nil
            else {
                return false
            }
            _ = try client.jetStream("STREAM.DELETE.probe")
            return true
        }
    }

    // MARK: Raft leaders

    /// The Raft leader of JetStream itself, as known to `server`; nil while there is none.
    public func metaLeader(asking server: NATSServer) -> String? {
        let leader = try? server.page("/jsz")["meta_cluster"]?["leader"]?.stringValue
        return leader.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The stream leader, as reported by the stream itself; nil while there is none.
    public func leader(of stream: String, asking client: RawNATS) -> NATSServer? {
        let info = try? client.streamInfo(stream, within: .seconds(3))
        return (info?["cluster"]?["leader"]?.stringValue).flatMap { self[$0] }
    }

    /// Makes the stream leader hand over to another server, and waits until it has.
    @discardableResult
    public func moveLeader(of stream: String, asking client: RawNATS) async throws -> NATSServer {
        let old = try await waitFor("a leader of \(stream)") { leader(of: stream, asking: client) }
        _ = try client.jetStream("STREAM.LEADER.STEPDOWN." + stream)
        return try await waitFor("another leader of \(stream)") { leader(of: stream, asking: client).flatMap { $0 === old ? nil : $0 } }
    }

    // MARK: Partitions

    /// Cuts a server off from the others; clients still reach it.
    public func part(_ server: NATSServer) { of(server) { $0.silence() } }

    /// Joins a server with the others again: data in transit between them is lost, and they make new connections.
    public func join(_ server: NATSServer) {
        of(server) {
            $0.cut()
            $0.pass()
        }
    }

    private func of(_ server: NATSServer, _ body: (Proxy) -> Void) {
        let place = place(server)
        for from in servers.indices { for to in servers.indices where from == place || to == place { routes[from][to].map(body) } }
    }
}
