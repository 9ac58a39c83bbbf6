/// A parsed command line: only what was typed. The code that uses it applies defaults and environment.
struct Invocation: Sendable {
    let command: Command
    /// The positional arguments, none of them empty unless it is declared so.
    let positionals: [String]
    /// The command after `--`, never empty; nil if there is none.
    let trailing: [String]?
    /// The index of the trailing command among the parsed arguments. Its bytes in the argument vector of this process (at the next index,
    /// because of argv[0]) are verbatim; a Swift string would have repaired bytes that are not UTF-8.
    let trailingStart: Int?
    let values: [GivenFlag]

    /// The flag's value; nil if it was not given.
    subscript<Value>(_ flag: Flag<Value>) -> Value? { values.last { $0.name == flag.erased.name }?.value as? Value }

    /// Whether the switch was given.
    subscript(_ flag: Flag<Bool>) -> Bool { isGiven(flag.erased) }

    /// Every value of a repeatable flag, in the order given.
    func all<Value>(_ flag: Flag<Value>) -> [Value] { values.filter { $0.name == flag.erased.name }.compactMap { $0.value as? Value } }

    /// Whether the flag was given at all.
    func isGiven<Value>(_ flag: Flag<Value>) -> Bool { isGiven(flag.erased) }

    /// Whether the flag was given at all.
    func isGiven(_ flag: AnyFlag) -> Bool { values.contains { $0.name == flag.name } }
}

extension Invocation {
    /// The flag's value as it was typed; nil if it was not given.
    func text(_ flag: AnyFlag) -> String? { values.last { $0.name == flag.name }.map { $0.text ?? "" } }

    /// The same line without these flags.
    func leavingOut(_ flags: AnyFlag...) -> Invocation {
        Invocation(
            command: command, positionals: positionals, trailing: trailing, trailingStart: trailingStart,
            values: values.filter { given in !flags.contains { $0.name == given.name } })
    }

    /// The same line with more flags. If another command is given, the line is for that command, without the flags that it does not know.
    func adding(_ more: [GivenFlag], for other: Command? = nil) -> Invocation {
        let all = values + more
        return Invocation(
            command: other ?? command, positionals: other == nil ? positionals : [], trailing: trailing, trailingStart: trailingStart,
            values: other.map { other in all.filter { given in other.flags.contains { $0.name == given.name } } } ?? all)
    }
}

/// A flag as it was typed. A line has only a few flags: searching a list is faster than making a dictionary.
struct GivenFlag: Sendable {
    /// The long name without its dashes.
    let name: String
    /// The value as it was typed; nil for the flag alone.
    var text: String?
    let value: any Sendable
}

/// The result of parsing a command line.
enum ParseOutcome: Sendable {
    case run(Invocation)
    /// Help on a command, or on `qq` as a whole.
    case help(Command?, long: Bool)
    /// The flag `--version`.
    case version
    /// No command, with or without flags. The invocation is for a terminal; nil in a session.
    case noCommand(Invocation?)
}
