import Glibc
import QQCore

/// The file of a Unix socket that this process listens on.
struct SocketFile: Sendable, Hashable {
    let path: String
    private let device: UInt64
    private let inode: UInt64

    /// What the file allows unless the umask forbids it. Nothing that this process answers is for every user of the machine.
    private static let mode: mode_t = 0o660

    /// Binds a socket to a path, and begins to listen. A socket there on which no process listens any more is replaced.
    /// - Throws: `.configuration` if another kind of file has the path, `.unavailable` if a process listens there, or `.denied`.
    static func bind(_ descriptor: CInt, _ path: String) throws(CoordinationError) -> SocketFile {
        let address = ListenAddress.unix(path)
        // Two processes that replace the same socket must not remove each other's.
        let lock = try lockFolder(of: path)
        defer { if lock >= 0 { close(lock) } }
        try makeRoom(at: path)
        // The kernel makes the file with the socket's own mode, less the umask, which is that of the whole process and stays as it is.
        guard fchmod(descriptor, mode) == 0 else { throw ListenSocket.failure(address, SystemCallError("fchmod")) }
        guard (withName(path) { Glibc.bind(descriptor, $0, $1) }) == 0 else { throw ListenSocket.failure(address, SystemCallError("bind")) }
        var information = stat()
        guard lstat(path, &information) == 0 else { throw ListenSocket.failure(address, SystemCallError("lstat")) }
        let file = SocketFile(path: path, device: UInt64(information.st_dev), inode: UInt64(information.st_ino))
        guard listen(descriptor, Limits.backlog) == 0 else {
            let error = SystemCallError("listen")
            file.remove()
            throw ListenSocket.failure(address, error)
        }
        return file
    }

    /// Removes the file, unless another one has taken its path.
    func remove() {
        var information = stat()
        guard lstat(path, &information) == 0, UInt64(information.st_dev) == device, UInt64(information.st_ino) == inode else { return }
        unlink(path)
    }

    // MARK: Before binding

    /// Locks the folder until the descriptor is closed.
    /// - Returns: the descriptor; -1 if the folder cannot be opened. Binding then shows why, or the folder can be used without being read.
    private static func lockFolder(of path: String) throws(CoordinationError) -> CInt {
        let end = path.lastIndex(of: "/")
        let folder = end.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return -1 }
        for _ in 0..<20 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
            guard errno == EWOULDBLOCK || errno == EINTR else { return descriptor }
            usleep(5000)
        }
        close(descriptor)
        throw CoordinationError(
            .unavailable, "cannot listen", because: "another program has locked the folder", at: "\(ListenAddress.unix(path))",
            hint: "find it with 'lslocks', or choose another folder")
    }

    private static func makeRoom(at path: String) throws(CoordinationError) {
        let address = ListenAddress.unix(path)
        var information = stat()
        guard lstat(path, &information) == 0 else {
            if errno == ENOENT { return }
            throw ListenSocket.failure(address, SystemCallError("lstat"))
        }
        guard information.st_mode & S_IFMT == S_IFSOCK else {
            throw CoordinationError(
                .configuration, "cannot listen", because: "it is \(AtomicFile.kind(information))", at: "\(address)",
                hint: "choose a path that does not exist")
        }
        let probe = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard probe >= 0 else { throw ListenSocket.failure(address, SystemCallError("socket")) }
        defer { close(probe) }
        let code = withName(path) { connect(probe, $0, $1) } == 0 ? 0 : errno
        switch code {
        case ENOENT: return
        // The process that listened there has ended.
        case ECONNREFUSED:
            guard unlink(path) == 0 || errno == ENOENT else { throw ListenSocket.failure(address, SystemCallError("unlink")) }
        // EAGAIN: its queue of connections is full. EPROTOTYPE: it is a socket of another type.
        case 0, EAGAIN, EINPROGRESS, EPROTOTYPE: throw ListenSocket.failure(address, SystemCallError("bind", code: EADDRINUSE))
        default: throw ListenSocket.failure(address, SystemCallError("connect", code: code))
        }
    }

    /// - Parameter path: at most `ListenAddress.longestPath` bytes.
    private static func withName<Result>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8.prefix(ListenAddress.longestPath)) }
        return withGenericAddress(&name, body)
    }
}
