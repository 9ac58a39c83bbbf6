import CGuardian
import CKernel
import Glibc
import QQCore
import QQLoop
import Synchronization

/// The process between qq and the command that it guards. CGuardian.h describes what it guarantees.
public final class Guardian: Sendable {
    private let socket: CInt
    /// A descriptor that refers to the guardian for good, unlike its pid, which another process can get once the guardian has been reaped.
    private let process: CInt
    private let pid: pid_t
    private let loop: MainLoop
    /// The name of the cgroup of the command; nil until the command is to run.
    private let cgroup = Mutex<String?>(nil)
    /// The command's pid, and its status if this process has reaped it.
    private let command = Mutex<(pid: pid_t?, status: CommandStatus?)>((nil, nil))

    /// A report of the guardian.
    public enum Report: Sendable, Hashable {
        case started(pid_t)
        /// The command could not be run: errno of execve(2).
        case notRun(CInt)
        /// The command was stopped by this signal.
        case stopped(CInt)
        /// The command has ended; its left-behind processes are being ended.
        case exited(CommandStatus)
        /// The lease was not renewed in time, and this signal was sent.
        case deadline(CInt)
        /// A process that cannot be killed.
        case survivor(pid_t)
        /// No process is alive any more; the command had left this many behind.
        case gone(leftBehind: Int)
        /// The order with this number was taken.
        case obeyed(UInt64)
        /// The wall clock was set ahead by this much: the machine might have been paused.
        case clockJumped(Duration)
    }

    /// Times at which the guardian acts, counted back from the deadline of the lease.
    public struct Timing: Sendable, Hashable {
        /// SIGKILL is sent this long before the deadline, to leave processes the time to die.
        public var margin: Duration
        /// SIGTERM is sent this long before SIGKILL.
        public var grace: Duration
        private let ttl: Duration

        public init(ttl: Duration, grace: Duration) {
            margin = min(max(ttl / 20, .milliseconds(20)), .seconds(1))
            self.grace = grace
            self.ttl = ttl
        }

        /// The timing for a granted TTL that is shorter than the requested one, reduced in proportion.
        public func fitting(_ granted: Duration) -> Timing {
            granted >= ttl ? self : Timing(ttl: granted, grace: .seconds(grace.seconds * (granted.seconds / ttl.seconds)))
        }
    }

    /// Forks the guardian. This process must not have started a thread before.
    /// - Parameters:
    ///   - arguments: the command's arguments, nil-terminated, byte for byte as the command should get them.
    ///   - name: the election, for the guardian's title.
    /// - Throws: `SystemCallError` if the kernel cannot create a process.
    public init(
        arguments: UnsafePointer<UnsafeMutablePointer<CChar>?>, name: String, loop: MainLoop
    ) throws(SystemCallError) {
        assert(Self.threads == 1, "a thread was started before the guardian: locks that it holds now stay locked in the guardian forever")
        var socket: CInt = -1
        var process: CInt = -1
        var pid: pid_t = 0
        // The title is not the name of this program, so that a signal to every process named qq spares the guardian.
        let title = strdup("lease-guardian \(Printable.text(name))")
        defer { free(title) }
        var start = qq_guardian_setup(arguments: arguments, title: title)
        _ = try SystemCallError.check("fork", qq_guardian_start(&start, &socket, &process, &pid))
        self.socket = socket
        self.process = process
        self.pid = pid
        self.loop = loop
    }

    deinit {
        close(socket)
        close(process)
    }

    /// Number of threads of this process: its task folder has one link for each, besides the two links of any folder (proc_pid_task(5)).
    private static var threads: Int {
        var information = stat()
        return stat("/proc/self/task", &information) == 0 ? Int(information.st_nlink) - 2 : 1
    }

    /// Starts the command under the lease.
    /// - Parameters:
    ///   - mark: marks the processes of the term.
    ///   - deputy: gives the lease up if this process is killed. Only for a lease without a liveness lock, which shows that by itself.
    /// - Throws: `SystemCallError` if the guardian has ended.
    public func run(
        _ number: UInt64, environment: [(name: String, value: String)], mark: TermMark, grant: Grant, timing: Timing,
        livenessLock: (any LivenessLock)?, deputy: Deputy?, takesTerminal: Bool
    ) throws(SystemCallError) {
        var order = order(QQ_ORDER_RUN, grant, timing: timing)
        order.number = number
        order.value = takesTerminal ? CInt(QQ_ORDER_TAKE_TERMINAL) : 0
        // Without a deputy the lease expires: no reason not to work under it.
        let words = livenessLock == nil ? deputy?.words() ?? -1 : -1
        defer { if words >= 0 { close(words) } }
        if words >= 0 { order.value |= CInt(QQ_ORDER_HAS_DEPUTY) }
        let mark = qq_guardian_shows(mark.entry) != 0 ? mark : mark.withoutKind()
        cgroup.withLock { $0 = mark.cgroup }
        let entries = ([mark.cgroup, mark.entry] + environment.map { $0.name + "=" + $0.value }).flatMap { Array($0.utf8CString) }
        _ = try SystemCallError.check(
            "sendmsg", qq_guardian_send(socket, &order, entries, entries.count, livenessLock?.descriptor ?? words))
    }

    /// Sends the guardian the deadline of a renewed lease.
    public func extend(to grant: Grant, timing: Timing, _ number: UInt64) {
        var order = order(QQ_ORDER_DEADLINE, grant, timing: timing)
        order.number = number
        send(order)
    }

    /// Passes a signal on to the command's process group.
    /// - Parameter validUntil: time after which the guardian ignores the order, because the signal has then been sent in another way.
    public func pass(_ signal: CInt, _ number: UInt64, validUntil: BootInstant) {
        var order = order(QQ_ORDER_SIGNAL, number)
        order.value = signal
        order.deadline_ns = validUntil.nanoseconds
        send(order)
    }

    /// Orders SIGTERM for everything, and SIGKILL after the grace or when the lease requires it.
    public func terminate(grace: Duration, _ number: UInt64) {
        var order = order(QQ_ORDER_TERMINATE, number)
        order.grace_ns = UInt64(max(0, grace.nanoseconds))
        send(order)
    }

    /// Orders SIGKILL for everything, now.
    public func kill(_ number: UInt64) { send(order(QQ_ORDER_KILL, number)) }

    /// The next report; nil when the guardian has ended.
    /// - Throws: `CancellationError`.
    public func next() async throws -> Report? {
        while true {
            var report = qq_report()
            switch qq_guardian_receive(socket, &report) {
            case 1:
                guard let known = Report(report) else { continue }
                if case .started(let pid) = known {
                    // Once the guardian has ended, the command is a child of this process.
                    ChildProcesses.expect(pid)
                    command.withLock { $0.pid = pid }
                }
                return known
            case 0: return nil
            default:
                guard errno == EAGAIN else { return nil }
                try await loop.readable(socket)
            }
        }
    }

    // MARK: In the guardian's place

    /// Result of one round of ending everything.
    public struct Round: Sendable, Hashable {
        /// Number of live descendants of this process that were found, without the guardian.
        public var living: Int
        /// Whether this process has no children any more, and therefore no descendants.
        public var isOver: Bool
        /// A process that this one is not permitted to kill.
        public var denied: pid_t?
        /// Any live process.
        public var first: pid_t?
        /// The command's status, if it is known by now.
        public var status: CommandStatus?

        public init(living: Int, isOver: Bool = false, denied: pid_t? = nil, first: pid_t? = nil, status: CommandStatus? = nil) {
            self.living = living
            self.isOver = isOver
            self.denied = denied
            self.first = first
            self.status = status
        }
    }

    /// One round of ending the guardian, whatever it is doing, and everything below this process, for when the guardian is stopped or was
    /// killed. Waits for nothing. Descendants of the guardian become children of this process, now or when the processes between them die.
    /// A round can miss a process that is just being forked.
    public func endByForce() -> Round {
        // A guardian that is frozen, or hangs in the kernel, dies later and does nothing until then.
        _ = qq_process_send(process, SIGKILL)
        if let cgroup = cgroup.withLock({ $0 }) { qq_cgroup_end(cgroup) }
        let below = qq_signal_descendants(SIGKILL, livingPID)
        var round = Self.round(below)
        round.isOver = ChildProcesses.reap()
        round.status = command.withLock { command in
            command.status =
                command.status ?? command.pid.flatMap { ChildProcesses.takeStatus(of: $0) }.map { CommandStatus(waitStatus: $0) }
            return command.status
        }
        return round
    }

    /// Counts the live descendants of this process, without the guardian.
    public func look() -> Round { Self.round(qq_signal_descendants(0, livingPID)) }

    private static func round(_ below: qq_below) -> Round {
        Round(
            living: below.living < 0 ? 1 : Int(below.living), denied: below.denied == 0 ? nil : below.denied,
            first: below.first == 0 ? nil : below.first)
    }

    /// Sends SIGTERM to all descendants except the guardian.
    public func terminateByForce() {
        _ = qq_signal_descendants(SIGTERM, livingPID)
        _ = qq_signal_descendants(SIGCONT, livingPID)
    }

    /// The guardian's pid while it is alive; 0 once it has ended.
    private var livingPID: pid_t {
        var end = pollfd(fd: process, events: Int16(POLLIN), revents: 0)
        return poll(&end, 1, 0) == 0 ? pid : 0
    }

    /// Sends a signal to the command's process group.
    public func passByForce(_ signal: CInt, to group: pid_t) { _ = qq_signal_group_below(group, signal) }

    // MARK: Its end

    /// Lets the guardian end, once the lease has been released, and waits for at most a second until it has. The last copy of the liveness
    /// lock goes with it.
    /// - Parameter withSurvivors: whether the guardian stays, because not everything that it guards could be ended.
    public func dismiss(withSurvivors: Bool) {
        send(order(QQ_ORDER_FORGET, 0))
        shutdown(socket, CInt(SHUT_WR))
        if withSurvivors { return }
        // The guardian might be stopped; there is nothing left for it to guard.
        _ = qq_process_send(process, SIGCONT)
        var end = pollfd(fd: process, events: Int16(POLLIN), revents: 0)
        if poll(&end, 1, 1000) == 0 {
            _ = qq_process_send(process, SIGKILL)
            _ = poll(&end, 1, 200)
        }
        waitpid(pid, nil, WNOHANG)
    }

    private func order(_ kind: qq_order_kind, _ number: UInt64) -> qq_order {
        var order = qq_order()
        order.kind = kind.rawValue
        order.number = number
        return order
    }

    private func order(_ kind: qq_order_kind, _ grant: Grant, timing: Timing) -> qq_order {
        var order = order(kind, 0)
        order.deadline_ns = grant.deadline.nanoseconds
        order.sent_ns = (grant.deadline - grant.ttl).nanoseconds
        order.margin_ns = UInt64(max(0, timing.margin.nanoseconds))
        order.grace_ns = UInt64(max(0, timing.grace.nanoseconds))
        return order
    }

    private func send(_ order: qq_order) {
        var order = order
        // If the guardian has ended or takes no orders, the end of its reports or the watchdog shows it.
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

    /// The exit code that a shell would report.
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
        case QQ_REPORT_OBEYED: self = .obeyed(report.number)
        case QQ_REPORT_CLOCK: self = .clockJumped(.milliseconds(Int64(report.value)))
        default: return nil
        }
    }
}
