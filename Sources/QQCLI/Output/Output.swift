import CKernel
import Glibc
import QQCore

/// Answers on stdout: aligned and coloured on a terminal, one record a line for programs, or JSON.
struct Output: Sendable {
    enum Form: Sendable {
        case terminal
        case plain
        case json
    }

    let form: Form
    /// Whether the journal reads plain lines, and adds the time of each.
    let isForJournal: Bool
    private let colors: Bool
    /// Whether lines can be left out if they are not read: those of an endless stream.
    private let isStream: Bool
    /// Whether the line after a gap contains the number of missing lines.
    private let marksGaps: Bool

    init(_ invocation: Invocation) {
        marksGaps = [.keepalive, .watch].contains(invocation.command.id)
        isStream = [.keepalive, .watch, .repl].contains(invocation.command.id) && invocation[Flags.replay] == nil
        form = invocation[Flags.json] ? .json : Colors.isTerminal(STDOUT_FILENO) ? .terminal : .plain
        isForJournal = form == .plain && Journal.reads(STDOUT_FILENO)
        colors = form != .json && Colors.apply(invocation[Flags.color], to: STDOUT_FILENO)
    }

    /// - Throws: `.unavailable` if stdout cannot be written: without its answer a command has failed.
    func print(_ text: String) throws(CoordinationError) {
        if isStream { _ = Streams.takeLeft(STDOUT_FILENO) }
        try Self.write(Printable.withoutHidden(text), mayLeave: isStream)
    }

    /// - Parameter mayLeave: whether the text can be left out if too much output waits for the reader already.
    static func write(_ text: String, mayLeave: Bool = false) throws(CoordinationError) {
        if Screen.isDiverted(.init(text: text + "\n", descriptor: STDOUT_FILENO)) { return }
        var problem: CoordinationError?
        Screen.writing { do throws(CoordinationError) { try write(raw: text + "\n", mayLeave: mayLeave) } catch { problem = error } }
        if let problem { throw problem }
    }

    static func write(raw text: String, mayLeave: Bool = false) throws(CoordinationError) {
        do throws(SystemCallError) { try Streams.write(text, to: STDOUT_FILENO, mayLeave: mayLeave) } catch { throw failure(error) }
    }

    static func failure(_ error: SystemCallError) -> CoordinationError {
        var told = CoordinationError(.unavailable, "cannot write the answer", because: error.reason, at: "stdout")
        if error.code == EPIPE { told.code = closedPipe }
        return told
    }

    /// The code of the failure to write into a pipe that nobody reads any more, as at the end of `| head -1`. It ends the process in silence, as it does
    /// other programs.
    static let closedPipe = "closed-pipe"

    func print(json value: JSONValue) throws(CoordinationError) {
        var value = value
        let left = isStream ? Streams.takeLeft(STDOUT_FILENO) : 0
        if left > 0, marksGaps, let members = value.objectValue?.members {
            value = .object(JSONObject(members + [.init(name: "lines_lost", value: .integer(Int64(left)))]))
        }
        try Self.write(Printable.json(JSONWriter.string(value)), mayLeave: isStream)
    }

    /// Prints a record of tab-separated values.
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
