@testable import QQCLI

/// Any bytes as a command line: nothing crashes, nothing that is accepted is lost, and a parsed command line can be written and parsed
/// again.
func fuzzCommandLine(_ bytes: [UInt8]) {
    let arguments = words(bytes)
    do {
        guard case .run(let invocation) = try Parser.parse(arguments) else { return }
        let typed = Typed(arguments, invocation.command)
        check(typed, is: invocation, "the typed and the parsed command line", arguments)
        let again = canonical(typed)
        guard case .run(let second) = try Parser.parse(again) else { fail("not run again: \(again)", of: arguments) }
        check(typed, is: second, "the typed command line and \(again)", arguments)
    } catch {
        // Shown to the user: an argument must not control the terminal.
        for text in [error.message, error.hint ?? ""] where text.unicodeScalars.contains(where: { $0.isControl }) {
            fail("control characters in the error \(text.debugDescription)", of: arguments)
        }
    }
}

/// A newline ends a word. A byte from 0x80 on stands for a whole known word, so that the fuzzer does not have to find it letter by letter.
private func words(_ bytes: [UInt8]) -> [String] {
    bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { word in
        var text: [UInt8] = []
        for byte in word { if byte < 0x80 { text.append(byte) } else { text += vocabulary[Int(byte - 0x80) % vocabulary.count] } }
        return String(decoding: text, as: UTF8.self)
    }
}

private let vocabulary: [[UInt8]] = {
    var spellings: [String] = []
    for flag in Flags.topLevel + Commands.all.flatMap(\.flags) where !spellings.contains(flag.long) { spellings += flag.spellings }
    let values = ["15s", "1h30m", "1s..2s", "0.5", "7", "file:///srv/x", "json", "never", "led", "bash", "--", "=", "é", "\u{1b}[31m"]
    return (Commands.all.map(\.name) + spellings + values).map { Array($0.utf8) }
}()

/// The command line parsed a second time, in the simplest way that follows the manual.
private struct Typed {
    var command: String
    /// Flags with the text of the value; nil if none was typed.
    var flags: [(flag: AnyFlag, text: String?)] = []
    var positionals: [String] = []
    var trailing: [String]?

    init(_ arguments: [String], _ command: Command) {
        self.command = command.name
        var rest = arguments[...]
        var commandSeen = false
        while let word = rest.popFirst() {
            if word == "--" {
                if command.takesTrailingCommand { trailing = Array(rest) } else { positionals += rest }
                return
            }
            guard word.hasPrefix("-"), word != "-" else {
                if commandSeen { positionals.append(word) } else { commandSeen = true }
                continue
            }
            if word.hasPrefix("--") {
                let equals = word.firstIndex(of: "=")
                guard let flag = command.flags.first(where: { $0.long == word[..<(equals ?? word.endIndex)] }) else { continue }
                if let equals {
                    flags.append((flag, String(word[word.index(after: equals)...])))
                } else {
                    flags.append((flag, flag.takesNextWord ? rest.popFirst() : nil))
                }
                continue
            }
            var letters = word.dropFirst()
            while let letter = letters.popFirst() {
                guard let flag = command.flags.first(where: { $0.short == letter }) else { continue }
                if letters.first == "=" {
                    flags.append((flag, String(letters.dropFirst())))
                    break
                }
                if flag.takesNextWord {
                    flags.append((flag, letters.isEmpty ? rest.popFirst() : String(letters)))
                    break
                }
                flags.append((flag, nil))
            }
        }
    }
}

/// Writes flags in their long form and with `=`, then the positionals, then the command.
private func canonical(_ typed: Typed) -> [String] {
    let flags = typed.flags.map { flag, text in text.map { "\(flag.long)=\($0)" } ?? flag.long }
    let isDashed = typed.positionals.contains { $0.hasPrefix("-") && $0 != "-" }
    let positionals = (isDashed ? ["--"] : []) + typed.positionals
    return [typed.command] + flags + positionals + (typed.trailing.map { ["--"] + $0 } ?? [])
}

private func check(_ typed: Typed, is invocation: Invocation, _ what: String, _ arguments: [String]) {
    func same(_ left: [String], _ right: [String]) -> Bool { left.map { Array($0.utf8) } == right.map { Array($0.utf8) } }
    let values = Mirror(reflecting: invocation).children.first { $0.label == "values" }?.value as? [GivenFlag] ?? []
    let understood = values.map { "\($0.name)=\($0.value)" }
    let expected = typed.flags.map { flag, text -> String in
        let value = text.map { try? flag.read($0) } ?? flag.withoutValue
        return "\(flag.name)=\(value.map { "\($0)" } ?? "nothing")"
    }
    if !same(expected, understood) { fail("\(what): flags \(expected), \(understood)", of: arguments) }
    if !same(typed.positionals, invocation.positionals) {
        fail("\(what): positionals \(typed.positionals), \(invocation.positionals)", of: arguments)
    }
    if !same(typed.trailing ?? ["none"], invocation.trailing ?? ["none"]) {
        fail("\(what): commands \(typed.trailing ?? []), \(invocation.trailing ?? [])", of: arguments)
    }
}
