/// How a word is written where the editor inserts it, so that the line means the word and nothing else. Pure.
struct Insertion {
    /// What of the word stands before the part that is replaced.
    let head: String
    /// The quote that it stands in.
    let quote: Unicode.Scalar?

    /// - Parameters:
    ///   - before: the line up to the cursor.
    ///   - start: where the part begins that is replaced, in bytes.
    init(_ before: String, _ start: Int) {
        let line = CommandLine.lenient(String(decoding: before.utf8.prefix(max(start, 0)), as: UTF8.self))
        (head, quote) = (line.words.last ?? "", line.quote)
    }

    /// - Returns: nil for a word that does not go on as the line does.
    func text(of word: String) -> String? {
        guard word.utf8.starts(with: head.utf8) else { return nil }
        let rest = String(decoding: word.utf8.dropFirst(head.utf8.count), as: UTF8.self).unicodeScalars
        var text = String.UnicodeScalarView()
        for (place, scalar) in rest.enumerated() {
            switch quote {
            case "'" where scalar == "'": text.append(contentsOf: #"'\''"#.unicodeScalars)
            case "'": break
            case .some where Self.specialInQuotes.contains(scalar), nil where Self.special.contains(scalar): text.append("\\")
            // Only at the beginning of a word.
            case nil where place == 0 && head.isEmpty && (scalar == "#" || scalar == "~"): text.append("\\")
            default: break
            }
            if quote != "'" || scalar != "'" { text.append(scalar) }
        }
        guard let quote else { return String(text) }
        text.append(quote)
        // The editor takes a quote at the beginning for the one that is there.
        if text.count > 1, text.first == quote { text.insert(quote, at: text.startIndex) }
        return String(text)
    }

    /// What `CommandLine` reads as something else than itself.
    private static let specialInQuotes: Set<Unicode.Scalar> = ["\"", "\\", "$", "`"]
    private static let special: Set<Unicode.Scalar> = [" ", "\t", "\r", "\n", "'", "\"", "\\", "$", "&", "|", ">", "<", ";", "`"]
}
