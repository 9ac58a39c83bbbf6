import Glibc
import QQCore
import QQLoop
import Synchronization

/// The live view of `watch`, redrawn at each change, and several times a second to update the remaining times.
final class LiveDisplay: WatchDisplay {
    private struct State {
        var view: LiveView
        var drawn: [LiveView.Line] = []
        var size = LiveScreen.Size(width: 0, height: 0)
        /// The last change of each election.
        var last: [String: Change] = [:]
    }

    private let state: Mutex<State>
    private let lines: LineDisplay
    private let screen: LiveScreen
    private let loop: MainLoop
    /// The clock of remaining times: the loop's, or a replay's.
    private let clock: any LeaseClock

    init(_ view: LiveView, _ lines: LineDisplay, on loop: MainLoop, clock: any LeaseClock) {
        state = Mutex(State(view: view))
        self.lines = lines
        self.loop = loop
        self.clock = clock
        screen = LiveScreen(lines.output)
    }

    func show(_ change: Change) throws(CoordinationError) {
        state.withLock { state in
            let word: String? = change.kind == .renewed || change.kind == .state ? nil : change.word
            state.view.update(change.state, slot: change.slot, word: word, time: ClockTime.text(change.time), at: clock.now())
            state.last[change.state.name] = change
        }
        try draw()
    }

    func show(_ event: ConnectionEvent) {
        let text = event.told
        state.withLock { state in
            switch event.kind {
            case .notice: break
            case .connected: state.view.notice = nil
            case .disconnected, .unreachable, .serverLeaving: state.view.notice = text
            }
            state.view.note(text, time: ClockTime.text(.now()))
        }
        // If drawing fails, the next tick tries again.
        try? draw()
    }

    /// Shows a text below the title from now on.
    func notice(_ text: String) { state.withLock { $0.view.notice = text } }

    /// Draws until `q` is typed.
    func run() async throws {
        defer { screen.close() }
        try open()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.keepDrawn() }
            group.addTask { try await self.stopOnRequest() }
            group.addTask { try await self.quitOnRequest() }
            group.addTask { try await self.readKeys() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Prints a line for the last change of each election, once the live view is closed.
    func printLast() throws(CoordinationError) {
        for change in state.withLock({ $0.last }).values.sorted(by: { $0.state.name < $1.state.name }) {
            let isRenewal = change.kind == .renewed
            try lines.show(
                Change(isRenewal ? .state : change.kind, change.state, slot: isRenewal ? nil : change.slot, at: change.time))
        }
    }

    private func open() throws(CoordinationError) {
        try screen.open { [self] text in
            state.withLock { $0.view.note(text, time: ClockTime.text(.now())) }
            try? draw()
        }
        state.withLock { $0.drawn = [] }
        try draw()
    }

    private func keepDrawn() async throws {
        while true {
            try await loop.sleep(for: .milliseconds(200))
            if screen.isOpen { try draw() } else if LiveScreen.isUsable { try open() }
        }
    }

    /// Ctrl-Z: the shell gets its screen back while this process is stopped.
    private func stopOnRequest() async throws {
        let signals = try SignalSource([SIGTSTP], on: loop)
        while true {
            _ = try await signals.next()
            screen.close()
            Streams.settle()
            kill(getpid(), SIGSTOP)
            if LiveScreen.isUsable { try open() }
        }
    }

    /// Ctrl-\: the shell gets its screen back before this process ends as it would without a live view.
    private func quitOnRequest() async throws {
        let number = try await SignalSource([SIGQUIT], on: loop).next()
        screen.close()
        Streams.settle()
        endProcess(by: number)
    }

    private func readKeys() async throws {
        while true {
            guard isatty(STDIN_FILENO) == 1 else { return try await loop.sleep(until: .distantFuture) }
            try await loop.readable(STDIN_FILENO)
            var keys = [UInt8](repeating: 0, count: 64)
            let count = screen.isOpen ? read(STDIN_FILENO, &keys, keys.count) : 0
            if keys.prefix(max(count, 0)).contains(where: { $0 == UInt8(ascii: "q") || $0 == UInt8(ascii: "Q") }) { return }
            // Nothing can be read now. Try again later.
            if count <= 0 { try await loop.sleep(for: .milliseconds(200)) }
        }
    }

    private func draw() throws(CoordinationError) {
        // After Ctrl-S and Ctrl-Q the terminal shows the latest state, not each one before it.
        guard screen.isOpen, Streams.isIdle(STDOUT_FILENO) else { return }
        let size = LiveScreen.size
        let (frame, isNewSize) = state.withLock { state -> ([LiveView.Line]?, Bool) in
            let frame = state.view.frame(width: size.width, height: size.height, at: clock.now())
            let isNewSize = state.size != size
            defer {
                state.drawn = frame
                state.size = size
            }
            return (frame == state.drawn && !isNewSize ? nil : frame, isNewSize)
        }
        if let frame { try screen.draw(frame, clearing: isNewSize) }
    }
}
