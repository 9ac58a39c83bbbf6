import Glibc
import QQCore
import Support
import Testing

/// A test's own NATS server, with elections in one format.
struct NATSPlace: Sendable {
    let box: Sandbox
    let server: NATSServer
    let format: GoNode.Format
    /// A client independent of the product, to see what is really stored.
    let raw: RawNATS

    init(_ box: Sandbox, _ server: NATSServer, _ format: GoNode.Format) throws {
        self.box = box
        self.server = server
        self.format = format
        raw = try RawNATS(server.port)
    }

    /// Names the format, so that new buckets have this one.
    var url: String { server.url + "?format=\(format)" }

    // MARK: Stored values

    func bucket(_ name: String = "x") -> String { format == .v1 ? "cluster-" + name : "KV_CLUSTER_" + name }
    func stream(_ name: String = "x") -> String { "KV_" + bucket(name) }
    var leaseKey: String { format == .v1 ? "lease" : "leader" }
    func cooldownKey(_ node: String) -> String { format == .v1 ? "cooldown-" + node : "cooldown." + node }

    /// The message under the lease key; nil if there is none, or a tombstone.
    func lease(_ name: String = "x") throws -> StoredMessage? {
        guard let found = try raw.key(leaseKey, in: bucket(name)), !found.isDeletion else { return nil }
        return found
    }

    func cooldown(_ node: String, _ name: String = "x") throws -> StoredMessage? {
        guard let found = try raw.key(cooldownKey(node), in: bucket(name)), !found.isDeletion else { return nil }
        return found
    }

    /// Number of micro services that answer.
    func services() throws -> Int { try raw.requestMany("$SRV.PING").count { $0.status == nil } }

    // MARK: qq

    private func environment(_ more: [String: String]) -> [String: String] { ["QQ_SERVER": url].merging(more) { $1 } }

    /// Environment of another user on this machine, with respect to saved grants.
    var elsewhere: [String: String] { ["XDG_RUNTIME_DIR": box.path("home")] }

    func qq(_ words: String..., environment: [String: String] = [:]) throws -> Started {
        try box.start([Sandbox.binary] + words, environment: self.environment(environment))
    }

    func run(
        _ words: String..., environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Run {
        try await box.start([Sandbox.binary] + words, environment: self.environment(environment)).finish(sourceLocation)
    }

    func run(_ words: [String]) async throws -> Run {
        try await box.start([Sandbox.binary] + words, environment: environment([:])).finish()
    }

    /// Holds an election with a guarded command that does nothing until it is ended.
    func hold(_ name: String = "x", _ options: String..., environment: [String: String] = [:]) async throws -> Started {
        let holder = try box.start(
            [Sandbox.binary, "acquire", name] + options + ["--", "sh", "-c", "echo held; exec sleep 600"],
            environment: self.environment(environment))
        try await waitUntil("\(name) is held: \(holder.errors)") {
            guard holder.child.isRunning else { throw TimedOut("the holder ended: \(holder.errors)") }
            return holder.output.contains("held")
        }
        return holder
    }
}

/// Runs a test on a server of its own.
func onNATS(
    _ version: NATSVersion, _ format: GoNode.Format, _ load: Gate.Load = .light, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: (NATSPlace) async throws -> Void
) async throws {
    try await inSandbox(load, sourceLocation: sourceLocation) { box in
        try await body(NATSPlace(box, try await NATSServer.start(version, in: box), format))
    }
}

extension Started {
    /// The JSON objects printed so far, one a line.
    func told() throws -> [JSONObject] { try output.split(separator: "\n").map { try object($0) } }

    func events() throws -> [String] { try told().map { $0["event"]?.stringValue ?? "?" } }

    /// Waits for the `count`th event with this name.
    @discardableResult
    func event(_ name: String, count: Int = 1, within limit: Duration = waitingTime) async throws -> JSONObject {
        try await waitFor("\(count) × \(name) in \(output) \(errors)", within: limit) {
            guard child.isRunning || output.contains(name) else { throw TimedOut("qq ended: \(output) \(errors)") }
            let found = try told().filter { $0["event"]?.stringValue == name }
            return found.count >= count ? found[count - 1] : nil
        }
    }
}

extension Run {
    /// The JSON object that `--json` printed.
    func json() throws -> JSONObject { try object(text.dropLast()) }
    /// The fields of each line.
    var records: [[String]] { lines.map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) } }
}
