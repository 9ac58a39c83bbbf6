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
    func note(_ text: String) { if !isQuiet { Self.write("qq: " + Self.shown(text) + "\n") } }

    /// Reports an error that does not end the command, in one line.
    func note(_ error: CoordinationError) { note(error.inOneLine) }

    /// Reports a detail with its time, with `--verbose` only.
    func detail(_ text: @autoclosure () -> String) {
        if isVerbose { Self.write("qq: \(WallTime.now().rfc3339(fractionDigits: 3)) " + Self.shown(text()) + "\n") }
    }

    /// Shows a question, whose answer is read from stdin.
    func ask(_ question: String) { Self.write(question) }

    /// The `qq:` in front of an error is red if there are colours.
    private static func write(error: String, hint: String?, _ color: ColorChoice?) {
        let color = color ?? Colors.typed(processArguments().dropFirst().map { String(cString: $0) })
        let name = Colors.apply(color, to: STDERR_FILENO) ? "\u{1b}[1;31mqq:\u{1b}[0m " : "qq: "
        write(name + error + "\n" + (hint.map { "qq: " + $0 + "\n" } ?? ""))
    }

    /// Writes in one piece, so that lines of several processes do not mix. If stderr is closed, that cannot be reported.
    private static func write(_ text: String) {
        if !Screen.isDiverted(.init(text: text, descriptor: STDERR_FILENO)) { Screen.writing { write(raw: text) } }
    }

    /// Writes to stderr directly, whatever is shown on the terminal.
    static func write(raw text: String) {
        let left = Streams.takeLeft(STDERR_FILENO)
        let gap = left > 0 ? "qq: stderr was not read: \(Streams.lines(left)) left out\n" : ""
        try? Streams.write(gap + text, to: STDERR_FILENO, mayLeave: true)
    }

    /// Reports that output is missing, also with `--quiet`.
    static func write(own text: String) { write("qq: " + text + "\n") }
}

extension CoordinationError {
    /// The error and its hint in one line.
    var inOneLine: String { description + (hint.map { "; \($0)" } ?? "") }
}
