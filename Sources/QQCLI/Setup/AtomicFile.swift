import Glibc
import QQCore

/// Files that are there as a whole or not at all.
enum AtomicFile {
    /// Writes beside `path` first, and puts it there when all of it is written.
    ///
    /// - Parameters:
    ///   - mode: of a new file, as far as the umask lets it.
    ///   - isDurable: whether it is on the disk before it takes the old one's place.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t, isDurable: Bool = false) throws(SystemCallError) {
        let temporary = path + ".\(getpid())"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw SystemCallError("open") }
        let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, bytes.count) }
        var problem = written == bytes.count ? nil : SystemCallError("write", code: written < 0 ? errno : ENOSPC)
        if isDurable, problem == nil, fsync(descriptor) != 0 { problem = SystemCallError("fsync") }
        if close(descriptor) != 0, problem == nil { problem = SystemCallError("close") }
        if problem == nil, rename(temporary, path) != 0 { problem = SystemCallError("rename") }
        guard let problem else { return }
        unlink(temporary)
        throw problem
    }
}
