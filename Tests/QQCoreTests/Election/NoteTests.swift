import QQCore
import Testing

@Suite("Notes") struct NoteTests {
    @Test(
        "a note of up to 256 bytes of printable text is accepted and read back unchanged",
        arguments: [
            "x", "build 417, by Ann", "größer als üblich 🚀", String(repeating: "n", count: 256), String(repeating: "é", count: 128),
        ])
    func usable(note: String) {
        #expect(Note.problem(with: note) == nil)
        #expect(Note.read(note) == note)
        #expect(Note.read(Array(note.utf8)) == note)
    }

    @Test(
        "a note that is empty, too long or not printable is refused",
        arguments: [
            ("", "must not be empty"), (String(repeating: "n", count: 257), "has at most 256 bytes, this one has 257"),
            (String(repeating: "é", count: 129), "this one has 258"), ("two\nlines", "line breaks"), ("a\tb", "control characters"),
            ("bell\u{7}", "control characters"), ("\u{9b}31m", "control characters"), ("turned\u{202e}round", "hidden characters"),
            ("zero\u{200b}width", "hidden characters"),
        ])
    func refused(note: String, reason: String) {
        #expect(Note.problem(with: note)?.contains(reason) == true)
    }

    @Test("a note from a server is made printable, and cut off between two characters") func foreign() {
        #expect(Note.read("a\u{1b}[2Jb\n") == "a\\x1b[2Jb\\x0a")
        let long = Note.read("x" + String(repeating: "é", count: 200))
        #expect(long == "x" + String(repeating: "é", count: 127), "255 bytes: the next character does not fit")
        #expect(Note.read(String(repeating: "\u{1}", count: 1_000_000))?.utf8.count == 4 * Note.maximumLength)
        #expect(Note.read("") == nil && Note.read(nil as String?) == nil && Note.read([0xff, 0x41]) == nil)
    }
}
