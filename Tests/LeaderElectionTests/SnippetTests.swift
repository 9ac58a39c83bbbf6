import Foundation
import Testing

/// The Swift code that is shown to readers is code that is compiled: each block of the articles, of README.md and of the comments of the library's modules occurs
/// in one of the files `Snippets*.swift`, line for line.
@Suite("Swift code in the documentation") struct SnippetTests {
    /// A block of code, and where it is shown.
    struct Block: Sendable, CustomTestStringConvertible {
        let file: String
        let line: Int
        let lines: [String]

        var testDescription: String { "\(file):\(line)" }
    }

    private static let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()

    private static func files(below folder: String, _ suffix: String) -> [String] {
        let all = FileManager.default.enumerator(atPath: root + "/" + folder)?.compactMap { $0 as? String } ?? []
        return all.filter { $0.hasSuffix(suffix) }.sorted().map { folder + "/" + $0 }
    }

    private static func lines(_ file: String) throws -> [String] {
        let text = try String(contentsOfFile: root + "/" + file, encoding: .utf8)
        return text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The blocks of a document, or of the comments of a source file.
    static func blocks(_ file: String, _ lines: [String]) -> [Block] {
        var blocks: [Block] = []
        var open: (line: Int, lines: [String])?
        for (number, line) in lines.enumerated() {
            let text = file.hasSuffix(".swift") ? comment(line) : line
            guard let text else {
                open = nil
                continue
            }
            let word = text.trimmingCharacters(in: .whitespaces)
            if let block = open {
                if word == "```" {
                    blocks.append(Block(file: file, line: block.line, lines: block.lines))
                    open = nil
                } else {
                    open?.lines.append(text)
                }
            } else if word == "```swift" {
                open = (number + 1, [])
            }
        }
        return blocks
    }

    /// The text of a line that is a documentation comment; nil for any other line.
    private static func comment(_ line: String) -> String? {
        let text = line.drop { $0 == " " }
        guard text.hasPrefix("///") else { return nil }
        let content = text.dropFirst(3)
        return String(content.first == " " ? content.dropFirst() : content)
    }

    /// The lines without the indentation that all of them have, and without blanks at their ends.
    static func normalized(_ lines: some Collection<String>) -> [String] {
        let trimmed = lines.map { line in
            var line = Substring(line)
            while line.last == " " { line.removeLast() }
            return line
        }
        let indentation = trimmed.filter { !$0.isEmpty }.map { $0.prefix { $0 == " " }.count }.min() ?? 0
        return trimmed.map { String($0.dropFirst(indentation)) }
    }

    static func occurs(_ block: [String], in source: [String]) -> Bool {
        let wanted = normalized(block)
        guard !wanted.isEmpty, source.count >= wanted.count else { return false }
        return (0...source.count - wanted.count).contains { normalized(source[$0..<$0 + wanted.count]) == wanted }
    }

    private static func documents() -> [String] {
        files(below: "Sources/LeaderElection/LeaderElection.docc", ".md") + ["README.md"] + files(below: "Examples", "README.md")
            + ["LeaderElection", "LeaderElectionLifecycle", "LeaderElectionLogging", "LeaderElectionMetrics"]
            .flatMap { files(below: "Sources/" + $0, ".swift") }
    }

    @Test("is compiled in a test") func compiled() throws {
        let sources = try ["Tests/LeaderElectionTests", "Tests/LeaderElectionModulesTests"]
            .flatMap { Self.files(below: $0, ".swift") }
            .filter { $0.split(separator: "/").last?.hasPrefix("Snippets") == true }
            .map { try Self.lines($0) }
        let blocks = try Self.documents().flatMap { Self.blocks($0, try Self.lines($0)) }
        #expect(sources.count >= 3 && blocks.count >= 20, "the files were not found")
        for block in blocks {
            #expect(sources.contains { Self.occurs(block.lines, in: $0) }, "\(block.testDescription) is in no file Snippets*.swift")
        }
    }

    @Test("would be found missing") func missing() {
        let source = ["func f() {", "    let a = 1", "", "    if a == 1 {", "        g()", "    }", "}"]
        #expect(Self.occurs(["let a = 1", "", "if a == 1 {", "    g()", "}"], in: source))
        #expect(Self.occurs(["        g()"], in: source))
        #expect(!Self.occurs(["let a = 2"], in: source))
        #expect(!Self.occurs(["let a = 1", "if a == 1 {"], in: source))
        #expect(!Self.occurs(["if a == 1 {", "g()"], in: source), "another indentation")
        #expect(!Self.occurs([], in: source))
        let comment = [
            "/// Text.", "///", "/// ```swift", "/// f()", "/// ```", "func f() {}", "    /// ```swift", "    /// if x {",
            "    ///     y()", "    /// }", "    /// ```",
        ]
        #expect(Self.blocks("a.swift", comment).map(\.lines) == [["f()"], ["if x {", "    y()", "}"]])
        #expect(Self.blocks("a.md", ["```swift", "f()", "```", "```sh", "g", "```"]).map(\.lines) == [["f()"]])
    }

    /// Every public type has its place on the first page, or belongs to another one.
    @Test("names every public type on the landing page") func curated() throws {
        let page = try Self.lines("Sources/LeaderElection/LeaderElection.docc/LeaderElection.md").joined(separator: "\n")
        let kinds = ["public final class ", "public struct ", "public enum ", "public protocol ", "public actor "]
        var found = 0
        for file in Self.files(below: "Sources/LeaderElection", ".swift") {
            for line in try Self.lines(file) {
                guard let kind = kinds.first(where: { line.hasPrefix($0) }) else { continue }
                let name = line.dropFirst(kind.count).prefix { $0.isLetter || $0.isNumber || $0 == "_" }
                found += 1
                #expect(page.contains("- ``\(name)``"), "\(name) of \(file)")
            }
        }
        #expect(found >= 10)
    }
}
