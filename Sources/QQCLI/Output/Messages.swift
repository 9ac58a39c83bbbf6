import Glibc
import QQCore

/// What a person is told, on stderr: `qq: what failed: why (where)`, and what to do on a second line.
struct Messages: Sendable {
    private let isQuiet: Bool
    let isVerbose: Bool

    init(_ invocation: Invocation) {
        isQuiet = invocation[Flags.quiet]
        isVerbose = invocation[Flags.verbose]
    }

    /// An error: told even with `--quiet`.
    func error(_ error: CoordinationError) { Self.error(error) }

    static func error(_ error: CoordinationError) {
        write("qq: " + Printable.text(error.description) + "\n" + (error.hint.map { "qq: " + Printable.text($0) + "\n" } ?? ""))
    }

    static func error(_ error: UsageError) { write("qq: " + error.message + "\n" + (error.hint.map { "qq: " + $0 + "\n" } ?? "")) }

    /// Something to know, but no error.
    func note(_ text: String) { if !isQuiet { Self.write("qq: " + Printable.text(text) + "\n") } }

    /// Something to know with `--verbose`, with its time.
    func detail(_ text: @autoclosure () -> String) {
        if isVerbose { Self.write("qq: \(WallTime.now().rfc3339(fractionDigits: 3)) " + Printable.text(text()) + "\n") }
    }

    /// A question; the answer is read from stdin.
    func ask(_ question: String) { Self.write(question) }

    /// In one piece, so that lines of several processes do not mix. There is nobody to tell that stderr is closed.
    private static func write(_ text: String) {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress?.advanced(by: done), bytes.count - done) }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return }
            done += count
        }
    }
}
