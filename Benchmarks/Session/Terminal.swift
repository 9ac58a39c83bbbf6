import Glibc

/// A program on a terminal of its own, whose keyboard and screen this process plays.
final class Terminal {
    let pid: pid_t
    private let master: CInt
    /// Output that `expect` has not consumed yet.
    private(set) var screen = ""

    init(_ words: [String], environment: [String: String]) {
        // Glibc's module lacks posix_openpt and the numbers of these requests.
        let (unlock, tellNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)
        master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var (isLocked, number): (CInt, CInt) = (0, 0)
        guard master >= 0, ioctl(master, unlock, &isLocked) == 0, ioctl(master, tellNumber, &number) == 0 else {
            stop("cannot get a terminal")
        }
        let name = "/dev/pts/\(number)"
        var size = winsize(ws_row: 24, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(master, UInt(TIOCSWINSZ), &size)
        _ = fcntl(master, F_SETFL, O_NONBLOCK)
        // POSIX_SPAWN_SETSID, which Glibc's module lacks as well. The first terminal that the leader of a session opens becomes its own.
        pid = startProcess(words, environment: environment, flags: 0x80) { actions in
            for descriptor: CInt in 0...2 { posix_spawn_file_actions_addopen(&actions, descriptor, name, O_RDWR, 0) }
        }
    }

    deinit { close(master) }

    func type(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(master, bytes, bytes.count)
    }

    /// Reads the output that has arrived.
    func read() {
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while case let count = Glibc.read(master, &buffer, buffer.count), count > 0 {
            screen += String(decoding: buffer[..<count], as: UTF8.self)
        }
    }

    /// Waits, without a pause, until this text has arrived, and drops everything up to its end.
    /// - Returns: the time.
    @discardableResult
    func expect(_ wanted: String, seconds: UInt64 = 20) -> UInt64 {
        let end = now() + seconds * 1_000_000_000
        while true {
            var descriptor = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
            _ = poll(&descriptor, 1, 100)
            read()
            if let rest = rest(after: wanted) {
                screen = rest
                return now()
            }
            guard now() < end else { stop("timed out waiting for '\(wanted)'; the screen shows: \(screen.suffix(2000).debugDescription)") }
        }
    }

    private func rest(after wanted: String) -> String? {
        let (bytes, sought) = (Array(screen.utf8), Array(wanted.utf8))
        guard bytes.count >= sought.count else { return nil }
        for start in 0...(bytes.count - sought.count) where bytes[start] == sought[0] {
            if bytes[start..<(start + sought.count)].elementsEqual(sought) {
                return String(decoding: bytes[(start + sought.count)...], as: UTF8.self)
            }
        }
        return nil
    }

    /// Kills the program and everything in its group.
    func end() {
        kill(-pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }
}
