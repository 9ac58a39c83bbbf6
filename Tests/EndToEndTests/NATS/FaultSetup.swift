import Glibc
import QQCore
import Support
import Testing

/// An election in a bucket, looked at past `qq`.
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

    /// What stands in the lease key.
    struct Lease: Sendable, Hashable {
        var revision: UInt64
        var node: String?
        var epoch: Int64?
        /// When the server stored it, on the clock of the stamps.
        var written: UInt64
    }

    /// nil where nobody has it.
    func lease(_ client: RawNATS) throws -> Lease? {
        guard let message = try client.key(key, in: bucket), !message.isDeletion else { return nil }
        let now = clocks()
        let age = now.wall - (try WallTime.parse(rfc3339: message.time))
        let boot = Int64(now.boot) - Int64(age / .nanoseconds(1))
        return Lease(
            revision: message.sequence, node: message.json?["node_id"]?.stringValue, epoch: message.json?["epoch"]?.int64Value,
            written: UInt64(max(0, boot)))
    }

    /// Both clocks at one moment: read again where we were kept from it in between.
    private func clocks() -> (boot: UInt64, wall: WallTime) {
        while true {
            let (before, wall, after) = (bootNow(), WallTime.now(), bootNow())
            if after - before < 1_000_000 { return (before, wall) }
        }
    }

    /// The bucket of a cluster that runs already.
    func createBucket(_ client: RawNATS, replicas: Int64 = 1) throws { try client.createBucket(bucket, ttl: maxAge, replicas: replicas) }

    /// A lease as a node writes it.
    func value(node: String, epoch: Int64 = 1, expiresIn: Duration? = nil) -> String {
        let now = WallTime.now()
        if format == .v1 {
            return
                #"{"node_id":"\#(node)","epoch":\#(epoch),"expires_at":"\#((now + (expiresIn ?? ttl)).rfc3339Nano)","acquired_at":"\#(now.rfc3339Nano)"}"#
        }
        return #"{"node_id":"\#(node)","epoch":\#(epoch),"acquired_at":\#(now.seconds * 1000)}"#
    }

    var ttlText: String { "\(Int(ttl / .milliseconds(1)))ms" }

    /// The words after `qq` that campaign for it with work that leaves stamps.
    func acquire(_ options: [String] = ["--wait"], id: String, log: String, work: [String] = []) -> [String] {
        ["acquire", name, "--verbose", "--id", id, "--ttl", ttlText] + options + ["--", Sandbox.stamp, log] + work
    }
}

extension Sandbox {
    /// Starts `qq` on an election at a server.
    func qq(_ words: [String], at url: String, _ format: GoNode.Format) throws -> Started {
        try start([Self.binary] + words, environment: ["QQ_SERVER": url + (url.contains("?") ? "&" : "?") + "format=\(format)"])
    }

    /// Shells that take `election` again and again, at most `terms` times each, until there is a file named `stop`. How each try ended is in the file
    /// `codes`.
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

    /// How often each exit code came among the contenders.
    var codes: [Int32: Int] {
        read("codes").split(separator: "\n").compactMap { Int32($0) }.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    /// Every `qq` that campaigns or holds.
    var contending: [LivingProcess] { living.filter { $0.name == "qq" } }

    /// Waits until a `qq` that tells what it does waits for its turn.
    func waitForWaiter(_ qq: Started) async throws {
        try await waitUntil("it waits: \(qq.errors)") {
            guard qq.child.isRunning else { throw TimedOut("it ended instead of waiting: \(qq.child.ending as Any) \(qq.errors)") }
            return qq.errors.contains("waiting for")
        }
    }
}

extension Stamps {
    /// Everything that must never be: two at work at one time, a token that does not grow, one token for two terms.
    var offences: [String] {
        let starts = Dictionary(grouping: all.filter { $0.what == .start && $0.role == "main" }, by: \.token)
        return violations + starts.filter { $0.value.count > 1 }.map { "token \($0.key) was given to \($0.value.count)" }
    }
}
