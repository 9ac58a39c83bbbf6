import Testing

@testable import QQCLI

@Suite("The form of a text file") struct TextFormTests {
    @Test(
        "the mark at the beginning and the ends of lines are taken from a text, and restored",
        arguments: [
            ("", ""), ("a\nb\n", "a\nb\n"), ("\u{feff}a\n", "a\n"), ("a\r\nb\r\n", "a\nb\n"), ("\u{feff}a\r\nb", "a\nb"), ("\u{feff}", ""),
        ])
    func restored(whole: String, inner: String) throws {
        var text = whole
        let form = try TextForm(takenFrom: &text)
        #expect(Array(text.utf8) == Array(inner.utf8))
        #expect(Array(form.whole(text).utf8) == Array(whole.utf8))
    }

    @Test("an added line gets the ends of the others") func added() throws {
        var text = "a\r\n"
        let form = try TextForm(takenFrom: &text)
        #expect(Array(form.whole(text + "b\n").utf8) == Array("a\r\nb\r\n".utf8))
    }

    @Test("mixed ends of lines are refused", arguments: ["a\r\nb\n", "a\nb\r\n", "a\rb\r", "a\r"]) func mixed(whole: String) {
        var text = whole
        #expect(throws: TextForm.Mixed.self) { _ = try TextForm(takenFrom: &text) }
    }
}
