/// A command line that was understood: what was typed, and nothing else. Defaults and environment are for the reader to apply.
struct Invocation: Sendable {
    let command: Command
    /// The words that are known by their place, each checked not to be empty.
    let positionals: [String]
    /// The command after `--`, word for word and never empty; nil where there is none.
    let trailing: [String]?
    /// Where the trailing command starts among the parsed arguments. Its bytes in the process's own argument vector (one further
    /// on, for argv[0]) are verbatim, where a Swift string would have repaired what is not UTF-8.
    let trailingStart: Int?
    let values: [GivenFlag]

    /// The flag's value; nil where it was not given.
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
    /// The flag's value as it was typed; nil where it was not given.
    func text(_ flag: AnyFlag) -> String? { values.last { $0.name == flag.name }.map { $0.text ?? "" } }

    /// The same line with more flags, as one of another command where that is given: flags that it does not know are left out.
    func adding(_ more: [GivenFlag], for other: Command? = nil) -> Invocation {
        let all = values + more
        return Invocation(
            command: other ?? command, positionals: other == nil ? positionals : [], trailing: trailing, trailingStart: trailingStart,
            values: other.map { other in all.filter { given in other.flags.contains { $0.name == given.name } } } ?? all)
    }
}

/// A flag as it was typed. A line has a handful, which are found sooner in a list than a dictionary is made.
struct GivenFlag: Sendable {
    /// The long name without its dashes.
    let name: String
    /// As it was typed; nil where it stood alone.
    var text: String?
    let value: any Sendable
}

/// What a command line asks for.
enum ParseOutcome: Sendable {
    case run(Invocation)
    /// Help on a command, or on `qq` as a whole.
    case help(Command?, long: Bool)
    case version
    /// No command, with flags or without; what that means on a terminal, where it is not in a session already.
    case noCommand(Invocation?)
}
