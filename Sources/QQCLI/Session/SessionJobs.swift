import Glibc
import QQCore
import QQLoop
import QQREPL

// Starting and ending commands in the foreground and in the background.
extension Session {
    func inForeground(_ button: StopButton, _ task: Task<Int32, Never>) async -> Int32 {
        state.withLock { $0.foreground = Foreground(button: button, task: task) }
        defer {
            let wasInterrupted = state.withLock { state in
                defer { state.foreground = nil }
                return (state.foreground?.interrupts ?? 0) > 0
            }
            if wasInterrupted { beginLine() }
        }
        return await task.value
    }

    /// Starts a new line, because the terminal has echoed `^C` on the current one.
    func beginLine() { if isInteractive { messages.ask("\n") } }

    /// Handles Ctrl-C: asks the running command to end, and cancels it the second time. A command that does not wait for signals is cancelled immediately.
    func interrupt() {
        let (found, question, ending) = state.withLock { state in
            state.foreground?.interrupts += 1
            return (state.foreground, state.question, state.ending)
        }
        // The session is ending. Leases that it has not released yet are left to expire.
        if let ending {
            ending.cancel()
            return leases.abandon()
        }
        if let question { return question.cancel() }
        guard let found else { return LineEditor.abandon() }
        found.button.press(SIGINT)
        if found.interrupts > 1 || !found.button.isListenedTo { found.task.cancel() }
    }

    /// Ends the session because of a signal. The running command receives the signal, and every wait ends.
    func end(by number: CInt) {
        let state = state.withLock { state in
            if state.leaving == nil { state.leaving = number }
            return state
        }
        if state.ending != nil { return interrupt() }
        state.foreground?.button.press(number)
        if state.foreground?.button.isListenedTo == false { state.foreground?.task.cancel() }
        state.question?.cancel()
        state.reading?.cancel()
        // The terminal has already sent SIGINT to the process.
        guard let process = state.process, number != SIGINT || tcgetpgrp(STDIN_FILENO) != getpgrp() else { return }
        process.signal(number, isGroup: isInteractive)
    }

    func start(_ text: String, _ work: Job.Work) {
        let line = Self.shown(text)
        let number = state.withLock { state in
            let number = state.nextNumber
            state.jobs[number] = Job(line: line, startedAt: loop.now(), work: work)
            return number
        }
        messages.note("[\(number)] \(line)")
        guard case .task(_, let task) = work else { return }
        Task(executorPreference: loop) { [self] in
            let code = await task.value
            ended(number, code)
        }
    }

    func ended(_ number: Int, _ code: Int32) {
        guard let job = state.withLock({ $0.jobs.removeValue(forKey: number) }) else { return }
        tell("[\(number)] ended with \(code): \(job.line)", code == 0 ? .good : .warning)
    }

    /// A line without the credentials of URLs, for messages.
    static func shown(_ text: String) -> String { Hidden.redacted(text) }
}
