import Glibc

/// Files that are replaced atomically: readers find the old contents or the new ones, never a part.
public enum AtomicFile {
    /// Why a file was not written.
    public struct Failure: Error, Equatable {
        /// The system's text for the failed call, or which kind of file is in the way.
        public var reason: String

        public init(reason: String) { self.reason = reason }
    }

    /// The file that a path leads to.
    public enum Target: Equatable, Sendable {
        /// A regular file, or nothing yet: the path without links, to be replaced.
        case file(String)
        /// A device that accepts every write immediately and stores nothing, such as /dev/null. Written in place.
        case sink(String)
    }

    /// Writes a temporary file next to `path` and renames it once it is complete.
    ///
    /// Only a regular file is ever replaced. A link is followed and stays a link.
    ///
    /// - Parameters:
    ///   - mode: permissions of the file, from which the umask is taken away.
    ///   - isDurable: whether the bytes are on the disk before they replace the old file.
    ///   - keepsOwner: whether a file that exists keeps its owner, its group and its permissions.
    /// - Throws: `Failure`, also if the path leads to a file that must not be replaced.
    public static func write(
        _ bytes: [UInt8], to path: String, mode: mode_t, isDurable: Bool = false, keepsOwner: Bool = false
    ) throws(Failure) {
        switch try target(of: path) {
        case .file(let target):
            do throws(SystemCallError) { try replace(target, with: bytes, mode: mode, isDurable: isDurable, keepsOwner: keepsOwner) } catch
            {
                throw Failure(reason: error.call == "fchown" ? "its owner and group cannot be kept: \(error.reason)" : error.reason)
            }
        case .sink(let device): try overwrite(device, with: bytes)
        }
    }

    /// Finds the file that writing to `path` would change.
    /// - Throws: `Failure` for a device, pipe, socket or folder: replacing it would break its other users, and opening it can block.
    public static func target(of path: String) throws(Failure) -> Target {
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

    /// The kind of a file, with its article.
    public static func kind(_ information: stat) -> String {
        switch information.st_mode & S_IFMT {
        case S_IFDIR: "a folder"
        case S_IFIFO: "a pipe"
        case S_IFSOCK: "a socket"
        case S_IFLNK: "a link"
        case S_IFREG: "a regular file"
        default: "a device"
        }
    }

    /// Whether writes never block and change nothing: /dev/null, /dev/zero and /dev/full (Linux, Documentation/admin-guide/devices.txt).
    public static func isSink(_ information: stat) -> Bool {
        information.st_mode & S_IFMT == S_IFCHR && [1 << 8 | 3, 1 << 8 | 5, 1 << 8 | 7].contains(information.st_rdev)
    }

    private static func failure() -> Failure { Failure(reason: SystemCallError("open").reason) }

    private static func overwrite(_ device: String, with bytes: [UInt8]) throws(Failure) {
        do throws(SystemCallError) {
            let descriptor = try SystemCallError.check("open", open(device, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC))
            defer { close(descriptor) }
            try writeAll(bytes, to: descriptor)
        } catch { throw Failure(reason: error.reason) }
    }

    /// The same as `write` for a path that the caller knows to lead to a regular file or to none. A link in its place is replaced, not followed.
    /// - Throws: `SystemCallError`; the old file is then unchanged.
    public static func replace(
        _ path: String, with bytes: [UInt8], mode: mode_t, isDurable: Bool = false, keepsOwner: Bool = false
    ) throws(SystemCallError) {
        let temporary = path + ".\(getpid())"
        unlink(temporary)
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let descriptor = try SystemCallError.check("open", open(temporary, flags, mode))
        do throws(SystemCallError) {
            do throws(SystemCallError) {
                if keepsOwner { try takeOwner(of: path, descriptor) }
                try writeAll(bytes, to: descriptor)
                if isDurable { _ = try SystemCallError.check("fsync", fsync(descriptor)) }
            } catch {
                close(descriptor)
                throw error
            }
            _ = try SystemCallError.check("close", close(descriptor))
            _ = try SystemCallError.check("rename", rename(temporary, path))
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Gives a new file the owner, the group and the permissions of the file that it replaces, if there is one.
    private static func takeOwner(of path: String, _ descriptor: CInt) throws(SystemCallError) {
        var (old, new) = (stat(), stat())
        guard lstat(path, &old) == 0 else { return }
        _ = try SystemCallError.check("fstat", fstat(descriptor, &new))
        if old.st_uid != new.st_uid || old.st_gid != new.st_gid {
            _ = try SystemCallError.check("fchown", fchown(descriptor, old.st_uid, old.st_gid))
        }
        // After the owner, because a change of owner takes bits away.
        _ = try SystemCallError.check("fchmod", fchmod(descriptor, old.st_mode & 0o7777))
    }
}
