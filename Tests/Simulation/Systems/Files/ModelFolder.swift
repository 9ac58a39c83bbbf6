import QQCore

@testable import QQFile

/// The folder of the lease files on the one machine that has it, and that machine's disk.
final class ModelFolder: @unchecked Sendable {
    // Used on the world's thread only.

    /// A fault that waits for a process that has the lease file locked.
    enum Trap: Equatable {
        case kill
        case stop(until: Nanoseconds)
    }

    /// How many processes can be inside a system call at a time: each of them is on the stack.
    static let greatestDepth = 4

    private let world: World
    private let election: String
    private var random: Generator
    private var files: [ModelFile] = []
    private var lastInode: UInt64 = 1
    private var lastNumber: CInt = -2
    private var watchers: [FolderWatcher] = []
    /// Whether the file system writes to another place each time, so that a full disk is met only then.
    let copiesOnWrite: Bool
    /// The boots of the machine, and what the boot clock of the model's processes is behind that of the host.
    private(set) var boot = 1
    private(set) var bootOffset: Duration = .zero

    // Faults.
    var isFull = false
    var slowness: Nanoseconds = 0
    /// In a million writes.
    var failures: Int64 = 0
    var trap: Trap?
    var depth = 0

    init(_ world: World, election: String) {
        self.world = world
        self.election = election
        random = world.generator(.server)
        copiesOnWrite = random.chance(200_000)
    }

    func file(_ name: String) -> ModelFile? { files.first { $0.name == name } }

    func make(_ name: String) -> ModelFile {
        lastInode += 1
        let file = ModelFile(name, inode: lastInode)
        files.append(file)
        changed()
        return file
    }

    func nextNumber() -> CInt {
        lastNumber -= 1
        return lastNumber
    }

    var leaseFile: ModelFile? { file(election + LeaseFolder.suffix) }
    var sideFile: ModelFile? { file(LeaseFolder.sideFile(election)) }

    // MARK: Watching

    func watch(_ process: SimProcess, _ listeners: FolderEvents.Listeners) -> FolderWatcher {
        let watcher = FolderWatcher(process, listeners, self)
        watchers.append(watcher)
        process.onEnd { [weak watcher] in watcher?.cancel() }
        return watcher
    }

    func forget(_ watcher: FolderWatcher) { watchers.removeAll { $0 === watcher } }

    /// A file was changed, or closed by a process that could change it.
    func changed() {
        for watcher in watchers where !watcher.isTold {
            watcher.isTold = true
            world.after(random.spread(.microseconds(20)...(.milliseconds(1)))) { [election] in
                watcher.process.post {
                    watcher.isTold = false
                    watcher.listeners.ring([election])
                }
            }
        }
    }

    // MARK: Faults

    /// Removes a file's name, as the cleaning of a folder for temporary files does, if the tokens are known without it.
    func remove(_ file: ModelFile?, besides other: ModelFile?) {
        guard let file, let other, other.length > 0 else { return }
        // A journal that was only just made does not know the token yet.
        if other === sideFile, LeaseJournal.newest(of: (0..<LeaseJournal.slotCount).map { slot(other, $0) }) == nil {
            return
        }
        if other === leaseFile, (try? LeaseRecord(parsing: other.read(at: 0, count: LeaseJournal.largestLeaseFile)))?.token == nil {
            return
        }
        world.note(file === leaseFile ? "the lease file is removed" : "the lock file is removed")
        files.removeAll { $0 === file }
        changed()
    }

    private func slot(_ file: ModelFile, _ slot: Int) -> [UInt8] {
        file.read(at: slot * LeaseJournal.slotSize, count: LeaseJournal.slotSize)
    }

    /// The machine ends, with all processes. It stands still until `start`.
    func crash(_ host: Host, losesPower: Bool) {
        world.note(losesPower ? "loses power" : "is restarted", host: host)
        endAll(host)
        for file in files { if losesPower { file.losePower(&random) } else { file.synchronise() } }
        host.stop(countsTime: true)
    }

    func start(_ host: Host) {
        boot += 1
        // The clock begins anew.
        let begun: Nanoseconds = random.spread(.seconds(1)...(.seconds(100)))
        bootOffset = .nanoseconds(Int64(clamping: host.boot.nanoseconds) - begun)
        for file in files { file.releaseAll() }
        trap = nil
        host.resume()
    }

    private func endAll(_ host: Host) {
        let (processes, guardians, works) = (host.processes, host.guardians, host.works)
        for process in processes { process.end() }
        for guardian in guardians { guardian.kill() }
        for work in works { work.kill(&random) }
    }
}

/// A process's inotify of the folder.
final class FolderWatcher: KernelWait, @unchecked Sendable {
    // Used on the world's thread only.
    let process: SimProcess
    let listeners: FolderEvents.Listeners
    private weak var folder: ModelFolder?
    var isTold = false

    init(_ process: SimProcess, _ listeners: FolderEvents.Listeners, _ folder: ModelFolder) {
        self.process = process
        self.listeners = listeners
        self.folder = folder
    }

    func cancel() { folder?.forget(self) }
}
