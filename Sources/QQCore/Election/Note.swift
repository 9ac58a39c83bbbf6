/// A short text that a holder leaves with its lease, for people: the number of a build, a phone number.
///
/// It belongs to a term: a term that is resumed keeps the note that it began with. It is never part of the identity, and nothing is decided by it.
public enum Note {
    /// The longest note, in bytes of UTF-8.
    public static let maximumLength = 256

    /// Why `note` cannot be used; nil if it can. A note is 1 to 256 bytes of characters that a terminal shows as they are, so that every reader sees the same.
    public static func problem(with note: String) -> String? {
        if note.isEmpty { return "a note must not be empty" }
        if note.utf8.count > maximumLength { return "a note has at most \(maximumLength) bytes, this one has \(note.utf8.count)" }
        if Printable.text(note) != note { return "a note cannot contain line breaks, control characters or hidden characters" }
        return nil
    }

    /// A note that was read from a system, safe to show: longer ones are cut off, and what is not printable is shown as an escape. Nil if it is empty.
    public static func read(_ text: String?) -> String? {
        guard let text, !text.isEmpty else { return nil }
        guard text.utf8.count > maximumLength else { return Printable.text(text) }
        var end = text.utf8.index(text.utf8.startIndex, offsetBy: maximumLength)
        // No character is cut in the middle.
        while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
        return Printable.text(String(text[..<end]))
    }

    /// The same of bytes; nil if they are not text.
    public static func read(_ bytes: [UInt8]) -> String? { String(validating: bytes, as: UTF8.self).flatMap { read($0) } }
}
