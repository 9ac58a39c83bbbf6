import CSystem
import Glibc
import QQCore
import Synchronization

/// The kernel lock that shows that a term's holder lives: one byte of `.NAME.lock`, its number the term's token, as an open-file-description lock.
///
/// Everything that the guarded command starts inherits it, so it is let go when the last of them is gone, and not before. A byte a term means that a
/// term that has ended, but is still being cleared away, does not stand in the way of a new one's own lock.
final class LiveLock: Witness {
    /// Bytes far behind the journal; locks need no file below them.
    static let firstByte: Int64 = 1 << 40
    /// The byte of the queue: its holder is the next to lead.
    static let queueByte: Int64 = firstByte - 1

    private let open: Mutex<Descriptor?>
    let descriptor: CInt
    let token: UInt64

    /// Takes the lock of a term on a description of its own; nil where somebody holds it.
    init?(token: UInt64, in folder: LeaseFolder, _ directory: Descriptor, name: String) throws(CoordinationError) {
        let file = LeaseFolder.sideFile(name)
        guard let side = try folder.openFile(file, in: directory, .change) else { return nil }
        guard let byte = Self.byte(of: token), qq_ofd_lock(side.number, F_WRLCK, byte, 1) == 0 else {
            if errno == EAGAIN || errno == EACCES { return nil }
            throw folder.problem(SystemCallError("fcntl"), with: folder.path + "/" + file)
        }
        self.token = token
        descriptor = side.number
        open = Mutex(side)
    }

    func close() { open.withLock { $0 = nil } }

    static func byte(of token: UInt64) -> Int64? {
        guard token <= LeaseRecord.largestToken else { return nil }
        return firstByte + Int64(token)
    }

    /// The token of a term whose lock is held, as seen through `side`.
    static func find(_ side: Descriptor) -> UInt64? {
        var at: Int64 = 0
        // A reading lock conflicts with holders only, not with waiters that pass through.
        guard qq_ofd_find(side.number, F_RDLCK, firstByte, 0, &at) == 1, at >= firstByte else { return nil }
        return UInt64(at - firstByte)
    }
}
