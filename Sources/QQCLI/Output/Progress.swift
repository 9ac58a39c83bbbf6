import CKernel
import Glibc
import QQCore
import QQLoop
import Synchronization

/// Shows on a terminal what a command waits for, once it has waited for a while, and takes it off again without a trace.
///
/// There is one line for it, the one that the cursor is on: `Screen.writing` takes it off before anything else is written, and it comes back at its next
/// step.
final class Progress: Sendable {
    /// Where it is shown.
    struct Terminal: Sendable {
        /// How many columns there are.
        var width: @Sendable () -> Int
        /// Whether we may write there now: not while we run behind a shell's prompt.
        var isOurs: @Sendable () -> Bool
        /// Shows a line in the place of the one that is there; nil for none.
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

    /// - Parameter executor: runs the task that draws; it lives while something is waited for.
    init(_ look: ProgressLine.Look, on terminal: Terminal, clock: any LeaseClock, executor: (any TaskExecutor)?) {
        state = Mutex(State(line: ProgressLine(look)))
        self.terminal = terminal
        self.clock = clock
        self.executor = executor
    }

    /// Says what is waited for. The time goes on counting from when the waiting began, unless it is to begin `anew`.
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

    /// Says something else of what is waited for, where something is.
    func change(to text: String) { if state.withLock({ $0.line.isWaiting }) { wait(for: text) } }

    /// Nothing is waited for any more.
    func end() {
        takeOff()
        let stepping = state.withLock { state in
            state.line.end()
            defer { state.stepping = nil }
            return state.stepping
        }
        stepping?.cancel()
    }

    /// Takes it off the screen until its next step.
    func takeOff() {
        let wasShown = state.withLock { state in
            defer { state.isShown = false }
            return state.isShown
        }
        if wasShown { terminal.show(nil) }
    }

    /// Keeps it off the screen until `goOn`: something else writes there.
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

    /// Takes off the screen what is shown there: something else is about to be written.
    static func takeOff() { current.withLock { $0 }?.takeOff() }

    /// The one for what is asked of us; nil where nobody would see it, or wants to.
    static func onTerminal(_ invocation: Invocation, _ loop: MainLoop) -> Progress? {
        guard !invocation[Flags.quiet], let look = look(invocation) else { return nil }
        // With a process in front, its group is the one that is in the foreground.
        let hasFront = invocation.trailing != nil
        let progress = Progress(
            look,
            on: Terminal(
                width: {
                    let columns = Int(qq_terminal_columns(2))
                    return columns > 0 ? columns : 80
                },
                isOurs: { qq_terminal_is_ours(2, hasFront ? 1 : 0) == 1 },
                show: { text in
                    // Before it is there, so that no signal comes between.
                    if text != nil { qq_passing_line(1) }
                    Messages.write(raw: "\r" + (text ?? "") + "\u{1b}[K")
                    if text == nil {
                        qq_passing_line(0)
                        // A command that is about to start writes there as well.
                        Streams.settle()
                    }
                }), clock: loop, executor: loop)
        current.withLock { $0 = progress }
        return progress
    }

    private static func look(_ invocation: Invocation) -> ProgressLine.Look? {
        guard Colors.isTerminal(2), (filledVariable("TERM") ?? "dumb") != "dumb" else { return nil }
        return .init(isUnicode: Letters.areUnicode, hasColors: Colors.apply(invocation[Flags.color], to: 2))
    }
}
