// torture SECONDS SEED [TERMS [SYSTEM…]]: contenders for elections on files, nats, kubernetes, etcd and consul, and for slots of names (slots), all real
// processes, which are struck by random faults. Without a SYSTEM, on all of them. Prints how many terms there were, how many overlapped, and which faults were
// caused. A seed repeats the choice of faults and of commands; what the machine makes of them differs. Ends after this many seconds, which groups of systems
// share, or once each system of a group has seen TERMS terms. The exit code is 1 if more terms were at work at the same time than there may be holders, or if
// there was no leader for longer than the system's rules explain.
import Glibc
import Support

/// One system with its arenas and their counts.
struct System {
    let title: String
    let surroundings: any Surroundings
    var arenas: [(arena: Arena, log: TermLog)] = []
    private var count = 0
    private var countedAt = ContinuousClock.now
    var terms: Int { arenas.map(\.log.terms.count).reduce(0, +) }
    var overlaps: [String] { arenas.flatMap(\.log.overlaps) }
    var faults: Int { arenas.map(\.arena.faultCount).reduce(0, +) }
    var mostAtWork: Int { arenas.map(\.log.mostAtWork).max() ?? 0 }

    init(_ title: String, _ surroundings: any Surroundings, _ box: Sandbox, elections: Int = 2, contenders: Int = 3, slots: Int = 1) {
        self.title = title
        self.surroundings = surroundings
        for number in 1...elections {
            let arena = Arena(title, box, surroundings, name: "election\(number)", contenders: contenders, slots: slots)
            arenas.append((arena, arena.newLog))
        }
    }

    mutating func readOn() { for place in arenas.indices { arenas[place].log.readOn() } }

    /// - Returns: whether there was no new term for longer than the system's rules explain.
    mutating func isStalled() -> Bool {
        if terms != count { (count, countedAt) = (terms, .now) }
        return ContinuousClock.now - countedAt > surroundings.patience
    }
}

@main
struct Torture {
    let seconds: Double
    let seed: UInt64
    let wanted: Int

    /// Systems that are tortured together: more contenders at a time would only wait for the processor.
    private static let groups = [["files", "nats", "kubernetes"], ["etcd", "consul"], ["slots"]]

    static func main() async throws {
        let arguments = CommandLine.arguments
        let systems = Set(arguments.dropFirst(4))
        if let unknown = systems.first(where: { !groups.joined().contains($0) }) {
            say("torture: there is no system \(unknown), but \(groups.joined().joined(separator: ", "))")
            exit(64)
        }
        let chosen = groups.map { group in group.filter { systems.isEmpty || systems.contains($0) } }.filter { !$0.isEmpty }
        let seconds = arguments.count > 1 ? Double(arguments[1]) ?? 60 : 60
        let torture = Torture(
            seconds: seconds / Double(max(chosen.count, 1)),
            seed: arguments.count > 2 ? UInt64(arguments[2]) ?? 1 : UInt64.random(in: 0 ... .max),
            wanted: arguments.count > 3 ? Int(arguments[3]) ?? .max : .max)
        say("seed \(torture.seed), \(Int(seconds)) s at most")
        var isGood = true
        for group in chosen {
            let box = try Sandbox()
            let systems = try await torture.systems(group, in: box)
            if !systems.isEmpty, await !torture.run(systems) { isGood = false }
            let left = await box.close()
            if !left.isEmpty { say("left behind: \(left)") }
        }
        exit(isGood ? 0 : 1)
    }

    // MARK: Systems

    private func systems(_ titles: [String], in box: Sandbox) async throws -> [System] {
        var systems: [System] = []
        for title in titles {
            switch title {
            case "files": systems.append(System(title, FileSurroundings(box: box), box))
            case "nats": systems.append(System(title, try await NATSSurroundings(in: box), box))
            case "kubernetes":
                let cluster = try await KubernetesSurroundings(in: box)
                // In one of the two elections, programs of the field take part.
                try cluster.addPeers(to: "election2", seed: seed)
                systems.append(System(title, cluster, box))
            case "etcd":
                guard let etcd = try await etcd(in: box) else { continue }
                systems.append(System(title, etcd, box))
            case "consul": systems.append(System(title, try await ConsulSurroundings(in: box), box))
            default: systems += try await slotted(in: box)
            }
        }
        return systems
    }

    /// One name with three slots on each of some systems.
    private func slotted(in box: Sandbox) async throws -> [System] {
        guard try await Self.hasSlots(box) else {
            say("slots: left out, as this qq has no --slots")
            return []
        }
        var places: [(String, any Surroundings)] = [
            ("files-slots", FileSurroundings(box: box)), ("nats-slots", try await NATSSurroundings(in: box)),
        ]
        if let etcd = try await etcd(in: box) { places.append(("etcd-slots", etcd)) }
        places.append(("consul-slots", try await ConsulSurroundings(in: box)))
        return places.map { System($0.0, $0.1, box, elections: 1, contenders: 5, slots: 3) }
    }

    private func etcd(in box: Sandbox) async throws -> EtcdSurroundings? {
        if EtcdServer.path != nil { return try await EtcdSurroundings(in: box) }
        say("etcd: left out, as there is none here (Scripts/need test)")
        return nil
    }

    private static func hasSlots(_ box: Sandbox) async throws -> Bool {
        var launch = box.launch([Sandbox.binary, "acquire", "--help"])
        launch.output = .file(box.path("help"))
        let child = try Child(launch)
        while child.isRunning { try await Task.sleep(for: .milliseconds(5)) }
        return box.read("help").contains("--slots")
    }

    // MARK: Running

    private func run(_ systems: [System]) async -> Bool {
        var systems = systems
        let arenas = systems.flatMap { $0.arenas.map(\.arena) }
        let work = Task {
            await withTaskGroup(of: Void.self) { group in
                for (number, arena) in arenas.enumerated() { group.addTask { await arena.run(seed: seed &+ UInt64(number) &* 1000) } }
            }
        }
        let end = ContinuousClock.now + .seconds(seconds)
        var isGood = true
        while ContinuousClock.now < end, isGood {
            try? await Task.sleep(for: .seconds(1))
            for place in systems.indices {
                systems[place].readOn()
                if systems[place].isStalled() {
                    let (title, patience) = (systems[place].title, systems[place].surroundings.patience)
                    say("\(title): no new leader for \(patience): \(systems[place].arenas.map(\.arena.errorTail))")
                    isGood = false
                }
            }
            if systems.contains(where: { !$0.overlaps.isEmpty }) || systems.allSatisfy({ $0.terms >= wanted }) { break }
        }
        for arena in arenas { arena.stop() }
        await work.value
        for place in systems.indices {
            systems[place].surroundings.end()
            systems[place].readOn()
            if !report(systems[place]) { isGood = false }
        }
        return isGood
    }

    /// - Returns: whether all was well.
    private func report(_ system: System) -> Bool {
        let overlaps = system.overlaps
        say(
            "\(system.title): \(system.terms) terms, \(overlaps.count) overlaps, at most \(system.mostAtWork) at work, \(system.faults) faults, "
                + "seed \(seed)")
        for (arena, _) in system.arenas { say("  \(arena.faultText); ended: \(arena.codeText)") }
        let violations = system.arenas.flatMap(\.arena.violations)
        for problem in (overlaps + violations).prefix(10) { say("  \(problem)") }
        return overlaps.isEmpty && violations.isEmpty
    }
}

/// Writes a whole line without a buffer, so that a pipe gets it immediately, too.
private func say(_ text: String) {
    let line = text + "\n"
    _ = write(STDOUT_FILENO, line, line.utf8.count)
}
