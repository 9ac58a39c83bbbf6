import Glibc
import QQCore
import QQLoop
import QQREPL

// A session that a script holds.
extension Session {
    /// Runs the lines of a script, and stops at the first that fails unless `keepsGoing`.
    /// - Returns: the exit code of the first line that failed.
    func run(script path: String?, keepsGoing: Bool) async throws -> Int32 {
        let signals = try SignalSource([SIGINT, SIGTERM, SIGHUP], on: loop)
        let watching = Task(executorPreference: loop) { [self] in
            while let number = try? await signals.next() { end(by: number) }
        }
        defer { watching.cancel() }
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
        /// - Returns: whether the script is over.
        func fail(_ code: Int32, _ what: String) -> Bool {
            failed = failed ?? code
            Messages.error(CoordinationError(.usage, what, because: ""))
            return !keepsGoing
        }
        while let text = try await nextLine(of: script) {
            number += 1
            let line: CommandLine
            do throws(CommandLine.Invalid) { line = try CommandLine(text) { variable($0) } } catch {
                Messages.error(UsageError(error.reason, hint: error.hint))
                if fail(ExitCode.usage, told(number, text, of: script, ExitCode.usage)) { break }
                continue
            }
            if line.words.isEmpty { continue }
            // What follows may count on what was acquired before it.
            let lost = leases.takeLosses()
            if !lost.isEmpty, fail(ExitCode.lost, "\(script.name), line \(number): \(Self.lost(lost)) before it") { break }
            let code: Int32
            do {
                guard case .goOn(let found) = try await run(line, text: text) else { return failed }
                code = found
            } catch { code = Self.told(error, messages) }
            if state.withLock({ $0.leaving }) != nil { return failed }
            if code != ExitCode.yes, fail(code, told(number, text, of: script, code)) { break }
        }
        let lost = leases.takeLosses()
        if !lost.isEmpty, failed == nil { _ = fail(ExitCode.lost, "\(script.name): \(Self.lost(lost)) before its end") }
        return failed
    }

    private static func lost(_ names: [String]) -> String { "\(names.map { Printable.text($0) }.joined(separator: ", ")) was lost" }

    private func told(_ number: Int, _ text: String, of script: ScriptLines, _ code: Int32) -> String {
        let line = Printable.text(Self.shown(text))
        return "\(script.name), line \(number): exit code \(code): " + (line.count > 200 ? line.prefix(200) + "…" : line)
    }

    /// Reading is given up when a signal comes.
    private func nextLine(of script: ScriptLines) async throws -> String? {
        if state.withLock({ $0.leaving }) != nil { return nil }
        let reading = Task(executorPreference: loop) { try await script.next() }
        state.withLock { $0.reading = reading }
        defer { state.withLock { $0.reading = nil } }
        do { return try await reading.value } catch is CancellationError { return nil }
    }
}
