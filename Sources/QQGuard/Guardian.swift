import CGuardian
import CKernel
import Glibc
import QQCore
import QQLoop

/// The process between qq and the command that it guards. What it promises stands in CGuardian.h.
public final class Guardian: Sendable {
    private let socket: CInt
    private let pid: pid_t
    private let loop: MainLoop

    /// What the guardian tells.
    public enum Report: Sendable, Hashable {
        case started(pid_t)
        /// The command could not be run: errno of execve(2).
        case notRun(CInt)
        /// The command was stopped by this signal.
        case stopped(CInt)
        /// The command has ended; what it left behind is being ended.
        case exited(CommandStatus)
        /// The lease was not renewed in time, and this signal was sent.
        case deadline(CInt)
        /// A process that may not be killed.
        case survivor(pid_t)
        /// Nothing lives any more; so many had been left behind.
        case gone(leftBehind: Int)
    }

    /// When the guardian acts, counted back from the deadline of the lease.
    public struct Timing: Sendable, Hashable {
        /// SIGKILL is sent this long before the deadline: the time to be dead.
        public var margin: Duration
        /// SIGTERM is sent this long before SIGKILL.
        public var grace: Duration
        private let ttl: Duration

        public init(ttl: Duration, grace: Duration) {
            margin = min(max(ttl / 20, .milliseconds(20)), .seconds(1))
            self.grace = grace
            self.ttl = ttl
        }

        /// For a lease that was granted for less than was asked: everything in proportion.
        public func fitting(_ granted: Duration) -> Timing {
            granted >= ttl ? self : Timing(ttl: granted, grace: .seconds(grace.seconds * (granted.seconds / ttl.seconds)))
        }
    }

    /// Forks. Nothing of this process may have started a thread.
    /// - Parameter arguments: the command's, ended by nil, byte for byte as they are to reach it.
    /// - Throws: `SystemCallError` where the kernel has no process to give.
    public init(arguments: UnsafePointer<UnsafeMutablePointer<CChar>?>, loop: MainLoop) throws(SystemCallError) {
        assert(Self.threads == 1, "a thread was started before the guardian: what it holds at this moment is held in the guardian for ever")
        var socket: CInt = -1
        pid = try SystemCallError.check("fork", qq_guardian_start(arguments, &socket))
        self.socket = socket
        self.loop = loop
    }

    deinit { close(socket) }

    /// How many threads this process has: for each there is a folder, beside the two links that any folder has (proc_pid_task(5)).
    private static var threads: Int {
        var information = stat()
        return stat("/proc/self/task", &information) == 0 ? Int(information.st_nlink) - 2 : 1
    }

    /// Starts the command under the lease.
    /// - Throws: `SystemCallError` where the guardian is gone.
    public func run(
        environment: [(name: String, value: String)], deadline: BootInstant, timing: Timing, witness: (any Witness)?, takesTerminal: Bool
    ) throws(SystemCallError) {
        var order = order(QQ_ORDER_RUN, deadline: deadline, timing: timing)
        order.value = takesTerminal ? CInt(QQ_ORDER_TAKE_TERMINAL) : 0
        var entries: [CChar] = []
        for entry in environment { entries += (entry.name + "=" + entry.value).utf8CString }
        _ = try SystemCallError.check("sendmsg", qq_guardian_send(socket, &order, entries, entries.count, witness?.descriptor ?? -1))
    }

    /// The lease was extended.
    public func extend(to deadline: BootInstant, timing: Timing) { send(order(QQ_ORDER_DEADLINE, deadline: deadline, timing: timing)) }

    /// Passes a signal on to the command's process group.
    public func pass(_ signal: CInt) {
        var order = qq_order()
        order.kind = QQ_ORDER_SIGNAL.rawValue
        order.value = signal
        send(order)
    }

    /// SIGTERM to everything, SIGKILL after the grace or when the lease demands it.
    public func terminate(grace: Duration) {
        var order = qq_order()
        order.kind = QQ_ORDER_TERMINATE.rawValue
        order.grace_ns = UInt64(max(0, grace.nanoseconds))
        send(order)
    }

    /// SIGKILL to everything, now.
    public func kill() {
        var order = qq_order()
        order.kind = QQ_ORDER_KILL.rawValue
        send(order)
    }

    /// The next report; nil when the guardian has ended.
    /// - Throws: `CancellationError`.
    public func next() async throws -> Report? {
        while true {
            var report = qq_report()
            switch qq_guardian_receive(socket, &report) {
            case 1: if let known = Report(report) { return known }
            case 0: return nil
            default:
                guard errno == EAGAIN else { return nil }
                try await loop.readable(socket)
            }
        }
    }

    /// Ends the guardian, whatever it is doing, and everything below this process: for when it is stopped, or was killed.
    public func endByForce() {
        Glibc.kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
        // What the guardian had below it comes to us, now or when what is between us dies. One round of SIGKILL can miss a process that is just being
        // forked, so it is over when we have no children any more.
        for _ in 0..<1000 {
            var denied: pid_t = 0
            _ = qq_signal_descendants(SIGKILL, &denied)
            var reaped: pid_t
            repeat { reaped = waitpid(-1, nil, WNOHANG) } while reaped > 0
            if reaped < 0 || denied != 0 { return }
            usleep(500)
        }
    }

    /// Lets the guardian go, once the lease has been given up, and waits until it has ended: with it goes the last copy of the witness.
    public func dismiss() {
        shutdown(socket, CInt(SHUT_WR))
        // It may have been stopped by somebody; there is nothing left for it to guard.
        Glibc.kill(pid, SIGCONT)
        var end = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        var report = qq_report()
        // Its end of the socket closes when it ends; what it still had to say comes before that.
        while poll(&end, 1, 1000) > 0, qq_guardian_receive(socket, &report) == 1 {}
        Glibc.kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }

    private func order(_ kind: qq_order_kind, deadline: BootInstant, timing: Timing) -> qq_order {
        var order = qq_order()
        order.kind = kind.rawValue
        order.deadline_ns = deadline.nanoseconds
        order.margin_ns = UInt64(max(0, timing.margin.nanoseconds))
        order.grace_ns = UInt64(max(0, timing.grace.nanoseconds))
        return order
    }

    private func send(_ order: qq_order) {
        var order = order
        // A guardian that is gone, or takes no orders, is noticed by the end of its reports, or by the watchdog.
        _ = qq_guardian_send(socket, &order, nil, 0, -1)
    }
}

/// How a command ended.
public enum CommandStatus: Sendable, Hashable {
    case exited(Int32)
    case died(signal: Int32)

    /// A status of wait(2).
    init(waitStatus: CInt) {
        var value: CInt = 0
        if qq_status_signaled(waitStatus, &value) != 0 {
            self = .died(signal: value)
        } else {
            _ = qq_status_exited(waitStatus, &value)
            self = .exited(value)
        }
    }

    /// What a shell would say of it.
    public var exitCode: Int32 {
        switch self {
        case .exited(let code): code
        case .died(let signal): ExitCode.signal(signal)
        }
    }
}

extension Guardian.Report {
    init?(_ report: qq_report) {
        switch qq_report_kind(report.kind) {
        case QQ_REPORT_STARTED: self = .started(report.value)
        case QQ_REPORT_NOT_RUN: self = .notRun(report.value)
        case QQ_REPORT_STOPPED: self = .stopped(report.value)
        case QQ_REPORT_EXITED: self = .exited(CommandStatus(waitStatus: report.value))
        case QQ_REPORT_DEADLINE: self = .deadline(report.value)
        case QQ_REPORT_SURVIVOR: self = .survivor(report.value)
        case QQ_REPORT_GONE: self = .gone(leftBehind: Int(report.value))
        default: return nil
        }
    }
}
