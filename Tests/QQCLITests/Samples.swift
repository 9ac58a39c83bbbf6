import Testing

@testable import QQCLI

/// A command and one of its flags.
struct Case: Sendable, CustomTestStringConvertible {
    let command: Command
    let flag: AnyFlag

    var testDescription: String { "\(command.name) \(flag.long)" }

    /// Every flag of every command, except help, which decides the outcome alone.
    static let all = Commands.all.flatMap { command in
        command.flags.filter { $0.name != "help" }.map { Case(command: command, flag: $0) }
    }

    /// The spellings of the flag, each as words.
    var spellings: [[String]] {
        guard let value else { return flag.spellings.map { [$0] } }
        var spellings = [["\(flag.long)=\(value)"]]
        if flag.takesNextWord { spellings += flag.spellings.map { [$0, value] } } else { spellings.append([flag.long]) }
        if let short = flag.short { spellings += [["-\(short)\(value)"], ["-\(short)=\(value)"]] }
        return spellings
    }

    /// A value that the flag takes; nil for a switch.
    var value: String? {
        if flag.isSwitch { return nil }
        if case .choice(let words) = flag.kind { return words[0] }
        switch flag.name {
        case "backoff": return "1s..2s"
        case "jitter": return "0.5"
        case "backoff-factor": return "1.5"
        case "vip": return "10.0.0.5/24@eth0"
        case "listen": return ":8080"
        case "server": return "file:///tmp/x"
        default: break
        }
        switch flag.kind {
        case .duration: return "20s"
        case .count, .pid: return "7"
        default: return "something"
        }
    }

    /// The other flags that this one requires.
    var needed: [String] {
        command.rules.compactMap { rule in
            if case .requires(let first, let second) = rule, first.name == flag.name { "\(second.long)=something" } else { nil }
        }
    }

    /// A command line that contains these words and breaks no rule.
    func line(_ words: [String], flagsLast: Bool = false) -> [String] {
        let others = needed
        var names = command.positionals.filter { $0.isRequired }.map(\.sample)
        var trailing: [String] = []
        for rule in command.rules {
            switch rule {
            case .onlyWithCommand(let limited) where limited.name == flag.name, .onlyWhereKept(let limited) where limited.name == flag.name:
                trailing = ["--", "true"]
            case .onlyWithoutNames(let limited) where limited.name == flag.name: names = []
            default: break
            }
        }
        return [command.name] + (flagsLast ? names + others + words : words + others + names) + trailing
    }
}

extension Positional {
    var sample: String {
        if case .choice(let words) = kind { return words[0] }
        return "backup"
    }
}

/// Parses a line that runs a command.
func invocation(_ line: [String]) throws -> Invocation {
    guard case .run(let invocation) = try Parser.parse(line) else { throw NotRun() }
    return invocation
}

struct NotRun: Error {}

/// Parses words split at spaces.
func invocation(_ line: String) throws -> Invocation { try invocation(line.words) }

extension String {
    var words: [String] { split(separator: " ").map(String.init) }
}

/// The error of a line; nil if it is accepted.
func problem(_ line: [String]) -> UsageError? {
    do {
        _ = try Parser.parse(line)
        return nil
    } catch {
        return error
    }
}

func problem(_ line: String) -> UsageError? { problem(line.words) }

extension Command: CustomTestStringConvertible {
    public var testDescription: String { name }
}
