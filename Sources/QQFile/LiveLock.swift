import CKernel
import Glibc
import QQCore
import Synchronization

/// The kernel lock that shows that a term's holder lives: one byte of `.NAME.lock`, its number the term's token, as an open-file-description lock.
///
/// Everything that the guarded command starts inherits it, so it is let go when the last of them is gone, and not before. A byte a term means that a
/// term that has ended, but is still being cleared away, does not stand in the way of a new one's own lock.
final class LiveLock: Witness {
    /// What holds a lock.
    enum Kind: Sendable {
        /// Work that must be dead before anybody else may lead, whatever the lease says.
        case work
        /// The holder itself: a sign of life, which keeps nobody out once the lease has ended.
        case holder
    }

    /// Bytes far behind the journal; locks need no file below them. Those of work come first, those of holders behind all of them.
    static let firstByte: Int64 = 1 << 40
    static let firstHolderByte: Int64 = 1 << 61
    /// The byte of the queue: its holder is the next to lead.
    static let queueByte: Int64 = firstByte - 1

    private let open: Mutex<Descriptor?>
    let descriptor: CInt
    let token: UInt64
    /// The lock's file.
    let inode: UInt64

    /// Takes the lock of a term on a description of its own; nil where somebody holds it.
    init?(token: UInt64, _ kind: Kind, in folder: LeaseFolder, _ directory: Descriptor, name: String) throws(CoordinationError) {
        let file = LeaseFolder.sideFile(name)
        guard let side = try folder.openFile(file, in: directory, .change) else { return nil }
        guard let byte = Self.byte(of: token, kind), qq_ofd_lock(side.number, F_WRLCK, byte, 1) == 0 else {
            if errno == EAGAIN || errno == EACCES { return nil }
            throw folder.problem(SystemCallError("fcntl"), with: folder.path + "/" + file)
        }
        inode = UInt64(try folder.reporting(folder.path + "/" + file) { () throws(SystemCallError) in try side.information() }.st_ino)
        self.token = token
        descriptor = side.number
        open = Mutex(side)
    }

    func close() { open.withLock { $0 = nil } }

    static func byte(of token: UInt64, _ kind: Kind) -> Int64? {
        guard token <= LeaseRecord.largestToken else { return nil }
        return (kind == .work ? firstByte : firstHolderByte) + Int64(token)
    }

    /// Whether the lock of a term is held, as seen through `side`.
    static func isHeld(_ token: UInt64, _ kind: Kind, _ side: Descriptor) -> Bool {
        var at: Int64 = 0
        // A reading lock conflicts with holders only, not with waiters that pass through.
        // A lock that begins elsewhere is no term's.
        return byte(of: token, kind).map { qq_ofd_find(side.number, F_RDLCK, $0, 1, &at) == 1 && at == $0 } ?? false
    }

    /// The token of a term under which work lives: `expected`, or any other.
    static func findWork(_ side: Descriptor, expected: UInt64?) -> UInt64? {
        if let expected, isHeld(expected, .work, side) { return expected }
        var at: Int64 = 0
        guard qq_ofd_find(side.number, F_RDLCK, firstByte, firstHolderByte - firstByte, &at) == 1, at >= firstByte else { return nil }
        return UInt64(at - firstByte)
    }
}
