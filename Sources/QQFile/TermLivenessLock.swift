import CKernel
import Glibc
import QQCore
import Synchronization

/// The kernel lock that shows that a term's holder lives: one byte of `.NAME.lock`, its number the term's token, as an open-file-description lock.
///
/// Everything that the guarded command starts inherits it, so it is let go when the last of them is gone, and not before. A byte a term means that a
/// term that has ended, but is still being cleared away, does not stand in the way of a new one's own lock.
final class TermLivenessLock: LivenessLock {
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
        guard let byte = byte(of: token, kind), case .some(let found?) = lock(side, byte..<byte + 1) else { return false }
        // A lock that begins elsewhere, or is longer, is no term's.
        return found == byte..<byte + 1
    }

    /// A lock on some of these bytes, cut off at `Int64.max`; `.some(nil)` where there is none, nil where the kernel does not tell.
    private static func lock(_ side: Descriptor, _ bytes: Range<Int64>) -> Range<Int64>?? {
        var at: Int64 = 0
        var length: Int64 = 0
        // A reading lock conflicts with holders only, not with waiters that pass through.
        switch qq_ofd_find(side.number, F_RDLCK, bytes.lowerBound, Int64(bytes.count), &at, &length) {
        case 1:
            let (end, isBeyond) = at.addingReportingOverflow(length)
            return .some(at..<(length <= 0 || isBeyond ? .max : end))
        case 0: return .some(nil)
        default: return nil
        }
    }

    /// What the locks on the bytes of work show.
    struct Work: Sendable, Hashable {
        /// A term under which work lives.
        var token: UInt64?
        /// Where no such term was found: a byte that is locked as no term locks it. Then it is not known that no work lives.
        var strangersByte: Int64?
    }

    /// How many locks that are no term's are looked behind.
    static let mostStrangers = 32

    /// The term under which work lives: `expected`, or any other that can have been given out, up to `highest`.
    static func findWork(_ side: Descriptor, expected: UInt64?, highest: UInt64) -> Work {
        if let expected, isHeld(expected, .work, side) { return Work(token: expected) }
        var work = Work()
        // The kernel shows one lock at a time, in no order of bytes, and a stranger's must not hide that of work: so on both of its sides.
        var rest = [firstByte..<firstHolderByte]
        var strangers = 0
        while let bytes = rest.popLast() {
            guard case .some(let found?) = lock(side, bytes) else { continue }
            let token = UInt64(max(found.lowerBound - firstByte, 0))
            if found.count == 1, token > 0, token <= highest { return Work(token: token) }
            work.strangersByte = max(found.lowerBound, bytes.lowerBound)
            strangers += 1
            guard strangers < mostStrangers else { return work }
            if found.lowerBound > bytes.lowerBound { rest.append(bytes.lowerBound..<found.lowerBound) }
            if found.upperBound < bytes.upperBound { rest.append(found.upperBound..<bytes.upperBound) }
        }
        return work
    }
}
