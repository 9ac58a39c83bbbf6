import QQCore

/// Lease files: no server, but a folder of the one machine.
final class FilesServer: SimulatedServer, @unchecked Sendable {
    // Used on the world's thread only.
    static let requestTimeout: Duration = .seconds(5)

    /// The places in `SimulatedSystem.faults`.
    private enum Trouble: Int {
        case full, slow, failing, kill, stop, power, restart, noLockFile, noLeaseFile, stranger
    }

    let hosts: [Host] = []
    private let world: World
    private let folder: ModelFolder
    private let ttl: Duration
    /// Another program that keeps the lease file locked, and its file.
    private var stranger: SimProcess?
    private var locked: OpenFile?
    private var crashes = 0

    init(_ world: World, _ setting: ServerSetting) {
        self.world = world
        ttl = setting.times.ttl
        folder = ModelFolder(world, election: setting.election)
    }

    func coordinator(for process: SimProcess, identity: String) -> any Campaigning { FilesCoordinator(process, folder, ttl: ttl) }

    func begin(_ fault: Int, argument: UInt64) {
        guard let trouble = Trouble(rawValue: fault), let host = world.hosts.first else { return }
        switch trouble {
        case .full: folder.isFull = true
        case .slow: folder.slowness = 1_000_000 + Int64(argument % 300_000_000)
        case .failing: folder.failures = 1_000 + Int64(argument % 500_000)
        case .kill: folder.trap = .kill
        case .stop:
            let span = Int64(argument % UInt64(max(1, ttl.nanoseconds * 3)))
            folder.trap = .stop(until: world.now + 1_000_000 + span)
        case .power, .restart:
            crashes += 1
            if crashes == 1 { folder.crash(host, losesPower: trouble == .power) }
        case .noLockFile: folder.remove(folder.sideFile, besides: folder.leaseFile)
        case .noLeaseFile:
            // Without work, such as that of a keepalive, no lock of the kernel keeps a lease whose file is gone: docs/guarding.md, "Limits".
            if !world.checker.isHeldWithoutWork { folder.remove(folder.leaseFile, besides: folder.sideFile) }
        case .stranger: lockByStranger(host)
        }
    }

    func end(_ fault: Int, argument: UInt64) {
        guard let trouble = Trouble(rawValue: fault), let host = world.hosts.first else { return }
        switch trouble {
        case .full: folder.isFull = false
        case .slow: folder.slowness = 0
        case .failing: folder.failures = 0
        case .power, .restart:
            crashes -= 1
            if crashes == 0 { folder.start(host) }
        case .stranger:
            stranger?.end()
            stranger = nil
            locked = nil
        case .stop: if case .stop? = folder.trap { folder.trap = nil }
        case .kill, .noLockFile, .noLeaseFile: break
        }
    }

    private func lockByStranger(_ host: Host) {
        guard stranger == nil, !host.isStopped, let file = folder.leaseFile else { return }
        let process = world.makeProcess("flock", on: host)
        let machine = ModelMachine(process, folder)
        let opened = OpenFile(file, machine, number: folder.nextNumber(), isChanging: false)
        guard file.lockWhole(opened, isShared: false) else { return process.end() }
        process.onEnd { opened.close() }
        stranger = process
        locked = opened
    }
}

extension SimulatedSystem {
    /// Lease files in a folder of one machine. There is no network, and no clock of another machine.
    public static let files: SimulatedSystem = {
        var system = SimulatedSystem(name: "files") { world, setting in FilesServer(world, setting) }
        system.mostHosts = 1
        system.hasNetwork = false
        // The kernel takes their lock away when the last of them ends.
        system.workEndsTerms = true
        system.knowsServerRestart = false
        system.knowsServerPause = false
        // Not yet: a process that goes on with the term of an earlier one of its identity has its token, which the checker takes for a fault.
        system.canKeepIdentity = false
        // The lock of a change, a term that is being closed, and survivors that are being ended.
        system.patience = FilesServer.requestTimeout + .seconds(2)
        system.faults = [
            SystemFault("the disk is full", longest: .seconds(20)),
            SystemFault("the disk is slow", longest: .seconds(10)),
            SystemFault("the disk fails some writes", longest: .seconds(10)),
            SystemFault("the next process that locks the lease file is to be killed", longest: 0, weight: 15),
            SystemFault("the next process that locks the lease file is to be stopped", longest: .seconds(90), weight: 15),
            SystemFault("the machine is to lose power", longest: .seconds(30)),
            SystemFault("the machine is to restart", longest: .seconds(30)),
            SystemFault("the lock file is to be removed", longest: 0, weight: 3),
            SystemFault("the lease file is to be removed", longest: 0, weight: 3),
            SystemFault("another program locks the lease file", longest: .seconds(10), weight: 5),
        ]
        return system
    }()
}
