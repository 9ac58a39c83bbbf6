import Glibc
import QQCore
import Support
import Testing

/// A NATS server of a test's own, and elections in one format on it.
struct NATSPlace: Sendable {
    let box: Sandbox
    let server: NATSServer
    let format: GoNode.Format
    /// Knows nothing of the product: what it sees is so.
    let raw: RawNATS

    init(_ box: Sandbox, _ server: NATSServer, _ format: GoNode.Format) throws {
        self.box = box
        self.server = server
        self.format = format
        raw = try RawNATS(server.port)
    }

    /// Names the format, so that whoever creates a bucket does so in this one.
    var url: String { server.url + "?format=\(format)" }

    // MARK: What is stored

    func bucket(_ name: String = "x") -> String { format == .v1 ? "cluster-" + name : "KV_CLUSTER_" + name }
    func stream(_ name: String = "x") -> String { "KV_" + bucket(name) }
    var leaseKey: String { format == .v1 ? "lease" : "leader" }
    func cooldownKey(_ node: String) -> String { format == .v1 ? "cooldown-" + node : "cooldown." + node }

    /// What stands under the lease key; nil where nothing does, or a tombstone.
    func lease(_ name: String = "x") throws -> StoredMessage? {
        guard let found = try raw.key(leaseKey, in: bucket(name)), !found.isDeletion else { return nil }
        return found
    }

    func cooldown(_ node: String, _ name: String = "x") throws -> StoredMessage? {
        guard let found = try raw.key(cooldownKey(node), in: bucket(name)), !found.isDeletion else { return nil }
        return found
    }

    /// How many micro services answer.
    func services() throws -> Int { try raw.requestMany("$SRV.PING").count { $0.status == nil } }

    // MARK: qq

    private func environment(_ more: [String: String]) -> [String: String] { ["QQ_SERVER": url].merging(more) { $1 } }

    /// Another user on this machine, as far as saved grants go.
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

    /// Holds an election under guard with a command that does nothing until it is ended.
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
    /// What `--json` has told so far, a line each.
    func told() throws -> [JSONObject] { try output.split(separator: "\n").map { try object($0) } }

    func events() throws -> [String] { try told().map { $0["event"]?.stringValue ?? "?" } }

    /// Waits for the `count`th event of this name.
    @discardableResult
    func event(_ name: String, count: Int = 1, within limit: Duration = .seconds(20)) async throws -> JSONObject {
        try await waitFor("\(count) × \(name) in \(output) \(errors)", within: limit) {
            guard child.isRunning || output.contains(name) else { throw TimedOut("it ended: \(output) \(errors)") }
            let found = try told().filter { $0["event"]?.stringValue == name }
            return found.count >= count ? found[count - 1] : nil
        }
    }
}

extension Run {
    /// What `--json` printed.
    func json() throws -> JSONObject { try object(text.dropLast()) }
    /// The fields of each line.
    var records: [[String]] { lines.map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) } }
}
