import CKernel
import Glibc
import QQCore
import Synchronization

/// A process that has a kernel lock on a file, as /proc shows it.
struct LockHolder: Sendable, Hashable {
    var pid: pid_t
    /// The program's name; empty if it cannot be read.
    var program: String
    /// The user's name, or the number if the machine's own list has no name; empty if it cannot be read.
    var user: String

    /// As the subject of a sentence: `process 12 (flock) of user alice`.
    var description: String {
        "process \(pid)" + (program.isEmpty ? "" : " (\(Printable.text(program)))")
            + (user.isEmpty ? "" : " of user \(Printable.text(user))")
    }

    /// The kind of lock to search for, and its place in the file.
    enum Kind: Sendable, Hashable {
        /// flock(2), on the file as a whole.
        case whole
        /// fcntl(2), of either kind, that covers this byte.
        case byte(Int64)
    }

    /// - Returns: a process that has such a lock; nil if none can be found, as in another pid namespace or on another machine.
    static func find(_ kind: Kind, on file: stat) -> LockHolder? {
        let pids = ReadableFile.text(of: "/proc/locks", upTo: 1 << 20).split(separator: "\n").compactMap { pid(inLock: $0, kind, on: file) }
        // A lock that was inherited, or belongs to an open file description, is listed under a process that has exited, or under none.
        if let pid = pids.first(where: { $0 > 0 && access("/proc/\($0)", F_OK) == 0 }) { return LockHolder(pid) }
        return pids.isEmpty ? nil : search(kind, file).map { LockHolder($0) }
    }

    private init(_ pid: pid_t) {
        self.pid = pid
        program = String(ReadableFile.text(of: "/proc/\(pid)/comm", upTo: 64).prefix { $0 != "\n" })
        // The owner of /proc/PID itself is root if a program has changed its user.
        let status = ReadableFile.text(of: "/proc/\(pid)/status", upTo: 8192).split(separator: "\n").first { $0.hasPrefix("Uid:") }
        let number = status?.split(whereSeparator: { $0 == "\t" || $0 == " " }).dropFirst().first.map(String.init) ?? ""
        user = Self.userName(number, in: ReadableFile.text(of: "/etc/passwd", upTo: 1 << 20)) ?? number
    }

    /// Reads only the machine's own list: other sources are on a network and might not answer.
    static func userName(_ number: String, in list: String) -> String? {
        for line in list.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 2, fields[2] == number, !fields[0].isEmpty { return String(fields[0]) }
        }
        return nil
    }

    /// The process of a line of /proc/locks, or of a `lock:` line of /proc/PID/fdinfo, that shows such a lock on the file; -1 for a lock that is no
    /// single process's; nil for any other line. `1: OFDLCK ADVISORY READ -1 fe:00:42 0 EOF`.
    static func pid(inLock line: Substring, _ kind: Kind, on file: stat) -> pid_t? {
        var words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
        if words.first == "lock:" { words.removeFirst() }
        // A line with an arrow belongs to a waiter.
        guard words.count == 8, words[5].hasSuffix(":\(file.st_ino)"), let pid = pid_t(words[4]) else { return nil }
        switch kind {
        case .whole: return words[1] == "FLOCK" ? pid : nil
        case .byte(let byte):
            guard words[1] == "POSIX" || words[1] == "OFDLCK", let first = Int64(words[6]),
                let last = words[7] == "EOF" ? .max : Int64(words[7])
            else { return nil }
            return first <= byte && byte <= last ? pid : nil
        }
    }

    /// Recent searches.
    private static let searches = Mutex(Searches())

    /// The process that was found last, as long as it has the lock. Otherwise reads the open files of all processes, as far as permitted, within a short
    /// limit and not again immediately: this runs between renewals.
    private static func search(_ kind: Kind, _ file: stat) -> pid_t? {
        let place = Searches.Place(device: UInt64(file.st_dev), inode: UInt64(file.st_ino), kind: kind)
        let (last, isDue) = searches.withLock { $0.ask(place, at: BootInstant(nanoseconds: qq_boot_now())) }
        if let last, has(kind, on: file, last) { return last }
        guard isDue else { return nil }
        let found = searchAll(kind, file)
        searches.withLock { $0.note(found, place, at: BootInstant(nanoseconds: qq_boot_now())) }
        return found
    }

    /// Recent searches with their results and times. Pure.
    struct Searches: Sendable {
        struct Place: Sendable, Hashable {
            var device: UInt64
            var inode: UInt64
            var kind: Kind
        }

        static let pause = Duration.seconds(1)
        private var last: [Place: (pid: pid_t?, end: BootInstant)] = [:]

        /// - Returns: the process that was found last, and whether it is time to search. If so, no other caller searches until then.
        mutating func ask(_ place: Place, at now: BootInstant) -> (pid: pid_t?, isDue: Bool) {
            let found = last[place]
            let isDue = found.map { now >= $0.end + Self.pause } ?? true
            if isDue { note(found?.pid, place, at: now) }
            return (found?.pid, isDue)
        }

        mutating func note(_ pid: pid_t?, _ place: Place, at now: BootInstant) {
            // Old results need not be kept.
            if last.count >= 100 { last = last.filter { now < $0.value.end + Self.pause } }
            last[place] = (pid, now)
        }
    }

    private static func searchAll(_ kind: Kind, _ file: stat) -> pid_t? {
        let end = BootInstant(nanoseconds: qq_boot_now()) + .milliseconds(100)
        for pid in entries("/proc") {
            guard BootInstant(nanoseconds: qq_boot_now()) < end else { return nil }
            if has(kind, on: file, pid) { return pid }
        }
        return nil
    }

    /// Whether a process has such a lock, as far as its files can be read.
    /// - Parameter isWriter: whether only a writing lock counts.
    static func has(_ kind: Kind, on file: stat, _ pid: pid_t, isWriter: Bool = false) -> Bool {
        // A process whose first thread has ended shows its descriptors in the others.
        var folders = ["/proc/\(pid)"]
        if entries(folders[0] + "/fdinfo").isEmpty { folders = entries(folders[0] + "/task").map { "/proc/\(pid)/task/\($0)" } }
        return folders.contains { folder in
            entries(folder + "/fdinfo").contains { number in
                let lines = ReadableFile.text(of: folder + "/fdinfo/\(number)", upTo: 8192).split(separator: "\n")
                let isMatch = lines.contains { line in
                    line.hasPrefix("lock:") && Self.pid(inLock: line, kind, on: file) != nil && (!isWriter || line.contains(" WRITE "))
                }
                // The file itself is read only then: on a server that does not answer this would block.
                var target = stat()
                return isMatch && stat(folder + "/fd/\(number)", &target) == 0 && target.st_ino == file.st_ino
                    && target.st_dev == file.st_dev
            }
        }
    }

    /// The numbers among the names in a folder of /proc.
    static func entries(_ path: String) -> [pid_t] { ((try? Folder.names(in: path)) ?? []).compactMap { pid_t($0) } }
}

// Errors about processes that hold a lock without a term.
extension FileCoordinator {
    /// Another process keeps the lease file locked.
    func lockedOut(_ name: String, _ access: LeaseFolder.Access, after patience: Duration) -> CoordinationError {
        let path = folder.leaseFile(name)
        let holder = folder.machine.lockHolder(.whole, path)
        return CoordinationError(
            .unavailable, "cannot \(access == .read ? "read" : "change") the lease of \(name)",
            because: "\(holder?.description ?? "another process") keeps its file locked, also after \(DurationText.brief(patience))",
            at: path,
            hint: holder.map { "have it let go, or end it: kill \($0.pid)" } ?? "see who: fuser -v \(path)")
    }

    /// Another process has locked a byte that only the holder of a term must lock.
    func lockedByStranger(_ name: String, _ byte: Int64?) -> CoordinationError {
        let path = folder.path + "/" + LeaseFolder.sideFile(name)
        let holder = byte.flatMap { folder.machine.lockHolder(.byte($0), path) }
        return CoordinationError(
            .unavailable, "cannot acquire \(name)",
            because: "\(holder?.description ?? "another process") has locked its file without holding a term", at: path,
            hint: holder.map { "have it let go, or end it: kill \($0.pid)" } ?? "see who: fuser -v \(path)")
    }
}
