import Glibc
import QQCore
import Synchronization

/// The liveness lock of a term: an open-file-description lock on the byte of `.NAME.lock` whose number is the term's token.
///
/// All processes that the guarded command starts inherit it, so it is released when the last of them has ended, and not before. With one byte a term, an
/// ended term whose processes are still being ended does not block the lock of a new term.
final class TermLivenessLock: LivenessLock {
    /// The kind of holder.
    enum Kind: Sendable {
        /// Guarded processes, which must be dead before another process leads, whatever the lease says.
        case work
        /// The holder itself: shows that it lives, and blocks no one once the lease has ended.
        case holder
    }

    /// Offsets far behind the journal; a lock does not need file content. The bytes of guarded processes come first, those of holders after all of them.
    static let firstByte: Int64 = 1 << 40
    static let firstHolderByte: Int64 = 1 << 61
    /// The byte of the queue: its owner leads next.
    static let queueByte: Int64 = firstByte - 1

    private let open: Mutex<Descriptor?>
    let descriptor: CInt
    let token: UInt64
    /// The inode of the lock's file.
    let inode: UInt64

    /// Takes the lock of a term on a file description of its own; nil if it is held.
    init?(token: UInt64, _ kind: Kind, in folder: LeaseFolder, _ directory: Descriptor, name: String) throws(CoordinationError) {
        let file = LeaseFolder.sideFile(name)
        guard let side = try folder.openFile(file, in: directory, .change) else { return nil }
        guard let byte = Self.byte(of: token, kind), side.lock(byte: byte) else {
            if errno == EAGAIN || errno == EACCES { return nil }
            throw folder.problem(SystemCallError("fcntl"), with: folder.path + "/" + file)
        }
        inode = UInt64(try folder.reporting(folder.path + "/" + file) { () throws(SystemCallError) in try side.information() }.st_ino)
        self.token = token
        descriptor = side.number
        open = Mutex(side)
    }

    var isOpen: Bool { open.withLock { $0 != nil } }

    func close() { open.withLock { $0 = nil } }

    static func byte(of token: UInt64, _ kind: Kind) -> Int64? {
        guard token <= LeaseRecord.largestToken else { return nil }
        return (kind == .work ? firstByte : firstHolderByte) + Int64(token)
    }

    /// Whether the lock of a term is held, as seen through `side`.
    static func isHeld(_ token: UInt64, _ kind: Kind, _ side: Descriptor) -> Bool {
        guard let byte = byte(of: token, kind), case .some(let found?) = side.findLock(on: byte..<byte + 1) else { return false }
        // A lock that starts elsewhere or is longer does not belong to a term.
        return found == byte..<byte + 1
    }

    /// The result of reading the locks on the bytes of guarded processes.
    struct Work: Sendable, Hashable {
        /// A term whose guarded processes live.
        var token: UInt64?
        /// If no such term was found: a byte that is locked in a way that no term does. It is then unknown whether guarded processes live.
        var strangersByte: Int64?
    }

    /// The most foreign locks that are skipped in the search.
    static let mostStrangers = 32

    /// The term whose guarded processes live: `expected`, or any other that can have been given out, up to `highest`.
    static func findWork(_ side: Descriptor, expected: UInt64?, highest: UInt64) -> Work {
        if let expected, isHeld(expected, .work, side) { return Work(token: expected) }
        var work = Work()
        // The kernel shows one lock at a time, in no fixed order. A foreign lock must not hide a term's, so the search continues on both sides of it.
        var rest = [firstByte..<firstHolderByte]
        var strangers = 0
        while let bytes = rest.popLast() {
            guard case .some(let found?) = side.findLock(on: bytes) else { continue }
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
