import Glibc

/// The file of the history: a line for each that was entered, the newest last. Any number of sessions write to it.
enum HistoryFile {
    /// The lines; none where the file cannot be read.
    static func read(_ path: String) -> [String] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        return lines(of: descriptor)
    }

    private static func lines(of descriptor: CInt) -> [String] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while bytes.count < 16 << 20 {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            bytes += chunk[..<count]
        }
        // What a machine left behind that went down while it wrote is no line.
        return bytes.split(separator: 10).filter { !$0.contains(0) }.map { String(decoding: $0, as: UTF8.self) }
    }

    /// Adds a line, and drops the oldest ones once there are many too many. What went wrong is told by errno.
    /// - Returns: whether that worked.
    static func append(_ line: String, to path: String, limit: Int) -> Bool {
        guard makeFolder(of: path), let descriptor = openLocked(path) else { return false }
        defer { close(descriptor) }
        guard writeAll(Array((line + "\n").utf8), to: descriptor) else { return false }
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { return true }
        let lines = lines(of: descriptor)
        // Not each time: it is a file to be written anew.
        guard lines.count > limit + limit / 10 else { return true }
        return replace(path, with: lines.suffix(limit))
    }

    /// Opens the file for adding to it, with nobody else at it. Another session holds it for moments; one that was stopped in such a moment is not waited for.
    private static func openLocked(_ path: String) -> CInt? {
        for _ in 0..<200 {
            let descriptor = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0o600)
            guard descriptor >= 0 else { return nil }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
                // It may have been replaced while we waited.
                var (own, there) = (stat(), stat())
                if fstat(descriptor, &own) == 0, lstat(path, &there) == 0, own.st_ino == there.st_ino, own.st_dev == there.st_dev {
                    guard own.st_mode & S_IFMT == S_IFREG else {
                        close(descriptor)
                        errno = EINVAL
                        return nil
                    }
                    if own.st_mode & 0o077 != 0 { fchmod(descriptor, 0o600) }
                    return descriptor
                }
            }
            close(descriptor)
            usleep(500)
        }
        errno = EAGAIN
        return nil
    }

    private static func replace(_ path: String, with lines: some Sequence<String>) -> Bool {
        let temporary = path + ".\(getpid())"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        let isWritten = writeAll(Array(lines.map { $0 + "\n" }.joined().utf8), to: descriptor)
        close(descriptor)
        guard isWritten, rename(temporary, path) == 0 else {
            unlink(temporary)
            return false
        }
        return true
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: CInt) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress?.advanced(by: done), bytes.count - done) }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return false }
            done += count
        }
        return true
    }

    private static func makeFolder(of path: String) -> Bool {
        var made = ""
        for part in path.split(separator: "/").dropLast() {
            made += "/" + part
            if mkdir(made, 0o700) != 0, errno != EEXIST { return false }
        }
        return true
    }
}
