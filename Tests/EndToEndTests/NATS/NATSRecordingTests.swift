import Glibc
import QQCore
import Support
import Testing

/// All that `qq keepalive` sends in another way than the Go nodes, and why. Everything else is compared field by field, and each of these must really occur.
private enum Deliberate {
    struct Field: Hashable {
        /// What the line begins with.
        var line: String
        var field: String
        var reason: String
    }

    static let fields: [Field] = [
        .init(line: "CONNECT", field: "lang", reason: "names the client library"),
        .init(line: "CONNECT", field: "version", reason: "names the client library"),
        .init(line: "CONNECT", field: "name", reason: "operators see in the server's list of connections that it is qq"),
        .init(line: "SUB ", field: "sid", reason: "each client numbers its subscriptions as they come"),
        .init(line: "SUB ", field: "form", reason: "has the number in it; and two spaces where there is no queue group say nothing"),
        .init(
            line: "take", field: "header Nats-Msg-Id",
            reason: "marks the term: tells two processes of one node id apart, and a write that comes again"),
        .init(line: "renew", field: "header Nats-Msg-Id", reason: "as in taking the lease"),
        .init(line: "delete", field: "header Nats-Expected-Last-Subject-Sequence", reason: "never deletes another's lease"),
        .init(
            line: "cool down", field: "header Nats-Expected-Last-Subject-Sequence",
            reason: "a Go node creates it, and puts it where that fails: one write over whatever stands there comes to the same"),
        .init(line: "take", field: "payload.epoch", reason: "above all that were ever used, by the stream's sequence"),
        .init(line: "renew", field: "payload.epoch", reason: "as in taking the lease"),
        .init(line: "PUB _INBOX.", field: "payload.epoch", reason: "as in the lease"),
    ]

    /// What only Go nodes send.
    static let onlyTheirs: [(line: String, reason: String)] = [
        ("PUB $JS.API.INFO", "asks whether there is JetStream, which the answer to the next request tells as well"),
        ("PUB $JS.API.DIRECT.GET.", "read before each write; ours name the revision that they replace, and read only before the first"),
        ("UNSUB ", "the end of the connection does it"),
    ]

    /// What only we send.
    static let onlyOurs: [(line: String, reason: String)] = [
        ("PUB $JS.API.STREAM.INFO.", "how the bucket is set up, the last sequence, and the server's clock"),
        ("PUB $JS.API.DIRECT.GET.", "read before the first write, as by Go nodes, and not before each"),
        ("PUB $JS.API.STREAM.MSG.GET.", "what decides is read from the stream's leader: any other server may lag behind"),
        ("SUB $KV.", "a leader hears at once when somebody else writes to its lease"),
        ("UNSUB ", "of that, when the term has ended"),
        ("PUB $JS.API.CONSUMER.DELETE.", "a watch that has ended leaves nothing behind"),
    ]
}

extension [ComparableLine] {
    /// Writes of the lease and of cooldowns by what they do, everything else by its subject.
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

    /// Without what differs on purpose.
    fileprivate func comparable(except kept: Deliberate.Field? = nil) -> [ComparableLine] {
        map { line in
            var line = line
            for known in Deliberate.fields where known != kept && line.what.hasPrefix(known.line) { line.fields[known.field] = nil }
            return line
        }
    }

    /// Each line once, in the order in which it came first.
    fileprivate var distinct: [ComparableLine] {
        var seen: Set<ComparableLine> = []
        return filter { seen.insert($0).inserted }
    }

    fileprivate func without(_ known: [(line: String, reason: String)]) -> [ComparableLine] {
        filter { line in !known.contains { line.what.hasPrefix($0.line) } }
    }
}

@Suite("What qq sends is what the Go nodes sent")
struct NATSRecordingTests {
    private func node(_ name: String, _ tap: LineTap, _ format: GoNode.Format, in box: Sandbox) throws -> Started {
        // As the recorded nodes were configured.
        try box.qq(
            "-s", "nats://127.0.0.1:\(tap.port)?format=\(format)", "keepalive", "demo", "--id", name, "--ttl", "3s", "--renew-every", "1s",
            "--jitter", "0", "--json", environment: ["XDG_RUNTIME_DIR": box.path(name == "node-a" ? "run" : "home")])
    }

    /// One kind of lines of ours against the recorded ones of this kind; the deliberate differences that were met.
    private func compare(
        _ kind: String, _ ours: [ComparableLine], _ recorded: [ComparableLine], sourceLocation: SourceLocation = #_sourceLocation
    ) -> Set<Deliberate.Field> {
        let (ours, recorded) = (ours.filter { $0.what.hasPrefix(kind) }, recorded.filter { $0.what.hasPrefix(kind) })
        #expect(!recorded.isEmpty, "nothing of this kind is recorded: \(kind)", sourceLocation: sourceLocation)
        func found(_ kept: Deliberate.Field? = nil) -> [String] {
            differences(ours.comparable(except: kept).distinct, recorded: recorded.comparable(except: kept).distinct)
        }
        #expect(found() == [], "\(kind)", sourceLocation: sourceLocation)
        return Set(Deliberate.fields.filter { !found($0).isEmpty })
    }

    /// That there is no line of either side that was not compared, and is not known as one side's own.
    private func expectNothingElse(_ ours: [ComparableLine], _ recorded: [ComparableLine], compared kinds: [String]) {
        let known = kinds.map { (line: $0, reason: "") }
        #expect(ours.without(known + Deliberate.onlyOurs) == [])
        #expect(recorded.without(known + Deliberate.onlyTheirs) == [])
    }

    @Test("v2: as leader and follower, asked, stepping down, taking over")
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
            // A Go node leaves its lease behind when it is told to stop; we give it up.
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
            // Over the tombstone of a step-down: a Go node first tries as if there were none.
            let followed = follower.recorded.filter { !$0.what.hasPrefix("take ") }
            for kind in [
                "CONNECT", "SUB _INBOX.", "SUB $SRV.", "SUB cluster_demo.", "PUB $JS.API.CONSUMER.CREATE.", "end cooldown ", "renew ",
                "PUB _INBOX.",
            ] {
                met.formUnion(compare(kind, follower.ours, followed))
            }
            expectNothingElse(leader.ours + follower.ours, leader.recorded + follower.recorded, compared: kinds)
            // Epochs go by the stream's sequence, which may come to be the recorded one.
            #expect(Set(Deliberate.fields.filter { $0.field != "payload.epoch" }).subtracting(met) == [])
            // The order of what others see.
            let steps = ["take ", "renew ", "cool down ", "delete "]
            let writes = leader.ours.compactMap { line in steps.first { line.what.hasPrefix($0) } }
            #expect(writes.first == "take " && writes.dropFirst().dropLast(2).allSatisfy { $0 == "renew " })
            #expect(writes.suffix(2) == ["cool down ", "delete "])
            let end = try #require(leader.ours.lastIndex { $0.what.hasPrefix("delete ") })
            let answer = try #require(leader.ours.lastIndex { $0.what.hasPrefix("PUB _INBOX.") && $0.fields["payload.ok"] == "true" })
            #expect(end < answer, "answered when it is done")
        }
    }

    @Test("v1: as leader and follower, asked, taking over an expired lease")
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
            // The Go nodes had a connection of their own for health.
            let leader = (ours: lines.comparable([1]).byStep(.v1), recorded: recording.comparable([1, 2]).byStep(.v1))
            let follower = (ours: lines.comparable([2]).byStep(.v1), recorded: recording.comparable([3, 4]).byStep(.v1))
            for kind in ["CONNECT", "SUB cluster.demo.", "PUB $JS.API.STREAM.CREATE.", "take ", "renew ", "PUB _INBOX."] {
                _ = compare(kind, leader.ours, leader.recorded)
            }
            for kind in ["CONNECT", "SUB cluster.demo.", "end cooldown ", "renew "] { _ = compare(kind, follower.ours, follower.recorded) }
            // Followers of v1 poll; we watch, as those of v2 do.
            let watch = ["SUB _INBOX.", "PUB $JS.API.CONSUMER.CREATE."]
            expectNothingElse(
                leader.ours + follower.ours, leader.recorded + follower.recorded,
                compared: ["CONNECT", "SUB cluster.demo.", "PUB $JS.API.STREAM.CREATE.", "take ", "renew ", "end cooldown ", "PUB _INBOX."]
                    + watch)
        }
    }

    @Test("A comparison fails for a field that differs")
    func canFail() throws {
        let recorded = try Recording(.v2).lines.comparable([1]).byStep(.v2)
        var ours = recorded
        let place = try #require(ours.firstIndex { $0.what.hasPrefix("PUB $JS.API.STREAM.CREATE.") })
        ours[place].fields["payload.max_age"] = "1"
        #expect(differences(ours.comparable(), recorded: recorded.comparable()).count == 1)
        #expect(recorded.without(Deliberate.onlyTheirs).count < recorded.count)
    }
}
