import Glibc

/// The journal of systemd, if it reads a standard stream of this process.
enum Journal {
    /// The priority of a message, from syslog(3).
    enum Priority: Int, Sendable {
        case error = 3
        case warning = 4
        case notice = 5
        case info = 6
        case debug = 7

        /// The prefix that the journal takes off a line (sd-daemon(3)).
        var prefix: String { "<\(rawValue)>" }
    }

    private static let readsOutput = isStream(STDOUT_FILENO, variable("JOURNAL_STREAM"))
    private static let readsErrors = isStream(STDERR_FILENO, variable("JOURNAL_STREAM"))

    /// Whether the journal reads what is written to stdout or stderr.
    static func reads(_ descriptor: CInt) -> Bool {
        switch descriptor {
        case STDOUT_FILENO: readsOutput
        case STDERR_FILENO: readsErrors
        default: false
        }
    }

    /// Whether `JOURNAL_STREAM` names the file of a descriptor, by its device and inode in decimal (systemd.exec(5)). A redirected stream is another file,
    /// although it has inherited the variable.
    static func isStream(_ descriptor: CInt, _ variable: String?) -> Bool {
        guard let parts = variable?.split(separator: ":", omittingEmptySubsequences: false), parts.count == 2,
            let device = UInt64(parts[0]), let inode = UInt64(parts[1])
        else { return false }
        var information = stat()
        return fstat(descriptor, &information) == 0 && UInt64(information.st_dev) == device && UInt64(information.st_ino) == inode
    }

    /// A message with its priority before each line: the journal makes an entry of each.
    static func marked(_ text: String, _ priority: Priority) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.enumerated().map { index, line in
            // The text after the last line end is no line.
            index == lines.count - 1 && line.isEmpty ? "" : priority.prefix + line
        }.joined(separator: "\n")
    }
}
