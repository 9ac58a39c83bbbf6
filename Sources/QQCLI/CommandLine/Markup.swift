/// The markup of declared texts: backticks around literal text, asterisks around text that the user replaces.
enum Markup {
    enum Style: Sendable { case plain, literal, placeholder }

    struct Span: Sendable, Equatable {
        var style: Style
        var text: String
    }

    /// The text in pieces of one style each.
    static func spans(_ text: String) -> [Span] {
        var spans: [Span] = []
        var current = Span(style: .plain, text: "")
        func flush(_ next: Style) {
            if !current.text.isEmpty { spans.append(current) }
            current = Span(style: next, text: "")
        }
        for character in text {
            switch (character, current.style) {
            case ("`", .plain): flush(.literal)
            case ("*", .plain): flush(.placeholder)
            case ("`", .literal), ("*", .placeholder): flush(.plain)
            default: current.text.append(character)
            }
        }
        flush(.plain)
        return spans
    }

    /// The text without its markup.
    static func plain(_ text: String) -> String { spans(text).map(\.text).joined() }

    /// The paragraphs, which empty lines separate.
    static func paragraphs(_ text: String) -> [String] {
        var paragraphs: [String] = []
        var lines: [Substring] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) + [Substring()] {
            if !line.isEmpty {
                lines.append(line)
            } else if !lines.isEmpty {
                paragraphs.append(lines.joined(separator: " "))
                lines = []
            }
        }
        return paragraphs
    }

    /// A paragraph in indented lines of at most `width` columns. A longer word has a line of its own.
    static func wrapped(_ text: String, indent: Int, width: Int) -> [String] {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, indent + line.utf8.count + 1 + word.utf8.count > width {
                lines.append(margin + line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        if !line.isEmpty { lines.append(margin + line) }
        return lines
    }
}
