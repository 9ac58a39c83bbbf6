/// A manual page as data; ``roff`` writes it with the macros of man(7).
///
/// Texts are ASCII. Backticks mark literal text, asterisks text that the user replaces.
struct ManPage: Sendable {
    struct Section: Sendable {
        let title: String
        let blocks: [Block]

        init(_ title: String, _ blocks: [Block]) {
            self.title = title
            self.blocks = blocks
        }
    }

    enum Block: Sendable {
        /// Paragraphs, separated by an empty line.
        case text(String)
        /// A heading within a section.
        case heading(String)
        /// A term and its meaning.
        case term(String, String)
        /// A command line to copy, and its purpose.
        case example(Example)
        /// Several lines printed as they are.
        case verbatim(String)
    }

    /// `qq-acquire`.
    let name: String
    let section: Int
    /// The text after the dash in the NAME section, without a full stop.
    let summary: String
    /// The sections after NAME.
    let sections: [Section]

    /// The path of the page in the repository: `man/qq-acquire.1`.
    var path: String { "man/\(name).\(section)" }

    /// Fixed, so that every build makes the same pages.
    static let date = "2026-11-21"

    /// The page's source, for man(1), mandoc(1) and groff(1).
    var roff: String {
        var lines = [
            ".\\\" Generated from the declarations of commands and flags by `make docs`; do not edit.",
            ".TH \(name.uppercased()) \(section) \(Self.date) qq \"User Commands\"",
            ".SH NAME",
            "\(Roff.escaped(name)) \\- \(Roff.inline(summary))",
        ]
        for part in sections {
            lines.append(".SH \(part.title)")
            var afterHeading = true
            for block in part.blocks {
                lines += Roff.lines(of: block, first: afterHeading)
                if case .heading = block { afterHeading = true } else { afterHeading = false }
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// Writing roff.
enum Roff {
    /// The lines of a block. The first block after a heading has no paragraph macro: linters warn about one there.
    static func lines(of block: ManPage.Block, first: Bool) -> [String] {
        switch block {
        case .text(let text):
            var lines: [String] = []
            for (place, paragraph) in Markup.paragraphs(text).enumerated() {
                if place > 0 || !first { lines.append(".PP") }
                lines += prose(paragraph)
            }
            return lines
        case .heading(let title):
            return [".SS \(escaped(title))"]
        case .term(let term, let text):
            var lines = [".TP", guarded(inline(term))]
            for (place, paragraph) in Markup.paragraphs(text).enumerated() {
                if place > 0 { lines.append(".IP") }
                lines += prose(paragraph)
            }
            return lines
        case .example(let example):
            return (first ? [] : [".PP"]) + [guarded(inline(example.comment)) + ":", ".PP"] + verbatim(example.line)
        case .verbatim(let text):
            return (first ? [] : [".PP"]) + verbatim(text)
        }
    }

    /// A paragraph in the form that formatters expect: each sentence starts a line, and lines are short.
    private static func prose(_ text: String) -> [String] {
        var sentences = [""]
        for word in inline(text).split(separator: " ") {
            sentences[sentences.count - 1] += (sentences[sentences.count - 1].isEmpty ? "" : " ") + word
            if word.hasSuffix(".") && !word.hasSuffix("..") { sentences.append("") }
        }
        return sentences.flatMap { Markup.wrapped($0, indent: 0, width: 78).map(guarded) }
    }

    private static func verbatim(_ text: String) -> [String] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return [".RS 4", ".EX"] + lines.map { guarded(escaped(String($0))) } + [".EE", ".RE"]
    }

    /// Literal text, escaped so that the formatter finds no commands in it, and dashes and quotes can be copied from the page.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\e"
            case "-": result += "\\-"
            case "'": result += "\\(aq"
            case "`": result += "\\(ga"
            case "^": result += "\\(ha"
            case "~": result += "\\(ti"
            default: result.append(character)
            }
        }
        return result
    }

    /// Text with its markup set in bold and italic.
    static func inline(_ text: String) -> String {
        Markup.spans(text).map { span in
            switch span.style {
            case .plain: plain(span.text)
            case .literal: "\\fB\(escaped(span.text))\\fR"
            case .placeholder: "\\fI\(escaped(span.text))\\fR"
            }
        }.joined()
    }

    /// Prose: a dash after a letter stays a hyphen, any other dash is a minus.
    private static func plain(_ text: String) -> String {
        var result = ""
        var before: Character = " "
        for character in text {
            if character == "-", before.isLetter {
                result.append("-")
            } else {
                result += escaped(String(character))
            }
            before = character
        }
        return result
    }

    /// The line, with a start that looks like a request made harmless.
    private static func guarded(_ line: String) -> String {
        line.hasPrefix(".") || line.hasPrefix("'") ? "\\&" + line : line
    }
}
