import Foundation
import Testing

@testable import QQCLI

@Suite("Manual pages") struct ManualPages {
    @Test("manual pages are rendered without a warning", arguments: ManPages.all.map(\.path))
    func rendering(path: String) async throws {
        let page = try #require(ManPages.all.first { $0.path == path })
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        try sandbox.write(page.roff, to: "page")
        let mandoc = try await sandbox.run(["mandoc", "-T", "lint", "page"])
        #expect(mandoc.code == 0 && mandoc.output == "" && mandoc.errors == "")
        let groff = try await sandbox.run(["groff", "-man", "-ww", "-z", "page"])
        #expect(groff.code == 0 && groff.output == "" && groff.errors == "")
    }

    @Test("the manual page of a command has all its flags and examples", arguments: Commands.withManPage)
    func flagsAndExamples(command: Command) async throws {
        let sandbox = try Sandbox()
        defer { sandbox.remove() }
        try sandbox.write(manPage(for: command).roff, to: "page")
        let text = try await sandbox.run(["mandoc", "-T", "ascii", "-O", "width=1000", "page"]).output.withoutOverstrikes.unwrapped
        for flag in command.flags {
            #expect(text.contains(flag.usage), "\(flag.usage)")
            #expect(text.contains(Markup.plain(flag.more).unwrapped), "\(flag.more)")
        }
        for example in command.examples { #expect(text.contains(example.line.unwrapped), "\(example.line)") }
    }

    @Test("manual pages start with synopsis, description and examples", arguments: ManPages.all.map(\.path))
    func order(path: String) throws {
        let page = try #require(ManPages.all.first { $0.path == path })
        guard page.section == 1, page.sections.count > 3 else { return }
        #expect(page.sections.prefix(3).map(\.title) == ["SYNOPSIS", "DESCRIPTION", "EXAMPLES"])
    }

    @Test("the manual page of qq has the exit codes, the environment and the promises") func overview() {
        let page = ManPages.overview
        let terms = page.sections.flatMap(\.blocks).compactMap { block -> String? in
            if case .term(let term, _) = block { Markup.plain(term) } else { nil }
        }
        for code in ["0", "1", "64", "65", "69", "75", "77", "78", "79", "80", "126", "127", "128+n"] { #expect(terms.contains(code)) }
        for name in ["QQ_SERVER", "NO_COLOR", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "QQ_NAME", "QQ_TOKEN"] { #expect(terms.contains(name)) }
        #expect(page.sections.map(\.title).contains("WHAT IS PROMISED"))
    }

    @Test("manual pages are found by their names") func names() {
        for name in ["acquire", "qq-acquire", "qq-acquire.1"] { #expect(ManPages.named(name)?.name == "qq-acquire") }
        #expect(ManPages.named("qq")?.name == "qq")
        #expect(ManPages.named("nothing") == nil)
    }

    @Test("roff requests and escapes in texts have no effect in manual pages") func escapes() {
        let page = ManPage(
            name: "x", section: 5, summary: "a \\ b", sections: [.init("S", [.verbatim(".TH evil\n'x\\n"), .text("'tis `a-b`")])])
        #expect(
            page.roff.hasSuffix(
                """
                .SH NAME
                x \\- a \\e b
                .SH S
                .RS 4
                .EX
                \\&.TH evil
                \\(aqx\\en
                .EE
                .RE
                .PP
                \\(aqtis \\fBa\\-b\\fR

                """))
    }
}

extension String {
    /// The text without overstrikes (a character, a backspace and the character again), by which old terminals show bold and italics.
    var withoutOverstrikes: String {
        var result: [Character] = []
        for character in self {
            if character == "\u{8}" {
                _ = result.popLast()
            } else {
                result.append(character)
            }
        }
        return String(result)
    }
}
