import Glibc
import QQCore
import QQLoop

/// The file of `--metrics-file`, written at intervals while a command runs, and at its end.
final class MetricsFile: Sendable {
    let metrics: Metrics
    private let path: String
    private let loop: MainLoop
    private let messages: Messages

    /// - Throws: `.usage` if the path leads to something other than a regular file, which would be destroyed or could block.
    init(_ path: String, _ metrics: Metrics, loop: MainLoop, messages: Messages) throws(CoordinationError) {
        var information = stat()
        if stat(path, &information) == 0, information.st_mode & S_IFMT != S_IFREG, !AtomicFile.isSink(information) {
            throw CoordinationError(
                .usage, "cannot write the metrics", because: "it is \(AtomicFile.kind(information)), not a regular file", at: path,
                hint: "name a regular file, or a new one")
        }
        self.path = path
        self.metrics = metrics
        self.loop = loop
        self.messages = messages
    }

    /// Runs `body`, and until it returns writes the file.
    func keeping<Result: Sendable>(_ body: @Sendable () async throws -> Result) async rethrows -> Result {
        let writing = Task(executorPreference: loop) { [self] in await keepWritten() }
        defer {
            writing.cancel()
            finish()
        }
        return try await body()
    }

    /// Writes the file at intervals until the task is cancelled. Reports the first failure only.
    private func keepWritten() async {
        var isTold = false
        while (try? await loop.sleep(for: Defaults.metricsEvery)) != nil {
            do throws(CoordinationError) { try write() } catch {
                if !isTold { messages.note("\(error)", .warning) }
                isTold = true
            }
        }
    }

    /// Writes the file for the last time.
    private func finish() {
        do throws(CoordinationError) { try write() } catch { messages.note("\(error)", .warning) }
    }

    private func write() throws(CoordinationError) {
        do throws(AtomicFile.Failure) {
            // Collectors that run as another user read it; it contains no secret.
            try AtomicFile.write(Array(metrics.prometheus().utf8), to: path, mode: 0o644)
        } catch {
            throw CoordinationError(.unavailable, "cannot write the metrics", because: error.reason, at: path)
        }
    }
}
