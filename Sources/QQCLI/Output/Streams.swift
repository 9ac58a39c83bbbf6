import Glibc
import QQCore
import QQLoop
import Synchronization

/// Standard output and standard error of this process.
///
/// A command that answers and ends writes as any program does, and waits for its reader. A command that holds leases or handles signals never waits: text
/// that cannot be written is queued, and does not delay renewals and signals.
enum Streams {
    private enum Mode: Int { case waits, asideWithoutThread, aside }

    private static let mode = Atomic(Mode.waits.rawValue)
    private static let output = OutputQueue(STDOUT_FILENO)
    private static let errors = areOne ? output : OutputQueue(STDERR_FILENO)

    /// Whether both lead to the same file, so that their order has to be kept.
    private static let areOne: Bool = {
        var (out, err) = (stat(), stat())
        return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 && out.st_dev == err.st_dev && out.st_ino == err.st_ino
            && out.st_rdev == err.st_rdev
    }()

    private static func queue(_ descriptor: CInt) -> OutputQueue { descriptor == STDERR_FILENO ? errors : output }

    /// From now on, no write waits.
    /// - Parameter mayStartThreads: false before a fork, which must find a single thread.
    static func neverWait(mayStartThreads: Bool = true) {
        mode.store((mayStartThreads ? Mode.aside : .asideWithoutThread).rawValue, ordering: .relaxed)
    }

    /// Whether text that cannot be written is queued.
    static var areAside: Bool { mode.load(ordering: .relaxed) != Mode.waits.rawValue }

    /// - Parameter mayLeave: whether the text can be left out if the queue is full.
    /// - Throws: `SystemCallError` if it cannot be written.
    static func write(_ text: String, to descriptor: CInt, mayLeave: Bool) throws(SystemCallError) {
        try write(Array(text.utf8), to: descriptor, mayLeave: mayLeave)
    }

    static func write(_ bytes: [UInt8], to descriptor: CInt, mayLeave: Bool) throws(SystemCallError) {
        let mode = mode.load(ordering: .relaxed)
        if mode == Mode.waits.rawValue { return try writeAll(bytes, to: descriptor) }
        let outcome = try queue(descriptor).write(bytes, to: descriptor, mayLeave: mayLeave, mayStart: mode == Mode.aside.rawValue)
        // Text that stderr leaves out is reported by the next message.
        guard outcome == .left, descriptor == STDOUT_FILENO, !hasWarned.exchange(true, ordering: .relaxed) else { return }
        Messages.write(own: "stdout is not read: output that cannot be queued is left out; renewals and signals continue")
    }

    private static let hasWarned = Atomic(false)

    /// Whether the file has taken all text for a descriptor.
    static func isIdle(_ descriptor: CInt) -> Bool { !areAside || queue(descriptor).isEmpty }

    /// The number of lines that were left out before the next text, which is reported on stderr.
    static func takeLeft(_ descriptor: CInt) -> Int {
        guard areAside else { return 0 }
        let count = queue(descriptor).takeLeft(descriptor)
        if count > 0, descriptor == STDOUT_FILENO {
            hasWarned.store(false, ordering: .relaxed)
            Messages.write(own: "stdout was not read: \(lines(count)) left out")
        }
        return count
    }

    static func lines(_ count: Int) -> String { count == 1 ? "1 line was" : "\(count) lines were" }

    // MARK: A closed pipe

    /// Waits until the reader of stdout has closed its end.
    /// - Throws: `CancellationError`; the failure to write into a closed pipe.
    static func closed(on loop: MainLoop) async throws {
        var information = stat()
        // Other files than pipes and sockets have no other end, or report its end by a signal.
        if fstat(STDOUT_FILENO, &information) == 0, [S_IFIFO, S_IFSOCK].contains(information.st_mode & S_IFMT) {
            do { try await loop.disconnected(STDOUT_FILENO) } catch let error as SystemCallError where error.code == EPERM {}
            try Task.checkCancellation()
            throw Output.failure(SystemCallError("write", code: EPIPE))
        }
        try await loop.sleep(until: .distantFuture)
    }

    /// Ends the process as the kernel ends one that writes into a closed pipe.
    static func endByClosedPipe() -> Never { endProcess(by: SIGPIPE) }

    // MARK: Waiting

    /// Waits a moment for queued text to be written, before another process writes to the same terminal.
    static func settle(within limit: Duration = .milliseconds(50)) {
        guard mode.load(ordering: .relaxed) == Mode.aside.rawValue else { return }
        _ = output.finish(within: limit)
        if !areOne { _ = errors.finish(within: limit) }
    }

    /// Waits until stdout has taken all text, without blocking the loop. Polls, because late readers are late by far more than the interval.
    /// - Throws: `CancellationError`; `CoordinationError` if it cannot be written.
    static func delivered(on loop: MainLoop) async throws {
        settle(within: .milliseconds(1))
        while !isIdle(STDOUT_FILENO) { try await loop.sleep(for: .milliseconds(10)) }
        try check()
    }

    /// - Throws: `.unavailable` if queued text could not be written.
    static func check() throws(CoordinationError) {
        if areAside, let problem = output.takeProblem(STDOUT_FILENO) { throw Output.failure(problem) }
    }

    /// How long the process waits for readers before it ends.
    static let patience: Duration = .seconds(2)

    /// Writes queued text before the process ends, and reports how much was not read.
    /// - Returns: false if stdout is a pipe that its reader has closed.
    @discardableResult
    static func finish() -> Bool {
        guard areAside else { return true }
        var isOpen = true
        neverWait()
        let deadline = ContinuousClock.now + patience
        if !output.finish(within: patience) || output.lost(STDOUT_FILENO) > 0 {
            Messages.write(own: "stdout was not read: \(lines(output.lost(STDOUT_FILENO))) left out")
        } else if let problem = output.takeProblem(STDOUT_FILENO) {
            if problem.code == EPIPE { isOpen = false } else { Messages.error(Output.failure(problem)) }
        }
        if !areOne { _ = errors.finish(within: max(deadline - ContinuousClock.now, .milliseconds(100))) }
        return isOpen
    }
}
