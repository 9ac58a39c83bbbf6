import QQCore
import Synchronization
import Testing

@testable import QQFile

@Suite("The kernel's list of locks")
struct KernelLocksTests {
    private static let list = """
        1: OFDLCK ADVISORY  WRITE -1 fe:00:42 7 7
        1: -> OFDLCK ADVISORY  WRITE -1 fe:00:42 7 7
        1:  -> OFDLCK ADVISORY  WRITE -1 fe:00:42 7 7
        2: OFDLCK ADVISORY  WRITE -1 fe:00:142 7 7
        2: -> OFDLCK ADVISORY  READ -1 fe:00:142 9 EOF
        3: -> FLOCK  ADVISORY  WRITE 12 fe:00:5 0 EOF
        -> x
        ->
        4: -> OFDLCK ADVISORY  WRITE -1 fe:00:x 7 7

        """

    @Test(
        "the sleepers for a byte of a file are counted",
        arguments: [(42, 7, 2), (42, 9, 0), (142, 7, 0), (142, 9, 1), (5, 0, 1), (1, 7, 0)] as [(UInt64, Int64, Int)])
    func counted(inode: UInt64, byte: Int64, count: Int) {
        #expect(KernelLocks { Array(Self.list.utf8) }.sleepers(inode: inode, byte: byte) == count)
    }

    @Test("the list is read once, and only if it is needed") func once() {
        let reads = Noted(0)
        let locks = KernelLocks {
            reads.change { $0 += 1 }
            return []
        }
        #expect(reads.value == 0)
        for inode: UInt64 in 1...3 { #expect(locks.sleepers(inode: inode, byte: 7) == 0) }
        #expect(reads.value == 1)
    }

    @Test("the sleepers are unknown if the list cannot be read") func unreadable() {
        let locks = KernelLocks { nil }
        for _ in 0..<2 { #expect(locks.sleepers(inode: 42, byte: 7) == nil) }
    }
}
