import CKernel
import Glibc
import QQCore

/// An open file that closes itself.
///
/// A simulated kernel has subclasses. In the product there is none, and the compiler calls the methods directly.
class Descriptor: @unchecked Sendable {
    // Its only property is constant. A class that has subclasses cannot be `Sendable` without the word.
    let number: CInt

    /// - Parameter number: negative for a file of a simulated kernel.
    init(_ number: CInt) { self.number = number }

    deinit { if number >= 0 { close(number) } }

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

    // MARK: Folders

    /// openat(2). Nil if it fails, with the reason in errno.
    func open(_ file: String, _ flags: CInt, _ mode: mode_t = 0) -> Descriptor? {
        let opened = openat(number, file, flags, mode)
        return opened < 0 ? nil : Descriptor(opened)
    }

    /// What the name of a file in this folder stands for, a symbolic link for itself; nil if it cannot be read.
    func information(of file: String) -> stat? {
        var information = stat()
        return fstatat(number, file, &information, AT_SYMLINK_NOFOLLOW) == 0 ? information : nil
    }

    /// The magic number of the file system, as statfs(2) has it; nil if it cannot be read.
    var fileSystemType: Int64? {
        var type: Int64 = 0
        return qq_file_system_type(number, &type) == 0 ? type : nil
    }

    // MARK: Locks

    /// flock(2), without waiting. False if it fails, with the reason in errno.
    func lockWhole(_ operation: CInt) -> Bool { flock(number, operation | LOCK_NB) == 0 }

    /// Locks a byte for this description, without waiting. False if it fails, with the reason in errno.
    func lock(byte: Int64) -> Bool { qq_ofd_lock(number, F_WRLCK, byte, 1) == 0 }

    /// A lock of another description that keeps this one from reading some of these bytes, clamped to `Int64.max`; `.some(nil)` if there is none, nil if the
    /// kernel cannot tell.
    func findLock(on bytes: Range<Int64>) -> Range<Int64>?? {
        var at: Int64 = 0
        var length: Int64 = 0
        // A read lock conflicts only with holders, not with waiters that pass through.
        switch qq_ofd_find(number, F_RDLCK, bytes.lowerBound, Int64(bytes.count), &at, &length) {
        case 1:
            let (end, isBeyond) = at.addingReportingOverflow(length)
            return .some(at..<(length <= 0 || isBeyond ? .max : end))
        case 0: return .some(nil)
        default: return nil
        }
    }

    /// How many processes of the machine sleep for the lock of one byte of this file; nil if that cannot be read.
    func sleepers(byte: Int64, in locks: KernelLocks) -> Int? {
        (try? information()).flatMap { locks.sleepers(inode: UInt64($0.st_ino), byte: byte) }
    }

    /// Sleeps for the lock of a byte, on a thread of its own.
    /// - Parameter done: takes 0 once the lock is granted, or an errno.
    /// - Throws: `SystemCallError` if a thread cannot be started.
    func waitToLock(byte: Int64, _ done: @escaping @Sendable (CInt) -> Void) throws(SystemCallError) -> any KernelWait {
        try BlockingThread { [self] wait in done(qq_ofd_lock_wait(wait, number, F_WRLCK, byte, 1) == 0 ? 0 : errno) }
    }

    /// Returns when a read lock on the byte is granted, which the end of a write lock does, or when the task is cancelled.
    func waitToRead(byte: Int64) async {
        _ = await BlockingThread.run { [self] wait in qq_ofd_lock_wait(wait, number, F_RDLCK, byte, 1) == 0 ? 0 : errno }
    }
}

/// A wait in the kernel that can be ended.
protocol KernelWait: Sendable {
    func cancel()
}
