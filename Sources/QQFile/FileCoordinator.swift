import CKernel
import Glibc
import QQCore
import Synchronization

/// Elections on lease files: no server, one folder, one machine (or several that share the folder, judged by time).
public final class FileCoordinator: Coordinator, ElectionLister {
    public let server: ServerURL
    public static let capabilities = Capabilities(lacking: [
        .askNodeToStepDown: "a lease file has no nodes to ask",
        .priority: "waiters for a lease file are served in the order in which they came",
        .cancelWait: "a waiter for a lease file leaves the queue when its process ends",
        .backoffAdvice: "nothing advises waiters for a lease file; acquire --wait sleeps until it is their turn",
        .members: "a lease file knows no members",
    ])
    public var capabilities: Capabilities { Self.capabilities }

    let folder: LeaseFolder
    let clock: any LeaseClock
    private let ownTTL: Duration
    private let requestTimeout: Duration
    /// The places in queues that this process has, by election.
    private let places = Mutex<[String: QueuePlace]>([:])
    /// The terms that this process acquired with a liveness lock.
    private let ownTerms = Mutex<Set<UInt64>>([])
    /// The leases of this process, for watches of its own.
    private let ownRenewals = OwnRenewals()
    /// The watch of the folder, made when it is first needed.
    private let folderEvents = Mutex<FolderEvents?>(nil)
    private let warn: @Sendable (String) -> Void
    private let hasWarned = Atomic(false)

    /// - Parameter ownTTL: used for holders that do not record theirs, such as the Go package's.
    /// - Parameter requestTimeout: how long to wait for another process that is changing a file.
    /// - Parameter warn: called at most once: changes are shown late.
    public convenience init(
        server: ServerURL, isDefault: Bool, clock: any LeaseClock, ownTTL: Duration, requestTimeout: Duration,
        warn: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        let folder = LeaseFolder(path: server.path, isDefault: isDefault)
        self.init(server: server, folder: folder, clock: clock, ownTTL: ownTTL, requestTimeout: requestTimeout, warn: warn)
    }

    init(
        server: ServerURL, folder: LeaseFolder, clock: any LeaseClock, ownTTL: Duration, requestTimeout: Duration,
        warn: @escaping @Sendable (String) -> Void
    ) {
        self.warn = warn
        self.server = server
        self.folder = folder
        self.clock = clock
        self.ownTTL = ownTTL
        self.requestTimeout = requestTimeout
    }

    // MARK: Names

    /// The folder by device and inode, since it can be reached by several paths; while it does not exist, by the folder in which it will be created. A search
    /// uses all keys, since the folder might have been created in the meantime.
    public func electionKeys(_ name: String) -> [String] {
        var parts = folder.path.split(separator: "/")
        var rest = ""
        var keys: [String] = []
        while true {
            var information = stat()
            if stat("/" + parts.joined(separator: "/"), &information) == 0 {
                keys.append("file \(information.st_dev):\(information.st_ino)\(rest) \(name)")
            }
            guard let last = parts.popLast() else { return keys }
            rest = "/" + last + rest
        }
    }

    /// A folder has one key: elections of other folders are different ones.
    public func electionKind(_ name: String) -> String { electionKeys(name).first ?? name }

    /// The longest name, in bytes; with prefix and suffix it fits into a file name.
    public static let longestName = 128

    public func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        try Self.validate(name: name)
        if ttl < .milliseconds(100) {
            throw CoordinationError(
                .usage, "cannot use a TTL of \(DurationText.format(ttl))", because: "it is shorter than 100ms", at: server.description,
                hint: "choose a longer --ttl")
        }
    }

    static func validate(name: String) throws(CoordinationError) {
        let allowed = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
            default: false
            }
        }
        guard (1...longestName).contains(name.utf8.count), allowed, name.utf8.first != UInt8(ascii: ".") else {
            throw CoordinationError(
                .usage, "'\(Printable.text(name))' cannot be the name of a lease file",
                because: "a name is 1 to \(longestName) of A-Z a-z 0-9 . _ - and does not start with a dot")
        }
    }

    // MARK: Transactions

    var moment: LeaseFileRules.Moment {
        LeaseFileRules.Moment(boot: clock.now(), wall: folder.machine.wall, bootID: folder.machine.bootID, isShared: false)
    }

    private func rules(_ transaction: LeaseTransaction) -> LeaseFileRules {
        var now = moment
        now.isShared = transaction.isShared
        return LeaseFileRules(
            record: transaction.record, liveToken: transaction.liveToken, holderLives: transaction.holderLives,
            lockFile: transaction.lockFile,
            highestToken: transaction.highestToken, moment: now)
    }

    /// Opens a lease file, after waiting for a process that is changing it.
    /// - Parameter patience: how long to wait at most, if that is less than the request timeout.
    private func transaction(
        _ name: String, _ access: LeaseFolder.Access, patience: Duration? = nil
    ) async throws(CoordinationError) -> LeaseTransaction? {
        try Self.validate(name: name)
        let patience = min(patience ?? requestTimeout, requestTimeout)
        let end = clock.now() + patience
        var pause = Duration.microseconds(200)
        while true {
            switch try LeaseTransaction.open(name, in: folder, access) {
            case .ready(let transaction): return transaction
            case .missing: return nil
            case .busy: break
            }
            // Checked before the pause: after a long sleep, for example of the machine, one more attempt is made.
            if clock.now() >= end {
                throw lockedOut(name, access, after: patience)
            }
            do { try await clock.sleep(for: pause) } catch { throw cancelled(name) }
            pause = min(pause * 2, .milliseconds(10))
        }
    }

    /// How long to wait for a process that has released its lease to close its lock.
    private static let timeToClose: Duration = .seconds(1)

    /// Opens a lease file. If its last term is just being closed, waits for that, so that the end of a term is one change for readers and contenders.
    private func settled(_ name: String, _ access: LeaseFolder.Access) async throws(CoordinationError) -> LeaseTransaction? {
        let end = clock.now() + Self.timeToClose
        while true {
            do {
                guard let found = try await transaction(name, access) else { return nil }
                if !rules(found).isClosing || clock.now() >= end { return found }
            }
            // The file's lock is released by now, because the rest takes time.
            do { try await clock.sleep(for: .milliseconds(2)) } catch { throw cancelled(name) }
        }
    }

    private func changing(_ name: String) async throws(CoordinationError) -> LeaseTransaction {
        guard let transaction = try await settled(name, .change) else {
            throw CoordinationError(
                .unavailable, "cannot create the lease file", because: "it keeps being removed", at: folder.leaseFile(name),
                hint: "find out what removes it: only qq should change that folder")
        }
        return transaction
    }

    private func cancelled(_ name: String) -> CoordinationError {
        CoordinationError(.unavailable, "gave up on \(name)", because: "interrupted", at: server.description)
    }

    private func fromTheFuture(_ name: String, _ record: LeaseRecord, _ error: LeaseFileRules.FromTheFuture) -> CoordinationError {
        CoordinationError(
            .brokenData, "cannot judge the lease of \(name)",
            because:
                "\(Printable.text(record.holder)) renewed it at \(error.renewTime.rfc3339()), \(DurationText.brief(error.ahead)) from now",
            at: folder.leaseFile(name),
            hint: "set the clock right, here or there; if the holder is gone, empty the file: truncate -s 0 \(folder.leaseFile(name))")
    }

    private func state(_ transaction: LeaseTransaction) throws(CoordinationError) -> ElectionState {
        let rules = rules(transaction)
        do throws(LeaseFileRules.FromTheFuture) { return try rules.state(name: transaction.name, ownTTL: ownTTL) } catch {
            throw fromTheFuture(transaction.name, rules.record, error)
        }
    }

    // MARK: Acquire, renew, release

    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        var endedSurvivors = false
        while true {
            let survivors: UInt64
            do {
                let transaction = try await changing(request.name)
                let rules = rules(transaction)
                let decision: LeaseFileRules.Decision
                do throws(LeaseFileRules.FromTheFuture) { decision = try rules.decide(request) } catch {
                    throw fromTheFuture(request.name, rules.record, error)
                }
                if decision != .refuse, let byte = transaction.strangersByte { throw lockedByStranger(request.name, byte) }
                switch decision {
                case .refuse: return .refused(try state(transaction))
                case .newTerm(let token): return try grant(request, token: token, isNew: true, transaction)
                case .goOn(let token): return try grant(request, token: token, isNew: false, transaction)
                case .endSurvivors(let token): survivors = token
                }
            }
            // The file's lock is released by now, because the rest takes time.
            if endedSurvivors { throw survivorsRemain(request.name, []) }
            endedSurvivors = true
            try await endSurvivors(of: request.name, token: survivors)
        }
    }

    private func grant(
        _ request: AcquireRequest, token: UInt64, isNew: Bool, _ transaction: LeaseTransaction
    ) throws(CoordinationError) -> AcquireAnswer {
        var lock: TermLivenessLock?
        try transaction.checkToken(token)
        if request.wantsLivenessLock {
            let kind: TermLivenessLock.Kind = request.guardsWork ? .work : .holder
            lock = try TermLivenessLock(token: token, kind, in: folder, transaction.directory, name: request.name)
            // No term has locked this byte: we hold the file's lock, and no live process was seen under it.
            guard lock != nil else { throw lockedByStranger(request.name, TermLivenessLock.byte(of: token, kind)) }
        }
        let now = moment
        var record = LeaseRecord(holder: request.identity, renewTime: now.wall)
        record.acquireTime = isNew ? now.wall : transaction.record.acquireTime ?? now.wall
        record.leaseDuration = request.ttl
        record.ttl = request.ttl
        record.token = token
        record.host = folder.machine.hostName
        record.note = isNew ? request.note : transaction.record.note
        record.bootID = now.bootID
        record.bootDeadline = now.boot + request.ttl
        record.isLocked = lock != nil
        record.lockFile = lock?.inode
        record.endsByTimeAlone = request.outlivesHolder
        let written: [UInt8]
        do throws(CoordinationError) { written = try transaction.write(record, token: token, isNewTerm: isNew) } catch {
            lock?.close()
            throw error
        }
        ownRenewals.begin(request.name, writing: written, until: now.boot + request.ttl, lock)
        _ = places.withLock { $0.removeValue(forKey: request.name) }
        if lock != nil { _ = ownTerms.withLock { $0.insert(token) } }
        var grant = grantFrom(record, name: request.name, deadline: now.boot + request.ttl)
        let isClean = transaction.record.cleanFor != nil && transaction.record.cleanFor == folder.machine.viewpoint
        grant.followsCleanEnd = isClean && transaction.record.holder.isEmpty
        return .granted(grant, lock)
    }

    private func grantFrom(_ record: LeaseRecord, name: String, deadline: BootInstant) -> Grant {
        let ttl = record.lasts ?? ownTTL
        return Grant(
            name: name, identity: record.holder, token: record.token.map { FencingToken($0) }, ttl: ttl, deadline: deadline,
            acquiredAt: record.acquireTime ?? record.renewTime, expiresAt: record.renewTime + ttl)
    }

    public func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        // Less than the rest of the lease: the process that blocks us must be reported before it ends.
        let left = grant.deadline.duration(since: clock.now())
        let patience = max(left / 4, .milliseconds(20))
        guard let transaction = try await transaction(grant.name, .amend, patience: left > .zero ? patience : nil) else {
            return .lost(ElectionState(name: grant.name, phase: .free))
        }
        let present = try state(transaction)
        // A lease that has expired is not renewed even if it is free: its holder has already ended the work under it.
        guard rules(transaction).isTerm(of: grant), present.phase == .held else {
            ownRenewals.end(grant.name)
            return .lost(present)
        }
        let now = moment
        var record = transaction.record
        record.renewTime = now.wall
        record.leaseDuration = grant.ttl
        record.ttl = grant.ttl
        record.bootID = now.bootID
        record.bootDeadline = now.boot + grant.ttl
        let written = try transaction.write(record, token: record.token ?? 0, isNewTerm: false)
        ownRenewals.renewed(grant.name, from: transaction.raw, writing: written, until: now.boot + grant.ttl)
        return .renewed(grantFrom(record, name: grant.name, deadline: now.boot + grant.ttl))
    }

    public func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        // A lease that is over by then need not be released. The deadline of a saved grant might have been moved by another process since.
        let left = grant.deadline.duration(since: clock.now())
        guard let transaction = try await transaction(grant.name, .amend, patience: left > .zero ? left : nil) else {
            return .notHeld(ElectionState(name: grant.name, phase: .free))
        }
        let rules = rules(transaction)
        guard rules.isTerm(of: grant) else { return .notHeld(try state(transaction)) }
        // The process that guards the work releases its lease when none of it is left. Another process with the grant cannot know that.
        let token = transaction.record.token ?? 0
        let isOwn = ownTerms.withLock { $0.remove(token) != nil }
        ownRenewals.end(grant.name)
        try vacate(transaction, isClean: isOwn && !grant.leavesProcesses)
        // A lease that has run out was no longer ours, although nobody else has taken it.
        return rules.hasRunOut(ownTTL: ownTTL) ? .notHeld(ElectionState(name: grant.name, phase: .free)) : .released
    }

    private func vacate(_ transaction: LeaseTransaction, isClean: Bool) throws(CoordinationError) {
        // As the Go package does: the time and the length of the last renewal stay.
        var record = LeaseRecord(holder: "", renewTime: transaction.record.renewTime)
        record.leaseDuration = transaction.record.lasts
        record.cleanFor = isClean ? folder.machine.viewpoint : nil
        record.token = transaction.record.token
        try transaction.write(record, token: record.token ?? 0, isNewTerm: false)
    }

    // MARK: Survivors

    private func endSurvivors(of name: String, token: UInt64) async throws(CoordinationError) {
        let directory = try folder.open(creating: false)
        guard let side = try folder.openFile(LeaseFolder.sideFile(name), in: directory, .read),
            let byte = TermLivenessLock.byte(of: token, .work)
        else {
            return
        }
        let information = try folder.reporting(folder.path) { () throws(SystemCallError) in try side.information() }
        let survivors = Survivors(sideFile: information, byte: byte)
        let end = clock.now() + .seconds(1)
        var pause = Duration.milliseconds(2)
        while TermLivenessLock.isHeld(token, .work, side) {
            // Repeated as long as necessary: a process might have forked before it died.
            folder.machine.end(survivors)
            do { try await clock.sleep(for: pause) } catch { throw cancelled(name) }
            pause = min(pause * 2, .milliseconds(50))
            if clock.now() >= end, TermLivenessLock.isHeld(token, .work, side) {
                throw survivorsRemain(name, folder.machine.find(survivors))
            }
        }
    }

    private func survivorsRemain(_ name: String, _ pids: [pid_t]) -> CoordinationError {
        let which = pids.isEmpty ? "" : " (" + pids.map { String($0) }.joined(separator: ", ") + ")"
        return CoordinationError(
            .unavailable, "cannot acquire \(name)",
            because: "its lease has ended, but processes\(which) that worked under it live on and cannot be ended from here",
            at: folder.leaseFile(name),
            hint: "end them, as their user or as root, and try again; who: fuser -v \(folder.path)/\(LeaseFolder.sideFile(name))")
    }

    // MARK: Reading

    public func read(_ name: String) async throws(CoordinationError) -> ElectionState { try await read(name, waitersFrom: KernelLocks()) }

    /// - Parameter locks: where the waiters are counted.
    private func read(_ name: String, waitersFrom locks: KernelLocks) async throws(CoordinationError) -> ElectionState {
        guard let transaction = try await settled(name, .read) else { return ElectionState(name: name, phase: .free) }
        var found = try state(transaction)
        if found.phase != .free, let side = transaction.side { found.waiters = waiters(side, locks) }
        return found
    }

    /// Reads an election for a watch.
    /// - Returns: its state, and the row of renewals of this process that its lease file belongs to; nil if it belongs to none.
    func readWatched(_ name: String) async throws(CoordinationError) -> (state: ElectionState, row: OwnRenewals.Row?) {
        guard let transaction = try await settled(name, .read) else { return (ElectionState(name: name, phase: .free), nil) }
        return (try state(transaction), ownRenewals.row(name, of: OwnRenewals.fingerprint(transaction.raw)))
    }

    /// When our lease ends, if the lease file shows that nothing has happened to the election but renewals of this process; nil if it has to be read.
    /// - Parameter row: as `readWatched` returned it.
    func deadline(_ name: String, in row: OwnRenewals.Row) -> BootInstant? {
        guard let directory = try? folder.open(creating: false),
            let file = (try? folder.openFile(name + LeaseFolder.suffix, in: directory, .read)) ?? nil,
            let bytes = try? file.read(at: 0, count: LeaseJournal.largestLeaseFile + 1),
            let deadline = ownRenewals.deadline(name, of: OwnRenewals.fingerprint(bytes), in: row), clock.now() < deadline
        else { return nil }
        return deadline
    }

    public func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState] {
        if folder.isDefault, folder.isMissing { return [] }
        var states: [ElectionState] = []
        let locks = KernelLocks()
        for name in try files().leases where filter.name.map({ name.contains($0) }) ?? true {
            do throws(CoordinationError) { states.append(try await read(name, waitersFrom: locks)) } catch {
                // Other files beside leases are not elections. A lease that cannot be read must not hide the others.
                if error.kind == .brokenData, LeaseTransaction.isForeign(name, in: folder) { continue }
                var state = ElectionState(name: name, phase: .unknown)
                state.problem = error
                states.append(state)
            }
        }
        return states
    }

    public func electionNames() async throws(CoordinationError) -> [String] {
        if folder.isDefault, folder.isMissing { return [] }
        let files = try files()
        // A lease that has a journal beside it is not another program's file.
        return files.leases.filter { files.all.contains(LeaseFolder.sideFile($0)) || !LeaseTransaction.isForeign($0, in: folder) }
    }

    /// The names of all files in the folder, and the elections that they can belong to, sorted.
    private func files() throws(CoordinationError) -> (all: Set<String>, leases: [String]) {
        let directory = try folder.open(creating: false)
        guard let entries = fdopendir(qq_duplicate_above(directory.number, 0)) else {
            throw folder.problem(SystemCallError("opendir"), with: folder.path, .read)
        }
        let files = Folder.names(in: entries)
        let leases = files.filter { $0.hasSuffix(LeaseFolder.suffix) }.map { String($0.dropLast(LeaseFolder.suffix.count)) }
        return (Set(files), leases.filter { (try? Self.validate(name: $0)) != nil }.sorted())
    }

    // MARK: Stepping down

    public func askToStepDown(
        _ state: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer {
        guard let transaction = try await transaction(state.name, .amend) else { return .done }
        let present = try self.state(transaction)
        guard present.phase != .free else { return .done }
        guard present.leader == state.leader, present.token == state.token else { return .changed(present) }
        if present.alive == true || (present.alive == nil && transaction.record.isLocked) {
            // The holder works here or on another machine that shares the folder. Its qq sees this immediately, ends the command and then releases the lease. Ending the lease here would let two work.
            var record = transaction.record
            record.stepDown = identity
            try transaction.write(record, token: record.token ?? 0, isNewTerm: false)
            return .asked
        }
        try vacate(transaction, isClean: false)
        return .done
    }

    // MARK: Places in the queue

    func place(in name: String) -> QueuePlace? { places.withLock { $0[name] } }

    func keepPlace(_ place: QueuePlace, in name: String) { places.withLock { $0[name] = place } }

    public func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        _ = places.withLock { $0.removeValue(forKey: request.name) }
        return nil
    }

    // MARK: Watching

    /// The one watch of the folder, shared by all its users; nil if it has to be polled.
    func events() throws(CoordinationError) -> FolderEvents? {
        try folderEvents.withLock { events throws(CoordinationError) in
            if events == nil { events = try newEvents(folder.path) }
            return events
        }
    }

    /// A watch of a folder; nil if it has to be polled, because inotify is used up.
    func newEvents(_ path: String) throws(CoordinationError) -> FolderEvents? {
        do throws(SystemCallError) { return try folder.machine.events(path) } catch {
            guard let shortage = FolderEvents.shortage(error) else { throw folder.problem(error, with: path, .read) }
            if !hasWarned.exchange(true, ordering: .relaxed) {
                warn("\(shortage): changes of \(folder.path) are looked for every \(DurationText.brief(FolderWatch.pollPace))")
            }
            return nil
        }
    }
}
