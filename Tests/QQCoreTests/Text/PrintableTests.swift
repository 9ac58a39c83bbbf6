import QQCore
import Testing

@Suite("Printable text") struct PrintableTests {
    @Test(
        "terminal controls and invisible characters in text from outside are shown as escapes",
        arguments: [
            ("web", "web"), ("Zürich 東京 👩‍💻 می‌خواهم", "Zürich 東京 👩‍💻 می‌خواهم"), ("a\u{1b}[2Jb\n", "a\\x1b[2Jb\\x0a"), ("\u{9b}2J", "\\x9b2J"),
            ("evil\u{202e}gnp.exe", "evil\\u202egnp.exe"), ("\u{2066}x\u{2069}", "\\u2066x\\u2069"),
            ("a\u{200e}\u{200f}\u{61c}", "a\\u200e\\u200f\\u061c"),
            ("ad\u{200b}min\u{feff}\u{ad}", "ad\\u200bmin\\ufeff\\xad"), ("one\u{2028}two\u{2029}", "one\\u2028two\\u2029"),
            ("\u{e0041}", "\\ue0041"),
        ])
    func shown(text: String, expected: String) { #expect(Printable.text(text) == expected) }

    @Test("qq's own text keeps its colours and lines, and its invisible characters are escaped") func own() {
        #expect(Printable.withoutHidden("\u{1b}[32mheld\u{1b}[0m\tn1\n\u{202e}x\u{9b}") == "\u{1b}[32mheld\u{1b}[0m\tn1\n\\u202ex\\x9b")
    }

    @Test("escaping JSON for a terminal keeps its meaning") func json() throws {
        let value: JSONValue = ["leader": .string("a\u{202e}b\u{9b}c\u{7f}\u{e0041}é")]
        let text = Printable.json(JSONWriter.string(value))
        #expect(text == #"{"leader":"a\u202eb\u009bc\u007f\udb40\udc41é"}"#)
        #expect(try JSONValue.parse(Array(text.utf8)[...]) == value)
    }
}
