import Glibc
import Synchronization

/// Child processes of this process. A subreaper also gets orphans as children, and has to reap them without losing the status of a child that it waits for:
/// the status of a child that was started here is kept until it is read.
public enum ChildProcesses {
    /// The status of each awaited child; nil while it runs.
    private static let awaited = Mutex<[pid_t: CInt?]>([:])

    /// Starts a child whose status is kept until ``takeStatus(of:)`` returns it or ``forget(_:)`` is called.
    /// - Parameter start: starts the process and opens a descriptor of it, if one is needed: until `start` returns, the process is not reaped, so its pid is its own.
    ///   Returns nil if no process was started.
    /// - Returns: what `start` returned.
    public static func start<Child>(_ start: () -> (pid: pid_t, child: Child)?) -> Child? {
        awaited.withLock { awaited in
            guard let (pid, child) = start() else { return nil }
            awaited.updateValue(nil, forKey: pid)
            return child
        }
    }

    /// Keeps the status of a process that another one started, in case it becomes a child of this process.
    public static func expect(_ pid: pid_t) { awaited.withLock { _ = $0.updateValue(nil, forKey: pid) } }

    /// The status of wait(2) of an awaited child that has ended. Returned once; nil if the child runs, or was not reaped by this process.
    public static func takeStatus(of pid: pid_t) -> CInt? {
        awaited.withLock { awaited in
            guard let kept = awaited[pid] else { return nil }
            var status: CInt = 0
            guard let ended = kept ?? (waitpid(pid, &status, WNOHANG) == pid ? status : nil) else { return nil }
            awaited[pid] = nil
            return ended
        }
    }

    /// Sends SIGKILL to the process group that an awaited child leads, unless the child was reaped: its pid can then belong to another process.
    public static func killGroup(of pid: pid_t) {
        awaited.withLock { awaited in
            if let status = awaited[pid], status == nil { kill(-pid, SIGKILL) }
        }
    }

    /// Stops keeping the status of a child. It is reaped like an orphan.
    public static func forget(_ pid: pid_t) { awaited.withLock { $0[pid] = nil } }

    /// Reaps all children that have ended.
    /// - Returns: whether there are no children any more.
    @discardableResult
    public static func reap() -> Bool {
        awaited.withLock { awaited in
            while true {
                var status: CInt = 0
                let pid = waitpid(-1, &status, WNOHANG)
                guard pid > 0 else { return pid < 0 && errno == ECHILD }
                if awaited.keys.contains(pid) { awaited[pid] = .some(status) }
            }
        }
    }
}
