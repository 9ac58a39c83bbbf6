import Glibc
import QQCore
import Support
import Testing

/// All that `qq keepalive` sends differently from the Go nodes, and why. Everything else is compared field by field, and each of these
/// differences has to occur.
private enum Deliberate {
    struct Field: Hashable {
        /// How the line begins.
        var line: String
        var field: String
        var reason: String
    }

    static let fields: [Field] = [
        .init(line: "CONNECT", field: "lang", reason: "names the client library"),
        .init(line: "CONNECT", field: "version", reason: "names the client library"),
        .init(line: "CONNECT", field: "name", reason: "operators recognize qq in the server's list of connections"),
        .init(line: "SUB ", field: "sid", reason: "each client numbers its own subscriptions"),
        .init(line: "SUB ", field: "form", reason: "contains the number; the two spaces of a missing queue group mean nothing"),
        .init(
            line: "take", field: "header Nats-Msg-Id",
            reason: "identifies the term: distinguishes two processes with one node id, and a repeated write"),
        .init(line: "renew", field: "header Nats-Msg-Id", reason: "as in taking the lease"),
        .init(line: "delete", field: "header Nats-Expected-Last-Subject-Sequence", reason: "never deletes another holder's lease"),
        .init(
            line: "cool down", field: "header Nats-Expected-Last-Subject-Sequence",
            reason: "a Go node creates the key, or overwrites it if that fails: one overwriting put has the same effect"),
        .init(line: "take", field: "payload.epoch", reason: "greater than all earlier epochs, because it follows the stream's sequence"),
        .init(line: "renew", field: "payload.epoch", reason: "as in taking the lease"),
        .init(line: "PUB _INBOX.", field: "payload.epoch", reason: "as in the lease"),
    ]

    /// Lines that only Go nodes send.
    static let onlyTheirs: [(line: String, reason: String)] = [
        ("PUB $JS.API.INFO", "asks for JetStream, whose presence the next answer shows as well"),
        (
            "PUB $JS.API.DIRECT.GET.",
            "a read before each write; qq names the revision that it replaces, and reads only before the first write"
        ),
        ("UNSUB ", "the end of the connection does the same"),
    ]

    /// Lines that only `qq` sends.
    static let onlyOurs: [(line: String, reason: String)] = [
        ("PUB $JS.API.STREAM.INFO.", "reads the bucket's settings, the last sequence and the server's clock"),
        ("PUB $JS.API.DIRECT.GET.", "a read before the first write, as Go nodes do before each"),
        ("PUB $JS.API.STREAM.MSG.GET.", "decisive reads ask the stream's leader, because other servers can lag"),
        ("SUB $KV.", "a leader is notified immediately when another node writes to its lease"),
        ("UNSUB ", "ends that subscription after the term"),
        ("PUB $JS.API.CONSUMER.DELETE.", "a watch that has ended leaves no consumer behind"),
    ]
}

extension [ComparableLine] {
    /// Names writes of leases and cooldowns by their action, everything else by its subject.
    fileprivate func byStep(_ format: GoNode.Format) -> [ComparableLine] {
        let (lease, cooldown) = format == .v1 ? (".lease", ".cooldown-") : (".leader", ".cooldown.")
        return map { line in
            guard line.what.hasPrefix("HPUB $KV.") || line.what.hasPrefix("PUB $KV.") else { return line }
            var line = line
            let subject = line.what.drop { $0 != "$" }
            let isDeletion = line.fields["header KV-Operation"] == "DEL"
            if line.what.hasSuffix(lease) {
                let isFirst = line.fields["header Nats-Expected-Last-Subject-Sequence"] == "0"
                line.what = (isDeletion ? "delete " : isFirst ? "take " : "renew ") + subject
            } else if line.what.contains(cooldown) {
                line.what = (isDeletion ? "end cooldown " : "cool down ") + subject
            }
            return line
        }
    }

    /// Without the deliberate differences.
    fileprivate func comparable(except kept: Deliberate.Field? = nil) -> [ComparableLine] {
        map { line in
            var line = line
            for known in Deliberate.fields where known != kept && line.what.hasPrefix(known.line) { line.fields[known.field] = nil }
            return line
        }
    }

    /// Each line once, in order of first occurrence.
    fileprivate var distinct: [ComparableLine] {
        var seen: Set<ComparableLine> = []
        return filter { seen.insert($0).inserted }
    }

    fileprivate func without(_ known: [(line: String, reason: String)]) -> [ComparableLine] {
        filter { line in !known.contains { line.what.hasPrefix($0.line) } }
    }
}

@Suite("qq sends the same lines as the Go nodes")
struct NATSRecordingTests {
    private func node(_ name: String, _ tap: LineTap, _ format: GoNode.Format, in box: Sandbox) throws -> Started {
        // Configured like the recorded nodes.
        try box.qq(
            "-s", "nats://127.0.0.1:\(tap.port)?format=\(format)", "keepalive", "demo", "--id", name, "--ttl", "3s", "--renew-every", "1s",
            "--jitter", "0", "--json", environment: ["XDG_RUNTIME_DIR": box.path(name == "node-a" ? "run" : "home")])
    }

    /// Compares qq's lines of one kind with the recorded ones. Returns the deliberate differences that occurred.
    private func compare(
        _ kind: String, _ ours: [ComparableLine], _ recorded: [ComparableLine], sourceLocation: SourceLocation = #_sourceLocation
    ) -> Set<Deliberate.Field> {
        let (ours, recorded) = (ours.filter { $0.what.hasPrefix(kind) }, recorded.filter { $0.what.hasPrefix(kind) })
        #expect(!recorded.isEmpty, "no line of this kind is recorded: \(kind)", sourceLocation: sourceLocation)
        func found(_ kept: Deliberate.Field? = nil) -> [String] {
            differences(ours.comparable(except: kept).distinct, recorded: recorded.comparable(except: kept).distinct)
        }
        #expect(found() == [], "\(kind)", sourceLocation: sourceLocation)
        return Set(Deliberate.fields.filter { !found($0).isEmpty })
    }

    /// Expects that every other line is known as one side's own.
    private func expectNothingElse(_ ours: [ComparableLine], _ recorded: [ComparableLine], compared kinds: [String]) {
        let known = kinds.map { (line: $0, reason: "") }
        #expect(ours.without(known + Deliberate.onlyOurs) == [])
        #expect(recorded.without(known + Deliberate.onlyTheirs) == [])
    }

    @Test("v2: qq sends what Go nodes send as leader and follower, when asked, stepping down and taking over")
    func v2() async throws {
        try await inSandbox(.heavy) { box in
            let server = try await NATSServer.start(in: box)
            let tap = try LineTap(to: server.port, in: box)
            let a = try node("node-a", tap, .v2, in: box)
            try await a.event("renewed", count: 2)
            let b = try node("node-b", tap, .v2, in: box)
            try await b.event("waiting")
            let client = try RawNATS(server.port)
            _ = try client.request("cluster_demo.status.node-a")
            _ = try client.request("cluster_demo.status.node-b")
            _ = try client.request("cluster_demo.ping.node-b")
            for subject in ["$SRV.PING", "$SRV.INFO.cluster_demo", "$SRV.STATS.cluster_demo"] {
                #expect(try client.requestMany(subject, expected: 2, quiet: .milliseconds(150)).count == 2)
            }
            _ = try client.request("cluster_demo.control.node-b.stepdown")
            _ = try client.request("cluster_demo.control.node-a.stepdown")
            try await b.event("renewed", count: 2)
            _ = try client.request("cluster_demo.status.node-b")
            kill(a.pid, SIGKILL)
            try await a.child.wait()
            // A Go node keeps its lease when it is told to stop; `qq` releases it.
            let beforeStop = tap.lines.count
            try await b.terminate()
            #expect(tap.problems.isEmpty)

            let recording = try Recording(.v2).lines
            let lines = Array(tap.lines.prefix(beforeStop))
            func of(_ connection: Int) -> (ours: [ComparableLine], recorded: [ComparableLine]) {
                (lines.comparable([connection]).byStep(.v2), recording.comparable([connection]).byStep(.v2))
            }
            let (leader, follower) = (of(1), of(2))
            var met: Set<Deliberate.Field> = []
            let kinds = [
                "CONNECT", "SUB _INBOX.", "SUB $SRV.", "SUB cluster_demo.", "PUB $JS.API.STREAM.CREATE.", "PUB $JS.API.CONSUMER.CREATE.",
                "end cooldown ", "take ", "renew ", "cool down ", "delete ", "PUB _INBOX.",
            ]
            for kind in [
                "CONNECT", "SUB $SRV.", "SUB cluster_demo.", "PUB $JS.API.STREAM.CREATE.", "take ", "renew ", "cool down ", "delete ",
                "PUB _INBOX.",
            ] {
                met.formUnion(compare(kind, leader.ours, leader.recorded))
            }
            // After a step-down there is a tombstone, over which a Go node first tries to create the key.
            let followed = follower.recorded.filter { !$0.what.hasPrefix("take ") }
            for kind in [
                "CONNECT", "SUB _INBOX.", "SUB $SRV.", "SUB cluster_demo.", "PUB $JS.API.CONSUMER.CREATE.", "end cooldown ", "renew ",
                "PUB _INBOX.",
            ] {
                met.formUnion(compare(kind, follower.ours, followed))
            }
            expectNothingElse(leader.ours + follower.ours, leader.recorded + follower.recorded, compared: kinds)
            // Epochs follow the stream's sequence, so they can happen to equal the recorded ones.
            #expect(Set(Deliberate.fields.filter { $0.field != "payload.epoch" }).subtracting(met) == [])
            // The order of the writes that other nodes see.
            let steps = ["take ", "renew ", "cool down ", "delete "]
            let writes = leader.ours.compactMap { line in steps.first { line.what.hasPrefix($0) } }
            #expect(writes.first == "take " && writes.dropFirst().dropLast(2).allSatisfy { $0 == "renew " })
            #expect(writes.suffix(2) == ["cool down ", "delete "])
            let end = try #require(leader.ours.lastIndex { $0.what.hasPrefix("delete ") })
            let answer = try #require(leader.ours.lastIndex { $0.what.hasPrefix("PUB _INBOX.") && $0.fields["payload.ok"] == "true" })
            #expect(end < answer, "qq answers when it has stepped down")
        }
    }

    @Test("v1: qq sends what Go nodes send as leader and follower, when asked, and taking over an expired lease")
    func v1() async throws {
        try await inSandbox(.heavy) { box in
            let server = try await NATSServer.start(in: box)
            let tap = try LineTap(to: server.port, in: box)
            let a = try node("node-a", tap, .v1, in: box)
            try await a.event("renewed", count: 2)
            let b = try node("node-b", tap, .v1, in: box)
            try await b.event("waiting")
            let client = try RawNATS(server.port)
            _ = try client.request("cluster.demo.health.node-a")
            kill(a.pid, SIGKILL)
            try await a.child.wait()
            try await b.event("renewed", count: 2)
            let beforeStop = tap.lines.count
            try await b.terminate()
            #expect(tap.problems.isEmpty)

            let recording = try Recording(.v1).lines
            let lines = Array(tap.lines.prefix(beforeStop))
            // The Go nodes had a separate connection for health.
            let leader = (ours: lines.comparable([1]).byStep(.v1), recorded: recording.comparable([1, 2]).byStep(.v1))
            let follower = (ours: lines.comparable([2]).byStep(.v1), recorded: recording.comparable([3, 4]).byStep(.v1))
            for kind in ["CONNECT", "SUB cluster.demo.", "PUB $JS.API.STREAM.CREATE.", "take ", "renew ", "PUB _INBOX."] {
                _ = compare(kind, leader.ours, leader.recorded)
            }
            for kind in ["CONNECT", "SUB cluster.demo.", "end cooldown ", "renew "] { _ = compare(kind, follower.ours, follower.recorded) }
            // v1 followers poll; `qq` watches, as v2 followers do.
            let watch = ["SUB _INBOX.", "PUB $JS.API.CONSUMER.CREATE."]
            expectNothingElse(
                leader.ours + follower.ours, leader.recorded + follower.recorded,
                compared: ["CONNECT", "SUB cluster.demo.", "PUB $JS.API.STREAM.CREATE.", "take ", "renew ", "end cooldown ", "PUB _INBOX."]
                    + watch)
        }
    }

    @Test("a comparison fails if a field differs")
    func canFail() throws {
        let recorded = try Recording(.v2).lines.comparable([1]).byStep(.v2)
        var ours = recorded
        let place = try #require(ours.firstIndex { $0.what.hasPrefix("PUB $JS.API.STREAM.CREATE.") })
        ours[place].fields["payload.max_age"] = "1"
        #expect(differences(ours.comparable(), recorded: recorded.comparable()).count == 1)
        #expect(recorded.without(Deliberate.onlyTheirs).count < recorded.count)
    }
}
