/// Help for `-h` (short: one line a flag) or `--help` (long: everything).
///
/// - Parameters:
///   - command: nil for `qq` as a whole.
///   - width: the length at which lines are wrapped; lines of short help never exceed 80 columns.
func helpText(for command: Command?, long: Bool, width: Int = 80) -> String {
    let help = Help(width: min(max(width, 60), 100))
    let lines = command.map { help.lines(for: $0, long: long) } ?? help.overview(long: long)
    return lines.joined(separator: "\n") + "\n"
}

extension AnyFlag {
    /// `  -s, --server URL`, the left column of help.
    fileprivate var helpTerm: String { (short.map { "  -\($0), " } ?? "      ") + usage }

    /// `[default: 15s]`, `[env: QQ_SERVER]` and `[repeatable]`, if they apply.
    fileprivate var helpNotes: String {
        (defaultText.map { " [default: \($0)]" } ?? "") + (environment.map { " [env: \($0)]" } ?? "")
            + (isRepeatable ? " [repeatable]" : "")
    }
}

private struct Help {
    let width: Int

    func lines(for command: Command, long: Bool) -> [String] {
        var lines = ["\(command.summary).", "", "Usage: \(command.usage)"]
        if long {
            for paragraph in Markup.paragraphs(Markup.plain(command.fullDescription)) {
                lines += [""] + Markup.wrapped(paragraph, indent: 0, width: width)
            }
            if !command.positionals.isEmpty {
                lines += ["", "Arguments:"] + table(command.positionals.map { ("  " + $0.usage, $0.help) })
            }
            lines += examples(command.examples)
        }
        lines += flags(command.flagsByGroup, long: long)
        if long, !command.exitNotes.isEmpty { lines += exitCodes(command.exitNotes) }
        if !long, command.flags.count > 1 { lines += ["", "'qq \(command.name) --help' prints more, with examples."] }
        return lines
    }

    func overview(long: Bool) -> [String] {
        var lines = ["\(Overview.summary).", "", "Usage: qq [FLAGS] COMMAND ..."]
        if long {
            for paragraph in Markup.paragraphs(Markup.plain(Overview.description)) {
                lines += [""] + Markup.wrapped(paragraph, indent: 0, width: width)
            }
        }
        lines += ["", "Commands:"] + table(Commands.visible.map { ("  " + $0.name, $0.summary) })
        if long { lines += examples(Overview.examples) }
        lines += flags(AnyFlag.byGroup(Flags.topLevel), long: long)
        if long { lines += exitCodes(Overview.exitCodes) }
        return lines + ["", "'qq COMMAND -h' lists a command's flags, 'qq COMMAND --help' prints more."]
    }

    private func flags(_ groups: [(group: FlagGroup, flags: [AnyFlag])], long: Bool) -> [String] {
        let column = (groups.flatMap(\.flags).map(\.helpTerm.utf8.count).max() ?? 0) + 2
        var lines: [String] = []
        for (group, flags) in groups {
            lines += ["", "\(group.rawValue):"]
            for (place, flag) in flags.enumerated() {
                if long {
                    if place > 0 { lines.append("") }
                    lines.append(flag.helpTerm + flag.helpNotes)
                    for paragraph in Markup.paragraphs(Markup.plain(flag.more)) {
                        lines += Markup.wrapped(paragraph, indent: 10, width: width)
                    }
                } else {
                    lines.append(padded(flag.helpTerm, to: column) + flag.help + flag.helpNotes)
                }
            }
        }
        return lines
    }

    private func examples(_ examples: [Example]) -> [String] {
        guard !examples.isEmpty else { return [] }
        return ["", "Examples:"] + examples.flatMap { ["  # \($0.comment)", "  \($0.line)"] }
    }

    private func exitCodes(_ notes: [ExitNote]) -> [String] {
        ["", "Exit codes:"] + table(notes.map { ("  " + $0.code, Markup.plain($0.meaning)) })
    }

    private func table(_ rows: [(String, String)]) -> [String] {
        let column = (rows.map(\.0.utf8.count).max() ?? 0) + 2
        return rows.flatMap { term, text in
            var lines = Markup.wrapped(text, indent: column, width: width)
            if !lines.isEmpty { lines[0] = padded(term, to: column) + lines[0].dropFirst(column) }
            return lines
        }
    }

    private func padded(_ text: String, to column: Int) -> String {
        text + String(repeating: " ", count: max(0, column - text.utf8.count))
    }
}
