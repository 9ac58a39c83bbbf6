import CKernel
import Glibc
import QQCore
import QQREPL
import Synchronization

/// A guarded command of a session. It runs in a separate `qq` process, because the session itself must not fork.
final class SessionProcess: Sendable {
    enum News: Sendable, Equatable {
        case ended(Int32)
        /// The process was stopped, and no longer has the terminal.
        case stopped
    }

    let pid: pid_t
    let news: AsyncStream<News>
    let post: AsyncStream<News>.Continuation

    init(_ pid: pid_t) {
        self.pid = pid
        (news, post) = AsyncStream.makeStream(of: News.self)
    }

    /// Whether the process ID and the process group can belong to another process by now.
    private let isReaped = Mutex(false)

    /// Sends a signal, and continues a stopped process so that it receives the signal.
    /// - Parameter isGroup: whether the process has a process group of its own.
    func signal(_ number: CInt, isGroup: Bool) {
        isReaped.withLock { isReaped in
            guard !isReaped else { return }
            kill(isGroup ? -pid : pid, number)
            kill(isGroup ? -pid : pid, SIGCONT)
        }
    }

    /// Reaps the process if it has ended and was not reaped before.
    /// - Returns: its status from wait(2); nil if it was not reaped now.
    func reap() -> CInt? {
        isReaped.withLock { isReaped in
            var status: CInt = 0
            guard !isReaped, waitpid(pid, &status, WNOHANG) == pid else { return nil }
            isReaped = true
            return status
        }
    }
}

extension Session {
    func runProcess(_ invocation: Invocation, isInBackground: Bool, _ text: String) async throws -> Int32 {
        // The process writes to the same terminal.
        Streams.settle()
        let process = SessionProcess(try spawn(words(of: invocation), takesTerminal: isInteractive && !isInBackground))
        state.withLock { $0.processes[process.pid] = process }
        Task(executorPreference: loop) { [self] in
            let code = await end(of: process) ?? ExitCode.unavailable
            let number = state.withLock { state -> Int? in
                state.processes[process.pid] = nil
                return state.process === process ? nil : state.number(of: process)
            }
            process.post.yield(.ended(code))
            if let number { ended(number, code) }
        }
        guard isInBackground else { return await wait(for: process, text) }
        start(text, .process(process))
        return ExitCode.yes
    }

    /// Waits until a process ends or is stopped, and takes the terminal back.
    func wait(for process: SessionProcess, _ text: String) async -> Int32 {
        state.withLock { $0.process = process }
        var modes = termios()
        let hasModes = isInteractive && tcgetattr(0, &modes) == 0
        let held = HeldPieces()
        // The terminal belongs to the command until then. Messages are shown afterwards.
        if isInteractive { Screen.divert { held.add($0) } }
        defer {
            state.withLock { $0.process = nil }
            if isInteractive {
                tcsetpgrp(0, getpgrp())
                if hasModes { tcsetattr(0, TCSANOW, &modes) }
                Screen.divert(nil)
                held.write()
            }
        }
        for await news in process.news {
            switch news {
            case .ended(let code):
                state.withLock { state in
                    if let number = state.number(of: process) { state.jobs[number] = nil }
                }
                if [SIGINT, SIGQUIT].contains(where: { ExitCode.signal($0) == code }) { beginLine() }
                return code
            case .stopped:
                keepStopped(process, text)
                return ExitCode.signal(SIGTSTP)
            }
        }
        return ExitCode.unavailable
    }

    private func keepStopped(_ process: SessionProcess, _ text: String) {
        let number = state.withLock { state in
            let number = state.number(of: process) ?? state.nextNumber
            if state.jobs[number] == nil {
                state.jobs[number] = Job(line: Self.shown(text), startedAt: loop.now(), work: .process(process))
            }
            state.jobs[number]?.isStopped = true
            return number
        }
        beginLine()
        messages.note("[\(number)] stopped: \(Self.shown(text)); continue it with 'fg \(number)'")
    }

    /// Reports stopped guarded commands. Called when a child process has changed.
    func lookForStopped() {
        guard isInteractive else { return }
        for process in state.withLock({ Array($0.processes.values) }) where qq_job_stopped(process.pid) == 1 {
            let (isForeground, number) = state.withLock { ($0.process === process, $0.number(of: process)) }
            if isForeground {
                process.post.yield(.stopped)
            } else if let number {
                state.withLock { $0.jobs[number]?.isStopped = true }
                tell("[\(number)] stopped, it needs the terminal: continue it with 'fg \(number)'", .warning)
            }
        }
    }

    /// `fg N`: gives the terminal to a job, and waits for it.
    func bringToFront(_ number: Int, _ job: Job) async -> Int32 {
        switch job.work {
        case .task(let button, let task):
            let code = await inForeground(button, task)
            return code
        case .process(let process):
            state.withLock { $0.jobs[number]?.isStopped = false }
            tcsetpgrp(0, process.pid)
            process.signal(SIGCONT, isGroup: true)
            return await wait(for: process, job.line)
        }
    }

    /// The exit code of a process, as a shell shows it; nil if it is unknown.
    private func end(of process: SessionProcess) async -> Int32? {
        let descriptor = qq_process_open(process.pid)
        guard descriptor >= 0 else { return nil }
        defer {
            loop.forget(descriptor)
            close(descriptor)
        }
        try? await loop.readable(descriptor)
        guard let status = process.reap() else { return nil }
        return status & 0x7f == 0 ? (status >> 8) & 0xff : ExitCode.signal(status & 0x7f)
    }

    private func spawn(_ words: [String], takesTerminal: Bool) throws(CoordinationError) -> pid_t {
        func failure(_ error: SystemCallError) -> CoordinationError {
            CoordinationError(.unavailable, "cannot start a guarded command", because: error.reason)
        }
        let lifeline: CInt
        do throws(SystemCallError) { lifeline = try lifelineEnd() } catch { throw failure(error) }
        var flags: CInt = 0
        // In a script, commands stay in the process group of the session, as they do in a shell script.
        if isInteractive { flags |= CInt(QQ_JOB_OWN_GROUP) }
        if takesTerminal { flags |= CInt(QQ_JOB_TERMINAL) }
        if scriptIsInput { flags |= CInt(QQ_JOB_NO_INPUT) }
        let arguments = words.map { strdup($0) } + [nil]
        let environment = Hidden.environment(and: [Lifeline.entry(lifeline)]).map { strdup($0) } + [nil]
        defer { for text in arguments + environment { free(text) } }
        var pid: pid_t = 0
        let code = qq_spawn_job(arguments, environment, flags, lifeline, &pid)
        guard code == 0 else { throw failure(SystemCallError("posix_spawn", code: code)) }
        return pid
    }

    /// The end of the lifeline pipe that guarded commands inherit; this process keeps the other end open for its whole life.
    private func lifelineEnd() throws(SystemCallError) -> CInt {
        if let end = state.withLock({ $0.lifeline }) { return end }
        let ends = try Lifeline.make()
        state.withLock { $0.lifeline = ends.reading }
        return ends.reading
    }

    /// The words that run an invocation in another `qq` process.
    func words(of invocation: Invocation) -> [String] {
        ["qq", invocation.command.name] + invocation.values.map { value in value.text.map { "--\(value.name)=\($0)" } ?? "--\(value.name)" }
            + invocation.positionals + (invocation.trailing.map { ["--"] + $0 } ?? [])
    }
}

/// Output that is held while a command has the terminal.
private final class HeldPieces: Sendable {
    private let pieces = Mutex(Screen.Held())

    func add(_ piece: Screen.Piece) { pieces.withLock { $0.add(piece) } }

    func write() {
        var held = pieces.withLock { pieces in
            defer { pieces = Screen.Held() }
            return pieces
        }
        held.write()
    }
}
