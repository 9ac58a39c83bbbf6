import Glibc
import QQCore

/// Writes all of a text, however often the kernel takes only a part of it.
func writeAll(_ text: String, to descriptor: CInt) throws(SystemCallError) {
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress?.advanced(by: done), bytes.count - done) }
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw SystemCallError("write") }
        done += count
    }
}
