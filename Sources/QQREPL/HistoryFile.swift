import Glibc
import QQCore

/// The file of the history: one entered line per line, the newest last. Any number of sessions write to it.
enum HistoryFile {
    /// Bytes that are read at most.
    private static let largest = 16 << 20

    /// The lines; empty if the file cannot be read.
    static func read(_ path: String) -> [String] { lines(in: (try? ReadableFile.contents(of: path, upTo: largest)) ?? []) }

    private static func lines(in bytes: [UInt8]) -> [String] {
        // A line with NUL bytes was left by a machine that went down while writing. Skip it.
        bytes.split(separator: 10).filter { !$0.contains(0) }.map { String(decoding: $0, as: UTF8.self) }
    }

    /// Adds a line. Drops the oldest lines when there are a tenth more than `limit`.
    /// - Throws: `SystemCallError` if the line cannot be written, or the oldest lines cannot be dropped.
    static func append(_ line: String, to path: String, limit: Int) throws(SystemCallError) {
        do throws(FileError) { try Folder.make(Folder.containing(path)) } catch { throw error.cause }
        let descriptor = try openLocked(path)
        defer { close(descriptor) }
        try writeAll(line + "\n", to: descriptor)
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { return }
        let lines = lines(in: (try? readAll(descriptor, upTo: largest)) ?? [])
        // Not after each line: the whole file is rewritten.
        guard lines.count > limit + limit / 10 else { return }
        try AtomicFile.replace(path, with: Array(lines.suffix(limit).map { $0 + "\n" }.joined().utf8), mode: 0o600)
    }

    /// Opens the file for appending, under a lock. Another session has the lock for moments only; one that was stopped in such a moment is not waited for.
    /// - Throws: `SystemCallError`: EAGAIN if the file stays locked, EINVAL if it is not a regular file.
    private static func openLocked(_ path: String) throws(SystemCallError) -> CInt {
        let flags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
        for _ in 0..<200 {
            let descriptor = try SystemCallError.check("open", open(path, flags, 0o600))
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
                // Another session might have replaced the file before it released the lock.
                var (own, present) = (stat(), stat())
                if fstat(descriptor, &own) == 0, lstat(path, &present) == 0, own.st_ino == present.st_ino, own.st_dev == present.st_dev {
                    guard own.st_mode & S_IFMT == S_IFREG else {
                        close(descriptor)
                        throw SystemCallError("open", code: EINVAL)
                    }
                    if own.st_mode & 0o077 != 0 { fchmod(descriptor, 0o600) }
                    return descriptor
                }
            }
            close(descriptor)
            usleep(500)
        }
        throw SystemCallError("flock", code: EAGAIN)
    }
}
