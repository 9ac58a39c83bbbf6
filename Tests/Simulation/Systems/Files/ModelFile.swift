import Glibc
import QQCore

@testable import QQFile

/// A file of the model: its bytes, what of them is on the disk, and the kernel's locks on it.
final class ModelFile: @unchecked Sendable {
    // Used on the world's thread only.

    /// A place of the file that the disk gets as a whole: the lease file, or a slot of its journal.
    private struct Part {
        var bytes: [UInt8] = []
        /// The bytes that the disk has room for.
        var room = 0
        /// What the part was since the disk was last told to have it; the first is what the disk has for certain.
        var earlier: [[UInt8]] = []
    }

    static let partSize = LeaseJournal.slotSize
    private static let mostEarlier = 16

    let inode: UInt64
    let name: String
    private var parts: [Part] = [Part()]

    /// flock(2).
    private(set) var readers: [OpenFile] = []
    private(set) var writer: OpenFile?
    /// fcntl(2), of one byte each.
    private(set) var locks: [(byte: Int64, owner: OpenFile, isWrite: Bool)] = []
    private(set) var waiters: [LockWaiter] = []
    private var isServing = false
    private var servesAgain = false

    init(_ name: String, inode: UInt64) {
        self.name = name
        self.inode = inode
    }

    // MARK: Bytes

    var length: Int {
        guard let last = parts.lastIndex(where: { !$0.bytes.isEmpty }) else { return 0 }
        return last * Self.partSize + parts[last].bytes.count
    }

    /// Bytes of one part: the lease file and the slots of its journal are read one by one.
    func read(at offset: Int, count: Int) -> [UInt8] {
        let index = offset / Self.partSize
        let first = offset % Self.partSize
        guard index < parts.count else { return [] }
        let bytes = parts[index].bytes
        var found = Array(bytes[min(first, bytes.count)..<min(first + count, bytes.count)])
        // What comes before a later part is a hole.
        if index < parts.count - 1, found.count < count { found += [UInt8](repeating: 0, count: count - found.count) }
        return found
    }

    func write(_ bytes: some Collection<UInt8>, at offset: Int) {
        let index = offset / Self.partSize
        let first = offset % Self.partSize
        while parts.count <= index { parts.append(Part()) }
        remember(index)
        let missing = first + bytes.count - parts[index].bytes.count
        if missing > 0 { parts[index].bytes += [UInt8](repeating: 0, count: missing) }
        parts[index].bytes.replaceSubrange(first..<first + bytes.count, with: bytes)
        parts[index].room = max(parts[index].room, parts[index].bytes.count)
    }

    func truncate(to length: Int) {
        remember(0)
        let count = parts[0].bytes.count
        if length < count { parts[0].bytes.removeLast(count - length) }
        if length > count { parts[0].bytes += [UInt8](repeating: 0, count: length - count) }
    }

    private func remember(_ index: Int) {
        if parts[index].earlier.count >= Self.mostEarlier { parts[index].earlier.remove(at: 1) }
        parts[index].earlier.append(parts[index].bytes)
    }

    func synchronise() { for index in parts.indices { parts[index].earlier = [] } }

    func hasRoom(for length: Int, at offset: Int) -> Bool {
        let index = offset / Self.partSize
        return index < parts.count && parts[index].room >= offset % Self.partSize + length
    }

    func reserve(_ length: Int, at offset: Int) {
        let index = offset / Self.partSize
        while parts.count <= index { parts.append(Part()) }
        parts[index].room = max(parts[index].room, offset % Self.partSize + length)
    }

    /// The disk has what it was told to have, and of the rest what it happened to have got.
    func losePower(_ random: inout Generator) {
        for index in parts.indices {
            if let found = random.element(parts[index].earlier + [parts[index].bytes]) { parts[index].bytes = found }
            parts[index].earlier = []
        }
    }

    // MARK: Locks of the whole file

    func lockWhole(_ owner: OpenFile, isShared: Bool) -> Bool {
        if let writer, writer !== owner { return false }
        if !isShared, readers.contains(where: { $0 !== owner }) { return false }
        readers.removeAll { $0 === owner }
        writer = isShared ? nil : owner
        if isShared { readers.append(owner) }
        return true
    }

    // MARK: Locks of bytes

    /// Whether another description's lock is in the way.
    func isBlocked(_ byte: Int64, _ owner: OpenFile, isWrite: Bool) -> Bool {
        locks.contains { $0.byte == byte && $0.owner !== owner && (isWrite || $0.isWrite) }
    }

    func lock(_ byte: Int64, _ owner: OpenFile, isWrite: Bool) -> Bool {
        if isBlocked(byte, owner, isWrite: isWrite) { return false }
        locks.removeAll { $0.byte == byte && $0.owner === owner }
        locks.append((byte, owner, isWrite))
        return true
    }

    /// The first lock that keeps a reader from these bytes.
    func findLock(_ bytes: Range<Int64>, _ owner: OpenFile) -> Int64? {
        locks.first { bytes.contains($0.byte) && $0.owner !== owner && $0.isWrite }?.byte
    }

    func enter(_ waiter: LockWaiter) {
        waiters.append(waiter)
        serve()
    }

    func leave(_ waiter: LockWaiter) {
        // What is removed can be the last reference to a process's lock, whose end serves the waiters: it is let go after the array has changed.
        withExtendedLifetime(waiters) { waiters.removeAll { $0 === waiter } }
        if isServing { servesAgain = true }
    }

    /// Grants locks in the order of arrival. A process that is stopped does not wait in the kernel: it comes again when it goes on.
    private func serve() {
        // A waiter that is served can end others' locks.
        if isServing {
            servesAgain = true
            return
        }
        isServing = true
        defer { isServing = false }
        repeat {
            servesAgain = false
            var index = 0
            while !servesAgain, index < waiters.count {
                let waiter = waiters[index]
                if !waiter.owner.process.isRunning {
                    waiters.remove(at: index)
                    waiter.comesAgain()
                } else if lock(waiter.byte, waiter.owner, isWrite: waiter.isWrite) {
                    waiters.remove(at: index)
                    waiter.granted()
                } else {
                    index += 1
                }
            }
        } while servesAgain
    }

    /// Ends all locks of a description.
    func release(_ owner: OpenFile) {
        withExtendedLifetime((readers, locks)) {
            readers.removeAll { $0 === owner }
            if writer === owner { writer = nil }
            let count = locks.count
            locks.removeAll { $0.owner === owner }
            if locks.count != count { serve() }
        }
    }

    func releaseAll() {
        withExtendedLifetime((readers, writer, locks, waiters)) {
            readers = []
            writer = nil
            locks = []
            waiters = []
        }
    }
}

/// A process that sleeps for the lock of a byte.
final class LockWaiter: KernelWait, @unchecked Sendable {
    // Used on the world's thread only.
    let owner: OpenFile
    let byte: Int64
    let isWrite: Bool
    private let done: @Sendable (CInt) -> Void
    private var isOver = false

    init(_ owner: OpenFile, _ byte: Int64, isWrite: Bool, _ done: @escaping @Sendable (CInt) -> Void) {
        self.owner = owner
        self.byte = byte
        self.isWrite = isWrite
        self.done = done
    }

    /// A thread starts, and then sleeps.
    func begin(after span: Nanoseconds) { owner.process.world.after(span) { self.comesAgain() } }

    func comesAgain() {
        owner.process.post { [self] in if !isOver, owner.isOpen { owner.file.enter(self) } }
    }

    func granted() {
        owner.process.post { [self] in
            guard !isOver else { return }
            isOver = true
            done(0)
        }
    }

    func cancel() {
        guard !isOver else { return }
        isOver = true
        owner.file.leave(self)
        done(ECANCELED)
    }
}
