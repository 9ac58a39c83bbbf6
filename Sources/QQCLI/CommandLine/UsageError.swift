import QQCore

/// What is wrong with the command line; exit code 64.
struct UsageError: Error, Equatable, Sendable {
    /// What is wrong, without `qq:` before it or a full stop after it.
    var message: String
    /// What to do about it, for a second line.
    var hint: String?

    init(_ message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }
}

extension String {
    /// The text as an error message shows it: in single quotes, with control characters spelt out and credentials left out, so that an argument
    /// cannot write to the terminal on its own account, nor a password end up in a log.
    var quoted: String { "'\(withoutControls)'" }

    /// The argument with each control character written as `\x1b`, and `***` for credentials.
    var withoutControls: String { Printable.text(Hidden.redacted(word: self)) }
}

extension Unicode.Scalar {
    /// True for C0, DEL and C1.
    var isControl: Bool { properties.generalCategory == .control }
}
