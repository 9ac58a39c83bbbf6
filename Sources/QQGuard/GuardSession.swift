import Glibc
import QQCore

/// A guarded command from campaign to exit, as a pure state machine: its inputs are events of the lease session, reports of the guardian
/// and the operator's signals, its outputs are actions.
public struct GuardSession: Sendable {
    public struct Configuration: Sendable, Hashable {
        /// The lease is kept for at least this long, counted from the start of the term.
        public var minimumHold: Duration
        /// The command is ended after this long, counted from its start; nil for no limit.
        public var maximumRun: Duration?
        public var timing: Guardian.Timing

        public init(minimumHold: Duration, maximumRun: Duration? = nil, timing: Guardian.Timing) {
            self.minimumHold = minimumHold
            self.maximumRun = maximumRun
            self.timing = timing
        }
    }

    enum Phase: Sendable, Hashable {
        case campaigning
        /// The hooks for the election run; the command comes after them.
        case preparing(Grant)
        case running(Grant)
        /// The command is being ended, for this reason.
        case ending(Grant, String)
        /// The command has ended; the lease is held until the minimum time is over.
        case keeping(Grant, CommandStatus, until: BootInstant)
        /// The hooks for the end of the term run.
        case concluding(Grant, Outcome)
        /// The lease is being released.
        case releasing(Outcome)
        case done
    }

    let configuration: Configuration
    private(set) var phase: Phase = .campaigning
    private var electedAt = BootInstant(nanoseconds: 0)
    private var deadline = BootInstant.distantFuture
    /// The last failed renewal since the last successful one.
    private var lastFailure: CoordinationError?
    private var timing: Guardian.Timing
    /// Whether the session no longer holds a lease, so that there is nothing to release.
    private var leaseIsOver = false
    private var status: CommandStatus?
    /// Time at which the command has run for as long as is allowed; nil if it has no limit, does not run yet, or that time has passed.
    private var runUntil: BootInstant?
    /// Whether the command is ended because it ran too long.
    private var hasOverrun = false
    /// Whether the lease is held for the minimum time after a command that ran too long has ended: not after a request to step down.
    private var keepsMinimum = true
    /// The outcome to report once the campaign, which is being called off, has ended.
    private var pendingOutcome: Outcome?
    /// Number of batches of hooks that were requested and have not ended; they run one after another.
    private var hooksOut = 0
    private var orders = Orders()
    /// Whether the user has asked the command to end, by SIGTERM or SIGINT.
    private var isAskedToEnd = false
    /// The moment at which work had to end, after which a renewal came, and the number of the order that tells the guardian so. Until the guardian has taken it, it
    /// can end the command.
    private var late: (workEnds: BootInstant, order: UInt64)?
    private var command: Int32?
    /// A process that cannot be killed.
    private var survivor: Int32?
    /// Time at which SIGKILL is due, after this process itself has sent SIGTERM to everything.
    private var killAt: BootInstant?
    /// Time of the next check for live processes while the guardian is silent.
    private var lookAt: BootInstant?
    private var emptyLooks = 0
    /// State of ending everything by force; nil until that begins.
    private var force: Force?
    /// Time that the timer is set to.
    private var alarm: BootInstant?

    private struct Force: Sendable {
        var rounds = 0
        var emptyRounds = 0
        var next: BootInstant?
    }

    public init(_ configuration: Configuration) {
        self.configuration = configuration
        timing = configuration.timing
    }

    /// A term that is held.
    public struct Holding: Sendable, Hashable {
        public var grant: Grant
        /// The moment at which the guardian sends SIGTERM, unless the lease is renewed before; nil once the command has been asked to end, is being ended or has
        /// ended.
        public var workEnds: BootInstant?
    }

    /// The term that is held; nil before it begins, and as soon as the lease is over or is being released.
    public var holding: Holding? {
        switch phase {
        case .preparing(let grant): Holding(grant: grant.extended(to: deadline), workEnds: softEnd)
        case .running(let grant):
            Holding(grant: grant.extended(to: deadline), workEnds: isAskedToEnd ? nil : late?.workEnds ?? softEnd)
        case .ending(let grant, _), .keeping(let grant, _, _), .concluding(let grant, _):
            leaseIsOver ? nil : Holding(grant: grant.extended(to: deadline), workEnds: nil)
        case .campaigning, .releasing, .done: nil
        }
    }

    /// The moment at which the guardian sends SIGTERM.
    private var softEnd: BootInstant { deadline - timing.margin - timing.grace }

    public mutating func handle(_ event: Event, at now: BootInstant) -> [Action] {
        let actions: [Action]
        switch event {
        case .lease(let event): actions = lease(event, at: now)
        case .leaseEnded(let outcome): actions = leaseEnded(outcome)
        case .hooksRan: actions = hooksRan(at: now)
        case .guardian(let report): actions = guardian(report, at: now)
        case .guardianEnded: actions = guardianEnded()
        case .signal(let number): actions = signal(number, at: now)
        case .forced(let round): actions = forced(round, at: now)
        case .looked(let round): actions = looked(round)
        case .frontEnded: actions = frontEnded(at: now)
        case .timer:
            alarm = nil
            actions = timer(at: now)
        }
        let all = actions + leaveIfOver()
        guard let next = nextMoment, next != alarm else { return all }
        alarm = next
        return all + [.timer(next)]
    }

    // MARK: The lease

    private mutating func lease(_ event: SessionEvent, at now: BootInstant) -> [Action] {
        switch event {
        // Elected while stopping: the lease is already being released, and nothing must begin under it.
        case .elected where pendingOutcome != nil: return []
        case .elected(let grant):
            electedAt = now
            lastFailure = nil
            deadline = grant.deadline
            timing = configuration.timing.fitting(grant.ttl)
            phase = .preparing(grant)
            hooksOut += 1
            return [.hooks(.elected, grant)]
        case .extended(let grant):
            lastFailure = nil
            let end = softEnd
            deadline = grant.deadline
            switch phase {
            case .preparing:
                phase = .preparing(grant)
                // The hooks had ended when too little time was left to begin.
                if hooksOut == 0 { return begin(grant, at: now) }
            case .running: phase = .running(grant)
            default: break
            }
            let actions = order(.extend, at: now)
            if late == nil, now >= end, case .extend(_, let number)? = actions.first { late = (end, number) }
            return actions
        case .waiting, .outage, .outageOver, .releaseFailed, .notWithdrawn: return [.message(.lease(event))]
        case .retrying(let error, _):
            lastFailure = error
            return [.message(.lease(event))]
        case .stepDownAsked(let by):
            return endCommand("asked to step down by \(Printable.text(by))", softly: true, .steppingDown(by: by), at: now)
        case .lost(_, let reason):
            leaseIsOver = true
            return endCommand(reason.description, softly: false, nil, at: now)
        case .released: return []
        }
    }

    private mutating func endCommand(_ reason: String, softly: Bool, _ message: Message?, at now: BootInstant) -> [Action] {
        let said: [Action] = message.map { [.message($0)] } ?? []
        switch phase {
        case .preparing(let grant): return said + [.endHooks] + conclude(grant, .lost(reason))
        case .running(let grant):
            phase = .ending(grant, reason)
            return said + order(softly ? .terminate : .kill, at: now)
        case .ending(let grant, let earlier):
            if softly {
                keepsMinimum = false
                return []
            }
            phase = .ending(grant, hasOverrun ? reason : earlier)
            return order(.kill, at: now)
        // The command ended while the lease was held, so its result counts.
        case .keeping(let grant, let status, _): return said + conclude(grant, result(of: status))
        case .campaigning, .concluding, .releasing, .done: return []
        }
    }

    private mutating func leaseEnded(_ outcome: SessionOutcome) -> [Action] {
        leaseIsOver = true
        switch (phase, outcome) {
        case (.releasing(let result), _): return exit(result)
        case (.campaigning, .refused(let state)): return exit(.refused(state))
        case (.campaigning, .timedOut(let state)): return exit(.timedOut(state))
        case (.campaigning, .timedOutInOutage(let error)): return exit(pendingOutcome ?? .timedOutInOutage(error))
        case (.campaigning, .failed(let error)): return exit(pendingOutcome ?? .failed(error))
        case (.campaigning, _): return exit(pendingOutcome ?? .lost("stopped"))
        // `.lost` has reported the end of the lease; the command is being ended.
        case (_, _): return []
        }
    }

    private mutating func exit(_ outcome: Outcome) -> [Action] {
        phase = .done
        return [.exit(outcome)]
    }

    // MARK: The command

    private mutating func hooksRan(at now: BootInstant) -> [Action] {
        hooksOut -= 1
        if hooksOut > 0 { return [] }
        switch phase {
        case .preparing(let grant):
            return begin(grant, at: now)
        case .concluding(_, let outcome):
            if leaseIsOver { return exit(outcome) }
            phase = .releasing(outcome)
            return [.stopLease]
        default: return []
        }
    }

    /// Starts the command, if there is time to run under this lease.
    private mutating func begin(_ grant: Grant, at now: BootInstant) -> [Action] {
        guard now < deadline - timing.margin else { return [] }
        phase = .running(grant)
        return order(.run, at: now)
    }

    private mutating func guardian(_ report: Guardian.Report, at now: BootInstant) -> [Action] {
        switch report {
        case .started(let pid):
            command = pid
            if case .running = phase { runUntil = configuration.maximumRun.map { now + $0 } }
            return [.commandRuns(pid)]
        case .stopped(let number): return [.commandStopped(number)]
        case .survivor(let pid): return survives(pid)
        case .obeyed(let number):
            orders.taken(number)
            if let late, number >= late.order { self.late = nil }
            return []
        case .clockJumped(let jump): return leaseIsOver ? [] : [.message(.clockJumped(jump)), .renewNow]
        case .notRun(let code):
            guard case .running(let grant) = phase else { return gone(leftBehind: 0, at: now) }
            return conclude(grant, .commandNotRun(code))
        case .exited(let status):
            self.status = status
            return []
        case .deadline(let number):
            guard case .running(let grant) = phase else { return [] }
            phase = .ending(grant, LossReason.expired(lastFailure).description)
            return [.message(.notRenewed(signal: number))]
        case .gone(let count): return gone(leftBehind: count, at: now)
        }
    }

    private mutating func gone(leftBehind: Int, at now: BootInstant) -> [Action] {
        let said: [Action] = leftBehind > 0 ? [.message(.leftBehind(leftBehind))] : []
        orders.forget()
        killAt = nil
        force = nil
        survivor = nil
        switch phase {
        case .running(let grant):
            return said + settle(grant, at: now)
        // Ended in time, and the lease is still held.
        case .ending(let grant, _) where hasOverrun && !leaseIsOver: return said + settle(grant, at: now)
        case .ending(let grant, let reason): return conclude(grant, .lost(reason))
        default: return said
        }
    }

    /// The command and all that it started have ended while the lease is held.
    private mutating func settle(_ grant: Grant, at now: BootInstant) -> [Action] {
        let ended = status ?? .died(signal: SIGKILL)
        let until = electedAt + configuration.minimumHold
        guard now < until, keepsMinimum else { return conclude(grant, result(of: ended)) }
        phase = .keeping(grant, ended, until: until)
        return [.message(.holding(until: until))]
    }

    private func result(of status: CommandStatus) -> Outcome { hasOverrun ? .ranTooLong : .commandEnded(status) }

    private mutating func overrun(_ grant: Grant, _ limit: Duration, at now: BootInstant) -> [Action] {
        hasOverrun = true
        phase = .ending(grant, "it ran too long")
        return [.message(.ranTooLong(limit))] + order(.terminate, at: now)
    }

    private mutating func survives(_ pid: Int32) -> [Action] {
        guard survivor != pid else { return [] }
        survivor = pid
        return [.message(.survivor(pid))]
    }

    private mutating func conclude(_ grant: Grant, _ outcome: Outcome) -> [Action] {
        phase = .concluding(grant, outcome)
        hooksOut += 1
        return [.hooks(leaseIsOver ? .lost : .released, grant)]
    }

    // MARK: The guardian

    private mutating func order(_ order: Orders.Order, at now: BootInstant) -> [Action] {
        guard force == nil, let sent = orders.send(order, at: now) else { return [] }
        switch (order, phase) {
        case (.run, .running(let grant)): return [.run(grant, sent.number)]
        // Also while the last hooks run: the guardian keeps the liveness lock only as long as it knows the lease to last.
        case (.extend, .running(let grant)), (.extend, .ending(let grant, _)), (.extend, .keeping(let grant, _, _)),
            (.extend, .concluding(let grant, _)):
            return [.extend(grant.extended(to: deadline), sent.number)]
        case (.run, _), (.extend, _): return []
        case (.pass(let signal), _): return [.pass(signal, sent.number, validUntil: sent.due - Orders.patience / 4)]
        case (.terminate, _): return [.terminate(sent.number)]
        case (.kill, _): return [.kill(sent.number)]
        }
    }

    /// Carries out an order that the guardian did not take in time.
    private mutating func carryOut(_ order: Orders.Order, at now: BootInstant) -> [Action] {
        switch (order, phase) {
        case (.run, .running(let grant)):
            phase = .ending(grant, "its guardian does not answer")
            return [.message(.guardianSilent)] + forceEnd()
        case (.extend, .running), (.extend, .ending): return lookBelow(at: now)
        case (.pass(let signal), .running), (.pass(let signal), .ending):
            return (command.map { [.passByForce(signal, to: $0)] } ?? []) + lookBelow(at: now)
        case (.terminate, .ending):
            killAt = now + configuration.timing.grace
            return [.message(.guardianSilent), .terminateByForce] + lookBelow(at: now)
        case (.kill, .ending): return [.message(.guardianSilent)] + forceEnd()
        default: return []
        }
    }

    private mutating func forceEnd() -> [Action] {
        guard force == nil else { return [] }
        force = Force()
        orders.forget()
        killAt = nil
        lookAt = nil
        return [.endByForce]
    }

    /// Pause between two checks for live processes: a silent guardian does not report the command's end either.
    private static let betweenLooks = Duration.milliseconds(250)

    private mutating func lookBelow(at now: BootInstant) -> [Action] {
        guard orders.isSilent, command != nil else { return [] }
        lookAt = now + Self.betweenLooks
        return [.look]
    }

    private mutating func looked(_ round: Guardian.Round) -> [Action] {
        guard orders.isSilent, force == nil else { return [] }
        switch phase {
        case .running, .ending: break
        default: return []
        }
        emptyLooks = round.living == 0 ? emptyLooks + 1 : 0
        // The command has ended, and its guardian cannot report it.
        return emptyLooks >= 2 ? forceEnd() : []
    }

    private static let roundsForGuardian = 50
    /// After this many rounds, the remaining processes hang in the kernel or cannot be killed by this user.
    private static let quickRounds = 200

    private mutating func forced(_ round: Guardian.Round, at now: BootInstant) -> [Action] {
        guard var force else { return [] }
        force.rounds += 1
        if let status = round.status { self.status = self.status ?? status }
        force.emptyRounds = round.living == 0 ? force.emptyRounds + 1 : 0
        // The command's status is unknown until the killed guardian is dead, which is not waited for forever.
        if round.isOver || (force.emptyRounds >= 2 && force.rounds >= Self.roundsForGuardian) { return gone(leftBehind: 0, at: now) }
        force.next = now + (force.rounds < Self.quickRounds ? .milliseconds(2) : .milliseconds(100))
        self.force = force
        return (round.denied ?? (force.rounds > Self.quickRounds ? round.first : nil)).map { survives($0) } ?? []
    }

    private mutating func guardianEnded() -> [Action] {
        // This process has killed the guardian.
        if force != nil { return [] }
        switch phase {
        case .campaigning:
            guard pendingOutcome == nil else { return [] }
            pendingOutcome = .failed(
                CoordinationError(
                    .unavailable, "cannot guard the command", because: "its guardian was killed",
                    hint: "find out what killed it, and try again"))
            return [.stopLease]
        case .preparing(let grant): return [.endHooks] + conclude(grant, .lost("its guardian was killed"))
        case .running(let grant):
            phase = .ending(grant, "its guardian was killed")
            return [.message(.guardianKilled)] + forceEnd()
        case .ending: return forceEnd()
        default: return []
        }
    }

    // MARK: The operator

    private mutating func signal(_ number: Int32, at now: BootInstant) -> [Action] {
        let ends = [SIGINT, SIGTERM, SIGHUP, SIGQUIT].contains(number)
        switch phase {
        // Only a process that cannot be killed is left to receive the signal: leave the lease as it is.
        case .running where ends && survivor != nil, .ending where ends && survivor != nil: return leave(survivor ?? 0)
        case .running, .ending:
            // After SIGHUP a program often reads its configuration again, and goes on.
            if number == SIGTERM || number == SIGINT { isAskedToEnd = true }
            return order(.pass(number), at: now)
        case .campaigning where ends:
            pendingOutcome = pendingOutcome ?? .signalled(number)
            return [.stopLease]
        case .preparing(let grant) where ends: return [.endHooks] + conclude(grant, .signalled(number))
        case .concluding where ends: return [.endHook]
        // The lease is left to expire: the user asked for it to be held this long.
        case .keeping where ends: return exit(.signalled(number))
        default: return []
        }
    }

    /// Leaves a process that cannot be killed if the lease is over: nothing would be gained by waiting for it.
    private mutating func leaveIfOver() -> [Action] {
        guard leaseIsOver, let survivor, force.map({ $0.rounds >= Self.quickRounds }) ?? true else { return [] }
        switch phase {
        case .running, .ending: return leave(survivor)
        default: return []
        }
    }

    private mutating func leave(_ pid: Int32) -> [Action] {
        let reason = if case .ending(_, let reason) = phase { reason } else { "stopped" }
        return [.message(.leftAlive(pid))] + exit(.lost(reason))
    }

    private mutating func frontEnded(at now: BootInstant) -> [Action] {
        guard phase == .campaigning else { return endCommand("qq was killed", softly: false, nil, at: now) }
        pendingOutcome = pendingOutcome ?? .signalled(SIGKILL)
        return [.stopLease]
    }

    // MARK: Time

    /// Time at which this process ends everything, whatever the guardian does: half-way between the guardian's SIGKILL and the end of the
    /// lease.
    private var watchdogMoment: BootInstant { deadline - timing.margin / 2 }

    /// Time of the next check of the clock; nil if nothing is due.
    private var nextMoment: BootInstant? {
        switch phase {
        case .keeping(_, _, let until): return until
        case .preparing: return watchdogMoment
        case .running, .ending:
            if let force { return force.next }
            return [orders.due, killAt, lookAt, runUntil, watchdogMoment].compactMap { $0 }.min()
        default: return nil
        }
    }

    private mutating func timer(at now: BootInstant) -> [Action] {
        switch phase {
        case .keeping(let grant, let status, let until): return now >= until ? conclude(grant, result(of: status)) : []
        case .preparing(let grant) where now >= watchdogMoment:
            return [.endHooks] + conclude(grant, .lost(LossReason.expired(lastFailure).description))
        case .running, .ending: return look(at: now)
        default: return []
        }
    }

    private mutating func look(at now: BootInstant) -> [Action] {
        if let next = force?.next, now >= next {
            force?.next = nil
            return [.endByForce]
        }
        guard force == nil else { return [] }
        if now >= watchdogMoment {
            if case .running(let grant) = phase { phase = .ending(grant, LossReason.expired(lastFailure).description) }
            return forceEnd()
        }
        var actions: [Action] = []
        if let end = runUntil, let limit = configuration.maximumRun, now >= end {
            // Also if the command is being ended for another reason: a moment that has passed must not stay the next one.
            runUntil = nil
            if case .running(let grant) = phase { actions += overrun(grant, limit, at: now) }
        }
        for order in orders.takeLate(at: now) { actions += carryOut(order, at: now) }
        if let killAt, now >= killAt { actions += forceEnd() }
        if let lookAt, now >= lookAt {
            self.lookAt = nil
            actions += lookBelow(at: now)
        }
        return actions
    }
}
