import Glibc
import QQCore

@testable import QQFile

/// An open file description of the model, with its locks.
final class OpenFile: @unchecked Sendable {
    // Used on the world's thread only.
    let file: ModelFile
    let process: SimProcess
    let number: CInt
    private let machine: ModelMachine
    private let isChanging: Bool
    private(set) var isOpen = true
    /// Whether its end is that of its last copy, in whichever process.
    var isInherited = false

    init(_ file: ModelFile, _ machine: ModelMachine, number: CInt, isChanging: Bool) {
        self.file = file
        self.machine = machine
        self.number = number
        self.isChanging = isChanging
        process = machine.process
    }

    /// The last copy is closed.
    func close() {
        guard isOpen else { return }
        isOpen = false
        file.release(self)
        machine.forget(self)
        if isChanging { machine.folder.changed() }
    }
}

/// The liveness lock of a term, as it is handed to the guardian and inherited by guarded processes.
final class ModelTermLock: InheritedLock, @unchecked Sendable {
    // Used on the world's thread only.
    private let base: TermLivenessLock
    private let file: OpenFile
    private var copies = 0
    private var wasCopied = false
    private var isClosed = false

    init(_ base: TermLivenessLock, _ file: OpenFile) {
        self.base = base
        self.file = file
        file.isInherited = true
        file.process.onEnd { [weak self] in self?.ownerEnded() }
    }

    var descriptor: Int32 { base.descriptor }

    func copy() {
        copies += 1
        wasCopied = true
    }

    func closeCopy() {
        copies -= 1
        if copies == 0, isClosed { file.close() }
    }

    /// `qq` closes its own. The guardian's copy can still be on its way in their socket, which keeps the file open.
    func close() {
        if file.process.isDead { return }
        if isClosed || wasCopied, copies == 0 { file.close() }
        isClosed = true
    }

    private func ownerEnded() {
        isClosed = true
        if wasCopied, copies == 0 { file.close() }
    }

    deinit { if copies == 0 { file.close() } }
}

/// What the real code of lease files has in place of a descriptor of the kernel.
final class ModelDescriptor: Descriptor, @unchecked Sendable {
    // Used on the world's thread only.
    private let machine: ModelMachine
    /// Nil for the folder.
    private let opened: OpenFile?

    init(_ machine: ModelMachine, _ opened: OpenFile?) {
        self.machine = machine
        self.opened = opened
        super.init(opened?.number ?? -2)
    }

    deinit { if let opened, !opened.isInherited { opened.close() } }

    private func file(_ call: String) throws(SystemCallError) -> OpenFile {
        guard let opened, machine.step(), opened.isOpen else { throw SystemCallError(call, code: EIO) }
        return opened
    }

    private var usable: OpenFile? {
        guard let opened, machine.step(), opened.isOpen else {
            errno = EIO
            return nil
        }
        return opened
    }

    // MARK: The file

    override func information() throws(SystemCallError) -> stat { ModelMachine.information(opened?.file) }

    override func read(at offset: Int, count: Int) throws(SystemCallError) -> [UInt8] {
        try file("pread").file.read(at: offset, count: count)
    }

    override func write(_ bytes: [UInt8], at offset: Int) throws(SystemCallError) {
        let opened = try file("pwrite")
        try machine.write(bytes, at: offset, opened.file)
    }

    override func truncate(to length: Int) throws(SystemCallError) {
        let opened = try file("ftruncate")
        try machine.mayWrite("ftruncate")
        opened.file.truncate(to: length)
        machine.folder.changed()
    }

    override func synchronise() throws(SystemCallError) {
        let opened = try file("fsync")
        try machine.mayWrite("fsync")
        opened.file.synchronise()
    }

    override func reserve(_ length: Int, at offset: Int) throws(SystemCallError) {
        let opened = try file("fallocate")
        try machine.reserve(length, at: offset, opened.file)
    }

    // MARK: The folder

    override func open(_ file: String, _ flags: CInt, _ mode: mode_t) -> Descriptor? { machine.open(file, flags) }

    override func information(of file: String) -> stat? {
        guard machine.step() else { return nil }
        return machine.folder.file(file).map { ModelMachine.information($0) }
    }

    /// ext4.
    override var fileSystemType: Int64? { 0xEF53 }

    // MARK: Locks

    override func lockWhole(_ operation: CInt) -> Bool {
        guard let opened = usable else { return false }
        guard opened.file.lockWhole(opened, isShared: operation & LOCK_SH != 0) else {
            errno = EWOULDBLOCK
            return false
        }
        machine.hasLocked(isShared: operation & LOCK_SH != 0)
        return true
    }

    override func lock(byte: Int64) -> Bool {
        guard let opened = usable else { return false }
        if opened.file.lock(byte, opened, isWrite: true) { return true }
        errno = EAGAIN
        return false
    }

    override func findLock(on bytes: Range<Int64>) -> Range<Int64>?? {
        guard let opened = usable else { return nil }
        return .some(opened.file.findLock(bytes, opened).map { $0..<$0 + 1 })
    }

    override func sleepers(byte: Int64, in locks: KernelLocks) -> Int? { usable?.file.waiters.count { $0.byte == byte } }

    override func waitToLock(byte: Int64, _ done: @escaping @Sendable (CInt) -> Void) throws(SystemCallError) -> any KernelWait {
        let waiter = LockWaiter(try file("pthread_create"), byte, isWrite: true, done)
        waiter.begin(after: machine.threadStart())
        return waiter
    }

    override func waitToRead(byte: Int64) async {
        guard let opened = usable else { return }
        let result = WaitResult()
        let waiter = LockWaiter(opened, byte, isWrite: false) { _ in result.finish() }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                guard result.begin(continuation) else { return }
                opened.process.add(result)
                waiter.begin(after: machine.threadStart())
            }
        } onCancel: {
            waiter.cancel()
        }
        opened.process.remove(result)
    }
}

/// Resumes a task once.
private final class WaitResult: Pending, @unchecked Sendable {
    // Used on the world's thread only.
    private var continuation: UnsafeContinuation<Void, Never>?
    private var isOver = false

    /// False if it is over already.
    func begin(_ continuation: UnsafeContinuation<Void, Never>) -> Bool {
        if isOver {
            continuation.resume()
            return false
        }
        self.continuation = continuation
        return true
    }

    func finish() {
        isOver = true
        continuation?.resume()
        continuation = nil
    }

    override func processEnded() { finish() }
}
