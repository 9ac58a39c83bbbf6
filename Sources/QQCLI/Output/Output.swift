import CKernel
import Glibc
import QQCore

/// The answer, on stdout: aligned and coloured for a person, one record a line for a program, or JSON.
struct Output: Sendable {
    enum Form: Sendable {
        case terminal
        case plain
        case json
    }

    let form: Form
    private let colors: Bool

    init(_ invocation: Invocation) {
        form = invocation[Flags.json] ? .json : Colors.isTerminal(STDOUT_FILENO) ? .terminal : .plain
        colors = form != .json && Colors.apply(invocation[Flags.color], to: STDOUT_FILENO)
    }

    /// - Throws: `.unavailable` where stdout cannot be written: an answer that nobody got is no answer.
    func print(_ text: String) throws(CoordinationError) { try Self.write(Printable.withoutHidden(text)) }

    static func write(_ text: String) throws(CoordinationError) {
        if Screen.isDiverted(.init(text: text + "\n", descriptor: STDOUT_FILENO)) { return }
        var problem: CoordinationError?
        Screen.writing { do throws(CoordinationError) { try write(raw: text + "\n") } catch { problem = error } }
        if let problem { throw problem }
    }

    static func write(raw text: String) throws(CoordinationError) {
        do throws(SystemCallError) { try writeAll(text, to: STDOUT_FILENO) } catch {
            throw CoordinationError(.unavailable, "cannot write the answer", because: error.reason, at: "stdout")
        }
    }

    func print(json value: JSONValue) throws(CoordinationError) { try Self.write(Printable.json(JSONWriter.string(value))) }

    /// One record of tab-separated values.
    func print(record fields: [String?]) throws(CoordinationError) {
        try print(fields.map { field in field.map { Printable.text($0) } ?? "-" }.joined(separator: "\t"))
    }

    enum Color: String {
        case good = "32"
        case warning = "33"
        case bad = "31"
        case faint = "2"
        case strong = "1"
    }

    func color(_ text: String, _ color: Color?) -> String {
        guard colors, let color, !text.isEmpty else { return text }
        return "\u{1b}[\(color.rawValue)m\(text)\u{1b}[0m"
    }

    /// Aligned columns under a heading. A cell's colour does not count for its width.
    func print(table heading: [String], _ rows: [[Cell]]) throws(CoordinationError) {
        for line in lines(table: heading, rows) { try print(line) }
    }

    func lines(table heading: [String], _ rows: [[Cell]]) -> [String] {
        let all = [heading.map { Cell($0, .faint) }] + rows
        let widths = heading.indices.map { column in all.map { $0[column].text.count }.max() ?? 0 }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let isLast = column == row.count - 1
                line += color(cell.text, cell.color) + (isLast ? "" : String(repeating: " ", count: widths[column] - cell.text.count + 2))
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    struct Cell: Sendable {
        let text: String
        let color: Color?

        init(_ text: String?, _ color: Color? = nil) {
            self.text = text.map { Printable.text($0) } ?? "-"
            self.color = text == nil ? .faint : color
        }
    }
}
