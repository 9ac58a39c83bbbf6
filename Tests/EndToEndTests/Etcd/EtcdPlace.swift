import Support
import Testing

/// A real etcd of a test's own.
struct EtcdPlace {
    let box: Sandbox
    let server: EtcdServer
    /// etcd's own client, to see and change what is really stored.
    let client: Etcdctl

    var environment: [String: String] { ["QQ_SERVER": server.url] }

    func qq(_ words: [String], environment more: [String: String] = [:]) throws -> Started {
        try box.start([Sandbox.binary] + words, environment: environment.merging(more) { $1 })
    }

    func qq(_ words: String...) throws -> Started { try qq(words) }

    func run(_ words: String..., environment: [String: String] = [:]) async throws -> Run {
        try await qq(words, environment: environment).finish()
    }

    /// Starts `qq acquire` with a command that leaves stamps.
    func work(_ options: [String] = [], _ work: [String] = []) throws -> Started {
        try qq(["acquire", "x"] + options + ["--", Sandbox.stamp, box.path("stamps")] + work)
    }

    /// All keys that are stored.
    func keys() async throws -> [Substring] {
        try await client.succeed("get", "--from-key", "--keys-only", "").split(separator: "\n").filter { !$0.isEmpty }
    }
}

/// Runs a test on a real etcd of its own.
func onEtcd(_ load: Gate.Load = .light, _ body: (EtcdPlace) async throws -> Void) async throws {
    try await inSandbox(load) { box in
        let server = try await EtcdServer.start(in: box)
        try await body(EtcdPlace(box: box, server: server, client: Etcdctl(server, in: box)))
    }
}
