import Glibc
import QQCore

/// Messages on stderr: `qq: what failed: why (where)`, and a hint on a second line.
struct Messages: Sendable {
    private let isQuiet: Bool
    let isVerbose: Bool
    private let color: ColorChoice?

    init(_ invocation: Invocation) {
        isQuiet = invocation[Flags.quiet]
        isVerbose = invocation[Flags.verbose]
        color = invocation[Flags.color]
    }

    /// Reports an error, also with `--quiet`.
    func error(_ error: CoordinationError) { Self.error(error, color: color) }

    /// - Parameter color: the value of `--color`; nil to look for it in the arguments of this process.
    static func error(_ error: CoordinationError, color: ColorChoice? = nil) {
        write(error: shown(error.description), hint: error.hint.map { shown($0) }, color)
    }

    static func error(_ error: UsageError, color: ColorChoice? = nil) {
        write(error: shown(error.message), hint: error.hint.map { shown($0) }, color)
    }

    /// Text without credentials and control characters, for a terminal or a log.
    static func shown(_ text: String) -> String { Printable.text(Hidden.redacted(text)) }

    /// Reports something that is not an error.
    /// - Parameter priority: for the journal.
    func note(_ text: String, _ priority: Journal.Priority = .notice) {
        if !isQuiet { Self.write("qq: " + Self.shown(text) + "\n", priority) }
    }

    /// Reports an error that does not end the command, in one line.
    func note(_ error: CoordinationError) { note(error.inOneLine, .warning) }

    /// Reports an event of the past with its time.
    func note(_ text: String, at time: WallTime) { note(Self.timed(text, time, "  ")) }

    /// Reports a detail with its time, with `--verbose` only.
    func detail(_ text: @autoclosure () -> String) {
        if isVerbose { Self.write("qq: " + Self.timed(Self.shown(text()), .now(), " ") + "\n", .debug) }
    }

    /// Shows a question, whose answer is read from stdin.
    func ask(_ question: String) { Self.write(question, .notice) }

    /// The time before a text. The journal adds the time itself.
    private static func timed(_ text: String, _ time: @autoclosure () -> WallTime, _ gap: String) -> String {
        Journal.reads(STDERR_FILENO) ? text : time().rfc3339(fractionDigits: 3) + gap + text
    }

    /// The `qq:` in front of an error is red if there are colours.
    private static func write(error: String, hint: String?, _ color: ColorChoice?) {
        let color = color ?? Colors.typed(processArguments().dropFirst().map { String(cString: $0) })
        let name = Colors.apply(color, to: STDERR_FILENO) ? "\u{1b}[1;31mqq:\u{1b}[0m " : "qq: "
        write(name + error + "\n" + (hint.map { "qq: " + $0 + "\n" } ?? ""), .error)
    }

    /// Writes in one piece, so that lines of several processes do not mix. If stderr is closed, that cannot be reported.
    private static func write(_ text: String, _ priority: Journal.Priority) {
        let text = Journal.reads(STDERR_FILENO) ? Journal.marked(text, priority) : text
        if !Screen.isDiverted(.init(text: text, descriptor: STDERR_FILENO)) { Screen.writing { write(raw: text) } }
    }

    /// Writes to stderr directly, whatever is shown on the terminal.
    static func write(raw text: String) {
        let left = Streams.takeLeft(STDERR_FILENO)
        var gap = left > 0 ? "qq: stderr was not read: \(Streams.lines(left)) left out\n" : ""
        if Journal.reads(STDERR_FILENO) { gap = Journal.marked(gap, .warning) }
        try? Streams.write(gap + text, to: STDERR_FILENO, mayLeave: true)
    }

    /// Reports that output is missing, also with `--quiet`.
    static func write(own text: String) { write("qq: " + text + "\n", .warning) }
}

extension CoordinationError {
    /// The error and its hint in one line.
    var inOneLine: String { description + (hint.map { "; \($0)" } ?? "") }
}
