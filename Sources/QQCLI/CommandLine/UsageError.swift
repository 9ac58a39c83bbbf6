import QQCore

/// An error in the command line; exit code 64.
struct UsageError: Error, Equatable, Sendable {
    /// The message, without `qq:` and a full stop.
    var message: String
    /// The hint, for a second line.
    var hint: String?

    init(_ message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }
}

extension String {
    /// The text as error messages show it: in single quotes, with control characters spelt out and without credentials. An argument can therefore
    /// not control the terminal, and a password does not end up in a log.
    var quoted: String { "'\(withoutControls)'" }

    /// The argument with each control character written as `\x1b`, and `***` for credentials.
    var withoutControls: String { Printable.text(Hidden.redacted(word: self)) }
}

extension Unicode.Scalar {
    /// True for C0, DEL and C1.
    var isControl: Bool { properties.generalCategory == .control }
}
