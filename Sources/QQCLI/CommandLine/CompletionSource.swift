import QQCore

/// What the three completion scripts have in common.
enum CompletionSource {
    static let notice = "# Completion for qq, generated from the declarations of commands and flags by `make docs`; do not edit."

    /// Each flag once, whichever commands take it: those of one name have one kind.
    static var flags: [AnyFlag] {
        var seen: [String] = []
        return (Flags.topLevel + Commands.visible.flatMap(\.flags)).filter { flag in
            guard !flag.isHidden, !seen.contains(flag.name) else { return false }
            seen.append(flag.name)
            return true
        }
    }

    /// Shown flags of a command.
    static func flags(of command: Command) -> [AnyFlag] { command.flags.filter { !$0.isHidden } }

    /// Spellings whose next word is a value.
    static func spellingsWithValue(_ flags: [AnyFlag]) -> [String] { flags.filter(\.takesNextWord).flatMap(\.spellings) }

    static var commandNames: [String] { Commands.visible.map(\.name) }

    /// Whether a name that a server or a file tells of can be offered: what a terminal does not show as it is, nobody can mean.
    static func isOffered(_ name: String) -> Bool {
        !name.isEmpty && Printable.text(name) == name && !name.unicodeScalars.contains("\u{FFFD}")
    }

    static var manPageNames: [String] { ManPages.all.map(\.name) }

    /// Quoted for sh, zsh and fish alike: no text here has a backslash or a quote that these read differently.
    static func quoted(_ text: String) -> String {
        var quoted = "'"
        for character in text { quoted += character == "'" ? "'\"'\"'" : String(character) }
        return quoted + "'"
    }
}
