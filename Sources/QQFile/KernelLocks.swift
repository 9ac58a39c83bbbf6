import QQCore
import Synchronization

/// The processes of the machine that sleep for locks, as /proc/locks shows them.
///
/// The kernel cannot be asked about a single file, and makes every process that takes or releases a lock wait while the list is read. Therefore the list is
/// read when it is first needed, and only once.
final class KernelLocks: Sendable {
    /// A byte of a file. The device is left out: some file systems show another one there than stat(2) does.
    private struct Place: Hashable {
        var inode: UInt64
        var byte: Int64
    }

    private enum Content {
        case unread
        /// Nil if the list cannot be read.
        case sleepers([Place: Int]?)
    }

    /// Larger than the list of 100,000 locks, in bytes.
    private static let longest = 16 << 20

    private let content = Mutex(Content.unread)
    private let read: @Sendable () -> [UInt8]?

    init() { read = { try? ReadableFile.contents(of: "/proc/locks", upTo: Self.longest) } }

    /// - Parameter read: returns the list; nil if it cannot be read.
    init(reading read: @escaping @Sendable () -> [UInt8]?) { self.read = read }

    /// How many processes sleep for the lock of a byte, of any lock that begins there; nil if that cannot be read.
    func sleepers(inode: UInt64, byte: Int64) -> Int? {
        content.withLock { content in
            if case .sleepers(let sleepers) = content { return sleepers.map { $0[Place(inode: inode, byte: byte)] ?? 0 } }
            let sleepers = read().map { Self.sleepers(in: $0) }
            content = .sleepers(sleepers)
            return sleepers.map { $0[Place(inode: inode, byte: byte)] ?? 0 }
        }
    }

    /// The list is empty if nothing at all is locked.
    private static func sleepers(in list: [UInt8]) -> [Place: Int] {
        var sleepers: [Place: Int] = [:]
        // Only the line of a sleeper has an arrow: `1: -> OFDLCK ADVISORY WRITE -1 fe:00:42 7 7`.
        for line in list.split(separator: UInt8(ascii: "\n")) where line.contains(UInt8(ascii: ">")) {
            let words = String(decoding: line, as: UTF8.self).split(separator: " ")
            guard words.contains("->"), words.count > 3, let inode = words[words.count - 3].split(separator: ":").last,
                let place = UInt64(inode).flatMap({ inode in Int64(words[words.count - 2]).map { Place(inode: inode, byte: $0) } })
            else { continue }
            sleepers[place, default: 0] += 1
        }
        return sleepers
    }
}
