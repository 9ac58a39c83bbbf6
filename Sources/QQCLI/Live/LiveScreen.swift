import Glibc
import QQCore
import Synchronization

/// Redraws the live view in place on the terminal's alternate screen. The normal screen is restored at the end.
final class LiveScreen: Sendable {
    /// A size in columns and lines.
    struct Size: Sendable, Equatable {
        var width: Int
        var height: Int
    }

    private struct State {
        var isOpen = false
        /// The terminal modes before the view was opened.
        var keys: termios?
        /// Output of other parts of this process, written once the view is closed.
        var held = Screen.Held()
    }

    private let output: Output
    private let state = Mutex(State())

    init(_ output: Output) { self.output = output }

    /// Whether the view can be drawn: this process is in the foreground, and the terminal can move its cursor.
    static var isUsable: Bool {
        guard isatty(STDOUT_FILENO) == 1, tcgetpgrp(STDOUT_FILENO) == getpgrp() else { return false }
        let kind = variable("TERM") ?? ""
        return kind != "" && kind != "dumb"
    }

    /// The size of the terminal; 80 by 24 if it is unknown.
    static var size: Size {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return Size(width: 80, height: 24)
        }
        return Size(width: Int(size.ws_col), height: Int(size.ws_row))
    }

    var isOpen: Bool { state.withLock { $0.isOpen } }

    /// - Parameter others: called with text that other parts of this process write while the view is open.
    func open(others: @escaping @Sendable (String) -> Void) throws(CoordinationError) {
        guard !isOpen else { return }
        state.withLock { state in
            state.isOpen = true
            var keys = termios()
            guard isatty(STDIN_FILENO) == 1, tcgetattr(STDIN_FILENO, &keys) == 0 else { return }
            state.keys = keys
            // Keys are read as they are typed, and not echoed. Ctrl-C still sends SIGINT.
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
        // The alternate screen, without a cursor.
        try Output.write(raw: "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J")
    }

    /// Draws in one write, each line over the old one, so that nothing flickers. A terminal that supports synchronized updates (mode 2026) shows the whole
    /// frame at the same moment.
    func draw(_ lines: [LiveView.Line], clearing: Bool) throws(CoordinationError) {
        var text = "\u{1b}[?2026h" + (clearing ? "\u{1b}[2J" : "") + "\u{1b}[H"
        for (index, line) in lines.enumerated() {
            text += line.map { output.color($0.text, $0.color) }.joined() + "\u{1b}[K"
            if index < lines.count - 1 { text += "\r\n" }
        }
        try Output.write(raw: text + "\u{1b}[J\u{1b}[?2026l")
    }

    /// Restores the normal screen and the terminal modes.
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
