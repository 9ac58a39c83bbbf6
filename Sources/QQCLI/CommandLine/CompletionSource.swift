import QQCore

/// Common parts of the three completion scripts.
enum CompletionSource {
    static let notice = "# Completion for qq, generated from the declarations of commands and flags by `make docs`; do not edit."

    /// Each visible flag once, whatever command it belongs to: flags with one name have one kind.
    static var flags: [AnyFlag] {
        var seen: [String] = []
        return (Flags.topLevel + Commands.visible.flatMap(\.flags)).filter { flag in
            guard !flag.isHidden, !seen.contains(flag.name) else { return false }
            seen.append(flag.name)
            return true
        }
    }

    /// The visible flags of a command.
    static func flags(of command: Command) -> [AnyFlag] { command.flags.filter { !$0.isHidden } }

    /// Spellings whose next word is a value.
    static func spellingsWithValue(_ flags: [AnyFlag]) -> [String] { flags.filter(\.takesNextWord).flatMap(\.spellings) }

    static var commandNames: [String] { Commands.visible.map(\.name) }

    /// Whether a name from a server or a file can be offered: only if a terminal shows it unchanged.
    static func isOffered(_ name: String) -> Bool {
        !name.isEmpty && Printable.text(name) == name && !name.unicodeScalars.contains("\u{FFFD}")
    }

    static var manPageNames: [String] { ManPages.all.map(\.name) }

    /// Quotes a text for sh, zsh and fish alike. No text here has a backslash or a quote that these shells read differently.
    static func quoted(_ text: String) -> String {
        var quoted = "'"
        for character in text { quoted += character == "'" ? "'\"'\"'" : String(character) }
        return quoted + "'"
    }
}
