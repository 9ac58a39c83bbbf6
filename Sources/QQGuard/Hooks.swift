import CKernel
import Glibc
import QQCore
import QQLoop

/// The event that hooks and the guarded command get as QQ_EVENT.
public enum HookEvent: String, Sendable, Hashable, CaseIterable {
    /// This process leads.
    case elected
    /// The lease was lost.
    case lost
    /// The lease is about to be released.
    case released
    /// Another process leads, or none.
    case changed
}

/// Commands to run when leadership changes, one after the other, each with a time limit. A failure is reported and changes nothing.
public struct Hooks: Sendable {
    public var onElected: [String]
    public var onLost: [String]
    public var onChange: [String]
    public var timeLimit: Duration

    public init(onElected: [String] = [], onLost: [String] = [], onChange: [String] = [], timeLimit: Duration = .seconds(30)) {
        self.onElected = onElected
        self.onLost = onLost
        self.onChange = onChange
        self.timeLimit = timeLimit
    }

    /// The commands for an event. Every event is a change.
    public func commands(for event: HookEvent) -> [String] {
        switch event {
        case .elected: onElected + onChange
        case .lost, .released: onLost + onChange
        case .changed: onChange
        }
    }
}

/// A command for `sh -c`, with variables in addition to the environment of this process. Its output goes to stderr, its input is empty.
public struct ShellCommand: Sendable {
    let command: String
    /// C strings; those of this process's own environment are kept byte for byte.
    let environment: [[CChar]]

    public init(_ command: String, environment: [(name: String, value: String)]) {
        self.command = command
        let own = Set(environment.map { $0.name })
        var entries: [[CChar]] = []
        var at = environ
        while let entry = at.pointee {
            if !own.contains(String(String(cString: entry).prefix { $0 != "=" })) {
                entries.append(Array(UnsafeBufferPointer(start: entry, count: strlen(entry) + 1)))
            }
            at = at.advanced(by: 1)
        }
        self.environment = entries + environment.map { Array(($0.name + "=" + $0.value).utf8CString) }
    }

    /// Runs the command until it ends, the time is over, or the task is cancelled.
    /// - Returns: the reason of a failure, or nil.
    public func run(timeLimit: Duration, on loop: MainLoop) async -> String? {
        var entries: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) }
        entries.append(nil)
        defer { for entry in entries { free(entry) } }
        var pid: pid_t = 0
        let problem = qq_spawn_shell(command, entries, &pid)
        if problem != 0 { return SystemCallError("posix_spawn", code: problem).reason }
        return await ShellProcess(pid, on: loop).end(within: timeLimit)
    }
}

/// A child that was started for a hook, in a process group of its own.
private struct ShellProcess {
    let pid: pid_t
    let loop: MainLoop
    /// Time that a killed process has to die before it is given up: it can hang in the kernel.
    private static let patience = Duration.seconds(1)

    init(_ pid: pid_t, on loop: MainLoop) {
        self.pid = pid
        self.loop = loop
    }

    /// Waits for the process to end, and kills it when the time is over or the task is cancelled.
    /// - Returns: the reason of a failure, or nil.
    func end(within limit: Duration) async -> String? {
        let descriptor = qq_process_open(pid)
        guard descriptor >= 0 else {
            kill(-pid, SIGKILL)
            return SystemCallError("pidfd_open").reason
        }
        defer {
            loop.forget(descriptor)
            close(descriptor)
        }
        let ended = await hasEnded(descriptor, within: limit)
        let wasCancelled = Task.isCancelled
        // The process has not been reaped, so its pid and its group are its own.
        if !ended { kill(-pid, SIGKILL) }
        // In a separate task, because this one might be cancelled.
        let isDead = ended ? true : await Task(executorPreference: loop) { await hasEnded(descriptor, within: Self.patience) }.value
        var status: CInt = 0
        let isReaped = waitpid(pid, &status, WNOHANG) == pid
        if !isDead { return "it was killed but does not end: process \(pid)" }
        if !ended {
            return wasCancelled
                ? "it was killed, because qq was told to continue without it"
                : "it ran longer than \(DurationText.brief(limit)) and was killed (--hook-timeout)"
        }
        guard isReaped else { return nil }
        switch CommandStatus(waitStatus: status) {
        case .exited(0): return nil
        case .exited(let code): return "exit code \(code)"
        case .died(let signal): return "died of signal \(signal)"
        }
    }

    private func hasEnded(_ descriptor: CInt, within limit: Duration) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { (try? await loop.readable(descriptor)) != nil }
            group.addTask {
                try? await loop.sleep(for: limit)
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
    }
}
