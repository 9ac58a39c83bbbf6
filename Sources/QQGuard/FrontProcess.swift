import CGuardian
import CKernel
import QQCore

/// The process on the terminal, which stands in front of this one. What it does stands in Front.c.
public struct FrontProcess: Sendable {
    private let socket: CInt
    /// Whether the command is to be the terminal's foreground group from the start.
    public let givesTerminal: Bool

    /// Forks where there is a terminal: from then on this is the child. nil where there is none, or no process to be had: then signals come to us
    /// directly, and only job control is missing.
    ///
    /// Nothing before this may lock a `Mutex`: the standard library keeps the number of the thread that did (`_swift_stdlib_gettid`), and the child would
    /// go on under its parent's, until two threads want one lock and it is ended for that.
    public static func start() -> FrontProcess? {
        var socket: CInt = -1
        var givesTerminal: CInt = 0
        guard qq_front_start(&socket, &givesTerminal) == 0 else { return nil }
        return FrontProcess(socket: socket, givesTerminal: givesTerminal != 0)
    }

    /// The descriptor whose end says that the front process was killed.
    public var descriptor: CInt { socket }

    public func commandRuns(_ pid: Int32) { _ = qq_front_tell(socket, QQ_FRONT_RUNNING.rawValue, pid) }

    public func commandStopped(by signal: Int32) { _ = qq_front_tell(socket, QQ_FRONT_STOPPED.rawValue, signal) }

    /// The command died of Ctrl-C: the shell is to see the same of us, so that a script ends as it would without qq.
    public func commandWasInterrupted() { _ = qq_front_tell(socket, QQ_FRONT_INTERRUPTED.rawValue, 0) }
}

/// Remembers how signals were set when the process began, for the command to inherit. Call first of all.
public func rememberSignals() { qq_signals_remember() }

/// Makes orphans below this process come to it, so that they can be ended should the guardian be killed.
public func becomeSubreaper() { _ = qq_become_subreaper() }
