import CGuardian
import CKernel
import QQCore

/// The front process, on the terminal, whose child this process is. Front.c describes what it does.
public struct FrontProcess: Sendable {
    private let socket: CInt
    /// Whether the command should be the terminal's foreground group from the start.
    public let givesTerminal: Bool

    /// Forks if there is a terminal; from then on this process is the child. Returns nil if there is no terminal or no process can be
    /// created: signals then come to this process directly, and only job control is missing.
    ///
    /// Do not lock a `Mutex` before this call. The standard library caches the id of the locking thread (`_swift_stdlib_gettid`). The child
    /// would keep its parent's id and be killed as soon as two threads contend for a lock.
    public static func start() -> FrontProcess? {
        var socket: CInt = -1
        var givesTerminal: CInt = 0
        guard qq_front_start(&socket, &givesTerminal) == 0 else { return nil }
        return FrontProcess(socket: socket, givesTerminal: givesTerminal != 0)
    }

    /// A descriptor that reaches its end when the front process is killed.
    public var descriptor: CInt { socket }

    public func commandRuns(_ pid: Int32) { _ = qq_front_tell(socket, QQ_FRONT_RUNNING.rawValue, pid) }

    public func commandStopped(by signal: Int32) { _ = qq_front_tell(socket, QQ_FRONT_STOPPED.rawValue, signal) }

    /// Reports that the command died of Ctrl-C: the shell should see the same of the front process, so that a script ends as it would
    /// without qq.
    public func commandWasInterrupted() { _ = qq_front_tell(socket, QQ_FRONT_INTERRUPTED.rawValue, 0) }
}

/// Makes process 1 of a container a small init, whose child this process is from then on. Init.c describes why. Call this first of all.
public func leaveProcessOne() { qq_init_start() }

/// Remembers the signal dispositions and the mask that the process started with, for the command to inherit. Call this before any of them is changed.
public func rememberSignals() { qq_signals_remember() }

/// Makes orphaned descendants children of this process, so that it can end them if the guardian is killed.
public func becomeSubreaper() { _ = qq_become_subreaper() }
