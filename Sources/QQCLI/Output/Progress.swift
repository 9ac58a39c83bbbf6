import CKernel
import Glibc
import QQCore
import QQLoop
import Synchronization

/// Shows the progress line of a command that has waited for a while, and removes it without a trace.
///
/// The line is the one that the cursor is on. `Screen.writing` removes it before anything else is written; the next redraw brings it back.
final class Progress: Sendable {
    /// The terminal that shows it.
    struct Terminal: Sendable {
        /// The number of columns.
        var width: @Sendable () -> Int
        /// Whether this process can write there: not if it runs in the background of a shell.
        var isOurs: @Sendable () -> Bool
        /// Replaces the line that is shown; nil removes it.
        var show: @Sendable (String?) -> Void
    }

    private struct State {
        var line: ProgressLine
        var isShown = false
        var pauses = 0
        var stepping: Task<Void, Never>?
    }

    private let state: Mutex<State>
    private let terminal: Terminal
    private let clock: any LeaseClock
    private let executor: (any TaskExecutor)?

    /// - Parameter executor: runs the task that draws, which exists while something is waited for.
    init(_ style: ProgressLine.Style, on terminal: Terminal, clock: any LeaseClock, executor: (any TaskExecutor)?) {
        state = Mutex(State(line: ProgressLine(style)))
        self.terminal = terminal
        self.clock = clock
        self.executor = executor
    }

    /// Begins to wait, or changes the text of the current wait. The time counts from the beginning of the wait, or from now with `anew`.
    func wait(for text: String, anew: Bool = false) {
        let now = clock.now()
        let isNew = state.withLock { state in
            state.line.wait(for: text, anew: anew, at: now)
            return state.stepping == nil
        }
        guard isNew else { return }
        let stepping = Task(executorPreference: executor) { [self] in await step() }
        state.withLock { $0.stepping = stepping }
    }

    /// Changes the text if something is waited for.
    func change(to text: String) { if state.withLock({ $0.line.isWaiting }) { wait(for: text) } }

    /// Ends the wait.
    func end() {
        takeOff()
        let stepping = state.withLock { state in
            state.line.end()
            defer { state.stepping = nil }
            return state.stepping
        }
        stepping?.cancel()
    }

    /// Removes the line until the next redraw.
    func takeOff() {
        let wasShown = state.withLock { state in
            defer { state.isShown = false }
            return state.isShown
        }
        if wasShown { terminal.show(nil) }
    }

    /// Removes the line until `goOn`: something else writes to the terminal.
    func pause() {
        takeOff()
        state.withLock { $0.pauses += 1 }
    }

    func goOn() { state.withLock { $0.pauses -= 1 } }

    private func step() async {
        while !Task.isCancelled, let moment = state.withLock({ $0.line.next(after: clock.now()) }) {
            guard (try? await clock.sleep(until: moment)) != nil else { return }
            draw()
        }
    }

    private func draw() {
        guard terminal.isOurs(), Streams.isIdle(STDERR_FILENO) else { return }
        let width = terminal.width()
        let now = clock.now()
        let text = state.withLock { state -> String? in
            guard state.pauses == 0, !Task.isCancelled, let text = state.line.text(at: now, width: width) else { return nil }
            state.isShown = true
            return text
        }
        if let text { terminal.show(text) }
    }

    // MARK: The one terminal

    private static let current = Mutex<Progress?>(nil)

    /// Removes the line that is shown: something else is about to be written.
    static func takeOff() { current.withLock { $0 }?.takeOff() }

    /// The progress line of a command line; nil with `--quiet`, or if stderr is not a terminal that can show it.
    static func onTerminal(_ invocation: Invocation, _ loop: MainLoop) -> Progress? {
        guard !invocation[Flags.quiet], let style = style(invocation) else { return nil }
        // The group of the front process is in the foreground, if there is one.
        let hasFront = invocation.trailing != nil
        let progress = Progress(
            style,
            on: Terminal(
                width: {
                    let columns = Int(qq_terminal_columns(2))
                    return columns > 0 ? columns : 80
                },
                isOurs: { qq_terminal_is_ours(2, hasFront ? 1 : 0) == 1 },
                show: { text in
                    // Before the line is shown, so that no signal comes between.
                    if text != nil { qq_passing_line(1) }
                    Messages.write(raw: "\r" + (text ?? "") + "\u{1b}[K")
                    if text == nil {
                        qq_passing_line(0)
                        // A command that is about to start can write there as well.
                        Streams.settle()
                    }
                }), clock: loop, executor: loop)
        current.withLock { $0 = progress }
        return progress
    }

    private static func style(_ invocation: Invocation) -> ProgressLine.Style? {
        guard Colors.isTerminal(2), (filledVariable("TERM") ?? "dumb") != "dumb" else { return nil }
        return .init(isUnicode: Letters.areUnicode, hasColors: Colors.apply(invocation[Flags.color], to: 2))
    }
}
