import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

/// Names that several holders share, as those see them who hold none of their slots. The holders are those of the elections that the slots are.
@Suite("Reading names with slots")
struct SlotReadingTests {
    enum System: String, CaseIterable {
        case files, nats, etcd, consul, kubernetes, raftLock
    }

    /// Systems where a holder steps down without being outlasted.
    private static let askable: [System] = [.files, .nats, .etcd]

    /// A server, or a folder, of a test's own.
    struct Place {
        let box: Sandbox
        let environment: [String: String]

        func run(_ words: String..., more: [String: String] = [:]) async throws -> Run {
            try await box.start([Sandbox.binary] + words, environment: environment.merging(more) { $1 }).finish()
        }

        func qq(_ words: String...) throws -> Started { try box.start([Sandbox.binary] + words, environment: environment) }

        /// Holds a slot of `web` until the holder is ended.
        func hold(_ slot: Int, of count: Int = 3, by id: String) async throws -> Started {
            try await box.hold("web-slot-\(slot)-of-\(count)", "--id", id, "--ttl", "30s", environment: environment)
        }
    }

    private func on(_ system: System, _ body: (Place) async throws -> Void) async throws {
        switch system {
        case .files: try await inSandbox { try await body(Place(box: $0, environment: [:])) }
        case .nats: try await onNATS(.latest, .v2) { try await body(Place(box: $0.box, environment: ["QQ_SERVER": $0.url])) }
        case .etcd: try await onEtcd { try await body(Place(box: $0.box, environment: $0.environment)) }
        case .consul: try await onConsul { try await body(Place(box: $0.box, environment: $0.environment())) }
        case .kubernetes: try await onKubernetes { try await body(Place(box: $0.box, environment: $0.environment)) }
        case .raftLock: try await onRaftLock { try await body(Place(box: $0.box, environment: ["QQ_SERVER": $0.cluster.url])) }
        }
    }

    @Test("status shows a name with slots as one election, with all its holders", arguments: System.allCases)
    func status(system: System) async throws {
        try await on(system) { place in
            let holders = [try await place.hold(1, by: "a"), try await place.hold(3, by: "b")]
            let run = try await place.run("status", "web")
            #expect(run.ending == .exited(0), "\(run.errors)")
            let record = try #require(run.records.first)
            #expect(run.records.count == 1)
            #expect(record.prefix(3) == ["web", "held", "a,b"] && record.suffix(2) == ["2", "3"], "\(record)")
            #expect(record[3].split(separator: ",").count == 2, "both tokens: \(record)")
            // Consul does not show when the lease of another holder ends.
            #expect(system == .consul || Double(record[4]).map { $0 > 0 && $0 <= 30 } == true, "\(record)")

            let json = try await place.run("status", "web", "--json")
            try checkSchema(json.text, Schemas.status)
            let state = try json.json()
            #expect(state["state"] == "held" && state["leader"]?.isNull == true && state["slots"] == 3 && state["mine"] == false)
            let found = try #require(state["holders"]?.arrayValue)
            #expect(found.map { $0["slot"] } == [1, 3] && found.map { $0["leader"] } == ["a", "b"])
            #expect(found.map { $0["name"] } == ["web-slot-1-of-3", "web-slot-3-of-3"])
            for holder in found { #expect(schemaProblems(try #require(holder.objectValue), Schemas.status) == []) }

            // One row in a list, whose filters are about any slot, and the other slots are shown as well.
            for filter in [[], ["--held"], ["--owner", "b"], ["--match", "we"]] {
                let list = try await place.box.start([Sandbox.binary, "status", "--all"] + filter, environment: place.environment).finish()
                #expect(list.records.map { Array($0.prefix(3)) } == [["web", "held", "a,b"]], "\(filter): \(list.text) \(list.errors)")
            }
            #expect(try await place.run("status", "--all", "--owner", "c").text == "")
            #expect(try await place.run("status", "web", "--slots", "3").records.first?.suffix(2) == ["2", "3"])
            // On Consul all slots of a name are those of one semaphore.
            if system != .consul { #expect(try await place.run("status", "web", "--slots", "2").ending == .exited(1)) }
            #expect(try await place.run("status", "web-slot-3-of-3").records.first?[2] == "b")
            #expect(try await place.run("status", "web-slot-2-of-3").ending == .exited(1))
            #expect(try await place.run("__complete", "elections", "we").text == "web\n")
            for holder in holders { try await holder.terminate() }
            #expect(try await place.run("status", "web").ending == .exited(1))
        }
    }

    @Test("a name with a leader of its own, and one without slots, are shown as before") func plain() async throws {
        try await on(.files) { place in
            let slot = try await place.hold(1, by: "a")
            let holder = try await place.box.hold("web", "--id", "me")
            #expect(try await place.run("status", "web").records.first?.prefix(3) == ["web", "held", "me"])
            #expect(try await place.run("status", "other").text == "other\tfree\t-\t-\t-\n")
            #expect(try await place.run("status", "--all").records.map { $0[2] } == ["me", "a"])
            try await holder.terminate()
            #expect(try await place.run("status", "web").records.first?.prefix(3) == ["web", "held", "a"])
            try await slot.terminate()
        }
    }

    @Test("a name is ours if a slot is: by a saved grant, by --id, and inside the command that holds the slot") func mine() async throws {
        try await on(.files) { place in
            _ = try await place.run("acquire", "web-slot-2-of-3", "--id", "me")
            let elsewhere = ["XDG_RUNTIME_DIR": place.box.path("home")]
            let ours = try await place.run("status", "web", "--mine", "--json")
            #expect(ours.ending == .exited(0))
            #expect(try ours.json()["holders"]?.arrayValue?.first?["mine"] == true)
            #expect(try await place.run("status", "web", "--mine", more: elsewhere).ending == .exited(1))
            #expect(try await place.run("status", "web", "--mine", "--id", "me", more: elsewhere).ending == .exited(0))
            for (slot, code) in [("2", 0), ("1", 1), ("", 1)] {
                let inside = try await place.run(
                    "acquire", "db-slot-2-of-3", "--", "env", "QQ_NAME=db", "QQ_SLOT=\(slot)", Sandbox.binary, "status", "db", "--mine",
                    more: elsewhere)
                #expect(inside.ending == .exited(Int32(code)), "QQ_SLOT=\(slot): \(inside.text) \(inside.errors)")
            }
        }
    }

    @Test("holders that contend with --slots are found, and the command of one knows its own slot") func contenders() async throws {
        try await on(.files) { place in
            let first = try await place.box.hold("web", "--slots", "3", "--id", "a")
            #expect(try await place.run("status", "web").records.first?.prefix(3) == ["web", "held", "a"])
            let elsewhere = ["XDG_RUNTIME_DIR": place.box.path("home")]
            let inside = try await place.run(
                "acquire", "web", "--slots", "3", "--id", "b", "--", "sh", "-c",
                "\(Sandbox.binary) status web --mine && \(Sandbox.binary) status web-slot-$QQ_SLOT-of-3 --mine", more: elsewhere)
            #expect(inside.ending == .exited(0), "\(inside.text) \(inside.errors)")
            #expect(inside.records.first?.suffix(2) == ["2", "3"])
            #expect(try await place.run("status", "web", "--mine", more: elsewhere).ending == .exited(1))
            try await first.terminate()
        }
    }

    @Test("watch tells of each slot as a change of the name", arguments: System.allCases)
    func watch(system: System) async throws {
        try await on(system) { place in
            let first = try await place.hold(1, by: "a")
            let run = try place.qq("watch", "web", "--json")
            let state = try await run.event("state")
            #expect(state["name"] == "web" && state["state"] == "held" && state["slots"] == 3 && state["slot"]?.isNull == true)
            #expect(state["holders"]?.arrayValue?.map { $0["leader"] } == ["a"])
            let waiting = try place.qq("watch", "web", "--until", "free")
            try await waitUntil("the other watch has begun: \(waiting.errors)") { waiting.output.contains("state") }
            let second = try await place.hold(3, by: "b")
            let elected = try await run.event("elected")
            #expect(elected["name"] == "web" && elected["leader"] == "b" && elected["slot"] == 3)
            #expect(elected["holders"]?.arrayValue?.map { $0["slot"] } == [1, 3])
            try await first.terminate()
            let released = try await run.event("released")
            #expect(released["slot"] == 1 && released["state"] == "free" && released["leader"]?.isNull == true)
            #expect(released["holders"]?.arrayValue?.map { $0["slot"] } == [3])
            #expect(waiting.child.isRunning)
            try await second.terminate()
            #expect(try await waiting.finish().ending == .exited(0))
            _ = try await run.event("released", count: 2)
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
            try checkSchema(run.output, Schemas.watch, lines: 4)
        }
    }

    @Test("watch --slots follows slots that do not exist yet, and --exec gets the slot and its leader") func watchBefore() async throws {
        try await on(.files) { place in
            let run = try place.qq(
                "watch", "web", "--slots", "2", "--exec", "echo $QQ_NAME $QQ_EVENT [$QQ_SLOT] [$QQ_LEADER] >>log")
            try await waitUntil("watch has begun: \(run.errors)") { run.output.contains("\tweb\tstate\t-\t-\t-\t0\t2") }
            let holder = try await place.hold(2, of: 2, by: "b")
            try await waitUntil("the election: \(run.output)") { place.box.read("log") == "web elected [2] [b]\n" }
            #expect(run.output.contains("\tweb\telected\tb\t1\t2\t1\t2\n"), "\(run.output)")
            #expect(try await place.run("watch", "web", "--until", "leader=b").ending == .exited(0))
            try await holder.terminate()
            try await waitUntil("the release: \(run.output)") { place.box.read("log") == "web elected [2] [b]\nweb released [2] []\n" }
            run.child.signal(SIGTERM)
            _ = try await run.finish()
        }
    }

    @Test("step-down makes all holders step down, or those of a node", arguments: askable)
    func stepDown(system: System) async throws {
        try await on(system) { place in
            let holders = [try await place.hold(1, by: "a"), try await place.hold(2, by: "b"), try await place.hold(3, by: "a")]
            let denied = try await place.run("step-down", "web", "--yes")
            #expect(denied.ending == .exited(77) && denied.errors.contains("held by a, b and a"), "\(denied.errors)")
            #expect(try await place.run("step-down", "web", "--node", "c", "--force", "--yes").ending == .exited(1))
            #expect(try await place.run("status", "web").records.first?.suffix(2) == ["3", "3"])

            let one = try await place.run("step-down", "web", "--node", "b", "--force", "--yes", "--json")
            #expect(one.ending == .exited(0), "\(one.errors)")
            try checkSchema(one.text, Schemas.stepDown)
            #expect(try one.json()["holders"]?.arrayValue?.map { $0["stepped_down"] } == [false, true, false])
            #expect(try await holders[1].finish().ending == .exited(79))
            #expect(holders[0].child.isRunning && holders[2].child.isRunning)

            let all = try await place.run("step-down", "web", "--force", "--yes")
            #expect(all.ending == .exited(0), "\(all.errors)")
            #expect(all.records.sorted { $0[3] < $1[3] } == [["web", "stepped-down", "a", "1"], ["web", "stepped-down", "a", "3"]])
            for index in [0, 2] { #expect(try await holders[index].finish().ending == .exited(79)) }
            #expect(try await place.run("step-down", "web", "--force", "--yes").ending == .exited(1))
        }
    }

    @Test("step-down gives up our own slots without asking, and no others; one slot is named as the election that it is")
    func ownSlots() async throws {
        try await on(.files) { place in
            let other = try await place.hold(1, by: "a")
            _ = try await place.run("acquire", "web-slot-2-of-3", "--id", "me")
            let run = try await place.run("step-down", "web")
            #expect(run.text == "web\tstepped-down\tme\t2\n", "\(run.errors)")
            #expect(try await place.run("step-down", "web").ending == .exited(77))
            #expect(other.child.isRunning)
            let one = try await place.run("step-down", "web-slot-1-of-3", "--force", "--yes")
            #expect(one.text == "web-slot-1-of-3\tstepped-down\ta\n")
            #expect(try await other.finish().ending == .exited(79))
        }
    }

    @Test("a slot whose holder does not step down in time is named, and those of the others are told of") func slow() async throws {
        try await on(.files) { place in
            let quick = try await place.hold(1, by: "quick")
            let slow = try place.box.start([
                Sandbox.binary, "acquire", "web-slot-2-of-3", "--id", "slow", "--ttl", "180s", "--kill-after", "60s", "--", Sandbox.stamp,
                place.box.path("stamps"), "--ignore-term",
            ])
            _ = try await place.box.waitForTerms(1)
            let run = try await place.run("step-down", "web", "--force", "--yes", "--wait", "20s")
            #expect(run.ending == .exited(75))
            #expect(run.text == "web\tstepped-down\tquick\t1\n")
            #expect(run.errors.contains("slow has been asked to step down from web-slot-2-of-3"), "\(run.errors)")
            #expect(try await quick.finish().ending == .exited(79))
            slow.child.signal(SIGKILL)
            _ = try await slow.finish()
        }
    }

    @Test("contenders that disagree on the number of slots are shown, and commands that act ask for the number") func mixed() async throws {
        try await on(.files) { place in
            let holders = [try await place.hold(1, of: 2, by: "a"), try await place.hold(1, of: 3, by: "b")]
            let run = try await place.run("status", "web")
            #expect(run.ending == .exited(0))
            #expect(run.records.map { $0[2] } == ["a", "b"] && run.records.map(\.last) == ["2", "3"])
            #expect(run.errors.contains("web: contenders disagree on the number of slots"), "\(run.errors)")
            let json = try await place.run("status", "web", "--json")
            let elections = try #require(try json.json()["elections"]?.arrayValue)
            for election in elections { #expect(schemaProblems(try #require(election.objectValue), Schemas.status) == []) }
            #expect(elections.map { $0["other_slots"]?.arrayValue } == [[3], [2]])
            for words in [["watch", "web", "--for", "10s"], ["step-down", "web", "--force", "--yes"]] {
                let refused = try await place.box.start([Sandbox.binary] + words).finish()
                #expect(refused.ending == .exited(64) && refused.errors.contains("--slots N"), "\(words): \(refused.errors)")
            }
            #expect(try await place.run("step-down", "web", "--slots", "3", "--force", "--yes").ending == .exited(0))
            #expect(try await place.run("status", "web").records.first?.first == "web")
            #expect(try await holders[1].finish().ending == .exited(79))
            #expect(try await place.run("status", "web-slot-1-of-3", "--slots", "2").ending == .exited(64))
            try await holders[0].terminate()
        }
    }

    @Test("reading slots changes nothing in a folder") func readOnly() async throws {
        try await on(.files) { place in
            _ = try await place.run("acquire", "web-slot-1-of-3", "--id", "a", "--ttl", "1000s")
            // As another user; otherwise step-down would release this user's lease.
            let elsewhere = ["XDG_RUNTIME_DIR": place.box.path("home")]
            let before = (Snapshot(place.box.leases), Snapshot(place.box.path("state")), Snapshot(place.box.path("run")))
            for words in [
                ["status", "web"], ["status", "web", "--slots", "3"], ["status", "web", "--slots", "9"],
                ["watch", "web", "--until", "led"],
                ["watch", "web", "--slots", "7", "--for", "100ms"], ["step-down", "web", "--yes"], ["step-down", "web", "--slots", "4"],
            ] {
                _ = try await place.box.start([Sandbox.binary] + words, environment: elsewhere).finish()
                #expect(Snapshot(place.box.leases) == before.0, "\(words)")
            }
            #expect(Snapshot(place.box.path("state")) == before.1)
            #expect(Snapshot(place.box.path("run")) == before.2)
        }
    }

    @Test("cluster-status shows members of slots as members of the name, with the slot") func members() async throws {
        try await on(.nats) { place in
            let holders = [try await place.hold(1, by: "a"), try await place.box.hold("db", "--id", "c", environment: place.environment)]
            // On a busy machine an answer can come too late.
            var (run, members): (Run?, [JSONValue]) = (nil, [])
            for _ in 0..<10 where members.count < 2 {
                let again = try await place.run("cluster-status", "--json")
                (run, members) = (again, try again.json()["members"]?.arrayValue ?? [])
            }
            for member in members { #expect(schemaProblems(try #require(member.objectValue), Schemas.member) == []) }
            let slot = try #require(members.first { $0["id"] == "a" }?.objectValue, "\(run?.text ?? "")")
            #expect(slot["election"] == "web" && slot["slot"] == 1 && slot["slots"] == 3 && slot["role"] == "leader")
            let plain = try #require(members.first { $0["id"] == "c" }?.objectValue, "\(run?.text ?? "")")
            #expect(plain["election"] == "db" && plain["slot"] == nil)
            var record: [String]?
            for _ in 0..<10 where record == nil {
                record = try await place.run("cluster-status").records.first { $0[0] == "member" && $0[2] == "a" }
            }
            #expect(record?[1] == "web" && record?.suffix(2) == ["1", "3"], "\(record ?? [])")
            for holder in holders { try await holder.terminate() }
        }
    }

    @Test("a system that only shows our own leases reads slots if their number is given") func quorumQuest() async throws {
        try await onQuorumQuest { quest in
            _ = try await quest.run(["acquire", "web-slot-2-of-3", "--ttl", "60s"])
            let ours = try await quest.run(["status", "web", "--slots", "3", "--json"])
            #expect(ours.ending == .exited(0), "\(ours.errors)")
            try checkSchema(ours.text, Schemas.status)
            let state = try ours.json()
            #expect(state["mine"] == true && state["holders"]?.arrayValue?.map { $0["slot"] } == [2])
            #expect(try await quest.run(["status", "web/staging", "--slots", "3"]).ending == .exited(80))
            #expect(try await quest.run(["status", "web", "--slots", "2", "--mine"]).ending == .exited(1))
            #expect(try await quest.run(["step-down", "web", "--slots", "3"]).ending == .exited(0))
            #expect(quest.server.holder("web-slot-2-of-3") == nil)
        }
    }
}
