import Glibc

/// A file that is open for reading, and closed with this value.
///
/// Opening never blocks and has no side effect on the process: a FIFO is opened without its writer, a terminal does not become the controlling one, and child
/// processes do not inherit the descriptor.
public struct ReadableFile: ~Copyable {
    private let descriptor: CInt

    /// - Parameter followsLinks: whether the last part of the path can be a symbolic link; if not, a link fails with ELOOP.
    /// - Throws: `SystemCallError` of open(2).
    public init(_ path: String, followsLinks: Bool = true) throws(SystemCallError) {
        let flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (followsLinks ? 0 : O_NOFOLLOW)
        descriptor = try SystemCallError.check("open", open(path, flags))
    }

    deinit { close(descriptor) }

    /// Owner, kind and permissions of the file that is open, whatever its path leads to by now.
    /// - Throws: `SystemCallError` of fstat(2).
    public func status() throws(SystemCallError) -> stat {
        var status = stat()
        _ = try SystemCallError.check("fstat", fstat(descriptor, &status))
        return status
    }

    /// The file from the current position to its end, or the first `limit` bytes. To refuse a longer file, ask for one byte more than is allowed.
    /// - Throws: `SystemCallError` of read(2): EISDIR for a folder, EAGAIN for a FIFO whose writer is silent.
    public func read(upTo limit: Int) throws(SystemCallError) -> [UInt8] { try readAll(descriptor, upTo: limit) }

    /// The contents of the file at `path`, or their first `limit` bytes.
    /// - Throws: `SystemCallError`, as `init` and `read` do.
    public static func contents(of path: String, upTo limit: Int) throws(SystemCallError) -> [UInt8] {
        try ReadableFile(path).read(upTo: limit)
    }

    /// The same as text. Empty if the file cannot be read: for files of the kernel, such as those in /proc, that might be hidden from this process.
    public static func text(of path: String, upTo limit: Int) -> String {
        String(decoding: (try? contents(of: path, upTo: limit)) ?? [], as: UTF8.self)
    }
}

/// Reads from the current position to the end of the file, or up to `limit` bytes, however the kernel divides them.
///
/// The buffer has room for 128 KiB from the start, if `limit` allows that much: with a smaller limit no copy of the bytes is left in memory.
///
/// - Throws: `SystemCallError` of read(2). Bytes read before it are dropped.
public func readAll(_ descriptor: CInt, upTo limit: Int) throws(SystemCallError) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < limit {
        let (before, capacity) = (bytes, min(limit, max(bytes.count * 2, 128 << 10)))
        bytes = []
        var (failure, isAtEnd): (SystemCallError?, Bool) = (nil, false)
        bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, filled in
            filled = buffer.initialize(fromContentsOf: before)
            while filled < capacity {
                let count = read(descriptor, buffer.baseAddress?.advanced(by: filled), capacity - filled)
                if count < 0, errno == EINTR { continue }
                if count < 0 { failure = SystemCallError("read") }
                isAtEnd = count == 0
                if count <= 0 { break }
                filled += count
            }
        }
        if let failure { throw failure }
        if isAtEnd { break }
    }
    return bytes
}
