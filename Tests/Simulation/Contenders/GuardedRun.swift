import Glibc
import QQCore
import QQGuard

/// A process `qq acquire NAME -- CMD`: the real lease session with its driver, the real `GuardSession`, and models of the guardian and the
/// command.
///
/// It carries out the actions of `GuardSession` as `GuardedCommand` does. That type itself cannot run here: it stands on `MainLoop`
/// (epoll), `SignalSource` (signalfd), `Guardian` (a forked process and its socket) and hooks that are shells. What it decides is in
/// `GuardSession`; what is mirrored here is which function each action calls. Keep the two alike.
final class GuardedRun: @unchecked Sendable {
    // Used on the world's thread only.
    struct Plan {
        var configuration: LeaseSession.Configuration
        var guardConfiguration: GuardSession.Configuration
        var command: CommandPlan
        var hookTime: Nanoseconds
    }

    let process: SimProcess
    private let world: World
    private let plan: Plan
    private let watched: WatchedCoordinator
    private let driver: SessionDriver
    private var session: GuardSession
    private var guardian: GuardianModel?
    private var hooks: HookModel?
    private var lock: (any LivenessLock)?
    private var term: Term?
    private var timerNumber: UInt64 = 0
    private var leavesSurvivors = false
    private var hasGivenUp = false
    private var isOver = false
    /// Makes the coordinator of a deputy, a process of its own: that of the system, also with slots.
    private let makeCoordinator: (SimProcess) -> any Campaigning
    var guardianStutter: SimProcess.Stutter? { didSet { guardian?.stutter = guardianStutter } }

    /// The group that works under the lease, for the check of releases.
    var group: WorkGroup? { guardian?.group }

    /// - Parameter coordinator: what the lease session campaigns with.
    init(
        _ process: SimProcess, _ plan: Plan, _ coordinator: any Campaigning, makeCoordinator: @escaping (SimProcess) -> any Campaigning
    ) {
        self.process = process
        self.plan = plan
        self.makeCoordinator = makeCoordinator
        world = process.world
        session = GuardSession(plan.guardConfiguration)
        watched = WatchedCoordinator(coordinator, process)
        driver = SessionDriver(
            plan.configuration, coordinator: watched, clock: process.clock,
            clearing: { [process] grant throws(CoordinationError) in try await LeftoverModel(process).end(before: grant) })
        watched.run = self
    }

    func begin() {
        let guardian = GuardianModel(of: process, number: process.number, command: plan.command) { [weak self] guardian in
            guard let self, let term else { return nil }
            let group = WorkGroup(term: term, host: process.host, qq: process, guardian: guardian)
            term.group = group
            return group
        } report: { [weak self] report in
            self?.take(.guardian(report))
        }
        self.guardian = guardian
        guardian.stutter = guardianStutter
        guardian.onEnd = { [weak self] in self?.process.post { self?.guardianEnded() } }
        hooks = HookModel(process) { [weak self] in self?.take(.hooksRan) }
        process.onEnd { [weak self] in self?.processEnded() }
        world.note("asks for the lease", process)
        process.start { [self] in
            let outcome = await driver.run { [self] event, lock in
                follow(event)
                process.post { [self] in
                    if case .elected = event { self.lock = lock }
                    take(.lease(event))
                }
            }
            process.post { [self] in take(.leaseEnded(outcome)) }
        }
    }

    /// Notes for the checker what the lease session says, when it says it.
    private func follow(_ event: SessionEvent) {
        switch event {
        case .elected(let grant):
            term = world.checker.elected(
                process, election: grant.name, identity: grant.identity, token: grant.token, deadline: grant.deadline, ttl: grant.ttl,
                margin: plan.guardConfiguration.timing.fitting(grant.ttl).margin)
        case .extended(let grant): if let term { world.checker.extended(term, to: grant.deadline, ttl: grant.ttl) }
        case .lost(_, let reason):
            if let term { world.checker.lost(term, reason) }
            switch reason {
            case .expired: world.note("has lost the lease: not renewed in time", process)
            case .takenOver: world.note("has lost the lease: taken over", process)
            case .removed: world.note("has lost the lease: removed", process)
            }
            endTerm()
            world.checker.stops(process, group)
            if let group {
                world.checker.expects("the lease is lost, and the command lives", of: process) { group.isOverOrHangs }
            }
        case .released:
            if let term { world.checker.released(term) }
            endTerm()
        case .releaseFailed: endTerm()
        case .retrying(let error, let pause):
            world.note(
                error.isUncertain ? "a request failed, and might be carried out; again in @1" : "a request failed; again in @1", process,
                pause.nanoseconds)
        case .outage(let error, _):
            world.note(error.isUncertain ? "a request failed, and might be carried out" : "a request failed", process)
        case .waiting: world.note("waits", process)
        case .outageOver: world.note("is answered again", process)
        case .stepDownAsked: world.note("is asked to step down", process)
        case .notWithdrawn: world.note("could not withdraw", process)
        }
    }

    private func endTerm() {
        guard let term else { return }
        world.checker.ended(term)
    }

    // MARK: What happens to it

    func signal(_ number: Int32) {
        world.note("gets signal #1", process, Int64(number))
        if number == SIGTERM, let command = guardian?.command {
            world.checker.expects("the command does not get its signal", of: process) { !command.isAlive || command.isTermed }
        }
        process.post { [weak self] in self?.take(.signal(number)) }
    }

    func endFront() {
        world.note("its front process ends", process)
        process.post { [weak self] in self?.take(.frontEnded) }
    }

    func pauseGuardian() { guardian?.pause() }
    func resumeGuardian() { guardian?.resume() }
    func killGuardian() {
        guard let guardian else { return }
        guardian.kill()
        if let group {
            world.checker.expects("its guardian was killed, and the command lives", of: process) { group.isOverOrHangs }
        }
    }
    var hasGuardian: Bool { guardian.map { !$0.isDead } ?? false }

    private func guardianEnded() { take(.guardianEnded) }

    private func processEnded() {
        endTerm()
        lock?.close()
        lock = nil
        // Its end of the socket closes, and orphans that it had taken over have no parent any more.
        guardian?.onEnd = {}
        guardian?.closeSocket()
        for work in process.host.works where work.group.qq === process && work.reaper == .qq { work.reaper = .nobody }
    }

    // MARK: GuardSession

    private func take(_ event: GuardSession.Event) {
        guard !isOver, !process.isDead else { return }
        for action in session.handle(event, at: process.clock.now()) {
            carryOut(action)
            if isOver { return }
        }
    }

    private func carryOut(_ action: GuardSession.Action) {
        switch action {
        case .exit: exit()
        case .timer(let instant):
            timerNumber += 1
            let number = timerNumber
            process.at(instant) { [weak self] in if let self, timerNumber == number { take(.timer) } }
        case .hooks: hooks?.add(taking: plan.hookTime)
        case .endHook: hooks?.end(withBatches: false)
        case .endHooks: hooks?.end(withBatches: true)
        case .run(let grant, let number):
            guardian?.send(.run(lease(grant), number, lock: lock as? any InheritedLock, deputy: deputy(of: grant)))
            lock?.close()
            lock = nil
        case .extend(let grant, let number): guardian?.send(.deadline(lease(grant), number))
        case .pass(let signal, let number, let end): guardian?.send(.signal(signal, number, validUntil: end.nanoseconds))
        case .terminate(let number): guardian?.send(.terminate(grace: UInt64(plan.guardConfiguration.timing.grace.nanoseconds), number))
        case .kill(let number): guardian?.send(.kill(number))
        case .look:
            let round = look()
            process.post { [weak self] in self?.take(.looked(round)) }
        case .endByForce:
            let round = endByForce()
            process.post { [weak self] in self?.take(.forced(round)) }
        case .passByForce(let signal, _):
            for work in below where work.isCommand { GuardianModel.pass(signal, to: work, &process.random) }
        case .terminateByForce: for work in below where work.isNoticed { work.terminate(&process.random) }
        case .stopLease:
            world.note("gives up its campaign or lease", process)
            hasGivenUp = true
            endTerm()
            world.checker.stops(process)
            driver.stop()
        case .renewNow: driver.renewNow()
        case .message(let message): tell(message)
        case .commandRuns, .commandStopped: break
        }
    }

    private func lease(_ grant: Grant) -> GuardianModel.Lease {
        let timing = plan.guardConfiguration.timing.fitting(grant.ttl)
        return GuardianModel.Lease(
            deadline: grant.deadline.nanoseconds, sent: (grant.deadline - grant.ttl).nanoseconds,
            margin: UInt64(max(0, timing.margin.nanoseconds)), grace: UInt64(max(0, timing.grace.nanoseconds)))
    }

    private func tell(_ message: GuardSession.Message) {
        switch message {
        case .guardianKilled: world.note("sees that its guardian was killed", process)
        case .guardianSilent: world.note("takes over from its silent guardian", process)
        case .leftAlive:
            leavesSurvivors = true
            world.note("leaves a process that cannot be killed", process)
        case .notRenewed(let signal): world.note("is told by its guardian: not renewed, signal #1", process, Int64(signal))
        case .clockJumped(let jump): world.note("is told that the wall clock jumped by @1", process, jump.nanoseconds)
        case .leftBehind, .survivor, .steppingDown, .holding, .ranTooLong, .lease: break
        }
    }

    // MARK: In the guardian's place

    /// Guarded processes below this one, those below its guardian as well.
    private var below: [Work] { process.host.works.filter { $0.group.qq === process && $0.reaper != .nobody } }

    private func look() -> Guardian.Round {
        let below = below.filter(\.isNoticed)
        return Guardian.Round(living: below.count, first: below.first?.pid)
    }

    private func endByForce() -> Guardian.Round {
        guardian?.kill()
        let found = below
        let noticed = found.filter(\.isNoticed)
        for work in noticed { work.kill(&process.random) }
        let status = guardian?.commandStatus.map(GuardianModel.status)
        return Guardian.Round(living: noticed.count, isOver: found.isEmpty, first: noticed.first?.pid, status: status)
    }

    // MARK: Its end

    private func exit() {
        isOver = true
        endTerm()
        world.note("ends", process)
        watched.ends()
        if hasGivenUp, !watched.hasAskedToRelease, let term { world.checker.leaves(term) }
        process.cancelTasks()
        guard let guardian, !guardian.isDead else { return process.post { [process] in process.end() } }
        guardian.send(.forget)
        guardian.closeSocket()
        if leavesSurvivors { return process.post { [process] in process.end() } }
        guardian.onEnd = { [process] in process.post { process.end() } }
        guardian.resumeAll()
        process.at(process.clock.now() + .seconds(1)) { [process] in
            guardian.onEnd = {}
            guardian.kill()
            process.end()
        }
    }

    /// What a guardian does when this process was killed and nothing of its command lives, as DeputyCommand.swift has it.
    private func deputy(of grant: Grant) -> ((UInt64) -> Void)? {
        guard lock == nil, grant.token != nil || grant.termID != nil else { return nil }
        let notBefore = process.clock.now() + plan.guardConfiguration.minimumHold
        let (host, world, name, make) = (process.host, world, process.name, makeCoordinator)
        return { end in
            DeputyModel.begin(
                name + "d", on: host, in: world, grant, notBefore: notBefore, end: BootInstant(nanoseconds: end), make)
        }
    }
}

/// The coordinator of a process. It looks at releases, and at what comes after a request for the lease whose answer is not known.
final class WatchedCoordinator: Leasing, ElectionReader, WaitingQueue, @unchecked Sendable {
    // Used on the world's thread only.
    private let base: any Campaigning
    private let process: SimProcess
    weak var run: GuardedRun?
    /// Whether the lease might be held by a request without an answer, and nobody has looked.
    private var isUnresolved = false
    /// Since the lease was asked for last.
    private(set) var hasAskedToRelease = false

    init(_ base: any Campaigning, _ process: SimProcess) {
        self.base = base
        self.process = process
    }

    func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        try base.validate(name: name, identity: identity, ttl: ttl)
    }

    func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        if isUnresolved, !process.isDead {
            process.world.fail(.leftBehind, "\(process.name) might hold a lease, and asks for it without a look")
        }
        hasAskedToRelease = false
        do throws(CoordinationError) { return try await base.acquire(request) } catch {
            isUnresolved = error.isUncertain
            throw error
        }
    }

    /// The process ends by itself.
    func ends() {
        guard isUnresolved else { return }
        process.world.fail(.leftBehind, "\(process.name) might hold a lease, and ends without a look")
    }

    func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer { try await base.renew(grant) }

    func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        if !process.isDead { process.world.checker.releases(process, run?.group) }
        hasAskedToRelease = true
        return try await base.release(grant)
    }

    func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        isUnresolved = false
        return try await base.read(name)
    }

    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        base.changes(of: names, withRenewals: withRenewals)
    }

    func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) { try await base.waitForTurn(request, behind: blocker, until: deadline) }

    func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? { await base.leaveQueue(request) }
}
