import Glibc
import QQCore

/// Files that exist as a whole or not at all.
enum AtomicFile {
    /// Why a file was not written.
    struct Failure: Error, Equatable {
        /// The system's text for the failed call, or what kind of file is in the way.
        var reason: String
    }

    /// What a path leads to.
    enum Target: Equatable {
        /// A regular file, or nothing yet: the path without links, to be replaced.
        case file(String)
        /// A device that answers every write at once and keeps nothing, such as /dev/null: written in place.
        case sink(String)
    }

    /// Writes beside `path` first, and puts the file into its place when all of it is written.
    ///
    /// Only a regular file is ever replaced. A link is followed and stays a link.
    ///
    /// - Parameters:
    ///   - mode: mode of a new file, as far as the umask allows.
    ///   - isDurable: whether the bytes are on the disk before they take the old file's place.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t, isDurable: Bool = false) throws(Failure) {
        switch try target(of: path) {
        case .file(let target): try replace(target, with: bytes, mode: mode, isDurable: isDurable)
        case .sink(let device): try overwrite(device, with: bytes)
        }
    }

    /// Finds out what writing to `path` would change.
    /// - Throws: `Failure` if that is a device, pipe, socket or folder: replacing it would break what others use it for, and opening it can block.
    static func target(of path: String) throws(Failure) -> Target {
        var information = stat()
        guard lstat(path, &information) == 0 else {
            if errno == ENOENT { return .file(path) }
            throw failure()
        }
        var resolved = path
        if information.st_mode & S_IFMT == S_IFLNK {
            guard stat(path, &information) == 0, let found = realpath(path, nil) else {
                throw errno == ENOENT ? Failure(reason: "it is a link to a file that does not exist") : failure()
            }
            resolved = String(cString: found)
            free(found)
        }
        if information.st_mode & S_IFMT == S_IFREG { return .file(resolved) }
        if isSink(information) { return .sink(resolved) }
        throw Failure(reason: "it is \(kind(information)), not a regular file")
    }

    /// What kind of file is there, with its article.
    static func kind(_ information: stat) -> String {
        switch information.st_mode & S_IFMT {
        case S_IFDIR: "a folder"
        case S_IFIFO: "a pipe"
        case S_IFSOCK: "a socket"
        case S_IFLNK: "a link"
        case S_IFREG: "a regular file"
        default: "a device"
        }
    }

    /// Whether writes never wait and change nothing: /dev/null, /dev/zero and /dev/full (Linux, Documentation/admin-guide/devices.txt).
    static func isSink(_ information: stat) -> Bool {
        information.st_mode & S_IFMT == S_IFCHR && [1 << 8 | 3, 1 << 8 | 5, 1 << 8 | 7].contains(information.st_rdev)
    }

    private static func failure() -> Failure { Failure(reason: SystemCallError("open").reason) }

    private static func overwrite(_ device: String, with bytes: [UInt8]) throws(Failure) {
        let descriptor = open(device, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure() }
        defer { close(descriptor) }
        guard bytes.withUnsafeBytes({ Glibc.write(descriptor, $0.baseAddress, bytes.count) }) == bytes.count else { throw failure() }
    }

    private static func replace(_ path: String, with bytes: [UInt8], mode: mode_t, isDurable: Bool) throws(Failure) {
        let temporary = path + ".\(getpid())"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure() }
        let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, bytes.count) }
        var problem = written == bytes.count ? nil : SystemCallError("write", code: written < 0 ? errno : ENOSPC)
        if isDurable, problem == nil, fsync(descriptor) != 0 { problem = SystemCallError("fsync") }
        if close(descriptor) != 0, problem == nil { problem = SystemCallError("close") }
        if problem == nil, rename(temporary, path) != 0 { problem = SystemCallError("rename") }
        guard let problem else { return }
        unlink(temporary)
        throw Failure(reason: problem.reason)
    }
}
