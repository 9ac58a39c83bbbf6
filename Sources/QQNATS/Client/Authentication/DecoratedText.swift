/// A text with blocks between decorated lines, as `nsc` writes them:
///
///     -----BEGIN NATS USER JWT-----
///     eyJ0…
///     ------END NATS USER JWT------
///
/// Three or more dashes decorate a line. Lines outside blocks are ignored.
struct DecoratedText {
    enum Block {
        /// The text has no such block.
        case missing
        /// The block begins but has no END line.
        case open
        /// The block's lines joined, without the blanks around them.
        case content([UInt8])
    }

    private let lines: [ArraySlice<UInt8>]

    init(_ bytes: [UInt8]) {
        lines = bytes.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }).map(Self.trimmed)
    }

    /// The first block whose BEGIN line contains one of `words`.
    func block(_ words: String...) -> Block {
        let begins = lines.firstIndex { line in
            guard let label = Self.label(of: line), label.contains("BEGIN") else { return false }
            return words.contains { label.contains($0) }
        }
        guard let begins else { return .missing }
        let rest = lines[(begins + 1)...]
        guard let ends = rest.firstIndex(where: { Self.label(of: $0) != nil }), Self.label(of: lines[ends])?.contains("END") == true else {
            return .open
        }
        // Reserve the whole size: an array that grows leaves copies of a secret in memory.
        var content: [UInt8] = []
        content.reserveCapacity(rest[..<ends].reduce(0) { $0 + $1.count })
        for line in rest[..<ends] { content += line }
        return .content(content)
    }

    /// The first line that is not empty, a comment or a decoration.
    var firstPlainLine: ArraySlice<UInt8>? {
        lines.first { !$0.isEmpty && $0.first != UInt8(ascii: "#") && !$0.starts(with: "//".utf8) && Self.label(of: $0) == nil }
    }

    /// The line as text if it is decorated, otherwise nil.
    private static func label(of line: ArraySlice<UInt8>) -> String? {
        let dashes = Array("---".utf8)
        guard line.starts(with: dashes), line.reversed().starts(with: dashes) else { return nil }
        return String(decoding: line, as: UTF8.self)
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        var line = line.drop(while: isBlank)
        while let last = line.last, isBlank(last) { line.removeLast() }
        return line
    }
}
