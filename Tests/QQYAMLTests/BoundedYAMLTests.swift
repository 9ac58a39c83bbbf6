import Testing

@testable import QQYAML

@Suite struct BoundedYAMLTests {
    @Test func `a document is read with its texts as they are written`() throws {
        let root = try #require(try BoundedYAML.compose("a: {b: 007, c: 'x', d: null}\nl: [1, true]\n"))
        #expect(root["a"]?["b"]?.string == "007" && root["a"]?["c"]?.string == "x" && root["a"]?["d"]?.null != nil)
        #expect(root["l"]?.sequence?.map(\.string) == ["1", "true"])
    }

    @Test(arguments: ["", "\n", "# only a comment\n"]) func `a text without a document is nil`(text: String) throws {
        #expect(try BoundedYAML.compose(text) == nil)
    }

    @Test(
        arguments: [
            ("a: \"s3cret\nb: 1\n", 1), ("a: 1\nb: s3cret\u{1}\n", 2), ("s3cret: [\n", 2), ("a: s3cret\n---\nb: s3cret\n", 2),
            ("{s3cret: 1, s3cret: 2}", 1),
            ("a: *s3cret\n", 1), ("a: s3cret: s3cret\n", 1), ("? s3cret\n: - 1\n  b\n", 4),
        ])
    func `a problem names the line and nothing of the text`(text: String, line: Int) throws {
        let problem = try #require(throws: BoundedYAML.Problem.self) { try BoundedYAML.compose(text) }
        #expect(!problem.reason.contains("s3cret") && problem.hint?.contains("s3cret") != true)
        #expect(problem.line == line, "\(problem)")
    }

    @Test func `characters that YAML does not have are refused without showing them`() throws {
        let problem = try #require(throws: BoundedYAML.Problem.self) { try BoundedYAML.compose("token: s3cret\u{1}\n") }
        #expect(problem.reason == "not YAML: it contains a control character" && problem.line == 1)
    }

    /// Texts, each with an error that the library has a text of its own for, and the reason in our words.
    static let errors: [(String, String)] = [
        ("a: \"x\nb: 1\n", "the quoted text that begins here has no closing quote"),
        ("a: 'x\n---\n", "the quoted text that begins here has no closing quote"), ("a: [\n", "a value is missing"),
        ("a: b: c\n", "a ':' is not allowed here"), ("a: 1\n b: 2\n", "a ':' is not allowed here"),
        ("a: *x\n", "an alias (*NAME) has no anchor (&NAME) before it"),
        ("a: &\n", "an anchor (&NAME) or alias (*NAME) has no valid name"),
        ("\ta: 1\n", "a value begins with a tab, or with @, ` or %"), ("a: @b\n", "a value begins with a tab, or with @, ` or %"),
        ("a: b\n\tc: d\n", "a tab is used for indentation"), ("a: \"\\z\"\n", "a text in double quotes has an unknown escape"),
        ("a: \"\\uD800\"\n", "an escape (\\x, \\u or \\U) in a quoted text does not give a character"),
        ("a: \"\\xq\"\n", "an escape (\\x, \\u or \\U) in a quoted text does not give a character"),
        ("- a\nb: 1\n", "the next entry of a list does not begin with '-'"), ("{a: 1\n", "a mapping in { } lacks ',' or '}'"),
        ("? a\n? [b\n", "a list in [ ] lacks ',' or ']'"), ("{}}\n", "there is text after the end of the document"),
        ("a: {b: c}}\n", "the next key is missing or is indented otherwise than the keys before it"),
        ("%FOO\n---\na: 1\n", "a line that begins with % is no valid directive"),
        ("%YAML x\n---\na: 1\n", "a line that begins with % is no valid directive"),
        ("%YAML 3.0\n---\na: 1\n", "it is for another version of YAML than 1.1 and 1.2"),
        ("a: !x!y z\n", "a tag (a word that begins with !) is malformed or not known"),
        ("a: !<x z\n", "a tag (a word that begins with !) is malformed or not known"),
        ("a: |0\n x\n", "a block text (| or >) has an indentation of 0"),
        ("a: | x\n y\n", "the first line of a block text (| or >) has text after its mark"),
        ("a: \u{1}\n", "it contains a control character"),
    ]

    @Test(arguments: errors.indices) func `an error of the parser is told in words of ours`(index: Int) throws {
        let (text, reason) = Self.errors[index]
        let problem = try #require(throws: BoundedYAML.Problem.self) { try BoundedYAML.compose(text) }
        #expect(problem.reason == "not YAML: " + reason && problem.line != nil, "\(problem)")
    }

    @Test func `a text of the library that is not known comes after words of ours`() {
        #expect(YAMLReason("bad thing", in: "while scanning").text == "it cannot be read from here on (library: bad thing)")
    }

    @Test func `several documents and deep nesting are named in plain words`() throws {
        let several = try #require(throws: BoundedYAML.Problem.self) { try BoundedYAML.compose("a: 1\n---\nb: 2\n") }
        #expect(several.reason == "it has more than one document" && several.line == 2)
        let deep = try #require(throws: BoundedYAML.Problem.self) {
            try BoundedYAML.compose("a:\n  " + String(repeating: "[", count: 100_000))
        }
        #expect(deep.reason == "its values are nested too deeply" && deep.line == 2)
    }

    @Test func `keys that are given twice are named apart from the reason`() throws {
        let problem = try #require(throws: BoundedYAML.Problem.self) { try BoundedYAML.compose("a: 1\nb: 2\na: 3\n") }
        #expect(problem == .init("a key is given twice", line: 1, keys: ["a"]))
    }

    @Test func `aliases that could stand for billions of values are refused immediately`() throws {
        var text = "a0: &a0 [x, x]\n"
        for level in 1...20 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        let problem = try #require(throws: BoundedYAML.Problem.self) { try BoundedYAML.compose(text) }
        #expect(problem.reason == "it has 40 aliases (*NAME), more than 16")
        let large = "a: &a x\nb: *a\nc: \"" + String(repeating: "y", count: 1 << 16) + "\"\n"
        #expect(throws: BoundedYAML.Problem.self) { try BoundedYAML.compose(large) }
    }
}
