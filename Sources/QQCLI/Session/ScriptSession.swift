import Glibc
import QQCore
import QQLoop
import QQREPL

// A session that runs a script.
extension Session {
    /// Runs the lines of a script, and stops at the first line that fails unless `keepsGoing`.
    /// - Returns: the exit code of the first line that failed.
    func run(script path: String?, keepsGoing: Bool) async throws -> Int32 {
        let signals = try SignalSource([SIGINT, SIGTERM, SIGHUP], on: loop)
        let watching = Task(executorPreference: loop) { [self] in
            while let number = try? await signals.next() { end(by: number) }
        }
        defer { watching.cancel() }
        // The loss of a lease also ends a script that waits for its next line.
        leases.whenLost { [self] in state.withLock { $0.reading }?.cancel() }
        let result: Result<Int32?, any Error>
        do { result = .success(try await runLines(of: try ScriptLines(path, loop), keepsGoing: keepsGoing)) } catch {
            result = .failure(error)
        }
        await leave()
        if let signal = state.withLock({ $0.leaving }) { return ExitCode.signal(signal) }
        return try result.get() ?? ExitCode.yes
    }

    private func runLines(of script: ScriptLines, keepsGoing: Bool) async throws -> Int32? {
        var number = 0
        var failed: Int32?
        /// - Returns: whether the script has to end.
        func fail(_ code: Int32, _ what: String) -> Bool {
            failed = failed ?? code
            Messages.error(CoordinationError(.usage, what, because: ""))
            return !keepsGoing
        }
        while let text = try await nextLine(of: script) {
            // This line might rely on a lease that was acquired before it. The loss of a lease therefore ends the script even with --keep-going, which is
            // about failed lines only.
            if hasLost(of: script, after: number) { return ExitCode.lost }
            number += 1
            let line: CommandLine
            do throws(CommandLine.Invalid) { line = try CommandLine(text) { variable($0) } } catch {
                Messages.error(UsageError(error.reason, hint: error.hint))
                if fail(ExitCode.usage, told(number, text, of: script, ExitCode.usage)) { return failed }
                continue
            }
            if line.words.isEmpty { continue }
            let code: Int32
            do {
                guard case .goOn(let found) = try await run(line, text: text) else { return failed }
                // A slow reader of stdout delays the script, but not the renewal of its leases.
                if let error = await delivered() { throw error }
                code = found
            } catch {
                if (error as? CoordinationError)?.code == Output.closedPipe { throw error }
                code = Self.told(error, messages)
            }
            // The output is for a reader that has gone.
            if state.withLock({ $0.hasClosedPipe }) { throw Output.failure(SystemCallError("write", code: EPIPE)) }
            if state.withLock({ $0.leaving }) != nil { return failed }
            if code != ExitCode.yes, fail(code, told(number, text, of: script, code)) { return failed }
        }
        return hasLost(of: script, after: number) ? ExitCode.lost : failed
    }

    /// Reports the leases that the script has lost, which ends it.
    private func hasLost(of script: ScriptLines, after number: Int) -> Bool {
        let names = leases.takeLosses()
        if names.isEmpty { return false }
        let list = names.map { Printable.text($0) }.joined(separator: ", ")
        Messages.error(CoordinationError(.lost, "\(script.name), after line \(number): \(list) was lost", because: ""))
        return true
    }

    private func told(_ number: Int, _ text: String, of script: ScriptLines, _ code: Int32) -> String {
        let line = Printable.text(Self.shown(text))
        return "\(script.name), line \(number): exit code \(code): " + (line.count > 200 ? line.prefix(200) + "…" : line)
    }

    /// The next line; nil at the end, after a signal, and after the loss of a lease.
    private func nextLine(of script: ScriptLines) async throws -> String? {
        if state.withLock({ $0.leaving }) != nil || leases.hasLosses { return nil }
        let reading = Task(executorPreference: loop) { try await script.next() }
        state.withLock { $0.reading = reading }
        defer { state.withLock { $0.reading = nil } }
        do { return try await reading.value } catch is CancellationError { return nil }
    }
}
