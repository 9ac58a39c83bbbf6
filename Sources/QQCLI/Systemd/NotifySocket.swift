import Glibc
import QQCore

/// The socket on which a service manager gets messages: sd_notify(3).
struct NotifySocket: Sendable, Equatable {
    /// The bytes of `sun_path`: a path, or a name that begins with NUL (unix(7), abstract sockets).
    let name: [UInt8]

    /// - Parameter text: the value of `NOTIFY_SOCKET`.
    /// - Returns: nil if it is neither a path nor an abstract name that fits, such as a `vsock:` address.
    init?(_ text: [UInt8]) {
        let room = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        switch text.first {
        case UInt8(ascii: "/") where text.count < room: name = text
        case UInt8(ascii: "@") where (2...room).contains(text.count): name = [0] + text.dropFirst()
        default: return nil
        }
    }

    /// Sends a message in one datagram. Never waits, and leaves no descriptor to child processes.
    /// - Throws: `SystemCallError`; EAGAIN if the manager has not read earlier messages.
    func send(_ message: String) throws(SystemCallError) {
        let descriptor = try SystemCallError.check("socket", socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0))
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        // A path ends with NUL; an abstract name has the length that it is given.
        let length = MemoryLayout<sockaddr_un>.offset(of: \.sun_path).map { $0 + name.count + (name[0] == 0 ? 0 : 1) } ?? 0
        let bytes = Array(message.utf8)
        let sent = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, CInt(MSG_DONTWAIT | MSG_NOSIGNAL), $0, socklen_t(length))
            }
        }
        if sent < 0 { throw SystemCallError("sendto") }
    }
}

/// The service manager that started this process, by its variables: sd_notify(3) and sd_watchdog_enabled(3).
struct ServiceManager: Sendable {
    /// Whether the variables are meant for this process. Otherwise a process of the service has started `qq`, such as a script. Its manager must not take
    /// the messages of this process for those of the service: `STOPPING=1` would end it.
    let isOurs: Bool
    /// The socket for messages; nil if there is none.
    var socket: NotifySocket?
    /// The longest time between two `WATCHDOG=1` of this process; nil if the manager expects none.
    var watchdog: Duration?
    /// The variables for a command that reports in place of this process, if this process keeps them from other commands. Without `WATCHDOG_PID`, which
    /// names this process.
    var variables: [(name: String, value: String)] = []

    /// The longest interval that is used. Longer ones are as good as none, and must not overflow.
    private static let longestInterval: UInt64 = 366 * 86400 * 1_000_000

    /// - Parameters:
    ///   - read: reads a variable.
    ///   - pid: the ID of this process.
    ///   - isOfSession: whether a session of `qq` started this process for one of its lines.
    init(_ read: (String) -> [UInt8]?, pid: pid_t, isOfSession: Bool) {
        func text(_ name: String) -> String? { read(name).map { String(decoding: $0, as: UTF8.self) } }
        // systemd names the process that it has started since version 248 (systemd.exec(5)). Other supervisors with this protocol name none.
        isOurs = text("SYSTEMD_EXEC_PID").map { $0 == "\(pid)" } ?? !isOfSession
        guard isOurs else { return }
        socket = read("NOTIFY_SOCKET").flatMap { NotifySocket($0) }
        let interval = text("WATCHDOG_USEC").flatMap { UInt64($0) } ?? 0
        if interval > 0, text("WATCHDOG_PID").map({ $0 == "\(pid)" }) ?? true {
            watchdog = .microseconds(Int64(min(interval, Self.longestInterval)))
        }
        variables = ["NOTIFY_SOCKET", "WATCHDOG_USEC"].compactMap { name in text(name).map { (name, $0) } }
    }

    /// The manager of this process. The first use removes its variables, so that no child process sends messages in place of this one; it has to come
    /// before any fork and any thread, and before `Lifeline.take`. Variables that are not meant for this process stay.
    static let current: ServiceManager = {
        let manager = ServiceManager(
            { name in getenv(name).map { GivenText.bytes($0) } }, pid: getpid(), isOfSession: Lifeline.isGiven)
        guard manager.isOurs else { return manager }
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] { unsetenv(name) }
        return manager
    }()
}
