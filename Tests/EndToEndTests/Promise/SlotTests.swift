import Glibc
import QQCore
import Support
import Testing

/// The systems on which slots are tried.
enum SlotSystem: String, CaseIterable, Sendable {
    case files, nats, etcd, kubernetes, raftLock, quorumQuest, consul

    /// Runs a test on a server of its own, with the environment that names the server.
    func run(_ body: (Sandbox, [String: String]) async throws -> Void) async throws {
        switch self {
        case .files: try await inSandbox(.heavy) { try await body($0, [:]) }
        case .nats: try await NetworkedSystem.nats.run(body)
        case .etcd: try await onEtcd(.heavy) { try await body($0.box, $0.environment) }
        case .kubernetes: try await NetworkedSystem.kubernetes.run(body)
        case .raftLock: try await NetworkedSystem.raftLock.run(body)
        case .quorumQuest: try await NetworkedSystem.quorumQuest.run(body)
        case .consul: try await NetworkedSystem.consul.run(body)
        }
    }

    /// Whether another number of slots can be seen.
    var lists: Bool { self != .quorumQuest }
}

/// The terms of slots. A slot's tokens are those of an election of its own, so the stamps have the number of the slot and the time in their place.
private struct SlotStamps {
    /// The digits of the time in a stamp's token.
    private static let digits: UInt64 = 10_000_000_000_000_000
    /// Executes the program that follows with QQ_TOKEN made of the slot and the time.
    static let marking = [
        "sh", "-c", #"test -n "$QQ_SLOT" || exit 99; QQ_TOKEN=$QQ_SLOT$(date +%s%N | tail -c 17) exec "$0" "$@""#,
    ]

    let stamps: Stamps

    static func slot(_ term: Stamps.Term) -> Int { Int(term.token / digits) }

    var slots: Set<Int> { Set(stamps.terms.map { Self.slot($0) }) }

    /// The most terms that ran at the same time.
    var mostAtOnce: Int {
        let terms = stamps.terms
        // The number is largest when a term has just begun.
        return terms.map { begun in terms.count { $0.first <= begun.first && begun.first <= $0.last } }.max() ?? 0
    }

    /// Each case of two terms that ran in one slot at the same time, in words.
    var violations: [String] {
        Dictionary(grouping: stamps.terms, by: Self.slot).flatMap { slot, terms in
            zip(terms, terms.dropFirst()).compactMap { one, next in
                next.first <= one.last
                    ? "in slot \(slot), a term began \(Double(one.last - next.first) / 1e6) ms before another had ended" : nil
            }
        }
    }
}

@Suite("Never more than N", .serialized)
struct SlotTests {
    /// Starts `qq acquire NAME --slots N` with a command that leaves stamps.
    private func work(
        _ box: Sandbox, _ environment: [String: String], _ count: Int, _ options: [String] = [], _ work: [String] = [], name: String = "x"
    ) throws -> Started {
        try box.start(
            [Sandbox.binary, "acquire", name, "--slots", "\(count)"] + options + ["--"] + SlotStamps.marking
                + [Sandbox.stamp, box.path("stamps")] + work, environment: environment)
    }

    private func stamps(_ box: Sandbox) -> SlotStamps { SlotStamps(stamps: box.stamps()) }

    @Test("contenders are never more than N at work, and N of them are", arguments: SlotSystem.allCases)
    func atMost(system: SlotSystem) async throws {
        try await system.run { box, environment in
            let options = ["--wait", "--ttl", "60s", "--backoff", "100ms..500ms"]
            let first = try work(box, environment, 2, options, ["--every", "5"])
            _ = try await box.waitForTerms(1)
            let others = try (0..<4).map { _ in try work(box, environment, 2, options, ["--for", "700", "--every", "5"]) }
            _ = try await box.waitForTerms(3, within: .seconds(120))
            try await first.terminate()
            for contender in others {
                let run = try await contender.finish(within: .seconds(120))
                #expect(run.ending == .exited(0), "\(run.errors)")
            }
            let found = stamps(box)
            #expect(found.stamps.terms.count == 5)
            #expect(found.violations == [])
            #expect(found.mostAtOnce == 2)
            #expect(found.slots == [1, 2])
        }
    }

    @Test("when all slots are taken, the contender is told by whom, or that it cannot be known", arguments: SlotSystem.allCases)
    func taken(system: SlotSystem) async throws {
        try await system.run { box, environment in
            var holders: [Started] = []
            for number in 1...2 {
                holders.append(try work(box, environment, 2, ["--ttl", "60s", "--id", "holder-\(number)"]))
                _ = try await box.waitForTerms(number)
            }
            let late = try await work(box, environment, 2, ["--ttl", "60s"]).finish()
            #expect(late.ending == .exited(1))
            if system.lists {
                #expect(late.errors.contains("x is held: all 2 slots are taken (by holder-1 and holder-2)"), "\(late.errors)")
            } else {
                #expect(late.errors.contains("2 slots"), "\(late.errors)")
            }
            for holder in holders { try await holder.terminate() }
        }
    }

    @Test("a name with one slot has one holder", arguments: SlotSystem.allCases)
    func onlyOne(system: SlotSystem) async throws {
        try await system.run { box, environment in
            let holder = try work(box, environment, 1, ["--ttl", "60s"])
            _ = try await box.waitForTerms(1)
            let late = try await work(box, environment, 1, ["--ttl", "60s"]).finish()
            #expect(late.ending == .exited(1) && late.errors.contains("its only slot"), "\(late.errors)")
            try await holder.terminate()
            let next = try await work(box, environment, 1, ["--ttl", "60s", "--wait"], ["--for", "20"]).finish(within: .seconds(60))
            #expect(next.ending == .exited(0), "\(next.errors)")
            #expect(stamps(box).violations == [] && stamps(box).mostAtOnce == 1)
        }
    }

    @Test("the slot of a killed qq is taken over once its processes are dead, long before its lease ends", arguments: SlotSystem.allCases)
    func killed(system: SlotSystem) async throws {
        try await system.run { box, environment in
            let other = try work(box, environment, 2, ["--ttl", "120s"])
            _ = try await box.waitForTerms(1)
            let holder = try work(box, environment, 2, ["--ttl", "120s"], ["--child", "--daemon", "--ignore-term"])
            try await waitUntil("all its processes run: \(holder.errors)") { box.stamps().count("daemon") > 0 }
            let next = try work(box, environment, 2, ["--ttl", "120s", "--wait", "--backoff", "100ms..500ms"], ["--for", "50"])
            holder.child.signal(SIGKILL)
            let run = try await next.finish(within: .seconds(120))
            #expect(run.ending == .exited(0), "\(run.errors)")
            // The command in the other slot worked on.
            #expect(other.child.isRunning)
            let found = stamps(box)
            #expect(found.violations == [])
            #expect(found.mostAtOnce == 2)
            try await other.terminate()
        }
    }

    @Test("another number of slots, and none, are refused where elections are listed", arguments: SlotSystem.allCases.filter(\.lists))
    func otherNumbers(system: SlotSystem) async throws {
        try await system.run { box, environment in
            let holder = try work(box, environment, 3, ["--ttl", "60s"])
            _ = try await box.waitForTerms(1)
            for count in [2, 4] {
                let run = try await work(box, environment, count, ["--ttl", "60s", "--wait"]).finish()
                #expect(run.ending == .exited(78), "\(run.errors)")
                #expect(run.errors.contains("slot 1 of 3 is held by"), "\(run.errors)")
                #expect(run.errors.contains("--slots 3"), "\(run.errors)")
            }
            #expect(box.stamps().terms.count == 1)
            try await holder.terminate()
            let plain = try box.start(
                [Sandbox.binary, "acquire", "y", "--ttl", "60s", "--", Sandbox.stamp, box.path("plain")], environment: environment)
            _ = try await box.waitForTerms(1, log: "plain")
            let run = try await work(box, environment, 2, ["--ttl", "60s"], name: "y").finish()
            #expect(run.ending == .exited(78), "\(run.errors)")
            try await plain.terminate()
        }
    }

    @Test("processes that a term of one slot left behind are ended by the next term of that slot; the command in another slot works on")
    func leftovers() async throws {
        try await inSandbox(.heavy) { box in
            let victim = try work(box, [:], 2, ["--ttl", "3s"], ["--closing", "--daemon", "--ignore-term"])
            try await waitUntil("all its processes run: \(victim.errors)") { box.stamps().count("closing") > 0 }
            let other = try work(box, [:], 2, ["--ttl", "60s"], ["--closing"])
            _ = try await box.waitForTerms(2)
            #expect(stamps(box).slots == [1, 2])
            let guardian = try await box.guardian(of: victim).pid
            victim.child.signal(SIGSTOP)
            kill(guardian, SIGKILL)
            victim.child.signal(SIGKILL)
            try await victim.child.wait()
            let next = try await work(box, [:], 2, ["--wait"], ["--for", "50"]).finish(within: .seconds(120))
            #expect(next.ending == .exited(0), "\(next.errors)")
            let found = stamps(box)
            #expect(found.violations == [])
            #expect(found.mostAtOnce == 2)
            #expect(found.stamps.terms.last.map { SlotStamps.slot($0) } == 1)
            #expect(other.child.isRunning)
            try await other.terminate()
        }
    }

    @Test("commands and hooks see the name as it was typed and the slot; leases and grants have the slot's name")
    func variables() async throws {
        try await inSandbox { box in
            let run = try await box.run(
                "acquire", "web", "--slots", "3", "--on-elected", "echo hook $QQ_NAME $QQ_SLOT >>\(box.path("hooks"))", "--", "sh", "-c",
                "echo $QQ_NAME $QQ_SLOT $QQ_TOKEN; ls \(box.leases)")
            #expect(run.lines.first == "web 1 1" && run.lines.contains("web-slot-1-of-3.json"), "\(run.text) \(run.errors)")
            #expect(box.read("hooks") == "hook web 1\n")
            // A command without slots inside of one with slots has none.
            let nested = try await box.run(
                "acquire", "web", "--slots", "3", "--", Sandbox.binary, "acquire", "inner", "--", "sh", "-c",
                "echo $QQ_NAME ${QQ_SLOT:-none}")
            #expect(nested.text == "inner none\n", "\(nested.errors)")
        }
    }

    @Test("acquire without a command prints and saves the grant of a slot, which keepalive --once and release find by the name")
    func grants() async throws {
        try await inSandbox { box in
            let printed = try await box.run("acquire", "web", "--slots", "2", "--ttl", "60s", "--json")
            let first = try object(printed.text)
            #expect(first["name"]?.stringValue == "web" && first["slot"]?.int64Value == 1 && first["slots"]?.int64Value == 2)
            let shell = try await box.run("acquire", "web", "--slots", "2", "--ttl", "60s", "--format", "shell")
            #expect(shell.text.contains("export QQ_NAME='web'\n") && shell.text.contains("export QQ_SLOT='2'\n"))
            // Two grants are saved: which one is meant has to be said.
            let unclear = try await box.run("release", "web")
            #expect(unclear.ending == .exited(64) && unclear.errors.contains("web-slot-1-of-2, web-slot-2-of-2"), "\(unclear.errors)")
            let second = ["QQ_NAME": "web", "QQ_SLOT": "2"]
            let renewed = try await box.run("keepalive", "web", "--slots", "2", "--once", "--json", environment: second)
            let slot = try object(renewed.text)["slot"]?.int64Value
            #expect(slot == 2, "\(renewed.errors)")
            // A later grant of the slot is another script's.
            let other = try await box.run("release", "web", environment: second.merging(["QQ_ID": "other"]) { $1 })
            #expect(other.ending == .exited(1), "\(other.text) \(other.errors)")
            #expect(try await box.run("release", "web", environment: second).text == "web\treleased\t2\n")
            // Once more: the slot that is left is not meant.
            #expect(try await box.run("release", "web", environment: second).ending == .exited(1))
            #expect(try await box.run("release", "web", "--slots", "2").text == "web\treleased\t1\n")
            #expect(try await box.run("release", "web", "--slots", "2").ending == .exited(1))
            // By identity.
            _ = try await box.run("acquire", "web", "--slots", "2", "--ttl", "60s", "--id", "me")
            #expect(try await box.run("release", "web", "--slots", "2", "--id", "you").ending == .exited(1))
            #expect(try await box.run("release", "web", "--slots", "2", "--id", "me").text == "web\treleased\t1\n")
        }
    }

    @Test("keepalive processes of one user hold different slots, and continue the slot that acquire has left")
    func keepalives() async throws {
        try await inSandbox { box in
            let saved = try await box.run("acquire", "web", "--slots", "3", "--ttl", "60s", "--json")
            let token = try object(saved.text)["token"]?.int64Value
            var holders: [Started] = []
            for number in 1...3 {
                let holder = try box.qq("keepalive", "web", "--slots", "3", "--ttl", "60s", "--json")
                try await waitUntil("holder \(number) has a slot: \(holder.errors)") { holder.output.contains("\"elected\"") }
                holders.append(holder)
            }
            let slots = try holders.map { holder in
                let line = try #require(holder.output.split(separator: "\n").first { $0.contains("\"elected\"") })
                return try object(line)
            }
            #expect(slots.compactMap { $0["slot"]?.int64Value }.sorted() == [1, 2, 3])
            #expect(slots.allSatisfy { $0["name"]?.stringValue == "web" && $0["slots"]?.int64Value == 3 })
            let continued = try #require(slots.first { $0["slot"]?.int64Value == 1 })
            #expect(continued["token"]?.int64Value == token)
            for holder in holders { try await holder.terminate() }
        }
    }

    @Test("a session holds one slot of a name; a command that it starts gets another one")
    func session() async throws {
        try await inSandbox { box in
            try box.write(
                "acquire web --slots 2 --id me --ttl 60s\nleases\nacquire web --slots 2 -- sh -c 'echo slot $QQ_SLOT'\nacquire web --slots 2\n"
                    + "release web\nacquire web --slots 3 --id me --ttl 60s\nacquire web --slots 2\n", to: "script")
            let run = try await box.run("repl", "-f", box.path("script"))
            #expect(run.ending == .exited(64), "\(run.errors)")
            #expect(run.lines.count == 5, "\(run.text)")
            #expect(run.lines.first == "web\tme\t1\t60\t1" && run.lines.last == "web\tme\t1\t60\t1", "\(run.text)")
            #expect(run.lines[1].hasPrefix("web\t") && run.lines[1].hasSuffix("\t1"))
            #expect(run.lines[2] == "slot 2" && run.lines[3] == "web\treleased\t1")
            #expect(run.errors.contains("is held by this session already") && run.errors.contains("with another number of slots"))
        }
    }

    @Test("an address cannot be carried with slots, and a number out of range is refused")
    func refused() async throws {
        try await inSandbox { box in
            let carrier = try await box.run("keepalive", "web", "--slots", "2", "--vip", "10.0.0.5/24@lo")
            #expect(carrier.ending == .exited(64))
            for number in ["0", "101", "x"] {
                let run = try await box.run("acquire", "web", "--slots", number, "--", "true")
                #expect(run.ending == .exited(64))
            }
        }
    }
}
