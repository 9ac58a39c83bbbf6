/// A line of a session or a script, split into words: quoted as in a shell, with variables, comments, and `&` for a background command.
public struct CommandLine: Sendable, Equatable {
    public var words: [String]
    public var isInBackground: Bool

    /// Why a line is rejected.
    public struct Invalid: Error, Sendable, Equatable {
        public var reason: String
        public var hint: String?
    }

    /// - Parameter variable: returns the value of an environment variable, or nil if it is not set.
    public init(_ text: String, variable: (String) -> String?) throws(Invalid) {
        var state = ParseState(text)
        let pieces = try state.read(variable)
        isInBackground = pieces.isInBackground
        words = pieces.words
    }

    /// The words of an unfinished line, for completion; the last one is at the cursor. Quotes can be open, and variables are not expanded.
    public static func unfinished(_ text: String) -> [String] { lenient(text).words }

    /// - Returns: the words, and the quote that is open at the end.
    static func lenient(_ text: String) -> (words: [String], quote: Unicode.Scalar?) {
        var state = ParseState(text)
        state.isLenient = true
        let words = (try? state.read { _ in nil })?.words ?? []
        return (state.endsBetween ? words + [""] : words, state.openQuote)
    }
}

/// Parse state of a line. Works on code points, because an accent after a quote would make another character of it.
private struct ParseState {
    private let text: [Unicode.Scalar]
    private var next = 0
    private var word: String?
    var isLenient = false
    /// Whether the text ends outside of a word.
    private(set) var endsBetween = false
    /// The quote that is open at the end of the text.
    private(set) var openQuote: Unicode.Scalar?

    init(_ text: String) { self.text = Array(text.unicodeScalars) }

    private func invalid(_ reason: String, _ hint: String? = nil) -> CommandLine.Invalid { .init(reason: reason, hint: hint) }

    private mutating func add(_ more: String) { word = (word ?? "") + more }

    mutating func read(_ variable: (String) -> String?) throws(CommandLine.Invalid) -> (words: [String], isInBackground: Bool) {
        var words: [String] = []
        while next < text.count {
            let scalar = text[next]
            next += 1
            switch scalar {
            case " ", "\t", "\r", "\n":
                if let word { words.append(word) }
                word = nil
            case "#" where word == nil: next = text.count
            case "~" where word == nil: add(home(variable))
            case "'": try readSingleQuoted()
            case "\"": try readDoubleQuoted(variable)
            case "\\":
                guard next < text.count else {
                    guard isLenient else { throw invalid("a backslash at the end of the line") }
                    continue
                }
                add(String(text[next]))
                next += 1
            case "$": add(try value(variable))
            case "&":
                let rest = text[next...].drop { $0 == " " || $0 == "\t" || $0 == "\r" }
                guard rest.isEmpty || rest.first == "#", !words.isEmpty || word != nil else {
                    if isLenient { continue }
                    throw invalid("'&' is only allowed at the end of a command", "quote it to use it as an ordinary character")
                }
                if let word { words.append(word) }
                word = nil
                endsBetween = true
                return (words, true)
            case "|", ">", "<", ";", "`":
                guard isLenient else { throw invalid("'\(scalar)' is shell syntax", "quote it, or run qq from a shell") }
                add(String(scalar))
            default: add(String(scalar))
            }
        }
        endsBetween = word == nil
        if let word { words.append(word) }
        return (words, false)
    }

    private mutating func readSingleQuoted() throws(CommandLine.Invalid) {
        let end = text[next...].firstIndex(of: "'")
        guard end != nil || isLenient else { throw invalid("a quote is not closed") }
        if end == nil { openQuote = "'" }
        var content = String.UnicodeScalarView()
        content.append(contentsOf: text[next..<(end ?? text.count)])
        add(String(content))
        next = end.map { $0 + 1 } ?? text.count
    }

    private mutating func readDoubleQuoted(_ variable: (String) -> String?) throws(CommandLine.Invalid) {
        add("")
        while next < text.count {
            let scalar = text[next]
            next += 1
            switch scalar {
            case "\"": return
            case "\\" where next < text.count && ["\"", "\\", "$", "`"].contains(text[next]):
                add(String(text[next]))
                next += 1
            case "$": add(try value(variable))
            default: add(String(scalar))
            }
        }
        guard isLenient else { throw invalid("a quote is not closed") }
        openQuote = "\""
    }

    /// Expands a `~` at the beginning of a word: to the home folder if a path or nothing follows.
    private func home(_ variable: (String) -> String?) -> String {
        let follows = next < text.count ? text[next] : "/"
        guard !isLenient, ["/", " ", "\t", "\r", "\n"].contains(follows), let home = variable("HOME"), !home.isEmpty else { return "~" }
        return home
    }

    /// Expands the variable after a `$`.
    private mutating func value(_ variable: (String) -> String?) throws(CommandLine.Invalid) -> String {
        let isBraced = next < text.count && text[next] == "{"
        let start = next + (isBraced ? 1 : 0)
        var end = start
        while end < text.count, text[end].isOfName(first: end == start) { end += 1 }
        guard end > start, !isBraced || (end < text.count && text[end] == "}") else { return "$" }
        var name = String.UnicodeScalarView()
        name.append(contentsOf: text[start..<end])
        next = end + (isBraced ? 1 : 0)
        if isLenient { return isBraced ? "${\(String(name))}" : "$\(String(name))" }
        guard let value = variable(String(name)) else {
            throw invalid("\(String(name)) is not set", "write '$\(String(name))' in single quotes to use it as it is")
        }
        return value
    }
}

extension Unicode.Scalar {
    /// Whether the name of a variable can contain this character.
    fileprivate func isOfName(first: Bool) -> Bool {
        switch self {
        case "a"..."z", "A"..."Z", "_": true
        case "0"..."9": !first
        default: false
        }
    }
}
