import Glibc
import QQCore

@testable import QQFile

/// The kernel as one process sees it.
///
/// The code of lease files calls it without awaiting, as it does the real one. A call takes no virtual time, unless the process is to be interrupted in it:
/// then the world goes on inside the call, so that all others run between two system calls of this process.
final class ModelMachine: Machine, @unchecked Sendable {
    // Used on the world's thread only.
    let process: SimProcess
    let folder: ModelFolder
    private var random: Generator
    private var opened: [OpenFile] = []
    /// Whether inotify is used up for this process.
    private let lacksInotify: Bool
    private let boot: Int
    /// The system calls until a fault that is meant for this process.
    private var trapAfter: Int64?

    init(_ process: SimProcess, _ folder: ModelFolder) {
        self.process = process
        self.folder = folder
        boot = folder.boot
        var random = process.world.generator(.system, process.number)
        lacksInotify = random.chance(50_000)
        self.random = random
        super.init()
        process.onEnd { [weak self] in self?.ended() }
    }

    /// The kernel closes what a dead process had open.
    private func ended() {
        let all = opened
        for file in all where !file.isInherited { file.close() }
    }

    func forget(_ file: OpenFile) { if let index = opened.firstIndex(where: { $0 === file }) { opened.swapRemove(at: index) } }

    func openFile(number: CInt) -> OpenFile? { opened.first { $0.number == number } }

    // MARK: Interruptions

    /// Before each system call. False if the process has ended, so that nothing of what it does can be seen.
    func step() -> Bool {
        if process.isDead { return false }
        if let left = trapAfter {
            trapAfter = left > 0 ? left - 1 : nil
            if left == 0 { fallIntoTrap() }
        } else if random.chance(5_000) {
            interrupt(random.spread(.microseconds(1)...(.milliseconds(5))))
        }
        return !process.isDead
    }

    /// It has the lease file's lock. A fault that waits for such a process takes this one.
    func hasLocked(isShared: Bool) { if trapAfter == nil, folder.trap != nil { trapAfter = random.below(isShared ? 12 : 25) } }

    private func fallIntoTrap() {
        guard let trap = folder.trap else { return }
        folder.trap = nil
        let world = process.world
        switch trap {
        case .kill:
            world.note("is killed while it has the lease file locked", process)
            process.end()
        case .stop(let end):
            guard end > world.now, folder.depth == 0 else { return }
            world.note("is stopped while it has the lease file locked", process)
            process.pause()
            world.at(end) { [process] in
                if !process.isDead { world.note("goes on", process) }
                process.resume()
            }
            interrupt(end - world.now)
        }
    }

    /// Lets the world go on for a while, and until this process runs.
    func interrupt(_ span: Nanoseconds) {
        let world = process.world
        guard folder.depth < ModelFolder.greatestDepth, world.failure == nil else { return }
        folder.depth += 1
        world.run(until: world.now + span)
        while !process.isDead, !process.isRunning, world.failure == nil { world.run(until: world.now + .milliseconds(1)) }
        folder.depth -= 1
    }

    /// How long a thread takes to start.
    func threadStart() -> Nanoseconds { random.spread(.microseconds(10)...(.microseconds(300))) }

    // MARK: Writes

    func mayWrite(_ call: String) throws(SystemCallError) {
        if process.isReader { process.world.fail(.readerWrote, "\(process.name), which only reads, calls \(call)") }
        if folder.slowness > 0 { interrupt(random.spread(.microseconds(10)...folder.slowness)) }
        if process.isDead { throw SystemCallError(call, code: EIO) }
        if folder.failures > 0, random.chance(folder.failures) { throw SystemCallError(call, code: EIO) }
    }

    func write(_ bytes: [UInt8], at offset: Int, _ file: ModelFile) throws(SystemCallError) {
        if process.isReader { process.world.fail(.readerWrote, "\(process.name), which only reads, writes to a file") }
        let isTrapped = trapAfter == 0 && folder.trap == .kill
        let hasFailed = folder.failures > 0 && random.chance(folder.failures)
        let lacksRoom = folder.isFull && (folder.copiesOnWrite || !file.hasRoom(for: bytes.count, at: offset))
        guard isTrapped || hasFailed || lacksRoom else {
            if folder.slowness > 0 { interrupt(random.spread(.microseconds(10)...folder.slowness)) }
            if process.isDead { throw SystemCallError("pwrite", code: EIO) }
            file.write(bytes, at: offset)
            return folder.changed()
        }
        // A killed process has written a beginning. What fails has written nothing: all is in one page.
        let count = isTrapped ? Int(random.below(Int64(bytes.count))) : 0
        if count > 0 {
            file.write(bytes[..<count], at: offset)
            folder.changed()
        }
        if isTrapped {
            trapAfter = nil
            fallIntoTrap()
        }
        throw SystemCallError("pwrite", code: lacksRoom ? ENOSPC : EIO)
    }

    func reserve(_ length: Int, at offset: Int, _ file: ModelFile) throws(SystemCallError) {
        if process.isReader { process.world.fail(.readerWrote, "\(process.name), which only reads, reserves room") }
        if folder.copiesOnWrite { return }
        if folder.isFull, !file.hasRoom(for: length, at: offset) { throw SystemCallError("fallocate", code: ENOSPC) }
        file.reserve(length, at: offset)
    }

    // MARK: Files

    func open(_ name: String, _ flags: CInt) -> Descriptor? {
        guard step() else {
            errno = EIO
            return nil
        }
        var found = folder.file(name)
        if found != nil, flags & O_EXCL != 0 {
            errno = EEXIST
            return nil
        }
        if found == nil {
            guard flags & O_CREAT != 0, !folder.isFull else {
                errno = flags & O_CREAT != 0 ? ENOSPC : ENOENT
                return nil
            }
            if process.isReader { process.world.fail(.readerWrote, "\(process.name), which only reads, creates a file") }
            found = folder.make(name)
        }
        guard let found else { return nil }
        let file = OpenFile(found, self, number: folder.nextNumber(), isChanging: flags & O_RDWR != 0)
        opened.append(file)
        return ModelDescriptor(self, file)
    }

    override func openFolder(_ path: String) -> Descriptor? {
        guard step() else {
            errno = EIO
            return nil
        }
        return ModelDescriptor(self, nil)
    }

    override func isMissing(_ path: String) -> Bool { false }

    /// The folder, and files in it, belong to this user, and to no one else.
    static func information(_ file: ModelFile?) -> stat {
        var information = stat()
        information.st_dev = 1
        information.st_uid = geteuid()
        information.st_gid = getegid()
        information.st_ino = ino_t(file?.inode ?? 1)
        information.st_nlink = 1
        information.st_mode = file == nil ? S_IFDIR | 0o700 : S_IFREG | 0o600
        return information
    }

    override func events(_ path: String) throws(SystemCallError) -> FolderEvents {
        if lacksInotify { throw SystemCallError("inotify_init1", code: EMFILE) }
        let listeners = FolderEvents.Listeners()
        return FolderEvents(listeners, source: folder.watch(process, listeners))
    }

    // MARK: Time and identity

    override var wall: WallTime { process.host.wall }
    override var bootID: String { "boot-\(boot)" }
    override var hostName: String { "host" }
    override var viewpoint: String? { "boot-\(boot) 1 0" }

    // MARK: Processes

    override func find(_ survivors: Survivors) -> [pid_t] { works(survivors).map(\.pid) }

    override func end(_ survivors: Survivors) {
        let works = works(survivors)
        for work in works { work.kill(&random) }
        if !works.isEmpty { return }
        for guardian in process.host.guardians where Self.isOf(guardian.group, survivors) && guardian.group?.qq !== process {
            guardian.kill()
        }
    }

    private func works(_ survivors: Survivors) -> [Work] {
        process.host.works.filter { Self.isOf($0.group, survivors) && $0.group.qq !== process }
    }

    private static func isOf(_ group: WorkGroup?, _ survivors: Survivors) -> Bool {
        guard let token = group?.term.token?.value else { return false }
        return TermLivenessLock.byte(of: token, .work) == survivors.byte
    }

    override func lockHolder(_ kind: LockHolder.Kind, _ path: String) -> LockHolder? { nil }
}
