/// Parses a command line by the declarations in ``Commands`` and ``Flags``.
enum Parser {
    /// - Parameters:
    ///   - arguments: the words after the program's name.
    ///   - inSession: whether they were typed in a session.
    static func parse(_ arguments: [String], inSession: Bool = false) throws(UsageError) -> ParseOutcome {
        var state = ParseState(arguments, inSession: inSession)
        return try state.run()
    }
}

/// Parse state of a command line.
private struct ParseState {
    private let arguments: [String]
    private var next = 0
    private var command: Command?
    private var values: [GivenFlag] = []
    private var positionals: [String] = []
    private var trailing: [String]?
    private var trailingStart: Int?
    /// The outcome once `-h`, `--help` or `--version` was read, whatever follows.
    private var decided: ParseOutcome?
    /// The flag before this word, if its value was left out: `--wait 5m` is meant as `--wait=5m`.
    private var loneFlag: AnyFlag?

    private let inSession: Bool

    init(_ arguments: [String], inSession: Bool) {
        self.arguments = arguments
        self.inSession = inSession
    }

    mutating func run() throws(UsageError) -> ParseOutcome {
        while next < arguments.count, decided == nil {
            let word = arguments[next]
            next += 1
            if word == "--" {
                try readAfterDashes()
            } else if word.hasPrefix("--") {
                try readLong(word)
            } else if word.hasPrefix("-"), word != "-" {
                try readShorts(word)
            } else {
                try readWord(word)
            }
        }
        if let decided { return decided }
        guard let command else {
            // A script implies the command `repl`.
            if values.contains(where: { $0.name == Flags.script.erased.name }) { return try outcome(of: Commands.repl) }
            guard !inSession, case .run(let session) = try outcome(of: Commands.repl) else { return .noCommand(nil) }
            return .noCommand(session)
        }
        return try outcome(of: command)
    }

    // MARK: Words

    private mutating func readWord(_ word: String) throws(UsageError) {
        guard let command else { return try readCommand(word) }
        if let loneFlag, (try? loneFlag.read(word)) != nil {
            // As a NAME, it would start a campaign for an election called 5m.
            throw UsageError("\(loneFlag.long) takes its value after '='", hint: "did you mean \(loneFlag.long)=\(word.withoutControls)?")
        }
        loneFlag = nil
        guard positionals.count < command.positionals.count || command.positionals.last?.isVariadic == true else {
            throw UsageError("unexpected argument \(word.quoted)", hint: hintForUnexpected(word, command))
        }
        positionals.append(word)
    }

    private func hintForUnexpected(_ word: String, _ command: Command) -> String {
        guard command.takesTrailingCommand else { return command.helpHint }
        return "put -- before the command: qq \(command.name) \(positionals[0].withoutControls) -- \(word.withoutControls)"
    }

    private mutating func readCommand(_ word: String) throws(UsageError) {
        guard let found = Commands.named(word) else {
            let hint = Suggestion.hint(for: word, among: Commands.visible.map(\.name))
            throw UsageError("unknown command \(word.quoted)", hint: hint ?? "see 'qq -h' for the commands")
        }
        for given in values where !found.flags.contains(where: { $0.name == given.name }) {
            throw UsageError("--\(given.name) is not a flag of \(found.name)", hint: found.helpHint)
        }
        command = found
    }

    private mutating func readAfterDashes() throws(UsageError) {
        guard let command else { throw UsageError("a command comes first, then '--'", hint: "see 'qq -h' for the commands") }
        guard command.takesTrailingCommand else {
            while next < arguments.count {
                next += 1
                try readWord(arguments[next - 1])
            }
            return
        }
        guard next < arguments.count else { throw UsageError("no command after '--'", hint: command.helpHint) }
        guard !arguments[next].isEmpty else { throw UsageError("the command after '--' is empty", hint: command.helpHint) }
        trailing = Array(arguments[next...])
        trailingStart = next
        next = arguments.count
    }

    // MARK: Flags

    private mutating func readLong(_ word: String) throws(UsageError) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let spelling = String(parts[0])
        guard let flag = known.first(where: { $0.long == spelling }) else { throw unknown(spelling) }
        try read(flag, spelling: spelling, attached: parts.count > 1 ? String(parts[1]) : nil)
    }

    private mutating func readShorts(_ word: String) throws(UsageError) {
        var rest = word.dropFirst()
        while let letter = rest.popFirst() {
            let spelling = "-\(letter)"
            guard let flag = known.first(where: { $0.short == letter }) else { throw unknown(spelling) }
            var attached: String?
            if flag.takesNextWord, !rest.isEmpty {
                attached = String(rest.first == "=" ? rest.dropFirst() : rest)
                rest = ""
            } else if rest.first == "=" {
                attached = String(rest.dropFirst())
                rest = ""
            }
            try read(flag, spelling: spelling, attached: attached)
        }
    }

    private mutating func read(_ flag: AnyFlag, spelling: String, attached: String?) throws(UsageError) {
        if flag.isSwitch, attached != nil { throw UsageError("\(spelling) takes no value", hint: hint) }
        if flag.name == Flags.help.erased.name { return decide(.help(command, long: spelling == flag.long)) }
        if flag.name == Flags.version.erased.name { return decide(.version) }
        guard flag.isRepeatable || !values.contains(where: { $0.name == flag.name }) else {
            throw UsageError("\(spelling) given twice", hint: hint)
        }

        loneFlag = nil
        let value: any Sendable
        var typed = attached
        if let attached {
            value = try self.value(of: flag, spelling: spelling, text: attached)
        } else if let alone = flag.withoutValue {
            value = alone
            if !flag.isSwitch { loneFlag = flag }
        } else {
            let text = try nextWord(for: flag, spelling: spelling)
            value = try self.value(of: flag, spelling: spelling, text: text)
            typed = text
        }
        values.append(GivenFlag(name: flag.name, text: typed, value: value))
    }

    private mutating func decide(_ outcome: ParseOutcome) {
        if decided == nil { decided = outcome }
    }

    private mutating func nextWord(for flag: AnyFlag, spelling: String) throws(UsageError) -> String {
        guard next < arguments.count else { throw UsageError("\(spelling) needs a value", hint: "write \(flag.usage)") }
        let word = arguments[next]
        if word.hasPrefix("-"), word != "-" {
            let form = spelling == flag.long ? spelling + "=" : spelling
            throw UsageError(
                "\(spelling) needs a value", hint: "a value that begins with a dash is written \(form)\(word.withoutControls)")
        }
        next += 1
        return word
    }

    private func value(of flag: AnyFlag, spelling: String, text: String) throws(UsageError) -> any Sendable {
        do {
            return try flag.read(text)
        } catch {
            throw UsageError("\(spelling) \(text.quoted): \(error.message)", hint: error.hint ?? hint)
        }
    }

    // MARK: Errors

    private var hint: String { command?.helpHint ?? "see 'qq -h'" }

    /// The flags that can be given here.
    private var known: [AnyFlag] { command?.flags ?? Flags.topLevel }

    private func unknown(_ spelling: String) -> UsageError {
        let shown = spelling.withoutControls
        let owners = Commands.visible.filter { $0.flags.contains { $0.spellings.contains(spelling) } }.map(\.name)
        guard let command else {
            guard let owner = owners.first else {
                let near = spelling.hasPrefix("--") ? Suggestion.hint(for: shown, among: known.map(\.long)) : nil
                return UsageError("unknown flag \(shown)", hint: near ?? hint)
            }
            return UsageError(
                "\(shown) is a flag of \(owners.joined(separator: ", "))", hint: "write it after the command: qq \(owner) \(shown)")
        }
        if spelling == Flags.version.erased.long { return UsageError("--version stands alone", hint: "try 'qq --version'") }
        if !owners.isEmpty {
            return UsageError("\(shown) is a flag of \(owners.joined(separator: ", ")), not of \(command.name)", hint: command.helpHint)
        }
        let near = spelling.hasPrefix("--") ? Suggestion.hint(for: shown, among: known.map(\.long)) : nil
        return UsageError("unknown flag \(shown)", hint: near ?? command.helpHint)
    }

    // MARK: The whole

    private func outcome(of command: Command) throws(UsageError) -> ParseOutcome {
        try checkPositionals(of: command)
        let invocation = Invocation(
            command: command, positionals: positionals, trailing: trailing, trailingStart: trailingStart, values: values)
        try command.rules.check(invocation, inSession: inSession)
        guard command.id == .help else { return .run(invocation) }
        guard let topic = positionals.first else { return .help(nil, long: true) }
        guard let found = Commands.named(topic) else {
            let near = Suggestion.hint(for: topic, among: Commands.visible.map(\.name))
            throw UsageError("no help on unknown command \(topic.quoted)", hint: near ?? "see 'qq -h' for the commands")
        }
        return .help(found, long: true)
    }

    private func checkPositionals(of command: Command) throws(UsageError) {
        for (place, declared) in command.positionals.enumerated() {
            let given = declared.isVariadic ? positionals.dropFirst(place) : positionals.dropFirst(place).prefix(1)
            let isSaid = declared.alternatives.contains { flag in values.contains { $0.name == flag.name } }
            if declared.isRequired, given.isEmpty, !isSaid {
                throw UsageError("\(command.name): \(declared.name) is missing", hint: usageHint(command))
            }
            for word in given {
                if word.isEmpty, !declared.mayBeEmpty {
                    throw UsageError("\(command.name): \(declared.name) is empty", hint: usageHint(command))
                }
                guard case .choice(let choices) = declared.kind, !choices.contains(word) else { continue }
                let near = Suggestion.hint(for: word, among: choices)
                let list = choices.joined(separator: ", ")
                throw UsageError("\(declared.name) \(word.quoted): not one of \(list)", hint: near ?? command.helpHint)
            }
        }
    }

    private func usageHint(_ command: Command) -> String { "usage: \(command.usage)" }
}
