import QQCore
import Testing

@testable import QQCLI

private let written = """
    current: prod   # since May
    # Ours.
    contexts:
      # The live one.
      prod:
        server: nats://n1,n2   # both halls
        ttl: 10s

      lab:
        server: file:///srv/qq

    """

@Suite("Contexts file") struct ContextsTextTests {
    private func read(_ text: String) throws(CoordinationError) -> ContextsFile { try ContextsFile(text, path: "contexts.yaml") }

    private func edited(_ change: ContextsText.Change, _ text: String = written) throws(CoordinationError) -> String {
        try ContextsText.apply(change, to: text, path: "contexts.yaml")
    }

    private func problem(_ text: String) -> CoordinationError? {
        do throws(CoordinationError) {
            _ = try read(text)
            return nil
        } catch { return error }
    }

    @Test("contexts are read from any style of YAML") func reading() throws {
        let file = try read(written)
        #expect(file.current == "prod" && file.entries.map(\.name) == ["prod", "lab"])
        #expect(file["prod"]?["ttl"] == "10s" && file["prod"]?.settings.map(\.line) == [6, 7])
        let flow = try read(#"{contexts: {a: {server: "file:///x", tls-first: true, retries: 5}}}"#)
        #expect(flow["a"]?["retries"] == "5" && flow["a"]?["tls-first"] == "true")
        for nothing in ["", "# nothing\n", "contexts:\n", "---\n"] { #expect(try read(nothing) == ContextsFile()) }
    }

    @Test("a contexts file in which a few aliases stand for billions of values is refused immediately") func aliases() throws {
        #expect(try read("contexts:\n  a: &a {server: \"file:///x\"}\n  b: *a\n")["b"]?["server"] == "file:///x")
        var bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
        for (one, next) in zip("abcdefgh", "bcdefghi") {
            bomb += "\(next): &\(next) [\(Array(repeating: "*\(one)", count: 9).joined(separator: ","))]\n"
        }
        let error = problem(bomb + "z: {? *i : 1, ? *i : 2}\n")
        #expect(error?.kind == .configuration && error?.reason.contains("74 aliases") == true, "\(error as Any)")
        let large = problem("contexts:\n  a: &a {}\n  b: *a\n" + String(repeating: "# words\n", count: 10_000))
        #expect(large?.reason.contains("larger than 64 KiB") == true)
    }

    @Test("an error in the contexts file names its line") func wrong() {
        for (text, line, reason) in [
            ("contexts:\n  a:\n    sever: x\n", 3, "unknown key 'sever'"),
            ("contexts:\n  a:\n    server: [x]\n", 3, "'server' is a list"),
            ("contexts:\n  a:\n    id:\n", 3, "'id' is nothing"),
            ("contexts:\n  a:\n    ttl: 5\n", 3, "'ttl': not a duration"),
            ("contexts:\n  a:\n    tls-first: maybe\n", 3, "true or false"),
            ("contexts:\n  a: 5\n", 2, "'a' is not a mapping"),
            ("contexts:\n  -a: {}\n", 2, "cannot be the name"),
            ("contexts:\n  a:\n    server: nats://me:s3cret@n1\n", 3, "it holds a secret"),
            ("contexts:\n  a:\n    server: consul://me:s3cret@c\n", 3, "it holds a secret"),
            ("contexts:\n  a:\n    server: gopher://n1\n", 3, "'server'"),
            ("contxts: {}\n", 1, "unknown key 'contxts'"), ("contexts: [a]\n", 1, "'contexts' is not a mapping"),
            ("current: [a]\n", 1, "'current' is not"), ("contexts:\n  a: {}\n  a: {}\n", 2, "twice"),
            ("contexts: {a: \"b\n", 1, "not YAML"),
        ] {
            let error = problem(text)
            #expect(error?.kind == .configuration && error?.reason.contains(reason) == true, "\(text): \(error as Any)")
            #expect(error?.location?.contains("line ") == true, "\(text): \(error as Any)")
            if !reason.contains("YAML"), !reason.contains("twice") { #expect(error?.location == "contexts.yaml, line \(line)", "\(text)") }
            #expect(error?.description.contains("s3cret") == false)
        }
        // A missing current context is reported only when it is used: another one can be chosen then.
        #expect(problem("current: b\ncontexts:\n  a: {}\n") == nil)
    }

    @Test("a change of the contexts file keeps all lines that do not change") func edits() throws {
        #expect(try edited(.use("lab")) == written.replacing("current: prod   # since May", with: "current: lab   # since May"))
        #expect(try edited(.rename("lab", to: "dev")) == written.replacing("  lab:", with: "  dev:"))
        #expect(
            try edited(.rename("prod", to: "live"))
                == written.replacing("current: prod ", with: "current: live ").replacing("  prod:", with: "  live:"))
        #expect(try edited(.remove("lab")) == written.replacing("  lab:\n    server: file:///srv/qq\n", with: ""))
        let entry = ContextsFile.Entry(name: "third", settings: [.init("server", "qq://h"), .init("id", "web: 1 #x")])
        #expect(try edited(.add(entry)) == written + "  third:\n    server: qq://h\n    id: \"web: 1 #x\"\n")
    }

    @Test("a change of the contexts file is refused if a comment would be lost") func refusals() throws {
        for change in [
            ContextsText.Change.remove("prod"), .add(.init(name: "prod", settings: [.init("server", "qq://h")])),
        ] {
            #expect(throws: CoordinationError.self) { try edited(change) }
        }
        #expect(throws: CoordinationError.self) { try edited(.remove("a"), "contexts:\n  a: {server: \"qq://h\"} # flow\n") }
        #expect(throws: CoordinationError.self) { try edited(.remove("a"), "contexts:\n  a:\n    id: it's # mine\n") }
        // A # in quotes or inside a word starts no comment.
        for id in ["\"a # b\"", "'a # b'", "\"a \\\" # b\"", "a#b"] {
            #expect(try edited(.remove("a"), "contexts:\n  a:\n    id: \(id)\n") == "contexts: {}\n")
        }
        // A file without comments is rewritten.
        #expect(try edited(.remove("a"), "{contexts: {a: {}, b: {server: \"qq://h\"}}}") == "contexts:\n  b:\n    server: qq://h\n")
    }

    @Test("the contexts file has the expected contexts after each random change") func random() throws {
        var numbers = SystemRandomNumberGenerator()
        let texts = ["qq://h", "file:///a b", "nats://n1:4222,[::1]:4222", "raftlock://h"]
        let ids = [
            "a", "true", "null", "- x", "it's", "\"quoted\"", "a: b", "#c", "5", "1.5", "~", " x ", "é", "a\\b", "@x", "%x", "0x10", "yes",
        ]
        var text = ""
        var file = ContextsFile()
        for _ in 0..<400 {
            let names = file.entries.map(\.name)
            let change: ContextsText.Change
            switch Int.random(in: 0..<5, using: &numbers) {
            case 0 where !names.isEmpty: change = .use(names.randomElement(using: &numbers) ?? "")
            case 1 where !names.isEmpty: change = .remove(names.randomElement(using: &numbers) ?? "")
            case 2 where !names.isEmpty:
                let new = "n\(Int.random(in: 0..<1000, using: &numbers))"
                if names.contains(new) { continue }
                change = .rename(names.randomElement(using: &numbers) ?? "", to: new)
            default:
                let settings = [
                    ContextsFile.Setting("server", (texts.randomElement(using: &numbers) ?? "").replacing(" ", with: "%20")),
                    .init("id", ids.randomElement(using: &numbers) ?? ""),
                ]
                change = .add(.init(name: "c\(Int.random(in: 0..<8, using: &numbers))", settings: settings))
            }
            file = ContextsText.result(of: change, on: file)
            text = try edited(change, text)
            #expect(try read(text) == file, "\(text)")
        }
    }
}
