import Testing

@testable import QQCLI

@Suite("Help in a session") struct SessionHelpTests {
    private let lines = SessionHelp.text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)

    @Test("help in a session fits on a screen of 24 lines with 80 columns") func size() {
        #expect(lines.count <= 24)
        for line in lines { #expect(line.count <= 80, "\(line)") }
    }

    @Test("help in a session has a line for each command that can be typed there") func commands() {
        for command in Commands.visible where command.id != .repl {
            #expect(lines.filter { $0.hasPrefix(command.name + " ") && $0.hasSuffix(command.summary) }.count == 1, "\(command.name)")
        }
        for own in SessionCommand.allCases where own != .quit {
            #expect(lines.filter { $0.hasPrefix(own.usage + " ") && $0.hasSuffix(own.meaning) }.count == 1, "\(own.rawValue)")
        }
    }

    @Test("help in a session names the ways to more help") func more() {
        for way in ["help COMMAND", "qq --help", "man qq"] { #expect(lines.last?.contains(way) == true, "\(way)") }
    }
}
