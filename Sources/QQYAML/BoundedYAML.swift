import Yams

/// Parses the YAML of user files within bounds.
///
/// An alias expands to everything under its anchor. A few lines of aliases of aliases expand to billions of values, and the library visits each of them if
/// they are keys. The library itself limits nesting.
public enum BoundedYAML {
    /// The reason that a text cannot be used. The library's own errors contain the text, which can hold secrets.
    public struct Problem: Error, Equatable, Sendable {
        /// The reason, without anything of the text.
        public var reason: String
        /// The line, from 1; nil if the problem is not in one place.
        public var line: Int?
        /// The keys that a mapping has twice. They are part of the text.
        public var keys: [String]
        /// What to do; nil if that is obvious.
        public var hint: String?

        public init(_ reason: String, line: Int? = nil, keys: [String] = [], hint: String? = nil) {
            self.reason = reason
            self.line = line
            self.keys = keys
            self.hint = hint
        }
    }

    /// More than such files need, in which an alias makes one entry equal to another.
    static let mostAliases = 16
    /// Size of the largest text with aliases, in bytes.
    static let largestWithAliases = 1 << 16

    /// The document of the text; nil if the text is empty.
    ///
    /// Scalars are texts: tags are not resolved, because the library's patterns for them take several milliseconds to compile.
    ///
    /// - Throws: `Problem` for a text that is not one document of YAML, or has too many aliases.
    public static func compose(_ text: String) throws(Problem) -> Node? {
        let count = aliases(in: text)
        let hint = "write out the values that the aliases stand for"
        if count > mostAliases { throw Problem("it has \(count) aliases (*NAME), more than \(mostAliases)", hint: hint) }
        if count > 0, text.utf8.count > largestWithAliases {
            throw Problem("it has aliases (*NAME) and is larger than 64 KiB", hint: hint)
        }
        // The encoding is given, because the library would look for it in the environment, and print it.
        // A byte order mark is allowed at the beginning (YAML 1.2, section 5.2); the library skips it in bytes, but not in a text.
        let plain = text.unicodeScalars.first == "\u{feff}" ? String(text.unicodeScalars.dropFirst()) : text
        do { return try Yams.compose(yaml: plain, .basic, .default, .utf8) } catch { throw problem(error) }
    }

    /// The number of possible aliases, including those in quoted texts and comments.
    static func aliases(in text: String) -> Int {
        var count = 0
        var before = UInt8(ascii: "\n")
        for byte in text.utf8 {
            if byte == UInt8(ascii: "*"), " \t\r\n,:[{?-!".utf8.contains(before) { count += 1 }
            before = byte
        }
        return count
    }

    /// How the library's problem with deep nesting begins.
    private static let tooDeep = "Maximum nesting level reached"

    private static func problem(_ error: any Error) -> Problem {
        switch error as? YamlError {
        case .composer(_, "but found another document", let mark, _):
            Problem("it has more than one document", line: mark.line, hint: "leave one document in the file")
        case .scanner(_, let problem, let mark, _) where problem.hasPrefix(tooDeep),
            .parser(_, let problem, let mark, _) where problem.hasPrefix(tooDeep):
            Problem("its values are nested too deeply", line: mark.line)
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            notYAML(YAMLReason(problem, in: context?.text ?? ""), line: mark.line, beginning: context?.mark.line)
        case .reader(let problem, let offset, _, let text):
            notYAML(YAMLReason(problem, in: ""), line: offset.map { text.prefix($0).count(where: \.isNewline) + 1 })
        case .dataCouldNotBeDecoded: Problem("it is not UTF-8 text")
        case .memory: Problem("there is not enough memory to read it")
        case .duplicatedKeysInMapping(let keys, let context): Problem("a key is given twice", line: context.mark.line, keys: keys)
        default: Problem("not YAML")
        }
    }

    private static func notYAML(_ reason: YAMLReason, line: Int?, beginning: Int? = nil) -> Problem {
        Problem("not YAML: \(reason.text)", line: reason.isAtBeginning ? beginning ?? line : line, hint: reason.hint)
    }
}
