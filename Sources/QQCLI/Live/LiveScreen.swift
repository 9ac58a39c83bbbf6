import Glibc
import QQCore
import Synchronization

/// A picture on the terminal that is drawn again and again in its place: on the screen beside the usual one, which is back as it was in the end.
final class LiveScreen: Sendable {
    /// Columns and lines.
    struct Size: Sendable, Equatable {
        var width: Int
        var height: Int
    }

    private struct State {
        var isOpen = false
        /// What the terminal did with keys before.
        var keys: termios?
        /// What others wrote meanwhile: they are shown it when the picture is gone.
        var held = Screen.Held()
    }

    private let output: Output
    private let state = Mutex(State())

    init(_ output: Output) { self.output = output }

    /// Whether a picture can be drawn: the terminal is ours now, and can move its cursor.
    static var isUsable: Bool {
        guard isatty(STDOUT_FILENO) == 1, tcgetpgrp(STDOUT_FILENO) == getpgrp() else { return false }
        let kind = variable("TERM") ?? ""
        return kind != "" && kind != "dumb"
    }

    /// How many columns and lines there are.
    static var size: Size {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return Size(width: 80, height: 24)
        }
        return Size(width: Int(size.ws_col), height: Int(size.ws_row))
    }

    var isOpen: Bool { state.withLock { $0.isOpen } }

    /// - Parameter others: is told what others write while the picture is there.
    func open(others: @escaping @Sendable (String) -> Void) throws(CoordinationError) {
        guard !isOpen else { return }
        state.withLock { state in
            state.isOpen = true
            var keys = termios()
            guard isatty(STDIN_FILENO) == 1, tcgetattr(STDIN_FILENO, &keys) == 0 else { return }
            state.keys = keys
            // Keys are read as they are typed, and not shown. Ctrl-C stays what it is.
            keys.c_lflag &= ~tcflag_t(ICANON | ECHO)
            withUnsafeMutableBytes(of: &keys.c_cc) { bytes in
                bytes[Int(VMIN)] = 0
                bytes[Int(VTIME)] = 0
            }
            tcsetattr(STDIN_FILENO, TCSANOW, &keys)
        }
        Screen.divert { [weak self] piece in
            self?.state.withLock { $0.held.add(piece) }
            others(piece.text)
        }
        // The other screen, without a cursor.
        try Output.write(raw: "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J")
    }

    /// Draws in one write, each line over the one before and cleared behind, so that nothing flickers; all at once where the terminal can do that.
    func draw(_ lines: [LiveView.Line], clearing: Bool) throws(CoordinationError) {
        var text = "\u{1b}[?2026h" + (clearing ? "\u{1b}[2J" : "") + "\u{1b}[H"
        for (index, line) in lines.enumerated() {
            text += line.map { output.color($0.text, $0.color) }.joined() + "\u{1b}[K"
            if index < lines.count - 1 { text += "\r\n" }
        }
        try Output.write(raw: text + "\u{1b}[J\u{1b}[?2026l")
    }

    /// Puts back the screen and the keys as they were.
    func close() {
        guard isOpen else { return }
        try? Output.write(raw: "\u{1b}[?25h\u{1b}[?1049l")
        Screen.divert(nil)
        var held = state.withLock { state in
            state.isOpen = false
            if var keys = state.keys { tcsetattr(STDIN_FILENO, TCSANOW, &keys) }
            state.keys = nil
            defer { state.held = Screen.Held() }
            return state.held
        }
        held.write()
    }
}
