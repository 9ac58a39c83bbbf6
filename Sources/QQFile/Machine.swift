import Glibc
import QQCore

/// The machine that lease files are on, as far as more than one file of it is concerned.
///
/// A simulated machine is a subclass. In the product there is none, and the compiler calls the methods directly.
class Machine: @unchecked Sendable {
    // It has no state. A class that has subclasses cannot be `Sendable` without the word.
    static let own = Machine()

    // MARK: Folders

    /// Opens a folder. Nil if it fails, with the reason in errno.
    func openFolder(_ path: String) -> Descriptor? {
        let opened = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        return opened < 0 ? nil : Descriptor(opened)
    }

    func isMissing(_ path: String) -> Bool {
        var information = stat()
        return stat(path, &information) != 0 && errno == ENOENT
    }

    /// - Throws: `SystemCallError` if the folder cannot be watched.
    func events(_ path: String) throws(SystemCallError) -> FolderEvents { try FolderEvents(path) }

    // MARK: Time and identity

    var wall: WallTime { .now() }

    /// A `BootIdentity`.
    var bootID: String { BootIdentity.own.text }

    var hostName: String { Identity.hostName() }

    /// The view in which no process of a term was left: this boot, this pid namespace, this user. Others see other processes. Nil if unknown.
    var viewpoint: String? { Self.ownViewpoint }

    private static let ownViewpoint: String? = {
        var namespace = stat()
        guard stat("/proc/self/ns/pid", &namespace) == 0, !BootIdentity.own.text.isEmpty else { return nil }
        return "\(BootIdentity.own.text) \(namespace.st_ino) \(geteuid())"
    }()

    // MARK: Processes

    func find(_ survivors: Survivors) -> [pid_t] { survivors.find() }

    func end(_ survivors: Survivors) { survivors.end() }

    /// A process that has such a lock on a file; nil if none can be found.
    func lockHolder(_ kind: LockHolder.Kind, _ path: String) -> LockHolder? {
        var file = stat()
        return stat(path, &file) == 0 ? LockHolder.find(kind, on: file) : nil
    }
}
