/// One command, declared once: parsing, help, manual page and completions read this.
struct Command: Sendable {
    let id: CommandName
    /// One line without a full stop.
    let summary: String
    /// Paragraphs, split by an empty line; backticks mark literal text, asterisks what the user replaces.
    let description: String
    /// In the order of help, within their groups.
    let flags: [AnyFlag]
    let positionals: [Positional]
    /// True for `[-- CMD [ARG...]]`.
    let takesTrailingCommand: Bool
    /// What must hold between flags.
    let rules: [Rule]
    let examples: [Example]
    /// Exit codes in the words of this command; the table of all is in qq(1).
    let exitNotes: [ExitNote]
    /// Manual pages, such as `qq-release(1)`, besides qq(1).
    let seeAlso: [String]
    /// True for what only our own scripts call.
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

    /// The description with what systems add to it.
    var fullDescription: String {
        let notes = Systems.notes(on: id)
        return notes.isEmpty ? description : description + "\n\n" + notes.joined(separator: " ")
    }

    /// What is typed after `qq`.
    var name: String { id.rawValue }

    /// `qq acquire [FLAGS] NAME [-- CMD [ARG...]]`.
    var usage: String {
        var words = ["qq", name]
        if flags.count > 1 { words.append("[FLAGS]") }
        words += positionals.map(\.usage)
        if takesTrailingCommand { words.append("[-- CMD [ARG...]]") }
        return words.joined(separator: " ")
    }

    /// What is shown in help, grouped under headings, empty groups left out.
    var flagsByGroup: [(group: FlagGroup, flags: [AnyFlag])] { AnyFlag.byGroup(flags) }

    /// Where an error sends the reader.
    var helpHint: String { "see 'qq \(name) -h'" }
}

extension AnyFlag {
    /// The flags that are shown, under their headings in the order of ``FlagGroup``.
    static func byGroup(_ flags: [AnyFlag]) -> [(group: FlagGroup, flags: [AnyFlag])] {
        FlagGroup.allCases.compactMap { group in
            let members = flags.filter { $0.group == group && !$0.isHidden }
            return members.isEmpty ? nil : (group, members)
        }
    }
}

/// A word that is known by its place.
struct Positional: Sendable {
    /// In capitals: `NAME`.
    let name: String
    let kind: ValueKind
    /// One line for the manual page.
    let help: String
    let isRequired: Bool
    /// True where any number may follow; only the last one can be so.
    let isVariadic: Bool
    let mayBeEmpty: Bool
    /// The flags each of which can say it instead.
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

/// What must hold between the flags of a command line.
enum Rule: Sendable {
    /// Not both.
    case exclusive(AnyFlag, AnyFlag)
    /// The first only with the second.
    case requires(AnyFlag, AnyFlag)
    /// Only where a command follows `--`.
    case onlyWithCommand(AnyFlag)
    /// Only where a command follows `--`, or a session keeps what is taken.
    case onlyWhereKept(AnyFlag)
    /// Only where none does.
    case onlyWithoutCommand(AnyFlag)
    /// Only where no NAME is given.
    case onlyWithoutNames(AnyFlag)
}

/// A line people copy, with what it is for.
struct Example: Sendable {
    /// A sentence without a full stop.
    let comment: String
    let line: String

    init(_ comment: String, _ line: String) {
        self.comment = comment
        self.line = line
    }
}

/// What an exit code means.
struct ExitNote: Sendable {
    let code: String
    let meaning: String

    init(_ code: String, _ meaning: String) {
        self.code = code
        self.meaning = meaning
    }
}
