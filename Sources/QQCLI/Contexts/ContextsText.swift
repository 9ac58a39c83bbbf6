import QQCore

/// Changes a file of contexts without changing the rest of its text, which users have written.
///
/// Lines are edited, and the result is parsed to check it. A text in a form that `qq` does not write is rewritten if it has no comments. If it has comments,
/// the change fails.
enum ContextsText {
    enum Change: Sendable, Equatable {
        case use(String)
        case add(ContextsFile.Entry)
        case remove(String)
        case rename(String, to: String)
    }

    /// - Returns: the new text.
    /// - Throws: `CoordinationError` of kind `.configuration` if a comment would be lost.
    static func apply(_ change: Change, to text: String, path: String) throws(CoordinationError) -> String {
        let before = try ContextsFile(text, path: path)
        let wanted = result(of: change, on: before)
        let edited = edit(text, change, before)
        if let edited, let read = try? ContextsFile(edited, path: path), read == wanted { return edited }
        guard !text.split(separator: "\n").contains(where: { commentStart(in: String($0)) != nil }) else {
            throw CoordinationError(
                .configuration, "left the contexts alone", because: "comments in them would be lost", at: path,
                hint: "make the change by hand")
        }
        return write(wanted)
    }

    /// The contents of the file after a change. Pure.
    static func result(of change: Change, on file: ContextsFile) -> ContextsFile {
        var file = file
        switch change {
        case .use(let name): file.current = name
        case .add(let entry):
            if let index = file.entries.firstIndex(where: { $0.name == entry.name }) {
                file.entries[index] = entry
            } else {
                file.entries.append(entry)
            }
        case .remove(let name):
            file.entries.removeAll { $0.name == name }
            if file.current == name { file.current = nil }
        case .rename(let old, let new):
            if let index = file.entries.firstIndex(where: { $0.name == old }) { file.entries[index].name = new }
            if file.current == old { file.current = new }
        }
        return file
    }

    // MARK: Writing

    /// The text of a whole file, in the form that `edit` understands.
    static func write(_ file: ContextsFile) -> String {
        var lines: [String] = []
        if let current = file.current { lines.append("current: " + quoted(current)) }
        lines.append(file.entries.isEmpty ? "contexts: {}" : "contexts:")
        for entry in file.entries { lines += block(entry) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func block(_ entry: ContextsFile.Entry) -> [String] {
        guard !entry.settings.isEmpty else { return ["  \(quoted(entry.name)): {}"] }
        return ["  \(quoted(entry.name)):"] + entry.settings.map { "    \($0.key): \(quoted($0.text))" }
    }

    /// A scalar that YAML parses as this text: plain if that is unambiguous, and quoted otherwise.
    static func quoted(_ text: String) -> String {
        let plain = text.utf8.allSatisfy { byte in
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
                || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "/._-@".utf8.contains(byte)
        }
        // First characters that always begin a plain scalar, not another construct.
        let beginsPlain =
            text.utf8.first.map { first in
                first == UInt8(ascii: "/") || UInt8(ascii: "a")...UInt8(ascii: "z") ~= first | 0x20
                    || UInt8(ascii: "0")...UInt8(ascii: "9") ~= first
            } ?? false
        let isWord = ["null", "yes", "no", "on", "off"].contains(text.lowercased())
        if plain && beginsPlain && !isWord || isURL(text) { return text }
        return "\"" + text.unicodeScalars.map { escaped($0) }.joined() + "\""
    }

    private static func isURL(_ text: String) -> Bool {
        text.contains("://")
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"#\"'{}[]&*!|>`\\".utf8.contains($0) }
            && text.utf8.first.map { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 } ?? false && !text.hasSuffix(":")
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\"": return "\\\""
        case "\\": return "\\\\"
        case "\n": return "\\n"
        case "\t": return "\\t"
        default:
            guard scalar.value < 0x20 || scalar.value == 0x7f else { return String(scalar) }
            let digits = String(scalar.value, radix: 16)
            return "\\x" + (digits.count < 2 ? "0" : "") + digits
        }
    }

    // MARK: Editing

    /// - Returns: nil if the text is not in the form that this function understands.
    private static func edit(_ text: String, _ change: Change, _ file: ContextsFile) -> String? {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        switch change {
        case .use(let name):
            if let index = lines.firstIndex(where: { $0.hasPrefix("current:") }) {
                lines[index] = "current: " + quoted(name) + comment(of: lines[index])
            } else {
                guard let index = lines.firstIndex(where: { $0.hasPrefix("contexts:") }) else { return nil }
                lines.insert("current: " + quoted(name), at: index)
            }
        case .add(let entry):
            if file[entry.name] != nil {
                guard let range = range(of: entry.name, in: lines), !lines[range].contains(where: { commentStart(in: $0) != nil }) else {
                    return nil
                }
                lines.replaceSubrange(range, with: block(entry))
            } else {
                guard let end = endOfContexts(in: &lines) else { return nil }
                lines.insert(contentsOf: block(entry), at: end)
            }
        case .remove(let name):
            guard let range = range(of: name, in: lines), !lines[range].contains(where: { commentStart(in: $0) != nil }) else { return nil }
            lines.removeSubrange(range)
            if file.entries.count == 1, let index = lines.firstIndex(of: "contexts:") { lines[index] = "contexts: {}" }
            if file.current == name {
                guard let index = lines.firstIndex(where: { $0.hasPrefix("current:") }), commentStart(in: lines[index]) == nil else {
                    return nil
                }
                lines.remove(at: index)
            }
        case .rename(let old, let new):
            guard let range = range(of: old, in: lines) else { return nil }
            let line = lines[range.lowerBound]
            guard let colon = line.firstIndex(of: ":") else { return nil }
            lines[range.lowerBound] = "  " + quoted(new) + line[colon...]
            if file.current == old, let index = lines.firstIndex(where: { $0.hasPrefix("current:") }) {
                lines[index] = "current: " + quoted(new) + comment(of: lines[index])
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The comment at the end of a line, with the spaces before it.
    private static func comment(of line: String) -> String {
        guard let hash = commentStart(in: line), hash > line.startIndex else { return "" }
        let space = line[..<hash].lastIndex { $0 != " " && $0 != "\t" }.map { line.index(after: $0) } ?? line.startIndex
        return String(line[space...])
    }

    /// The start of the comment of a line: a `#` after a space, outside of quotes (YAML 1.2, section 6.6).
    private static func commentStart(in line: String) -> String.Index? {
        var quote: Character?
        var before: Character = " "
        var isEscaped = false
        for index in line.indices {
            let character = line[index]
            if let open = quote {
                if character == open, !isEscaped { quote = nil }
                isEscaped = open == "\"" && character == "\\" && !isEscaped
            } else if character == "#", before == " " || before == "\t" {
                return index
            } else if character == "\"" || character == "'", " \t[{,:".contains(before) {
                quote = character
            }
            before = character
        }
        return nil
    }

    /// The lines of a context, without those between it and the next one.
    private static func range(of name: String, in lines: [String]) -> Range<Int>? {
        let heads = ["  \(name):", "  '\(name)':", "  \"\(name)\":"]
        guard let start = lines.firstIndex(where: { line in heads.contains { line == $0 || line.hasPrefix($0 + " ") } }) else { return nil }
        var end = start + 1
        while end < lines.count, lines[end].hasPrefix("   ") { end += 1 }
        return start..<end
    }

    /// The index after the last line of the contexts. Adds the line `contexts:` if there is none.
    private static func endOfContexts(in lines: inout [String]) -> Int? {
        guard let start = lines.firstIndex(where: { $0 == "contexts:" || $0.hasPrefix("contexts: ") || $0.hasPrefix("contexts:#") }) else {
            lines.append("contexts:")
            return lines.count
        }
        if lines[start].hasPrefix("contexts: {}") { lines[start] = "contexts:" + lines[start].dropFirst("contexts: {}".count) }
        var end = start + 1
        var next = end
        while next < lines.count, lines[next].isEmpty || lines[next].hasPrefix(" ") || lines[next].hasPrefix("#") {
            next += 1
            if lines[next - 1].hasPrefix(" ") { end = next }
        }
        return end
    }
}
