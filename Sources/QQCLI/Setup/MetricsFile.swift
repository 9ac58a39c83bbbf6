import Glibc
import QQCore
import QQLoop

/// The file of `--metrics-file`, written at intervals while a command runs, and at its end.
///
/// Each write has a thread of its own, one at a time, because a file system that hangs must not stop the loop, which renews leases. The first write comes
/// after the guardian was forked.
final class MetricsFile: Sendable {
    /// Replaces the file at a path.
    typealias Replace = @Sendable (_ bytes: [UInt8], _ path: String) throws(AtomicFile.Failure) -> Void

    let metrics: Metrics
    private let path: String
    private let loop: MainLoop
    private let every: Duration
    private let limit: Duration
    private let replace: Replace
    private let report: @Sendable (CoordinationError) -> Void

    /// - Parameters:
    ///   - every: the time between two writes.
    ///   - limit: the time for the last write, including the rest of a write that is not complete.
    ///   - report: takes failures.
    /// - Throws: `.usage` if the path leads to something other than a regular file, which would be destroyed or could block.
    init(
        _ path: String, _ metrics: Metrics, loop: MainLoop, every: Duration = Defaults.metricsEvery,
        limit: Duration = Defaults.lastMetricsLimit, replace: @escaping Replace = MetricsFile.replace,
        report: @escaping @Sendable (CoordinationError) -> Void
    ) throws(CoordinationError) {
        var information = stat()
        if stat(path, &information) == 0, information.st_mode & S_IFMT != S_IFREG, !AtomicFile.isSink(information) {
            throw CoordinationError(
                .usage, "cannot write the metrics", because: "it is \(AtomicFile.kind(information)), not a regular file", at: path,
                hint: "name a regular file, or a new one")
        }
        self.path = path
        self.metrics = metrics
        self.loop = loop
        self.every = every
        self.limit = limit
        self.replace = replace
        self.report = report
    }

    /// Runs `body`, and until it returns writes the file.
    func keeping<Result: Sendable>(_ body: @Sendable () async throws -> Result) async rethrows -> Result {
        let writing = Task(executorPreference: loop) { [self] in await keepWritten() }
        do {
            let result = try await body()
            await finish(after: writing)
            return result
        } catch {
            await finish(after: writing)
            throw error
        }
    }

    /// Writes the file at intervals until the task is cancelled. Reports the first failure only. A write that is not complete is waited for, also by a
    /// cancelled task.
    private func keepWritten() async {
        var isTold = false
        while (try? await loop.sleep(for: every)) != nil {
            guard let failure = await writing().value, !isTold else { continue }
            report(failure)
            isTold = true
        }
    }

    /// Writes the file for the last time, after the writes at intervals. Gives up at the time limit. A cancelled caller writes it, too.
    private func finish(after intervals: Task<Void, Never>) async {
        intervals.cancel()
        let (outcomes, outcome) = AsyncStream.makeStream(of: CoordinationError?.self)
        Task(executorPreference: loop) { [self] in
            await intervals.value
            outcome.yield(await writing().value)
        }
        let timer = Task(executorPreference: loop) { [self] in
            guard (try? await loop.sleep(for: limit)) != nil else { return }
            outcome.yield(failure("the file system has not answered within \(DurationText.brief(limit))"))
        }
        let first = Task(executorPreference: loop) { () async -> CoordinationError? in
            for await failure in outcomes { return failure }
            return nil
        }
        if let failure = await first.value { report(failure) }
        timer.cancel()
    }

    /// Starts to write the file, in a task that is not cancelled with the caller's.
    /// - Returns: the task, whose result is the failure, if there is one.
    private func writing() -> Task<CoordinationError?, Never> {
        Task(executorPreference: loop) { [self] () async -> CoordinationError? in
            do throws(SystemCallError) {
                return try await resultOfThread { [self] in write() } ?? nil
            } catch {
                return failure("no thread can be started: \(error.reason)")
            }
        }
    }

    /// Writes the file. Can block.
    private func write() -> CoordinationError? {
        do throws(AtomicFile.Failure) {
            try replace(Array(metrics.prometheus().utf8), path)
            return nil
        } catch {
            return failure(error.reason)
        }
    }

    private func failure(_ reason: String) -> CoordinationError {
        CoordinationError(.unavailable, "cannot write the metrics", because: reason, at: path)
    }

    /// Collectors that run as another user read the file; it contains no secret.
    private static let replace: Replace = { (bytes, path) throws(AtomicFile.Failure) in
        try AtomicFile.write(bytes, to: path, mode: 0o644)
    }
}
