import Glibc
import Simulation

/// What was asked for.
struct Options {
    static let usage = """
        simulate [--system NAME]... [--seed N] [--seeds N] [--terms N] [--seconds N] [--workers N] [--history] [--no-shrink]

          --system NAME   only this system; all by default: \(SimulatedSystems.all.map(\.name).joined(separator: ", "))
          --seed N        the first seed; by default a new one, which is printed
          --seeds N       so many seeds of each system; 1 if --seed is given and nothing else says how long
          --terms N       until each system has had so many terms
          --seconds N     until so many seconds are over, for all systems together
          --workers N     threads, each with a world of its own (default 2)
          --history       the whole history, also of a seed that breaks no rule
          --no-shrink     does not look for a smaller schedule that fails in the same way
        """

    var systems: [SimulatedSystem] = []
    var seed: UInt64
    var seeds: UInt64?
    var terms: Int?
    var seconds: Double?
    var workers = 2
    var showsHistory = false
    var shrinks = true

    struct Wrong: Error, CustomStringConvertible {
        let description: String
    }

    init(_ words: some Sequence<String>) throws {
        var given: UInt64?
        var words = Array(words)[...]
        func value(_ flag: String) throws -> String {
            guard let word = words.popFirst() else { throw Wrong(description: "simulate: \(flag) needs a value\n\(Self.usage)") }
            return word
        }
        func number(_ flag: String) throws -> UInt64 {
            let text = try value(flag)
            guard let number = UInt64(text) else { throw Wrong(description: "simulate: \(flag) \(text) is not a number") }
            return number
        }
        while let word = words.popFirst() {
            switch word {
            case "--system":
                let name = try value(word)
                guard let system = SimulatedSystems.all.first(where: { $0.name == name }) else {
                    throw Wrong(description: "simulate: no system \(name); there are \(SimulatedSystems.all.map(\.name))")
                }
                systems.append(system)
            case "--seed": given = try number(word)
            case "--seeds": seeds = try number(word)
            case "--terms": terms = Int(clamping: try number(word))
            case "--seconds": seconds = Double(try number(word))
            case "--workers": workers = Int(clamping: min(max(try number(word), 1), 64))
            case "--history": showsHistory = true
            case "--no-shrink": shrinks = false
            case "--help", "-h":
                print(Self.usage)
                exit(0)
            default: throw Wrong(description: "simulate: unknown word \(word)\n\(Self.usage)")
            }
        }
        if systems.isEmpty { systems = SimulatedSystems.all }
        // Small enough to be typed.
        seed = given ?? UInt64.random(in: 1...4_000_000_000)
        if seeds == nil, terms == nil, seconds == nil { seeds = given == nil ? 1000 : 1 }
        if showsHistory { workers = 1 }
    }
}

enum StandardError {
    static func print(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = write(STDERR_FILENO, line, line.count)
    }
}
