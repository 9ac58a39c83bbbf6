// torture SECONDS SEED [TERMS]: contenders for elections on lease files and on NATS, all real processes, which are struck by random faults.
// Prints how many terms there were, how many overlapped, and which faults were caused. A seed repeats the choice of faults and of commands;
// what the machine makes of them differs. Ends after this many seconds, or once each system has seen TERMS terms. The exit code is 1 if two
// terms were at work at the same time, or if there was no leader for a minute.
import Glibc
import Support

/// One system with its arenas and their counts.
struct System {
    let title: String
    var arenas: [(arena: Arena, log: TermLog)]
    var terms: Int { arenas.map(\.log.terms.count).reduce(0, +) }
    var overlaps: [String] { arenas.flatMap(\.log.overlaps) }
    var faults: Int { arenas.map(\.arena.faultCount).reduce(0, +) }
}

@main
struct Torture {
    let seconds: Double
    let seed: UInt64
    let wanted: Int

    static func main() async throws {
        let arguments = CommandLine.arguments
        let torture = Torture(
            seconds: arguments.count > 1 ? Double(arguments[1]) ?? 60 : 60,
            seed: arguments.count > 2 ? UInt64(arguments[2]) ?? 1 : UInt64.random(in: 0 ... .max),
            wanted: arguments.count > 3 ? Int(arguments[3]) ?? .max : .max)
        let box = try Sandbox()
        let isGood = try await torture.run(in: box)
        let left = await box.close()
        if !left.isEmpty { say("left behind: \(left)") }
        exit(isGood ? 0 : 1)
    }

    func run(in box: Sandbox) async throws -> Bool {
        let server = try await NATSServer.start(in: box)
        var systems = [System(title: "files", arenas: []), System(title: "nats", arenas: [])]
        for number in 1...2 {
            for index in systems.indices {
                let arena = Arena(
                    systems[index].title, box, server: index == 0 ? nil : server, name: "election\(number)", contenders: 3)
                systems[index].arenas.append((arena, arena.newLog))
            }
        }
        say("seed \(seed), \(Int(seconds)) s at most")
        let everything = systems.flatMap { $0.arenas.map(\.arena) }
        let work = Task {
            await withTaskGroup(of: Void.self) { group in
                for (number, arena) in everything.enumerated() { group.addTask { await arena.run(seed: seed &+ UInt64(number) &* 1000) } }
            }
        }
        let end = ContinuousClock.now + .seconds(seconds)
        var lastCounts = systems.map(\.terms)
        var lastChange = systems.map { _ in ContinuousClock.now }
        var stalled = false
        while ContinuousClock.now < end {
            try await Task.sleep(for: .seconds(1))
            for system in systems.indices {
                for arena in systems[system].arenas.indices { systems[system].arenas[arena].log.readOn() }
                if systems[system].terms != lastCounts[system] {
                    lastCounts[system] = systems[system].terms
                    lastChange[system] = ContinuousClock.now
                } else if ContinuousClock.now - lastChange[system] > .seconds(60) {
                    say("\(systems[system].title): no leader for a minute: \(systems[system].arenas.map(\.arena.errorTail))")
                    stalled = true
                }
            }
            if stalled || systems.contains(where: { !$0.overlaps.isEmpty }) || systems.allSatisfy({ $0.terms >= wanted }) { break }
        }
        for arena in everything { arena.stop() }
        await work.value
        var isGood = !stalled
        for index in systems.indices {
            for arena in systems[index].arenas.indices { systems[index].arenas[arena].log.readOn() }
            let system = systems[index]
            say("\(system.title): \(system.terms) terms, \(system.overlaps.count) overlaps, \(system.faults) faults, seed \(seed)")
            for (arena, _) in system.arenas { say("  \(arena.faultText); ended: \(arena.codeText)") }
            for overlap in system.overlaps.prefix(10) { say("  \(overlap)") }
            if !system.overlaps.isEmpty { isGood = false }
        }
        return isGood
    }
}

/// Writes a whole line without a buffer, so that a pipe gets it immediately, too.
private func say(_ text: String) {
    let line = text + "\n"
    _ = write(STDOUT_FILENO, line, line.utf8.count)
}
