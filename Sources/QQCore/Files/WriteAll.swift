import Glibc

/// Writes the whole text, however often the kernel takes only a part of it. Blocks until then.
/// - Throws: `SystemCallError` of write(2).
public func writeAll(_ text: String, to descriptor: CInt) throws(SystemCallError) { try writeAll(Array(text.utf8), to: descriptor) }

/// Writes all bytes, however often the kernel takes only a part of them. Blocks until then.
/// - Throws: `SystemCallError` of write(2).
public func writeAll(_ bytes: [UInt8], to descriptor: CInt) throws(SystemCallError) {
    var done = 0
    while done < bytes.count {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress?.advanced(by: done), bytes.count - done) }
        if count < 0, errno == EINTR { continue }
        if count < 0, errno == EAGAIN {
            // Another process that shares the open file has set O_NONBLOCK.
            var writable = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = poll(&writable, 1, -1)
            continue
        }
        guard count >= 0 else { throw SystemCallError("write") }
        if count == 0 { throw SystemCallError("write", code: ENOSPC) }
        done += count
    }
}
