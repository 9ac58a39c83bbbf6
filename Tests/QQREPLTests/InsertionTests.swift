import Testing

@testable import QQREPL

@Suite("A word that the editor inserts")
struct InsertionTests {
    private static let words = [
        "plain", "a b", "$(x)", "$HOME", "${HOME}", "'", "\"", "'q'", "\"q\"", "it's", "\\", "a\\b", "`x`", "~", "~/x", "#x", "x#y", "x~y",
        "a;b", "a|b",
        "a>b<c", "&", "a&", "x &", "é ü", "日本 語", "*?[x]{a,b}", "=x", "--color=a b", "\t", "$", "\\'", "\"'$`\\ ",
    ]

    /// The line after the editor has put the text in place of the word. The editor does not double a quote at either end.
    private func line(_ before: String, _ text: String) -> String {
        guard let quote = before.last, quote == "'" || quote == "\"", text.first == quote, text.count > 1 else { return before + text }
        return String(before.dropLast()) + text
    }

    @Test("an inserted word is parsed as itself, in quotes and without", arguments: words, ["", "'", "\""])
    func wordsAlone(word: String, quote: String) throws {
        let before = "status " + quote
        let text = try #require(Insertion(before, before.utf8.count).text(of: word))
        let whole = line(before, text)
        #expect(try CommandLine(whole) { _ in "a variable" }.words == ["status", word], "\(whole)")
    }

    @Test(
        "an inserted word continues the text before it, however that is quoted",
        arguments: [("--x=", "--x="), ("a'b c'", "ab c"), ("a\\ b", "a b"), ("\"a\"'b'", "ab")])
    func begun(typed: String, means: String) throws {
        for word in Self.words {
            let before = "status " + typed
            let text = try #require(Insertion(before, before.utf8.count).text(of: means + word))
            #expect(try CommandLine(before + text) { _ in "a variable" }.words == ["status", means + word], "\(before + text)")
        }
    }

    @Test("a word is not inserted if it does not continue the line") func other() {
        #expect(Insertion("status ab", 9).text(of: "x") == nil)
        #expect(Insertion("status ab", 7).text(of: "x") == "x")
        #expect(Insertion("status 'ab", 8).text(of: "x") == "x'")
    }
}
