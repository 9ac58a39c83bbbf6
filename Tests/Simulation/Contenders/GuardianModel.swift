import Glibc
import QQCore
import QQGuard

/// The guardian of one `qq`, as Sources/CGuardian/Guardian.c is: the same phases, orders, reports and deadlines, with the world's processes
/// in the place of the kernel's. Keep the two alike.
final class GuardianModel {
    enum Phase: Int, Comparable {
        case waiting, running, endingSoftly, endingHard, gone

        static func < (one: Phase, other: Phase) -> Bool { one.rawValue < other.rawValue }
    }

    enum Order {
        case run(Lease, UInt64, lock: (any InheritedLock)?, deputy: ((UInt64) -> Void)?)
        case deadline(Lease, UInt64)
        case signal(Int32, UInt64, validUntil: UInt64)
        case terminate(grace: UInt64, UInt64)
        case kill(UInt64)
        case forget
    }

    /// The times of an order, on the boot clock.
    struct Lease {
        var deadline: UInt64
        var sent: UInt64
        var margin: UInt64
        var grace: UInt64
    }

    private static let quickRounds = 200
    private static let ordersAtOnce = 1000
    private static let largestSlew: Nanoseconds = .milliseconds(100)
    private static let confirmation: UInt64 = 1_000_000_000
    /// What a socket holds of orders that are not taken.
    private static let socketRoom = 200

    let host: Host
    private let world: World
    private let qq: SimProcess
    private var random: Generator
    /// Takes a report in `qq`.
    private let report: (Guardian.Report) -> Void
    /// Makes what works under the lease.
    private let makeGroup: (GuardianModel) -> WorkGroup?
    private let commandPlan: CommandPlan
    /// Called when it has ended.
    var onEnd: () -> Void = {}

    private(set) var isDead = false
    private var pauses = 0
    private var ownPauses = 0
    /// World time at which it went on last after a stop of its own.
    private(set) var resumedAt: Nanoseconds = -.never
    /// How often it was stopped, alone or with its machine.
    var pauseCount: Int { ownPauses + host.stopCount }
    private var phase = Phase.waiting
    private var orders: [Order] = []
    private var socketClosed = false
    private var socketIsOpen = true
    private(set) var command: Work?
    private(set) var group: WorkGroup?
    private var commandEnded = false
    private var execDone = false
    private var execReported = true
    private var leftBehind = 0
    private var survivor: Int32?
    private var rounds = 0
    private var deadline: UInt64 = 0
    private var margin: UInt64 = 0
    private var grace: UInt64 = 0
    private var killAt: UInt64 = 0
    private var jumpedAt: UInt64 = 0
    private var jumpedBy: UInt64 = 0
    private var doubtedAt: UInt64 = 0
    private var wallOffset: Nanoseconds
    private var clockWasSet = false
    private var deputy: ((UInt64) -> Void)?
    private var lock: (any InheritedLock)?
    private var isWoken = false
    private var alarm: UInt64 = 0
    private var lastReportAt: Nanoseconds = 0
    /// What the clock showed when the turn was interrupted that goes on next.
    private var interrupted: UInt64?
    /// How it stutters: the chance is that of each turn.
    var stutter: SimProcess.Stutter?

    init(
        of qq: SimProcess, number: Int, command: CommandPlan, makeGroup: @escaping (GuardianModel) -> WorkGroup?,
        report: @escaping (Guardian.Report) -> Void
    ) {
        self.qq = qq
        host = qq.host
        world = qq.world
        random = world.generator(.process, 1 << 24 | number)
        commandPlan = command
        self.makeGroup = makeGroup
        self.report = report
        wallOffset = Self.offset(host)
        host.guardians.append(self)
    }

    /// The wall clock less the boot clock.
    private static func offset(_ host: Host) -> Nanoseconds { host.wallSteps }

    var isRunning: Bool { !isDead && pauses == 0 && !host.isStopped }

    /// The status of the command, once it has ended.
    var commandStatus: Int32? { command?.status }

    /// Whether it shows the mark of its term.
    var showsMark: Bool { !isDead && group != nil && phase != .gone }

    /// The guarded processes below it.
    private var below: [Work] { host.works.filter { $0.group.guardian === self && $0.reaper == .guardian } }

    // MARK: What others do to it

    func send(_ order: Order) {
        guard !isDead, socketIsOpen, !socketClosed, orders.count < Self.socketRoom else { return }
        orders.append(order)
        wake()
    }

    /// `qq` has ended, or has closed its end.
    func closeSocket() {
        socketClosed = true
        if let group, !isDead {
            world.checker.expects("qq has ended, and the command lives", of: self, qq.name) { group.isOverOrHangs }
        }
        wake()
    }

    func wallClockWasSet() {
        clockWasSet = true
        wake()
    }

    func pause() {
        guard !isDead else { return }
        pauses += 1
        ownPauses += 1
    }

    func resume() {
        guard pauses > 0 else { return }
        pauses -= 1
        resumedAt = world.now
        wake()
    }

    func resumeAll() {
        if pauses > 0 { resumedAt = world.now }
        pauses = 0
        wake()
    }

    /// SIGKILL. The kernel kills the command (PDEATHSIG); the others become children of `qq`, or of nobody.
    func kill() {
        guard !isDead else { return }
        let orphans = below
        end()
        for work in orphans {
            work.reaper = qq.isDead ? .nobody : .qq
            if work.isCommand { work.kill(&random) }
        }
    }

    private func end() {
        isDead = true
        pauses = 0
        orders = []
        lock?.closeCopy()
        lock = nil
        deputy = nil
        if let index = host.guardians.firstIndex(where: { $0 === self }) { host.guardians.remove(at: index) }
        let body = onEnd
        onEnd = {}
        body()
    }

    /// Something has happened that it waits for.
    func wake() {
        guard !isDead, !isWoken else { return }
        isWoken = true
        world.after(random.spread(.microseconds(5)...(.microseconds(200)))) { [weak self] in self?.turn() }
    }

    // MARK: Its loop

    private var now: UInt64 { host.boot.nanoseconds }

    private func turn() {
        isWoken = false
        // It is woken again when it goes on.
        guard isRunning else { return }
        let now = interrupted ?? now
        interrupted = nil
        // It can be stopped anywhere; the hardest place is between its look at the clock and its orders.
        if let stutter, random.chance(stutter.chance) {
            interrupted = now
            let span = random.spread(.microseconds(10)...stutter.longest)
            world.note("its guardian stutters for @1", qq, span)
            pause()
            world.after(span) { [weak self] in self?.resume() }
            return
        }
        if clockWasSet {
            clockWasSet = false
            lookAtWallClock()
        }
        for _ in 0..<Self.ordersAtOnce where socketIsOpen {
            if orders.isEmpty {
                guard socketClosed else { break }
                socketIsOpen = false
                endHard()
                break
            }
            obey(orders.removeFirst())
        }
        takeOutcomeOfExec()
        reap()
        lookAtClock(now)
        if phase == .gone, !socketIsOpen || self.now >= deadline { return leave() }
        setTimer()
    }

    private func leave() {
        let (host, deadline) = (host, deadline)
        if let deputy, self.now < deadline {
            world.after(random.spread(.milliseconds(3)...(.milliseconds(50)))) { host.run { deputy(deadline) } }
        }
        end()
    }

    private func tell(_ message: Guardian.Report) {
        guard socketIsOpen, !socketClosed else { return }
        let at = max(world.now + random.spread(.microseconds(5)...(.microseconds(100))), lastReportAt + 1)
        lastReportAt = at
        let report = report
        let qq = qq
        world.at(at) { qq.post { report(message) } }
    }

    // MARK: Running the command

    private func run(_ lease: Lease, _ number: UInt64, _ lock: (any InheritedLock)?) {
        if lease.sent < doubtedAt || now >= Self.difference(deadline, margin) {
            tell(.deadline(SIGKILL))
            tell(.gone(leftBehind: 0))
            phase = .gone
            return
        }
        guard let group = makeGroup(self) else { return }
        self.group = group
        let plan = commandPlan
        phase = .running
        execReported = false
        world.after(random.spread(.microseconds(200)...(.milliseconds(3)))) { [weak self] in
            self?.execDone = true
            self?.wake()
        }
        // What could not become the command ends before its guardian hears of that.
        if plan.fails { return }
        let pid = Int32(truncatingIfNeeded: 1000 + world.checker.workCount)
        let work = Work(
            group, isCommand: true, pid: pid, lifetime: plan.lifetime, ignoresTerm: plan.ignoresTerm, termDelay: plan.termDelay,
            exitCode: plan.exitCode, hang: plan.hang, lock: lock)
        command = work
        world.note("its guardian starts the command", qq)
        for child in plan.children {
            world.after(child.after) { [weak work] in
                guard let work, work.isAlive, !work.host.isStopped else { return }
                let started = Work(
                    group, isCommand: false, pid: pid + 1, lifetime: child.lifetime, ignoresTerm: child.ignoresTerm,
                    termDelay: plan.termDelay / 2, exitCode: 0, hang: child.hang, lock: lock)
                started.reaper = work.reaper
            }
        }
    }

    private func takeOutcomeOfExec() {
        guard !execReported, execDone else { return }
        execReported = true
        if let command { return tell(.started(command.pid)) }
        tell(.notRun(ENOENT))
        phase = .gone
    }

    // MARK: Ending everything

    private func endHard() {
        if phase == .waiting { phase = .gone }
        if phase < .endingHard { phase = .endingHard }
    }

    private func endSoftly(_ grace: UInt64) {
        if phase == .waiting { phase = .gone }
        guard phase == .running else { return }
        phase = .endingSoftly
        killAt = Self.sum(now, grace)
        for work in below where work.isNoticed { work.terminate(&random) }
    }

    private func killRound() {
        rounds += 1
        let below = below
        for work in below where work.isNoticed { work.kill(&random) }
        if rounds >= Self.quickRounds, let first = below.first, survivor != first.pid {
            survivor = first.pid
            tell(.survivor(first.pid))
        }
    }

    private func reap() {
        if commandPlan.fails, !execReported { return }
        if let command, !command.isAlive, !commandEnded {
            takeOutcomeOfExec()
            commandEnded = true
            if phase != .gone { tell(.exited(Self.status(command.status ?? 0))) }
        }
        if below.isEmpty, phase > .waiting, phase < .gone {
            tell(.gone(leftBehind: leftBehind))
            phase = .gone
        } else if commandEnded, phase == .running {
            leftBehind = below.count
            endSoftly(grace)
        }
    }

    static func status(_ status: Int32) -> CommandStatus {
        status & 0x7f == 0 ? .exited(status >> 8) : .died(signal: status & 0x7f)
    }

    // MARK: Time

    private func lookAtWallClock() {
        let offset = Self.offset(host)
        let jump = offset - wallOffset
        wallOffset = offset
        guard jump >= Self.largestSlew, phase <= .endingSoftly else { return }
        doubtedAt = now
        if phase == .waiting { return }
        jumpedBy = Self.sum(jumpedAt != 0 ? jumpedBy : 0, UInt64(jump))
        jumpedAt = doubtedAt
        tell(.clockJumped(.milliseconds(jump / 1_000_000)))
    }

    private var confirmationAt: UInt64 { jumpedAt != 0 ? Self.sum(jumpedAt, Self.confirmation) : 0 }

    private var hardEnd: UInt64 {
        let end = Self.difference(deadline, margin)
        if jumpedAt == 0 { return end }
        return min(max(Self.difference(end, jumpedBy), confirmationAt), end)
    }

    private var softEnd: UInt64 { min(max(Self.difference(hardEnd, grace), confirmationAt), hardEnd) }

    private func lookAtClock(_ now: UInt64) {
        lookAtWallClock()
        let hard = hardEnd
        if phase == .running, now >= softEnd, now < hard {
            tell(.deadline(SIGTERM))
            world.note("its guardian sends SIGTERM: the lease was not renewed", qq)
            lookAtOrders()
            endSoftly(hard - now)
        }
        if phase == .running || phase == .endingSoftly, now >= hard {
            tell(.deadline(SIGKILL))
            world.note("its guardian sends SIGKILL: the lease was not renewed", qq)
            lookAtOrders()
            endHard()
        }
        if phase == .endingSoftly, now >= killAt { endHard() }
        if phase == .endingHard { killRound() }
    }

    /// For the checker: a renewal that the guardian has not taken must not lie in its socket when it ends the command as not renewed.
    private func lookAtOrders() {
        for case .deadline(let lease, _) in orders where lease.deadline > deadline && isConfirming(lease) {
            return world.fail(.endedForNothing, "\(qq.name)'s guardian ends the command, and the lease was renewed")
        }
        if doubtedAt == 0, let group { world.checker.endsAsNotRenewed(group.term, known: BootInstant(nanoseconds: deadline)) }
    }

    private var nextMoment: UInt64? {
        switch phase {
        case .running: softEnd
        case .endingSoftly: min(killAt, hardEnd)
        case .endingHard: now + (rounds < Self.quickRounds ? 2_000_000 : 100_000_000)
        case .gone: deadline
        case .waiting: nil
        }
    }

    private func setTimer() {
        guard let next = nextMoment, next != alarm else { return }
        alarm = next
        host.at(BootInstant(nanoseconds: next)) { [weak self] in
            guard let self, alarm == next else { return }
            alarm = 0
            wake()
        }
    }

    // MARK: Orders

    private func obey(_ order: Order) {
        switch order {
        case .run(let lease, let number, let lock, let deputy):
            if let lock {
                lock.copy()
                self.lock = lock
            } else {
                self.deputy = deputy
            }
            tell(.obeyed(number))
            take(lease)
            if phase == .waiting { run(lease, number, lock) }
        case .deadline(let lease, let number):
            tell(.obeyed(number))
            take(lease)
        case .signal(let signal, let number, let validUntil):
            guard now <= validUntil else { return }
            tell(.obeyed(number))
            if let command, !commandEnded { Self.pass(signal, to: command, &random) }
        case .terminate(let grace, let number):
            tell(.obeyed(number))
            endSoftly(grace)
        case .kill(let number):
            tell(.obeyed(number))
            endHard()
        case .forget: deputy = nil
        }
    }

    private func isConfirming(_ lease: Lease) -> Bool { lease.sent >= doubtedAt }

    private func take(_ lease: Lease) {
        // An answer to a request from before the pause of the machine says nothing about the lease now.
        if !isConfirming(lease), phase != .waiting { return }
        jumpedAt = 0
        deadline = lease.deadline
        margin = lease.margin
        grace = lease.grace
    }

    /// A signal for the command; what it does not know of ends it.
    static func pass(_ signal: Int32, to command: Work, _ random: inout Generator) {
        switch signal {
        case SIGKILL: command.kill(&random)
        case SIGTERM, SIGINT, SIGHUP, SIGQUIT: command.terminate(&random)
        default: break
        }
    }

    private static func difference(_ left: UInt64, _ right: UInt64) -> UInt64 { left > right ? left - right : 0 }

    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, overflows) = left.addingReportingOverflow(right)
        return overflows ? .max : sum
    }
}
