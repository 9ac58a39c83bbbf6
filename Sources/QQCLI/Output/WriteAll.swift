import Glibc
import QQCore

/// Writes all of a text, however often the kernel takes only a part of it. Waits as long as that takes.
func writeAll(_ text: String, to descriptor: CInt) throws(SystemCallError) { try writeAll(Array(text.utf8), to: descriptor) }

/// Writes all of the bytes, however often the kernel takes only a part of them. Waits as long as that takes.
func writeAll(_ bytes: [UInt8], to descriptor: CInt) throws(SystemCallError) {
    var done = 0
    while done < bytes.count {
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress?.advanced(by: done), bytes.count - done) }
        if count < 0, errno == EINTR { continue }
        if count < 0, errno == EAGAIN {
            // Another process that shares the open file has set O_NONBLOCK.
            var writable = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = poll(&writable, 1, -1)
            continue
        }
        guard count >= 0 else { throw SystemCallError("write") }
        done += count
    }
}
