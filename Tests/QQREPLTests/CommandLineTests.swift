import Testing

@testable import QQREPL

@Suite("A line of a session") struct CommandLineTests {
    private func read(_ text: String) throws(CommandLine.Invalid) -> CommandLine {
        try CommandLine(text) { ["HOME": "/home/me", "EMPTY": "", "TWO": "a b"][$0] }
    }

    private func problem(_ text: String) -> String? {
        do throws(CommandLine.Invalid) {
            _ = try read(text)
            return nil
        } catch { return error.reason }
    }

    static let samples: [(String, [String])] = [
        ("status web", ["status", "web"]), ("  a\t b  ", ["a", "b"]), ("", []), ("# all", []), ("a # b", ["a"]), ("a#b", ["a#b"]),
        (#"a "b c" 'd e'"#, ["a", "b c", "d e"]), (#"a "" ''"#, ["a", "", ""]), (##"a\ b \# \$x"##, ["a b", "#", "$x"]),
        (#"x"y"'z'"#, ["xyz"]), ("$HOME/x ${HOME}y", ["/home/me/x", "/home/mey"]), (#""$TWO" '$TWO' $TWO"#, ["a b", "$TWO", "a b"]),
        ("a=$EMPTY", ["a="]), ("$5 $", ["$5", "$"]), (#""a\"b\\c""#, [#"a"b\c"#]),
        ("acquire x -- sh -c 'a | b'", ["acquire", "x", "--", "sh", "-c", "a | b"]), ("a\r\nb", ["a", "b"]), ("a\r", ["a"]),
        ("~ ~/x a~ '~' \"~/x\" ~me \\~", ["/home/me", "/home/me/x", "a~", "~", "~/x", "~me", "~"]),
        ("'a'\u{301} \"b\"\u{301}", ["a\u{301}", "b\u{301}"]),
    ]

    @Test("a line is split into words, as in a shell", arguments: Self.samples)
    func words(text: String, words: [String]) throws {
        #expect(try read(text).words == words)
        #expect(try !read(text).isInBackground)
    }

    @Test func aLineWithAnAmpersandAtItsEndRunsInTheBackground() throws {
        for text in ["watch web &", "watch web&", "watch web & # now", "watch web &\r"] {
            let line = try read(text)
            #expect(line.words == ["watch", "web"] && line.isInBackground, "\(text)")
        }
        #expect(try read("a '&'").words == ["a", "&"])
    }

    static let wrong: [(String, String)] = [
        ("a 'b", "a quote is not closed"), ("a \"b", "a quote is not closed"), ("a\\", "a backslash at the end of the line"),
        ("a | b", "'|' is shell syntax"), ("a > b", "'>' is shell syntax"), ("a; b", "';' is shell syntax"),
        ("a & b", "'&' is only allowed at the end of a command"), ("&", "'&' is only allowed at the end of a command"),
        ("$NOBODY", "NOBODY is not set"),
        ("\"${NOBODY}\"", "NOBODY is not set"),
    ]

    @Test("a line that is incomplete or has shell syntax is refused", arguments: Self.wrong)
    func isRefused(text: String, reason: String) { #expect(problem(text) == reason) }

    @Test("an unfinished line has its last word at the cursor") func unfinished() {
        #expect(CommandLine.unfinished("") == [""])
        #expect(CommandLine.unfinished("sta") == ["sta"])
        #expect(CommandLine.unfinished("status ") == ["status", ""])
        #expect(CommandLine.unfinished("status we") == ["status", "we"])
        #expect(CommandLine.unfinished("status 'a b") == ["status", "a b"])
        #expect(CommandLine.unfinished("status 'a ") == ["status", "a "])
        #expect(CommandLine.unfinished("status '") == ["status", ""])
        #expect(CommandLine.unfinished("status a\\ ") == ["status", "a "])
        #expect(CommandLine.unfinished("status $HO ${X}") == ["status", "$HO", "${X}"])
        #expect(CommandLine.unfinished("use ~/x") == ["use", "~/x"])
    }

    @Test func coloursInAPromptAreMarkedAsTakingNoRoom() {
        #expect(LineEditor.marked("\u{1b}[31mx\u{1b}[0m> ") == "\u{1}\u{1b}[31m\u{2}x\u{1}\u{1b}[0m\u{2}> ")
        #expect(LineEditor.marked("plain> ") == "plain> ")
    }
}
