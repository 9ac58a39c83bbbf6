import CKernel
import Glibc
import QQCore

/// An open file that closes itself.
final class Descriptor: Sendable {
    let number: CInt

    init(_ number: CInt) { self.number = number }

    deinit { close(number) }

    func information() throws(SystemCallError) -> stat {
        var information = stat()
        _ = try SystemCallError.check("fstat", fstat(number, &information))
        return information
    }

    /// Up to `count` bytes from `offset`.
    func read(at offset: Int, count: Int) throws(SystemCallError) -> [UInt8] {
        var failure: SystemCallError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(number, buffer.baseAddress?.advanced(by: filled), count - filled, off_t(offset + filled))
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = SystemCallError("pread") }
                if got <= 0 { break }
                filled += got
            }
        }
        if let failure { throw failure }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(SystemCallError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(number, $0.baseAddress?.advanced(by: done), bytes.count - done, off_t(offset + done))
            }
            if count < 0, errno == EINTR { continue }
            if count < 0 { throw SystemCallError("pwrite") }
            if count == 0 { throw SystemCallError("pwrite", code: ENOSPC) }
            done += count
        }
    }

    func truncate(to length: Int) throws(SystemCallError) { _ = try SystemCallError.check("ftruncate", ftruncate(number, off_t(length))) }

    func synchronise() throws(SystemCallError) { _ = try SystemCallError.check("fsync", fsync(number)) }

    /// Makes sure that `length` bytes from `offset` can be written, so that a full disk is met before anything is overwritten. Where the file system cannot tell,
    /// writing will.
    func reserve(_ length: Int, at offset: Int = 0) throws(SystemCallError) {
        guard qq_reserve(number, Int64(offset), Int64(length)) != 0 else { return }
        if errno == EOPNOTSUPP || errno == ENOSYS { return }
        throw SystemCallError("fallocate")
    }
}
