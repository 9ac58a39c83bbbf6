import Glibc
import QQCore

/// What a person is told, on stderr: `qq: what failed: why (where)`, and what to do on a second line.
struct Messages: Sendable {
    private let isQuiet: Bool
    let isVerbose: Bool
    private let color: ColorChoice?

    init(_ invocation: Invocation) {
        isQuiet = invocation[Flags.quiet]
        isVerbose = invocation[Flags.verbose]
        color = invocation[Flags.color]
    }

    /// An error: told even with `--quiet`.
    func error(_ error: CoordinationError) { Self.error(error, color: color) }

    /// - Parameter color: what `--color` says; nil for what the arguments of this process say, as far as they can be understood.
    static func error(_ error: CoordinationError, color: ColorChoice? = nil) {
        write(error: shown(error.description), hint: error.hint.map { shown($0) }, color)
    }

    static func error(_ error: UsageError, color: ColorChoice? = nil) {
        write(error: shown(error.message), hint: error.hint.map { shown($0) }, color)
    }

    /// Text as a terminal or a log may have it.
    static func shown(_ text: String) -> String { Printable.text(Hidden.redacted(text)) }

    /// Something to know, but no error.
    func note(_ text: String) { if !isQuiet { Self.write("qq: " + Self.shown(text) + "\n") } }

    /// What went wrong and is no reason to end.
    func note(_ error: CoordinationError) { note(error.inOneLine) }

    /// Something to know with `--verbose`, with its time.
    func detail(_ text: @autoclosure () -> String) {
        if isVerbose { Self.write("qq: \(WallTime.now().rfc3339(fractionDigits: 3)) " + Self.shown(text()) + "\n") }
    }

    /// A question; the answer is read from stdin.
    func ask(_ question: String) { Self.write(question) }

    /// The name in front of an error stands out where there are colours.
    private static func write(error: String, hint: String?, _ color: ColorChoice?) {
        let color = color ?? Colors.typed(processArguments().dropFirst().map { String(cString: $0) })
        let name = Colors.apply(color, to: STDERR_FILENO) ? "\u{1b}[1;31mqq:\u{1b}[0m " : "qq: "
        write(name + error + "\n" + (hint.map { "qq: " + $0 + "\n" } ?? ""))
    }

    /// In one piece, so that lines of several processes do not mix. There is nobody to tell that stderr is closed.
    private static func write(_ text: String) {
        if !Screen.isDiverted(.init(text: text, descriptor: STDERR_FILENO)) { Screen.writing { write(raw: text) } }
    }

    /// Writes to stderr whatever is shown on the terminal.
    static func write(raw text: String) {
        let left = Streams.takeLeft(STDERR_FILENO)
        let gap = left > 0 ? "qq: stderr was not read: \(Streams.lines(left)) left out\n" : ""
        try? Streams.write(gap + text, to: STDERR_FILENO, mayLeave: true)
    }

    /// Something about our own streams, which holds with --quiet as well: output is missing.
    static func write(own text: String) { write("qq: " + text + "\n") }
}

extension CoordinationError {
    /// With its hint behind it.
    var inOneLine: String { description + (hint.map { "; \($0)" } ?? "") }
}
