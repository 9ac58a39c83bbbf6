import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

/// The systems that carry notes.
enum NotedSystem: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case files, nats, natsV1, kubernetes, etcd, consul

    var testDescription: String { rawValue }

    /// Runs a test on a server of its own, with the environment that names the server.
    func run(_ body: (Sandbox, [String: String]) async throws -> Void) async throws {
        switch self {
        case .files: try await inSandbox { try await body($0, [:]) }
        case .nats: try await onNATS(.latest, .v2) { try await body($0.box, ["QQ_SERVER": $0.url]) }
        case .natsV1: try await onNATS(.latest, .v1) { try await body($0.box, ["QQ_SERVER": $0.url]) }
        case .kubernetes: try await onKubernetes { try await body($0.box, $0.environment) }
        case .etcd: try await onEtcd { try await body($0.box, $0.environment) }
        case .consul: try await onConsul { try await body($0.box, $0.environment()) }
        }
    }
}

@Suite("Notes")
struct NoteTests {
    private static let note = "build 417, by Ann"

    private func status(_ box: Sandbox, _ environment: [String: String], _ name: String = "x") async throws -> JSONObject {
        try await box.run("status", name, "--json", environment: environment).json()
    }

    @Test(
        "a note is shown beside the leader while it leads, is no part of its identity, and goes with it", arguments: NotedSystem.allCases)
    func shown(system: NotedSystem) async throws {
        try await system.run { box, environment in
            let watch = try box.qq("watch", "x", "--json", environment: environment)
            try await watch.event("state")
            let holder = try await box.hold("x", "--id", "ann", "--note", Self.note, environment: environment)
            let held = try await box.run("status", "x", "--json", environment: environment)
            try checkSchema(held.text, Schemas.status)
            #expect(try held.json()["leader"] == "ann" && held.json()["note"] == .string(Self.note), "\(held.text)")
            // Programs cut columns out by their number.
            let record = try await box.run("status", "x", environment: environment)
            #expect(record.records.first?.prefix(3) == ["x", "held", "ann"] && !record.text.contains(Self.note), "\(record.text)")
            let list = try await box.run("status", "--all", "--json", environment: environment)
            #expect(list.text.contains(#""note":"\#(Self.note)""#), "\(list.text)")
            let refused = try await box.run("acquire", "x", "--id", "bob", environment: environment)
            #expect(refused.ending == .exited(1) && refused.errors.contains("held by ann (\(Self.note))"), "\(refused.errors)")
            let elected = try await watch.event("elected")
            #expect(elected["leader"] == "ann" && elected["note"] == .string(Self.note), "\(watch.output)")

            try await holder.terminate()
            let free = try await status(box, environment)
            #expect(free["state"] == "free" && free["note"] == .null, "\(free)")
            // Otherwise the release and the next term can be one change.
            try await watch.event("released")
            // The same identity, which has no note this time.
            let next = try await box.hold("x", "--id", "ann", environment: environment)
            #expect(try await status(box, environment)["note"] == .null)
            let again = try await watch.event("elected", count: 2)
            #expect(again["leader"] == "ann" && again["note"] == .null, "\(watch.output)")
            try await next.terminate()
            watch.child.signal(SIGTERM)
            _ = try await watch.finish()
            try checkSchema(watch.output, Schemas.watch, lines: watch.output.split(separator: "\n").count)
        }
    }

    @Test(
        "keepalive leads with a note and renews it; a term that it resumes keeps its own, and that is said", arguments: NotedSystem.allCases
    )
    func keepalive(system: NotedSystem) async throws {
        try await system.run { box, environment in
            #expect(
                try await box.run("acquire", "x", "--ttl", "60s", "--id", "ann", "--note", "first", environment: environment).ending
                    == .exited(0))
            let resuming = try box.qq("keepalive", "x", "--json", "--renew-every", "300ms", "--note", "second", environment: environment)
            try await resuming.event("renewed", count: 2)
            #expect(try await status(box, environment)["note"] == "first")
            #expect(resuming.errors.contains("the resumed term keeps its note (first)"), "\(resuming.errors)")
            try await resuming.terminate()
            let fresh = try box.qq(
                "keepalive", "x", "--json", "--ttl", "60s", "--renew-every", "300ms", "--id", "ann", "--note", "second",
                environment: environment
            )
            try await fresh.event("renewed", count: 2)
            #expect(try await status(box, environment)["note"] == "second")
            #expect(!fresh.errors.contains("resumed"), "\(fresh.errors)")
            try await fresh.terminate()
            #expect(try await status(box, environment)["note"] == .null)
        }
    }

    @Test("the holder of a slot has a note of its own", arguments: NotedSystem.allCases)
    func slots(system: NotedSystem) async throws {
        try await system.run { box, environment in
            let one = try await box.hold("web", "--slots", "2", "--id", "ann", "--note", Self.note, environment: environment)
            let two = try await box.hold("web", "--slots", "2", "--id", "bob", environment: environment)
            let run = try await box.run("status", "web", "--json", environment: environment)
            try checkSchema(run.text, Schemas.status)
            let found = try run.json()
            #expect(found["note"] == .null)
            let notes = (found["holders"]?.arrayValue ?? []).map {
                "\($0["leader"]?.stringValue ?? "?"): \($0["note"]?.stringValue ?? "-")"
            }
            #expect(Set(notes) == ["ann: \(Self.note)", "bob: -"], "\(run.text)")
            for holder in [one, two] { try await holder.terminate() }
        }
    }

    @Test("a waiter that leads next brings its own note", arguments: NotedSystem.allCases)
    func waiter(system: NotedSystem) async throws {
        try await system.run { box, environment in
            let holder = try await box.hold("x", "--id", "ann", "--note", "first", environment: environment)
            let next = try box.start(
                [
                    Sandbox.binary, "acquire", "x", "-v", "--id", "bob", "--note", "second", "--wait", "--", "sh", "-c",
                    "echo held; exec sleep 600",
                ],
                environment: environment)
            try await waitUntil("bob waits: \(next.errors)") { next.errors.contains("held by ann (first)") }
            try await holder.terminate()
            try await waitUntil("bob leads: \(next.errors)") { next.output.contains("held") }
            let found = try await status(box, environment)
            #expect(found["leader"] == "bob" && found["note"] == "second", "\(found)")
            try await next.terminate()
        }
    }

    @Test(
        "a system that carries no notes refuses one with 80, before anything is sent", arguments: ["qq", "raftlock"],
        ["acquire", "keepalive"])
    func refused(scheme: String, command: String) async throws {
        try await inSandbox { box in
            let name = scheme == "qq" ? "Quorum Quest" : "RaftLock"
            // Nothing listens there: a request would exit with 69, or wait.
            let run = try await box.run("-s", "\(scheme)://127.0.0.1:1", command, "x", "--note", "n")
            #expect(run.ending == .exited(80), "\(run.errors)")
            #expect(run.errors.hasPrefix("qq: cannot use --note: \(name) carries no note ("), "\(run.errors)")
            #expect(run.errors.contains("leave --note out"))
        }
    }

    @Test("a note that is no printable line of at most 256 bytes is refused with 64, and nothing is made")
    func unusable() async throws {
        try await inSandbox { box in
            for note in ["", "two\nlines", "a\u{1b}[31m", String(repeating: "n", count: 257)] {
                let run = try await box.run("acquire", "x", "--note", note, "--", "touch", box.path("ran"))
                #expect(run.ending == .exited(64), "\(note): \(run.errors)")
            }
            #expect(access(box.path("ran"), F_OK) != 0 && access(box.leaseFile("x"), F_OK) != 0)
        }
    }

    // MARK: Other programs

    @Test("etcdctl elect shows the identity alone, and a leader of etcdctl has no note") func etcdctl() async throws {
        try await onEtcd { etcd in
            let holder = try await etcd.box.hold("x", "--id", "ann", "--ttl", "60s", "--note", Self.note, environment: etcd.environment)
            let value = try await etcd.client.succeed("get", "--prefix", "x/", "--print-value-only")
            #expect(value.split(separator: "\n") == ["ann"], "\(value)")
            let next = try await etcd.inQueue { try etcd.client.elect("x", "alice") }
            #expect(!next.leads)
            try await holder.terminate()
            try await waitUntil("etcdctl leads: \(next.output)") { next.leads }
            let found = try await status(etcd.box, etcd.environment)
            #expect(found["leader"] == "alice" && found["note"] == .null, "\(found)")
            try await next.interrupt()
            #expect(try await etcd.keys() == [])
        }
    }

    @Test("a leader of client-go that keeps the annotation of a killed qq does not get its note") func clientGo() async throws {
        try await onCluster(.heavy) { place in
            // Unlike acquire, it has no guardian that gives the lease up.
            let holder = try place.qq(["keepalive", "x", "--json", "--id", "ann", "--ttl", "2s", "--note", Self.note])
            try await holder.event("elected")
            holder.child.signal(SIGKILL)
            _ = try await holder.finish()
            let peer = try place.clientGo("go")
            try await place.waitForLeader(peer)
            #expect(place.lease()?["metadata"]?["annotations"]?["qq/note"]?.stringValue?.hasSuffix(Self.note) == true, "it is kept")
            let found = try await place.run("status", "x", "--json").json()
            #expect(found["leader"] == "go" && found["note"] == .null, "\(found)")
        }
    }

    @Test("a Go node follows a leader with a note, and leads next without it", arguments: GoNode.Format.allCases)
    func goNode(format: GoNode.Format) async throws {
        try await onNATS(.latest, format, .heavy) { nats in
            let holder = try await nats.hold("x", "--id", "ann", "--ttl", "20s", "--note", Self.note)
            #expect(try nats.lease()?.json?["note"] == .string(Self.note))
            var settings = GoNode.Settings(format, cluster: "x", node: "go", port: nats.server.port)
            settings.ttl = .seconds(20)
            let go = try await GoNode.start(settings, in: nats.box)
            try await waitUntil("the Go node sees the leader: \(go.problem ?? "")") { go.leader == "ann" }
            try await holder.terminate()
            try await waitUntil("the Go node leads: \(go.problem ?? "")") { go.isLeader }
            let found = try await nats.run("status", "x", "--json").json()
            #expect(found["leader"] == "go" && found["note"] == .null, "\(found)")
            go.stop()
        }
    }

    @Test(
        "on a real Consul, a session takes the note in its name",
        .enabled(if: ConsulProgram.path != nil, Comment(rawValue: ConsulProgram.missing)))
    func realConsul() async throws {
        try await inSandbox(.heavy) { box in
            let server = try await RealConsul.start(in: box)
            let environment = ["QQ_SERVER": "consul://" + server.address]
            let holder = try await box.hold("x", "--id", "ann", "--note", Self.note, environment: environment)
            let found = try await status(box, environment)
            #expect(found["leader"] == "ann" && found["note"] == .string(Self.note), "\(found)")
            #expect(found["session_name"]?.stringValue?.contains(Self.note) == false)
            try await holder.terminate()
            #expect(try await status(box, environment)["note"] == .null)
        }
    }

    // MARK: Display

    @Test("a table has a column for notes only if there is one") func terminal() async throws {
        try await inSandbox { box in
            func shown(_ words: String...) async throws -> String {
                let at = try AtTerminal([Sandbox.binary] + words, in: box)
                _ = try await at.ending()
                return at.screen
            }
            _ = try await box.run("acquire", "plain", "--id", "bob")
            let bare = try await shown("status", "plain")
            #expect(bare.contains("ELECTION") && !bare.contains("NOTE"), "\(bare)")
            _ = try await box.run("acquire", "x", "--id", "ann", "--note", Self.note)
            let table = try await shown("status", "plain", "x")
            #expect(table.contains("NOTE") && table.contains(Self.note), "\(table)")
        }
    }

    @Test("a note in a lease file cannot write to the terminal") func hostile() async throws {
        try await inSandbox { box in
            let time = WallTime.now().rfc3339Nano
            try ForeignWriterTests.write(
                #"{"holder": "go", "renewTime": "\#(time)", "leaseDuration": 60000000000, "note": "\u001b]0;owned\u0007\#(String(repeating: "n", count: 2_000))"}"#,
                to: box.leaseFile("x"))
            let run = try await box.run("status", "x", "--json")
            let note = try #require(try run.json()["note"]?.stringValue)
            #expect(note.hasPrefix("\\x1b]0;owned\\x07n") && note.utf8.count < 300, "\(note)")
            let refused = try await box.run("acquire", "x")
            #expect(refused.ending == .exited(1) && !refused.errors.contains("\u{1b}"), "\(refused.errors)")
        }
    }
}
