import Foundation
import Testing

/// A page of the documentation.
struct Page: Sendable, CustomTestStringConvertible {
    /// From the top of the repository.
    let path: String
    let lines: [String]

    var testDescription: String { path }

    static let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    init(_ path: String) {
        self.path = path
        let text = (try? String(contentsOf: Self.top.appendingPathComponent(path), encoding: .utf8)) ?? ""
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// README, CONTRIBUTING and all of `docs/`.
    static let all: [Page] = {
        let docs = (try? FileManager.default.contentsOfDirectory(atPath: top.appendingPathComponent("docs").path)) ?? []
        return (["README.md", "CONTRIBUTING.md"] + docs.filter { $0.hasSuffix(".md") }.sorted().map { "docs/" + $0 }).map { Page($0) }
    }()

    // MARK: Blocks

    /// A block of code.
    struct Block: Sendable {
        /// The page and the line where it begins, for failures.
        let place: String
        /// Follows the three backticks; nil for a block that is indented instead.
        let language: String?
        /// The terminal that it shows; nil if it is not between the marks of a transcript.
        let transcript: String?
        var lines: [String] = []

        var text: String { lines.joined(separator: "\n") + "\n" }
    }

    var blocks: [Block] {
        var found: [Block] = []
        var open: Block?
        var transcript: String?
        for (index, line) in lines.enumerated() {
            let place = "\(path):\(index + 1)"
            if line.hasPrefix("```") {
                if let block = open {
                    found.append(block)
                    open = nil
                } else {
                    open = Block(place: place, language: String(line.dropFirst(3)), transcript: transcript)
                }
            } else if open != nil {
                open?.lines.append(line)
            } else if line.hasPrefix("<!-- transcript "), line.hasSuffix(" -->") {
                transcript = String(line.dropFirst(16).dropLast(4))
            } else if line == "<!-- end -->" {
                transcript = nil
            } else if line.hasPrefix("    "), index > 0, lines[index - 1].isEmpty || lines[index - 1].hasPrefix("    ") {
                if lines[index - 1].isEmpty { found.append(Block(place: place, language: nil, transcript: nil)) }
                found[found.count - 1].lines.append(String(line.dropFirst(4)))
            }
        }
        return found
    }

    func blocks(in language: String) -> [Block] { blocks.filter { $0.language == language && $0.transcript == nil } }

    /// The texts between single backticks, outside of blocks.
    var spans: [String] {
        var isBlock = false
        return lines.flatMap { line -> [String] in
            if line.hasPrefix("```") { isBlock.toggle() }
            if isBlock || line.hasPrefix("```") || line.hasPrefix("    ") { return [] }
            return line.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map {
                String($0.element)
            }
        }
    }

    /// The cells of the rows of a table, by its first heading; without the heading and the line below it.
    func table(headed heading: String) -> [[String]] {
        guard let start = lines.firstIndex(where: { $0.hasPrefix("| \(heading) |") }) else { return [] }
        return lines[start...].dropFirst(2).prefix { $0.hasPrefix("|") }.map { row in
            row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }
}

/// A line of cron(8)'s table.
struct CronLine {
    let schedule: [Substring]
    let user: String
    let command: String

    init?(_ line: String) {
        let fields = line.split(separator: " ", maxSplits: 6)
        guard fields.count == 7 else { return nil }
        schedule = Array(fields[..<5])
        user = String(fields[5])
        command = String(fields[6])
    }
}

/// The command lines of `ExecStart=` in a unit of systemd.
func execStarts(in unit: String) -> [String] {
    unit.split(separator: "\n").filter { $0.hasPrefix("ExecStart=") }.map { String($0.dropFirst("ExecStart=".count)) }
}
