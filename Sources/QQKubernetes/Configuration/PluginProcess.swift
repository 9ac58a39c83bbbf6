import CKernel
import Glibc
import QQCore

/// A run of an exec plugin: a child process whose output is collected. `run` blocks, so it needs a thread of its own.
///
/// The program gets the environment of this process, from which the secrets were removed at the start, and no descriptor but its standard streams. Without
/// the terminal it leads a process group of its own, which is killed as a whole when its time is over; with the terminal it stays in this process's
/// group, since only the foreground group can read.
struct PluginProcess {
    /// A program's output, and how it ended.
    struct Result: Equatable {
        var output: [UInt8] = []
        /// The last line on stderr that is not empty, safe to show.
        var lastLine: String?
        /// The status of wait(2); nil if the program was killed.
        var status: CInt?
    }

    /// The most of stderr that is shown.
    static let mostLines = 100
    static let longestLine = 1000

    var path: String
    var arguments: [String]
    var environment: [[CChar]]
    var hasTerminal: Bool
    var timeLimit: Duration
    /// A descriptor that becomes readable when the run should end.
    var stop: CInt
    /// Called with each line on stderr, safe to show.
    var report: @Sendable (String) -> Void

    func run() throws(PluginFault) -> Result {
        let output = try Pipe()
        let errors = hasTerminal ? nil : try Pipe()
        let child = try start(output.writing, errors?.writing ?? STDERR_FILENO)
        output.closeWriting()
        errors?.closeWriting()
        if !hasTerminal { RunningPlugins.add(child.pid) }
        defer {
            close(child.process)
            RunningPlugins.remove(child.pid)
            ChildProcesses.forget(child.pid)
        }
        var result = Result()
        do throws(PluginFault) { try collect(&result, output.reading, errors?.reading ?? -1, child.process) } catch {
            kill(child)
            throw error
        }
        result.status = ChildProcesses.takeStatus(of: child.pid)
        return result
    }

    // MARK: Starting

    private struct Child {
        var pid: pid_t
        /// A descriptor of the process.
        var process: CInt
    }

    private func start(_ output: CInt, _ errors: CInt) throws(PluginFault) -> Child {
        var words = arguments.map { strdup($0) } + [nil]
        var entries = environment.map { entry in strdup(entry) } + [nil]
        defer { for text in words + entries { free(text) } }
        var (problem, child) = launch(&words, &entries, output, errors)
        // Another process might be writing a new version of the program, or have inherited the descriptor by which it was written.
        for _ in 0..<20 where child == nil && problem == ETXTBSY {
            usleep(20_000)
            (problem, child) = launch(&words, &entries, output, errors)
        }
        guard let child else { throw problem == ENOENT && access(path, F_OK) != 0 ? .notFound : .notStarted(Self.reason(problem)) }
        guard child.process >= 0 else {
            ChildProcesses.killGroup(of: child.pid)
            ChildProcesses.forget(child.pid)
            throw .notStarted("pidfd_open: \(Self.reason(problem))")
        }
        return child
    }

    private func launch(
        _ words: inout [UnsafeMutablePointer<CChar>?], _ entries: inout [UnsafeMutablePointer<CChar>?], _ output: CInt, _ errors: CInt
    ) -> (problem: CInt, child: Child?) {
        var problem: CInt = 0
        let child: Child? = ChildProcesses.start {
            var pid: pid_t = 0
            problem = qq_spawn_program(
                path, &words, &entries, hasTerminal ? STDIN_FILENO : -1, output, errors, hasTerminal ? 0 : CInt(QQ_JOB_OWN_GROUP),
                &pid)
            guard problem == 0 else { return nil }
            let process = qq_process_open(pid)
            if process < 0 { problem = errno }
            return (pid, Child(pid: pid, process: process))
        }
        return (problem, child)
    }

    private static func reason(_ code: CInt) -> String { SystemCallError("posix_spawn", code: code).reason }

    private func kill(_ child: Child) {
        if hasTerminal { _ = qq_process_kill(child.process) } else { ChildProcesses.killGroup(of: child.pid) }
        // A process that hangs in the kernel dies later.
        var end = pollfd(fd: child.process, events: Int16(POLLIN), revents: 0)
        _ = poll(&end, 1, 1000)
        _ = ChildProcesses.takeStatus(of: child.pid)
    }

    /// A pipe whose ends are closed with it.
    private final class Pipe {
        private(set) var reading: CInt = -1
        private(set) var writing: CInt = -1

        init() throws(PluginFault) {
            guard qq_pipe(&reading, &writing) == 0 else { throw .notStarted(SystemCallError("pipe2").reason) }
        }

        deinit {
            close(reading)
            closeWriting()
        }

        func closeWriting() {
            if writing >= 0 { close(writing) }
            writing = -1
        }
    }

    // MARK: Collecting

    /// Reads both streams until the program has ended. Processes that it leaves behind are not waited for.
    private func collect(_ result: inout Result, _ output: CInt, _ errors: CInt, _ process: CInt) throws(PluginFault) {
        let end = qq_boot_now() &+ UInt64(max(0, timeLimit.nanoseconds))
        var lines = Lines(report: report)
        defer {
            lines.finish()
            result.lastLine = lines.last
        }
        var items = [output, errors, process, stop].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while true {
            let now = qq_boot_now()
            if now >= end { throw .timedOut(timeLimit) }
            let left = min((end - now) / 1_000_000 + 1, 60_000)
            guard poll(&items, nfds_t(items.count), CInt(left)) >= 0 else { continue }
            if items[3].revents != 0 { throw .stopped }
            let hasEnded = items[2].revents != 0
            // Everything that the program has written is in the pipes when its end is seen.
            repeat {
                if items[0].revents != 0,
                    try !Self.take(
                        output,
                        { bytes throws(PluginFault) in
                            result.output += bytes
                            if result.output.count > ExecCredential.largest { throw .tooMuchOutput }
                        })
                {
                    items[0].fd = -1
                }
                if items[1].revents != 0, try !Self.take(errors, { bytes throws(PluginFault) in lines.add(bytes) }) { items[1].fd = -1 }
                guard hasEnded else { break }
                items[0].revents = 0
                items[1].revents = 0
            } while poll(&items, 2, 0) > 0 && qq_boot_now() < end
            if hasEnded { return }
        }
    }

    /// Reads once.
    /// - Returns: false at the end of the stream.
    private static func take(
        _ descriptor: CInt, _ body: (ArraySlice<UInt8>) throws(PluginFault) -> Void
    ) throws(PluginFault) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0 { return errno == EINTR || errno == EAGAIN }
        if count > 0 { try body(buffer[..<count]) }
        return count > 0
    }

    /// The lines of stderr.
    private struct Lines {
        let report: @Sendable (String) -> Void
        var last: String?
        private var line: [UInt8] = []
        private var count = 0

        init(report: @escaping @Sendable (String) -> Void) { self.report = report }

        mutating func add(_ bytes: ArraySlice<UInt8>) {
            for byte in bytes {
                if byte == 10 || byte == 13 { finish() } else if line.count < PluginProcess.longestLine { line.append(byte) }
            }
        }

        mutating func finish() {
            defer { line = [] }
            guard !line.allSatisfy({ $0 <= 0x20 }) else { return }
            let text = Printable.text(UTF8Text.escaping(line))
            last = text
            count += 1
            if count <= PluginProcess.mostLines {
                report(text)
            } else if count == PluginProcess.mostLines + 1 {
                report("(more lines are not shown)")
            }
        }
    }
}
