/// The declaration of a command, which parsing, help, manual page and completions use.
struct Command: Sendable {
    let id: CommandName
    /// One line without a full stop.
    let summary: String
    /// Paragraphs, separated by an empty line; backticks mark literal text, asterisks text that the user replaces.
    let description: String
    /// In the order of help, within their groups.
    let flags: [AnyFlag]
    let positionals: [Positional]
    /// True for `[-- CMD [ARG...]]`.
    let takesTrailingCommand: Bool
    /// Rules about combinations of flags.
    let rules: [Rule]
    let examples: [Example]
    /// The meaning of exit codes for this command; qq(1) has the table of all exit codes.
    let exitNotes: [ExitNote]
    /// Manual pages, such as `qq-release(1)`, in addition to qq(1).
    let seeAlso: [String]
    /// True for commands that only the project's scripts call.
    let isHidden: Bool

    init(
        _ id: CommandName, summary: String, description: String, positionals: [Positional] = [], takesTrailingCommand: Bool = false,
        rules: [Rule] = [], examples: [Example] = [], exitNotes: [ExitNote] = [], seeAlso: [String] = [], hidden: Bool = false,
        @FlagListBuilder flags: () -> [AnyFlag]
    ) {
        self.id = id
        self.summary = summary
        self.description = description
        self.flags = flags()
        self.positionals = positionals
        self.takesTrailingCommand = takesTrailingCommand
        self.rules = rules
        self.examples = examples
        self.exitNotes = exitNotes
        self.seeAlso = seeAlso
        isHidden = hidden
    }

    /// The description with the sentences that systems add.
    var fullDescription: String {
        let notes = Systems.notes(on: id)
        return notes.isEmpty ? description : description + "\n\n" + notes.joined(separator: " ")
    }

    /// The word that is typed after `qq`.
    var name: String { id.rawValue }

    /// `qq acquire [FLAGS] NAME [-- CMD [ARG...]]`.
    var usage: String {
        var words = ["qq", name]
        if flags.count > 1 { words.append("[FLAGS]") }
        words += positionals.map(\.usage)
        if takesTrailingCommand { words.append("[-- CMD [ARG...]]") }
        return words.joined(separator: " ")
    }

    /// The flags that help shows, grouped under headings, without empty groups.
    var flagsByGroup: [(group: FlagGroup, flags: [AnyFlag])] { AnyFlag.byGroup(flags) }

    /// The hint of an error about the command line.
    var helpHint: String { "see 'qq \(name) -h'" }
}

extension AnyFlag {
    /// The visible flags under their headings, in the order of ``FlagGroup``.
    static func byGroup(_ flags: [AnyFlag]) -> [(group: FlagGroup, flags: [AnyFlag])] {
        FlagGroup.allCases.compactMap { group in
            let members = flags.filter { $0.group == group && !$0.isHidden }
            return members.isEmpty ? nil : (group, members)
        }
    }
}

/// A positional argument.
struct Positional: Sendable {
    /// In capitals: `NAME`.
    let name: String
    let kind: ValueKind
    /// One line for the manual page.
    let help: String
    let isRequired: Bool
    /// True for any number of words; only the last argument can be variadic.
    let isVariadic: Bool
    let mayBeEmpty: Bool
    /// Flags that can replace the argument.
    let alternatives: [AnyFlag]

    init(
        _ name: String, kind: ValueKind, help: String, required: Bool = true, variadic: Bool = false, mayBeEmpty: Bool = false,
        orBy alternatives: AnyFlag...
    ) {
        self.name = name
        self.kind = kind
        self.help = help
        isRequired = required
        isVariadic = variadic
        self.mayBeEmpty = mayBeEmpty
        self.alternatives = alternatives
    }

    /// `NAME`, `NAME...`, `[NAME...]`.
    var usage: String {
        let word = isVariadic ? name + "..." : name
        return isRequired ? word : "[\(word)]"
    }
}

/// A rule about the flags of a command line.
enum Rule: Sendable {
    /// The flags exclude each other.
    case exclusive(AnyFlag, AnyFlag)
    /// The first flag needs the second.
    case requires(AnyFlag, AnyFlag)
    /// The flag needs a command after `--`.
    case onlyWithCommand(AnyFlag)
    /// The flag needs a command after `--`, or a session, which keeps its leases.
    case onlyWhereKept(AnyFlag)
    /// The flag excludes a command after `--`.
    case onlyWithoutCommand(AnyFlag)
    /// The flag excludes NAME.
    case onlyWithoutNames(AnyFlag)
}

/// A command line to copy, and its purpose.
struct Example: Sendable {
    /// A sentence without a full stop.
    let comment: String
    let line: String

    init(_ comment: String, _ line: String) {
        self.comment = comment
        self.line = line
    }
}

/// An exit code and its meaning.
struct ExitNote: Sendable {
    let code: String
    let meaning: String

    init(_ code: String, _ meaning: String) {
        self.code = code
        self.meaning = meaning
    }
}
