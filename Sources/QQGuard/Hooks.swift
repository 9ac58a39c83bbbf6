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
        var problem: CInt = 0
        let started = ChildProcesses.start {
            var pid: pid_t = 0
            problem = qq_spawn_shell(command, entries, &pid)
            return problem == 0 ? (pid, ShellProcess(pid, on: loop)) : nil
        }
        guard let started else {
            return problem == ENOENT ? "there is no /bin/sh here to run it" : SystemCallError("posix_spawn", code: problem).reason
        }
        return await started.end(within: timeLimit)
    }
}

/// A child that was started for a hook, in a process group of its own.
private struct ShellProcess {
    let pid: pid_t
    /// The process for good, or the failure to open it.
    let descriptor: Result<CInt, SystemCallError>
    let loop: MainLoop
    /// Time that a killed process has to die before it is given up: it can hang in the kernel.
    private static let patience = Duration.seconds(1)

    init(_ pid: pid_t, on loop: MainLoop) {
        self.pid = pid
        self.loop = loop
        let descriptor = qq_process_open(pid)
        self.descriptor = descriptor < 0 ? .failure(SystemCallError("pidfd_open")) : .success(descriptor)
    }

    /// Waits for the process to end, and kills it when the time is over or the task is cancelled.
    /// - Returns: the reason of a failure, or nil.
    func end(within limit: Duration) async -> String? {
        defer { ChildProcesses.forget(pid) }
        let descriptor: CInt
        switch self.descriptor {
        case .success(let opened): descriptor = opened
        case .failure(let error):
            ChildProcesses.killGroup(of: pid)
            return error.reason
        }
        defer {
            loop.forget(descriptor)
            close(descriptor)
        }
        let ended = await hasEnded(descriptor, within: limit)
        let wasCancelled = Task.isCancelled
        if !ended { ChildProcesses.killGroup(of: pid) }
        // In a separate task, because this one might be cancelled.
        let isDead = ended ? true : await Task(executorPreference: loop) { await hasEnded(descriptor, within: Self.patience) }.value
        let status = ChildProcesses.takeStatus(of: pid)
        if !isDead { return "it was killed but does not end: process \(pid)" }
        if !ended {
            return wasCancelled
                ? "it was killed, because qq was told to end"
                : "it ran longer than \(DurationText.brief(limit)) and was killed (--hook-timeout)"
        }
        guard let status else { return nil }
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
