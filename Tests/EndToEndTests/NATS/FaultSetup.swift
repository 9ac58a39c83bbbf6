import Glibc
import QQCore
import Support
import Testing

/// An election in a bucket, read without `qq`.
struct ObservedElection: Sendable {
    let name: String
    let format: GoNode.Format
    let ttl: Duration

    init(_ format: GoNode.Format, name: String = "x", ttl: Duration = .seconds(2)) {
        self.name = name
        self.format = format
        self.ttl = ttl
    }

    var bucket: String { (format == .v1 ? "cluster-" : "KV_CLUSTER_") + name }
    var stream: String { "KV_" + bucket }
    var key: String { format == .v1 ? "lease" : "leader" }
    var subject: String { "$KV.\(bucket).\(key)" }
    var maxAge: Duration { format == .v1 ? ttl * 2 : ttl }
    var nanoseconds: UInt64 { UInt64(ttl / .nanoseconds(1)) }

    /// The value of the lease key.
    struct Lease: Sendable, Hashable {
        var revision: UInt64
        var node: String?
        var epoch: Int64?
        /// When the server stored the value, on the clock of the stamps.
        var written: UInt64
    }

    /// The stored lease; nil if the lease is free.
    func lease(_ client: RawNATS) throws -> Lease? {
        guard let message = try client.key(key, in: bucket), !message.isDeletion else { return nil }
        let now = clocks()
        let age = now.wall - (try WallTime.parse(rfc3339: message.time))
        let boot = Int64(now.boot) - Int64(age / .nanoseconds(1))
        return Lease(
            revision: message.sequence, node: message.json?["node_id"]?.stringValue, epoch: message.json?["epoch"]?.int64Value,
            written: UInt64(max(0, boot)))
    }

    /// Both clocks at one moment. Reads them again if this process was interrupted in between.
    private func clocks() -> (boot: UInt64, wall: WallTime) {
        while true {
            let (before, wall, after) = (bootNow(), WallTime.now(), bootNow())
            if after - before < 1_000_000 { return (before, wall) }
        }
    }

    /// Creates the bucket of a cluster that runs already.
    func createBucket(_ client: RawNATS, replicas: Int64 = 1) throws { try client.createBucket(bucket, ttl: maxAge, replicas: replicas) }

    /// The value of a lease as a node writes it.
    func value(node: String, epoch: Int64 = 1, expiresIn: Duration? = nil) -> String {
        let now = WallTime.now()
        if format == .v1 {
            return
                #"{"node_id":"\#(node)","epoch":\#(epoch),"expires_at":"\#((now + (expiresIn ?? ttl)).rfc3339Nano)","acquired_at":"\#(now.rfc3339Nano)"}"#
        }
        return #"{"node_id":"\#(node)","epoch":\#(epoch),"acquired_at":\#(now.seconds * 1000)}"#
    }

    var ttlText: String { "\(Int(ttl / .milliseconds(1)))ms" }

    /// The arguments of `qq` that campaign for this election with a command that leaves stamps.
    func acquire(_ options: [String] = ["--wait"], id: String, log: String, work: [String] = []) -> [String] {
        ["acquire", name, "--verbose", "--id", id, "--ttl", ttlText] + options + ["--", Sandbox.stamp, log] + work
    }
}

extension Sandbox {
    /// Starts `qq` with a server URL in a format.
    func qq(_ words: [String], at url: String, _ format: GoNode.Format) throws -> Started {
        try start([Self.binary] + words, environment: ["QQ_SERVER": url + (url.contains("?") ? "&" : "?") + "format=\(format)"])
    }

    /// Shells that acquire `election` repeatedly, up to `terms` times each, until there is a file named `stop`. The file `codes` lists
    /// their exit codes.
    func contenders(
        _ count: Int, terms: Int = .max, _ election: ObservedElection, at url: String, work: String = "--for 3", log: String = "stamps"
    ) throws -> [Started] {
        try (0..<count).map { number in
            try start(
                [
                    "sh", "-c",
                    """
                    i=0
                    while [ $i -lt \(terms) ] && ! [ -e stop ]; do
                        i=$((i+1))
                        "$0" acquire \(election.name) --id node-\(number) --wait --ttl \(election.ttlText) -- "$1" "$2" \(work)
                        echo $? >>codes
                    done
                    """, Self.binary, Self.stamp, path(log),
                ],
                environment: ["QQ_SERVER": url + (url.contains("?") ? "&" : "?") + "format=\(election.format)"])
        }
    }

    /// How often the contenders exited with each code.
    var codes: [Int32: Int] {
        read("codes").split(separator: "\n").compactMap { Int32($0) }.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    /// Every `qq` process that campaigns or holds. A guardian has the name of its parent at first.
    var contending: [LivingProcess] {
        let named = living.filter { $0.name == "qq" }
        let pids = Set(named.map(\.pid))
        return named.filter { !pids.contains($0.parent) }
    }

    /// Waits until a `qq` that runs with --verbose waits for its turn.
    func waitForWaiter(_ qq: Started) async throws {
        try await waitUntil("qq waits: \(qq.errors)") {
            guard qq.child.isRunning else { throw TimedOut("qq ended instead of waiting: \(qq.child.ending as Any) \(qq.errors)") }
            return qq.errors.contains("waiting for")
        }
    }
}

extension Stamps {
    /// Violations of the promise: two commands at the same time, a token that does not grow, one token for two terms.
    var offences: [String] {
        let starts = Dictionary(grouping: all.filter { $0.what == .start && $0.role == "main" }, by: \.token)
        return violations + starts.filter { $0.value.count > 1 }.map { "token \($0.key) was given to \($0.value.count)" }
    }
}
