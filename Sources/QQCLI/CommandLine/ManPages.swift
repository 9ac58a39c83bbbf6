/// Every manual page.
enum ManPages {
    /// qq(1), the pages of commands, and the pages declared elsewhere.
    static var all: [ManPage] { [overview] + Commands.withManPage.map { manPage(for: $0) } + additional }

    /// The pages of the JSON schemas and the metrics, and the pages of systems.
    static let additional: [ManPage] = [Schemas.manPage, MetricsManual.page] + Systems.documentation.compactMap { $0.manual?() }

    /// The page that `qq man` shows for a name such as `acquire`, `qq-acquire`, `qq` or `qq-acquire.1`.
    static func named(_ name: String) -> ManPage? {
        all.first { $0.name == name || $0.name == "qq-" + name || "\($0.name).\($0.section)" == name }
    }

    /// qq(1).
    static var overview: ManPage {
        ManPage(
            name: "qq", section: 1, summary: Overview.summary,
            sections: [
                .init("SYNOPSIS", [.text("`qq` [*FLAGS*] *COMMAND* ...")]),
                .init("DESCRIPTION", [.text(Overview.description)]),
                .init("EXAMPLES", Overview.examples.map { .example($0) }),
                .init("COMMANDS", Commands.visible.map { .term($0.synopsis, $0.summary + ".") }),
                .init("OPTIONS", [.text("These can precede or follow a command's name.")] + options(AnyFlag.byGroup(Flags.topLevel))),
                .init("SERVER URLS", Overview.servers.map { .term($0.url, $0.meaning) }),
                .init("EXIT STATUS", Overview.exitCodes.map { .term("`\($0.code)`", $0.meaning) }),
                .init(
                    "ENVIRONMENT",
                    Overview.environment.map { .term("`\($0.name)`", $0.meaning) }
                        + [.heading("For guarded commands and hooks")]
                        + Overview.commandEnvironment.map { .term("`\($0.name)`", $0.meaning) }),
                .init("FILES", Overview.files.map { .term($0.name, $0.meaning) }),
                .init("WHAT IS PROMISED", [.text(Overview.promises)]),
                .init("LICENSE", [.text(Overview.license)]),
                .init("SEE ALSO", [.text(seeAlso(Commands.withManPage.map { "qq-\($0.name)(1)" } + additional.map(\.reference)))]),
            ])
    }

    fileprivate static func options(_ groups: [(group: FlagGroup, flags: [AnyFlag])]) -> [ManPage.Block] {
        groups.flatMap { group, flags in [.heading(group.rawValue)] + flags.map { .term($0.manTerm, $0.manText) } }
    }

    fileprivate static func seeAlso(_ references: [String]) -> String {
        references.map { reference in
            let parts = reference.split(separator: "(", maxSplits: 1)
            return parts.count == 2 ? "`\(parts[0])`(\(parts[1])" : reference
        }.joined(separator: ", ")
    }
}

/// The manual page of a command: `qq-acquire(1)`.
func manPage(for command: Command) -> ManPage {
    var sections: [ManPage.Section] = [
        .init("SYNOPSIS", [.text(command.synopsis)]),
        .init("DESCRIPTION", [.text(command.fullDescription)]),
    ]
    if !command.examples.isEmpty { sections.append(.init("EXAMPLES", command.examples.map { .example($0) })) }
    if !command.positionals.isEmpty {
        sections.append(.init("ARGUMENTS", command.positionals.map { .term("*\($0.name)*", $0.help) }))
    }
    sections.append(.init("OPTIONS", ManPages.options(command.flagsByGroup)))
    if !command.exitNotes.isEmpty {
        let rest = ManPage.Block.text("The other codes are those of `qq`(1).")
        sections.append(.init("EXIT STATUS", command.exitNotes.map { .term("`\($0.code)`", $0.meaning) } + [rest]))
    }
    sections.append(.init("SEE ALSO", [.text(ManPages.seeAlso(["qq(1)"] + command.seeAlso))]))
    return ManPage(name: "qq-\(command.name)", section: 1, summary: command.summary, sections: sections)
}

extension ManPage {
    /// `qq-acquire(1)`.
    var reference: String { "\(name)(\(section))" }
}

extension Command {
    /// The usage line with its markup.
    fileprivate var synopsis: String {
        var words = ["`qq \(name)`"]
        if flags.count > 1 { words.append("[*FLAGS*]") }
        for positional in positionals {
            let word = positional.isVariadic ? "*\(positional.name)*..." : "*\(positional.name)*"
            words.append(positional.isRequired ? word : "[\(word)]")
        }
        if takesTrailingCommand { words.append("[`--` *CMD* [*ARG*...]]") }
        return words.joined(separator: " ")
    }
}

extension AnyFlag {
    fileprivate var manTerm: String {
        let start = short.map { "`-\($0)`, " } ?? ""
        guard let valueName else { return start + "`\(long)`" }
        return start + (valueIsOptional ? "`\(long)`[`=`*\(valueName)*]" : "`\(long)` *\(valueName)*")
    }

    fileprivate var manText: String {
        var text = more
        if isRepeatable { text += " \(AnyFlag.repeatableNote)" }
        if let defaultText { text += " Default: \(defaultText)." }
        if let environment { text += " Environment: `\(environment)`." }
        return text
    }
}
