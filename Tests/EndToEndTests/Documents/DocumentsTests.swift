import Foundation
import Glibc
import Support
import Testing

@testable import QQCLI

@Suite("Documents") struct DocumentsTests {
    private static let sources: String = {
        let files = FileManager.default.enumerator(at: Page.top.appendingPathComponent("Sources"), includingPropertiesForKeys: nil)
        return (files?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == "swift" }
            .compactMap { try? String(contentsOf: $0, encoding: .utf8) }.joined()
    }()

    @Test("README begins with make demo and make test") func firstCommands() throws {
        let readme = try #require(Page.all.first)
        let first = try #require(readme.blocks.first)
        #expect(first.lines.map { String($0.prefix(9)) } == ["make demo", "make test"], "\(first.place)")
        #expect(readme.lines.filter { $0.contains("docs/images/watch.svg") }.count == 1)
    }

    @Test("every block of code has a language that is checked here, and terminals come from make transcripts", arguments: Page.all)
    func languages(page: Page) {
        for block in page.blocks {
            if block.transcript != nil {
                #expect(block.language == "console", "\(block.place): make transcripts writes console blocks")
                #expect(!block.lines.isEmpty, "\(block.place)")
            } else {
                let isFirst = page.path == "README.md" && block.text.hasPrefix("make demo")
                // Tests/LeaderElectionTests/SnippetTests.swift has those in Swift.
                #expect(
                    isFirst || ["sh", "cron", "ini", "yaml", "haproxy", "swift"].contains(block.language ?? "none"),
                    "\(block.place): \(block.language ?? "none")")
            }
        }
    }

    // MARK: Spans of code

    @Test("flags and commands in the text exist", arguments: Page.all) func spans(page: Page) {
        let flags = Set((Commands.all.flatMap(\.flags)).flatMap { [$0.long] + ($0.short.map { ["-\($0)"] } ?? []) })
        // Of programs that a page compares with, or names.
        let foreign: Set = ["--no-fork", "-child-exit-code", "-timeout", "-w", "-f"]
        for span in page.spans {
            let words = span.split(separator: " ").map(String.init)
            if words.first == "qq", words.count > 1 {
                let problem = problem(Array(words.dropFirst()))
                #expect(problem == nil, "\(page.path): `\(span)`: \(problem ?? "")")
            } else if let word = words.first, word.hasPrefix("-"), word != "--", words.count <= 2 {
                let flag = String(word.prefix { $0 != "=" })
                #expect(flags.contains(flag) || foreign.contains(flag), "\(page.path): `\(span)`: no such flag")
            }
        }
    }

    @Test("targets of make exist", arguments: Page.all) func targets(page: Page) throws {
        let makefile = try String(contentsOf: Page.top.appendingPathComponent("Makefile"), encoding: .utf8)
        let texts = page.spans + page.blocks.filter { $0.language != "console" }.flatMap(\.lines)
        for text in texts where text.hasPrefix("make ") {
            let word = text.split(separator: " ")[1]
            guard word.first?.isLetter == true else { continue }
            #expect(makefile.contains("\n\(word):") || word == "uninstall", "\(page.path): \(text)")
        }
    }

    /// Why a command line cannot be understood; nil if it can, or only lacks what the text had no need to say.
    private func problem(_ words: [String]) -> String? {
        do {
            _ = try Parser.parse(words)
            return nil
        } catch {
            return error.message.contains("is missing") || error.message.contains("no command after") ? nil : error.message
        }
    }

    // MARK: Messages and exit codes

    @Test("messages in the table of operating.md are those of the program") func messages() throws {
        let rows = try #require(Page.all.first { $0.path == "docs/operating.md" }).table(headed: "message")
        #expect(rows.count > 15)
        for row in rows {
            let message = row[0].filter { $0 != "`" }
            for part in message.split(separator: "…").map({ $0.trimmingCharacters(in: .whitespaces) }) where part.count > 3 {
                let isKnown = Self.sources.contains(part)
                #expect(isKnown, "no message has '\(part)': change docs/operating.md with the message")
            }
        }
    }

    @Test("exit codes in README are those of qq(1)") func exitCodes() throws {
        let rows = try #require(Page.all.first).table(headed: "code")
        let codes = rows.flatMap { $0[0].split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) } }
        let page = try String(contentsOf: Page.top.appendingPathComponent("man/qq.1"), encoding: .utf8)
        let section = page.split(separator: "\n").drop { $0 != ".SH EXIT STATUS" }.dropFirst().prefix { !$0.hasPrefix(".SH ") }
        let documented = section.compactMap { $0.wholeMatch(of: /\\fB([0-9]+(\+n)?)\\fR/)?.1 }.map(String.init)
        #expect(codes.count > 10 && codes == documented)
    }

    // MARK: Units, cron, contexts

    @Test("settings of units are those that the units in packaging use") func settings() throws {
        let folder = Page.top.appendingPathComponent("packaging/systemd")
        let units = try ["qq-run@.service", "qq-keepalive@.service"].map {
            try String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8)
        }
        let blocks = Page.all.flatMap { $0.blocks(in: "ini") }.filter { !$0.text.contains("[") }
        #expect(blocks.count >= 3)
        for line in blocks.flatMap(\.lines) {
            let name = line.prefix { $0 != "=" }
            let isUsed = name == "QQ_SERVER" || units.contains { execStarts(in: $0).contains { $0.contains("$\(name)") } }
            #expect(isUsed, "\(line)")
        }
    }

    @Test("commands of units that the pages show can be parsed") func execStart() throws {
        let commands = Page.all.flatMap { $0.blocks(in: "ini") }.flatMap { execStarts(in: $0.text) }
        #expect(commands.count >= 2)
        for command in commands {
            let words = command.split(separator: " ").map(String.init)
            #expect(words.first?.hasSuffix("/bin/qq") == true, "\(command)")
            let problem = problem(Array(words.dropFirst()))
            #expect(problem == nil, "\(command): \(problem ?? "")")
        }
    }

    @Test("the configuration of HAProxy in the documents is the one in packaging") func haproxy() throws {
        let file = try String(contentsOf: Page.top.appendingPathComponent("packaging/haproxy/haproxy.cfg"), encoding: .utf8)
        let lines = file.split(separator: "\n").map(String.init).filter { !$0.contains("#") }
        let blocks = Page.all.flatMap { $0.blocks(in: "haproxy") }
        #expect(!blocks.isEmpty)
        for block in blocks { #expect(lines.contains(block.lines), "\(block.place)") }
    }

    @Test("contexts can be read as they are shown") func contexts() async throws {
        let blocks = Page.all.flatMap { $0.blocks(in: "yaml") }
        #expect(!blocks.isEmpty)
        for block in blocks {
            try await inSandbox { box in
                mkdir(box.path("config"), 0o700)
                mkdir(box.path("config/qq"), 0o700)
                try box.write(Array(block.text.utf8), to: "config/qq/contexts.yaml", mode: 0o600)
                let run = try await box.run("context", "list", environment: ["XDG_CONFIG_HOME": box.path("config"), "QQ_SERVER": ""])
                #expect(run.code == 0 && run.errors.isEmpty, "\(block.place): \(run.errors)")
            }
        }
    }

    // MARK: Commands

    @Test("every command runs", arguments: Page.all.filter { !$0.blocks(in: "sh").isEmpty || !$0.blocks(in: "cron").isEmpty })
    func commands(page: Page) async throws {
        try await inSandbox(.heavy) { box in
            let shell = try await DocumentShell(in: box)
            for block in page.blocks(in: "sh") {
                let calls = try await shell.run(block.text, place: block.place)
                #expect(calls.count == DocumentShell.countOfCommands(in: block.text), "\(block.place): \(calls.map(\.line))")
            }
            for block in page.blocks(in: "cron") + page.blocks(in: "ini") {
                for command in block.language == "cron" ? block.lines.map({ CronLine($0)?.command ?? "" }) : execStarts(in: block.text) {
                    let calls = try await shell.run(command, place: block.place)
                    #expect(calls.count == 1 && command.hasPrefix("/usr/local/bin/qq "), "\(block.place): \(command)")
                }
            }
        }
    }

    @Test("make demo shows what it announces") func demo() async throws {
        try await inSandbox(.heavy) { box in
            let demo = Page.top.appendingPathComponent("Scripts/demo").path
            let run = try await box.start(["bash", demo, Sandbox.binary], environment: ["TMPDIR": box.folder]).finish(within: .seconds(120))
            #expect(run.code == 0, "\(run.text)")
        }
    }

    /// In a copy of the repository: what differs only in times and numbers stays as it is, so a difference is one of words.
    @Test("terminals in the documents show what qq prints; else run make transcripts") func transcripts() async throws {
        try await inSandbox(.heavy) { box in
            mkdir(box.path("copy"), 0o755)
            let copied = try await box.start(
                ["cp", "-r"] + ["README.md", "docs", "Scripts"].map { Page.top.appendingPathComponent($0).path } + [box.path("copy")]
            ).finish()
            #expect(copied.code == 0, "\(copied.errors)")
            let run = try await box.start(
                ["bash", box.path("copy/Scripts/transcripts"), Sandbox.binary],
                environment: ["TMPDIR": box.folder, "QQ_NATS_SERVER": try NATSVersion.latest.executable()]
            ).finish(within: .seconds(120))
            #expect(run.code == 0, "\(run.errors)")
            for name in ["README.md", "docs"] {
                let difference = try await box.start(
                    ["diff", "-ru", Page.top.appendingPathComponent(name).path, box.path("copy/\(name)")]
                ).finish()
                #expect(difference.code == 0, "\(difference.text)")
            }
        }
    }

    @Test("cron lines have five fields of time, and a user") func cron() {
        let lines = Page.all.flatMap { page in page.blocks(in: "cron").flatMap(\.lines) }.compactMap { CronLine($0) }
        #expect(lines.count >= 3)
        for line in lines {
            #expect(line.schedule.allSatisfy { $0 == "*" || Int($0) != nil } && line.user == "root", "\(line)")
        }
    }
}
