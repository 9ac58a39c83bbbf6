import Yams

/// A syntax error of YAML in our words, found by the library's text for it. Those texts are constants; nothing of the document is in them.
struct YAMLReason: Equatable {
    /// The reason, to follow "not YAML: ".
    var text: String
    var hint: String?
    /// Whether the error is best shown where the construct begins that the library was in, such as a quoted text.
    var isAtBeginning = false

    private init(_ text: String, hint: String? = nil, isAtBeginning: Bool = false) {
        (self.text, self.hint, self.isAtBeginning) = (text, hint, isAtBeginning)
    }

    /// - Parameters:
    ///   - problem: the library's text.
    ///   - construct: the library's text for what it was reading, such as "while scanning a tag"; empty if it gives none.
    init(_ problem: String, in construct: String) {
        if let known = Self.byProblem[problem] {
            self = known
        } else if let known = Self.byConstruct.first(where: { construct.hasSuffix($0.suffix) })?.reason {
            self = known
        } else {
            self.init("it cannot be read from here on (library: \(problem))")
        }
    }

    private static let spaces = "indent with spaces"
    private static let indentation = "check the indentation of this line and of those before it"
    private static let encoding = "save the file as UTF-8"

    private static func quote(_ texts: String) -> String { "put \(texts) in quotes" }

    private static let tab = YAMLReason("a tab is used for indentation", hint: spaces)
    private static let unclosedQuote = YAMLReason("the quoted text that begins here has no closing quote", isAtBeginning: true)
    private static let escapeCode = YAMLReason("an escape (\\x, \\u or \\U) in a quoted text does not give a character")
    private static let notUTF8 = YAMLReason("it is not UTF-8 text", hint: encoding)
    private static let tag = YAMLReason(
        "a tag (a word that begins with !) is malformed or not known", hint: quote("values that begin with !"))
    private static let directive = YAMLReason("a line that begins with % is no valid directive", hint: quote("values that begin with %"))

    private static let byProblem: [String: YAMLReason] = [
        "found character that cannot start any token": .init(
            "a value begins with a tab, or with @, ` or %", hint: "\(spaces), and " + quote("values that begin with @, ` or %")),
        "found a tab character where an indentation space is expected": tab,
        "found a tab character that violates indentation": tab,
        "could not find expected ':'": .init("a key has no ':' after it"),
        "mapping values are not allowed in this context": .init(
            "a ':' is not allowed here", hint: "\(indentation), and " + quote("texts that contain ': '")),
        "mapping keys are not allowed in this context": .init("a key is not allowed here", hint: indentation),
        "block sequence entries are not allowed in this context": .init("a list entry ('- ') is not allowed here", hint: indentation),
        "did not find expected '-' indicator": .init("the next entry of a list does not begin with '-'", hint: indentation),
        "did not find expected key": .init("the next key is missing or is indented otherwise than the keys before it", hint: indentation),
        "did not find expected node content": .init("a value is missing"),
        "did not find expected ',' or ']'": .init("a list in [ ] lacks ',' or ']'"),
        "did not find expected ',' or '}'": .init("a mapping in { } lacks ',' or '}'"),
        "did not find expected <document start>": .init("there is text after the end of the document"),
        "found unexpected end of stream": unclosedQuote,
        "found unexpected document indicator": unclosedQuote,
        "found unknown escape character": .init(
            "a text in double quotes has an unknown escape", hint: "write \\\\ for a backslash, or use single quotes"),
        "did not find expected hexdecimal number": escapeCode,
        "found invalid Unicode character escape code": escapeCode,
        "found unexpected ':'": .init("a ':' is not allowed here", hint: quote("texts that contain ':'")),
        "found an indentation indicator equal to 0": .init("a block text (| or >) has an indentation of 0"),
        "did not find expected alphabetic or numeric character": .init(
            "an anchor (&NAME) or alias (*NAME) has no valid name", hint: quote("values that begin with & or *")),
        "found undefined alias": .init("an alias (*NAME) has no anchor (&NAME) before it", hint: quote("values that begin with *")),
        "found undefined tag handle": tag,
        "found duplicate %YAML directive": directive, "found duplicate %TAG directive": directive,
        "found incompatible YAML document": .init("it is for another version of YAML than 1.1 and 1.2"),
        "control characters are not allowed": .init("it contains a control character"),
        "invalid leading UTF-8 octet": notUTF8, "incomplete UTF-8 octet sequence": notUTF8, "invalid trailing UTF-8 octet": notUTF8,
        "invalid length of a UTF-8 sequence": notUTF8, "invalid Unicode character": notUTF8,
        "input is too long": .init("it is too long"),
    ]

    /// Reasons for everything else that can be wrong with a construct. The texts name it after "while scanning" or "while parsing".
    private static let byConstruct: [(suffix: String, reason: YAMLReason)] = [
        ("a tag", tag), ("tag directive", directive), ("%TAG directive", directive), ("%YAML directive", directive),
        ("a directive", directive),
        ("a block scalar", .init("the first line of a block text (| or >) has text after its mark", hint: nil)),
    ]
}
