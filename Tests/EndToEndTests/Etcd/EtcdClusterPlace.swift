import Glibc
import Support
import Testing

/// A real cluster of three members of a test's own.
struct EtcdClusterPlace {
    let box: Sandbox
    let cluster: EtcdCluster
    /// etcd's own client, with all members.
    let client: Etcdctl

    /// The URL of some members, in the order in which they are asked.
    func url(_ servers: [EtcdServer]) -> String { "etcd://" + servers.map(\.endpoint).joined(separator: ",") }

    func others(than server: EtcdServer) -> [EtcdServer] { cluster.servers.filter { $0 !== server } }

    func qq(_ words: [String], at servers: [EtcdServer]) throws -> Started {
        try box.start([Sandbox.binary] + words, environment: ["QQ_SERVER": url(servers)])
    }

    /// Starts `qq acquire` with a command that leaves stamps.
    func work(_ options: [String], _ work: [String] = [], at servers: [EtcdServer]) throws -> Started {
        try qq(["acquire", "x", "--verbose"] + options + ["--", Sandbox.stamp, box.path("stamps")] + work, at: servers)
    }

    /// All keys that are stored.
    func keys() async throws -> [Substring] {
        try await client.succeed("get", "--from-key", "--keys-only", "").split(separator: "\n").filter { !$0.isEmpty }
    }

    /// Waits until no key is stored. What a process has released after a fault can take the length of a lease.
    func waitForNoKeys(within limit: Duration = .seconds(60)) async throws {
        let end = ContinuousClock.now + limit
        while true {
            let outcome = try await client.run(["get", "--from-key", "--keys-only", ""])
            if outcome.isSuccess, outcome.output.allSatisfy(\.isWhitespace) { return }
            guard ContinuousClock.now < end else { throw TimedOut("keys are left: \(outcome.output)") }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}

/// Runs a test on a real cluster of its own.
func onEtcdCluster(isDivisible: Bool = false, _ body: (EtcdClusterPlace) async throws -> Void) async throws {
    try await inSandbox(.heavy) { box in
        let cluster = try await EtcdCluster.start(in: box, isDivisible: isDivisible)
        try await body(EtcdClusterPlace(box: box, cluster: cluster, client: Etcdctl(cluster.servers, in: box)))
    }
}

/// What happens to a member of a cluster.
enum MemberFault: String, CaseIterable, CustomTestStringConvertible {
    case killed, stopped
    case cutOff = "cut off from the others"

    var testDescription: String { rawValue }

    func strike(_ server: EtcdServer, of cluster: EtcdCluster) async throws {
        switch self {
        case .killed: server.kill()
        case .stopped: try await server.pause()
        case .cutOff: cluster.isolate(server)
        }
    }

    func end(_ server: EtcdServer, of cluster: EtcdCluster) async throws {
        switch self {
        case .killed: try await server.start()
        case .stopped: server.resume()
        case .cutOff: cluster.join()
        }
    }
}
