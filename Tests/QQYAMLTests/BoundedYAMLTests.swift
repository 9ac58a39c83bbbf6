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
            ("a: \"s3cret\nb: 1\n", 3), ("s3cret: [\n", 2), ("a: s3cret\n---\nb: s3cret\n", 2), ("{s3cret: 1, s3cret: 2}", 1),
            ("a: *s3cret\n", 1), ("a: s3cret: s3cret\n", 1), ("? s3cret\n: - 1\n  b\n", 4),
        ])
    func `a problem names the line and nothing of the text`(text: String, line: Int) throws {
        let problem = try #require(throws: BoundedYAML.Problem.self) { try BoundedYAML.compose(text) }
        #expect(!problem.reason.contains("s3cret") && problem.hint?.contains("s3cret") != true)
        #expect(problem.line == line, "\(problem)")
    }

    @Test func `characters that YAML does not have are refused without showing them`() throws {
        let problem = try #require(throws: BoundedYAML.Problem.self) { try BoundedYAML.compose("token: s3cret\u{1}\n") }
        #expect(problem.reason == "not YAML: control characters are not allowed")
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
