import CKernel
import Glibc
import QQCore
import QQLoop
import QQNATS
import QQREPL

// A session in which a user types the lines.
extension Session {
    /// Reads and runs lines until the end of input, `exit` or a signal, and then releases everything.
    func interact() async throws -> Int32 {
        // If started in the background of a shell, wait for the foreground.
        for _ in 0..<16 where tcgetpgrp(STDIN_FILENO) != getpgrp() { kill(0, SIGTTIN) }
        let signals = try SignalSource([SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCHLD], on: loop)
        // Ctrl-Z, and taking the terminal back from a guarded command, must not stop this process, because it renews leases.
        for number in [SIGTTOU, SIGTSTP, SIGQUIT] { signal(number, SIG_IGN) }
        let editor = LineEditor(
            name: "qq", loop: loop, show: { try? Streams.write($0, to: STDOUT_FILENO, mayLeave: true) },
            complete: { [self] in candidates($0) })
        Screen.write { body in LineEditor.above(body) }
        defer { Screen.write(through: nil) }
        leases.whenChanged { [self] in showPrompt() }
        let watching = Task(executorPreference: loop) { [self] in
            while let number = try? await signals.next() { take(number) }
        }
        // The prompt shows remaining times. A dumb terminal would show each prompt on a line of its own.
        let prompting = Task(executorPreference: loop) { [self] in
            while !isDumb, (try? await loop.sleep(for: .seconds(1))) != nil { showPrompt() }
        }
        defer {
            watching.cancel()
            prompting.cancel()
        }
        refreshElections(withMembers: true)
        await readLines(editor)
        await leave()
        let signal = state.withLock { $0.leaving }
        return signal.map { ExitCode.signal($0) } ?? ExitCode.yes
    }

    private func readLines(_ editor: LineEditor) async {
        let history = History(path: Self.historyPath) { Hidden.redacted(word: $0) != $0 }
        history.load()
        var isKept = true
        while state.withLock({ $0.leaving }) == nil {
            let text: String?
            do { text = try await read(editor) } catch { return }
            guard let text else {
                if await mayLeave() { return }
                continue
            }
            // Pasted text can have several lines.
            for text in text.split(separator: "\n", omittingEmptySubsequences: false).map({ String($0) }) {
                do throws(SystemCallError) { try history.add(text) } catch {
                    if isKept { messages.note("the history is not kept: cannot write \(Self.historyPath ?? ""): \(error.reason)") }
                    isKept = false
                }
                let step = await runLine(text)
                if let error = await delivered() { messages.error(error) }
                if step == .leave, await mayLeave() { return }
                if state.withLock({ $0.leaving }) != nil { return }
            }
        }
    }

    private func read(_ editor: LineEditor) async throws -> String? {
        refreshServer()
        let reading = Task(executorPreference: loop) { [self] in try await editor.line(prompt: prompt) }
        state.withLock { $0.reading = reading }
        defer { state.withLock { $0.reading = nil } }
        return try await reading.value
    }

    private func runLine(_ text: String) async -> Step {
        do {
            let line: CommandLine
            do throws(CommandLine.Invalid) { line = try CommandLine(text) { variable($0) } } catch {
                throw UsageError(error.reason, hint: error.hint)
            }
            return try await run(line, text: text)
        } catch { return .goOn(Self.told(error, messages)) }
    }

    private func take(_ number: CInt) {
        switch number {
        case SIGINT: interrupt()
        case SIGWINCH: LineEditor.resized()
        case SIGCHLD: lookForStopped()
        default: end(by: number)
        }
    }

    // MARK: Leaving

    /// Asks the user for confirmation if guarded commands would end with the session.
    private func mayLeave() async -> Bool {
        let guarded = state.withLock { $0.jobs }.values.filter { if case .process = $0.work { true } else { false } }
        guard !guarded.isEmpty, isatty(STDIN_FILENO) == 1 else { return true }
        messages.ask("End \(guarded.map { Printable.text($0.line) }.sorted().joined(separator: ", ")) and leave? [y/N] ")
        let loop = loop
        let question = Task(executorPreference: loop) { await Question.answer(on: loop) }
        state.withLock { $0.question = question }
        defer { state.withLock { $0.question = nil } }
        let answer = await question.value
        if answer == nil { messages.ask("\n") }
        if state.withLock({ $0.leaving }) != nil { return true }
        // At the end of input there is no user who could refuse.
        return Question.isYes(answer) || (answer == nil && !question.isCancelled)
    }

    /// Ends all jobs and releases all leases. Ctrl-C ends the wait for that, and leaves leases that are still held to expire.
    func leave() async {
        let (jobs, processes) = state.withLock { ($0.jobs, $0.processes) }
        for job in jobs.values {
            guard case .task(let button, let task) = job.work else { continue }
            button.press(SIGTERM)
            if !button.isListenedTo { task.cancel() }
        }
        for process in processes.values { process.signal(SIGTERM, isGroup: isInteractive) }
        let ending = Task(executorPreference: loop) { [self] in
            await leases.releaseAll()
            // Guarded commands release their leases themselves. They have 15 s, which is the default TTL.
            let deadline = loop.now() + .seconds(15)
            while state.withLock({ !$0.jobs.isEmpty || !$0.processes.isEmpty }), loop.now() < deadline {
                guard (try? await loop.sleep(for: .milliseconds(5))) != nil else { return }
            }
        }
        state.withLock { $0.ending = ending }
        let patience = Task(executorPreference: loop) { [self] in
            guard (try? await loop.sleep(for: .seconds(1))) != nil else { return }
            let names = leases.all.map { Printable.text($0.name) }.joined(separator: ", ")
            if !names.isEmpty { messages.note("still releasing \(names); Ctrl-C leaves the rest to expire") }
        }
        await ending.value
        patience.cancel()
    }

    /// `$XDG_STATE_HOME/qq/history`, or its default below the home folder.
    static var historyPath: String? {
        if let folder = filledVariable("XDG_STATE_HOME"), folder.hasPrefix("/") { return folder + "/qq/history" }
        if let home = filledVariable("HOME"), home.hasPrefix("/") { return home + "/.local/state/qq/history" }
        return nil
    }

    // MARK: The prompt

    /// Updates the prompt, unless earlier output still waits for the terminal. After Ctrl-S and Ctrl-Q it then shows only the latest prompt.
    private func showPrompt() { if Streams.isIdle(STDOUT_FILENO) { LineEditor.setPrompt(prompt) } }

    private var isDumb: Bool { (filledVariable("TERM") ?? "dumb") == "dumb" }

    /// The prompt: context, system, and the leases with their remaining times.
    var prompt: String {
        let now = loop.now()
        let server = state.withLock { $0.server }
        let leases = leases.all.map {
            SessionPrompt.Lease(name: $0.name, left: $0.grant.deadline.duration(since: now), ttl: $0.grant.ttl)
        }
        let pieces = SessionPrompt(context: server.context, system: server.system, leases: leases).pieces(columns: columns)
        return pieces.map { output.color($0.text, $0.color) }.joined(separator: " ") + "> "
    }

    /// Resolves the server of lines that do not name one.
    private func refreshServer() {
        let server = defaultServer
        state.withLock { $0.server = server }
    }

    private var defaultServer: (context: String?, system: String) {
        guard case .run(let line)? = try? Parser.parse(["status", "x"]) else { return (nil, "qq") }
        let filled = filled(line)
        let choice = (try? ContextChoice(for: filled)) ?? nil
        let whole = (try? choice?.fill(filled)) ?? filled
        let file = whole[Flags.clusterConfig].flatMap { try? ClusterFile.read($0) }
        guard let url = try? ServerChoice.resolve(flag: whole[Flags.server], file: file).url else { return (choice?.entry.name, "?") }
        return (choice?.entry.name, url.system.name)
    }
}
