import Glibc

/// Whether colours are used. No information is shown by colour alone.
enum Colors {
    /// Whether a stream gets colours: as `--color` says; without it, if it is a terminal with colours and NO_COLOR is not set. The journal never does: it
    /// shows a line with escapes as binary data.
    static func apply(_ choice: ColorChoice?, to descriptor: CInt) -> Bool {
        if Journal.reads(descriptor) { return false }
        return switch choice ?? .auto {
        case .always: true
        case .never: false
        case .auto: isTerminal(descriptor) && (variable("NO_COLOR") ?? "").isEmpty && variable("TERM") != "dumb"
        }
    }

    static func isTerminal(_ descriptor: CInt) -> Bool { isatty(descriptor) == 1 }

    /// The value of `--color` in a command line that is not parsed yet, or cannot be.
    static func typed(_ words: [String]) -> ColorChoice? {
        var choice: ColorChoice?
        for (index, word) in words.enumerated() {
            if word == "--" { break }
            if word.hasPrefix("--color=") { choice = ColorChoice(rawValue: String(word.dropFirst("--color=".count))) ?? choice }
            if word == "--color", index + 1 < words.count { choice = ColorChoice(rawValue: words[index + 1]) ?? choice }
        }
        return choice
    }
}
