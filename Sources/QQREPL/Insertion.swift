/// Quotes a word for insertion by the editor, so that the line means exactly that word. Pure.
struct Insertion {
    /// The part of the word before the part that is replaced.
    let head: String
    /// The quote that is open at the part that is replaced.
    let quote: Unicode.Scalar?

    /// - Parameters:
    ///   - before: the line up to the cursor.
    ///   - start: offset of the part that is replaced, in bytes.
    init(_ before: String, _ start: Int) {
        let line = CommandLine.lenient(String(decoding: before.utf8.prefix(max(start, 0)), as: UTF8.self))
        (head, quote) = (line.words.last ?? "", line.quote)
    }

    /// The text to insert for a word.
    /// - Returns: nil if the word does not continue the line.
    func text(of word: String) -> String? {
        guard word.utf8.starts(with: head.utf8) else { return nil }
        let rest = String(decoding: word.utf8.dropFirst(head.utf8.count), as: UTF8.self).unicodeScalars
        var text = String.UnicodeScalarView()
        for (position, scalar) in rest.enumerated() {
            switch quote {
            case "'" where scalar == "'": text.append(contentsOf: #"'\''"#.unicodeScalars)
            case "'": break
            case .some where Self.specialInQuotes.contains(scalar), nil where Self.special.contains(scalar): text.append("\\")
            // Special only at the beginning of a word.
            case nil where position == 0 && head.isEmpty && (scalar == "#" || scalar == "~"): text.append("\\")
            default: break
            }
            if quote != "'" || scalar != "'" { text.append(scalar) }
        }
        guard let quote else { return String(text) }
        text.append(quote)
        // The editor takes a quote at the beginning for the quote that is already in the line.
        if text.count > 1, text.first == quote { text.insert(quote, at: text.startIndex) }
        return String(text)
    }

    /// Characters that `CommandLine` does not take literally.
    private static let specialInQuotes: Set<Unicode.Scalar> = ["\"", "\\", "$", "`"]
    private static let special: Set<Unicode.Scalar> = [" ", "\t", "\r", "\n", "'", "\"", "\\", "$", "&", "|", ">", "<", ";", "`"]
}
