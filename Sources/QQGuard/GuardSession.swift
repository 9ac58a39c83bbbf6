import Glibc
import QQCore

/// A guarded command from campaign to exit, as a pure state machine: what the lease session, the guardian and the operator's signals say goes in, what
/// to do comes out.
public struct GuardSession: Sendable {
    public struct Configuration: Sendable, Hashable {
        /// The lease is kept at least this long, counted from when the term began.
        public var minimumHold: Duration
        public var timing: Guardian.Timing

        public init(minimumHold: Duration, timing: Guardian.Timing) {
            self.minimumHold = minimumHold
            self.timing = timing
        }
    }

    public enum Event: Sendable {
        case lease(SessionEvent)
        case leaseEnded(SessionOutcome)
        /// The hooks for the last `.hooks` action are through.
        case hooksRan
        case guardian(Guardian.Report)
        /// The guardian is gone and did not say that everything below it is.
        case guardianEnded
        case signal(Int32)
        /// The process on the terminal was killed.
        case frontEnded
        case timer
    }

    public enum Action: Sendable, Hashable {
        case hooks(HookEvent, Grant)
        case run(Grant)
        case extend(Grant)
        case pass(Int32)
        case terminate
        case kill
        /// End the guardian and everything below us ourselves.
        case endByForce
        /// Give the lease up, or stop campaigning.
        case stopLease
        case commandRuns(Int32)
        case commandStopped(Int32)
        case message(Message)
        case timer(BootInstant)
        case exit(Outcome)
    }

    /// What a person is told.
    public enum Message: Sendable, Hashable {
        case waiting(ElectionState)
        case retrying(CoordinationError, after: Duration)
        case leftBehind(Int)
        case survivor(Int32)
        case steppingDown(by: String)
        case notRenewed(signal: Int32)
        case guardianKilled
        case releaseFailed(CoordinationError)
        case notWithdrawn(CoordinationError)
        case holding(until: BootInstant)
    }

    public enum Outcome: Sendable, Hashable {
        case refused(ElectionState)
        case timedOut(ElectionState?)
        case failed(CoordinationError)
        case commandEnded(CommandStatus)
        /// errno of execve(2).
        case commandNotRun(Int32)
        /// The command was ended because leadership was.
        case lost(String)
        /// A signal came while there was no command.
        case signalled(Int32)
    }

    enum Phase: Sendable, Hashable {
        case campaigning
        /// The hooks for the election run; the command comes after them.
        case preparing(Grant)
        case running(Grant)
        /// The command is being ended, for this reason.
        case ending(Grant, String)
        /// The command has ended; the lease is held a little longer.
        case keeping(Grant, CommandStatus, until: BootInstant)
        /// The hooks for the end of the term run.
        case concluding(Grant, Outcome)
        /// The lease is being given up.
        case releasing(Outcome)
        case done
    }

    let configuration: Configuration
    private(set) var phase: Phase = .campaigning
    private var electedAt = BootInstant(nanoseconds: 0)
    private var deadline = BootInstant.distantFuture
    private var timing: Guardian.Timing
    /// Whether the session holds no lease any more, so that there is nothing to give up.
    private var leaseIsOver = false
    private var status: CommandStatus?
    private var pendingSignal: Int32?
    /// Batches of hooks that have been started and are not through; they run one after the other.
    private var hooksOut = 0

    public init(_ configuration: Configuration) {
        self.configuration = configuration
        timing = configuration.timing
    }

    public mutating func handle(_ event: Event, at now: BootInstant) -> [Action] {
        switch event {
        case .lease(let event): return lease(event, at: now)
        case .leaseEnded(let outcome): return leaseEnded(outcome)
        case .hooksRan: return hooksRan(at: now)
        case .guardian(let report): return guardian(report, at: now)
        case .guardianEnded: return guardianEnded(at: now)
        case .signal(let number): return signal(number)
        case .frontEnded: return frontEnded()
        case .timer: return timer(at: now)
        }
    }

    // MARK: The lease

    private mutating func lease(_ event: SessionEvent, at now: BootInstant) -> [Action] {
        switch event {
        // Elected while being stopped: the lease is on its way back already, and nothing may begin under it.
        case .elected where pendingSignal != nil: return []
        case .elected(let grant):
            electedAt = now
            deadline = grant.deadline
            timing = configuration.timing.fitting(grant.ttl)
            phase = .preparing(grant)
            hooksOut += 1
            return [.hooks(.elected, grant), .timer(watchdogMoment)]
        case .extended(let grant):
            deadline = grant.deadline
            switch phase {
            case .preparing: phase = .preparing(grant)
            case .running: phase = .running(grant)
            default: break
            }
            return [.extend(grant), .timer(nextMoment)]
        case .waiting(let state): return [.message(.waiting(state))]
        case .retrying(let error, let pause): return [.message(.retrying(error, after: pause))]
        case .stepDownAsked(let by): return endCommand("asked to step down by \(Printable.text(by))", softly: true, .steppingDown(by: by))
        case .lost(_, let reason):
            leaseIsOver = true
            return endCommand(reason.description, softly: false, nil)
        case .released: return []
        case .releaseFailed(_, let error): return [.message(.releaseFailed(error))]
        case .notWithdrawn(let error): return [.message(.notWithdrawn(error))]
        }
    }

    private mutating func endCommand(_ reason: String, softly: Bool, _ message: Message?) -> [Action] {
        let said: [Action] = message.map { [.message($0)] } ?? []
        switch phase {
        case .preparing(let grant): return said + conclude(grant, .lost(reason))
        case .running(let grant):
            phase = .ending(grant, reason)
            return said + [softly ? .terminate : .kill]
        case .ending: return softly ? [] : [.kill]
        // The command had ended while the lease was ours: what it did stands.
        case .keeping(let grant, let status, _): return said + conclude(grant, .commandEnded(status))
        case .campaigning, .concluding, .releasing, .done: return []
        }
    }

    private mutating func leaseEnded(_ outcome: SessionOutcome) -> [Action] {
        leaseIsOver = true
        switch (phase, outcome) {
        case (.releasing(let result), _): return exit(result)
        case (.campaigning, .refused(let state)): return exit(.refused(state))
        case (.campaigning, .timedOut(let state)): return exit(.timedOut(state))
        case (.campaigning, .failed(let error)): return exit(.failed(error))
        case (.campaigning, _): return exit(pendingSignal.map { .signalled($0) } ?? .lost("stopped"))
        // Its end has been told by `.lost`; the command is being ended.
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
            guard now < deadline - timing.margin else { return [] }
            phase = .running(grant)
            return [.run(grant)]
        case .concluding(_, let outcome):
            if leaseIsOver { return exit(outcome) }
            phase = .releasing(outcome)
            return [.stopLease]
        default: return []
        }
    }

    private mutating func guardian(_ report: Guardian.Report, at now: BootInstant) -> [Action] {
        switch report {
        case .started(let pid): return [.commandRuns(pid)]
        case .stopped(let number): return [.commandStopped(number)]
        case .survivor(let pid): return [.message(.survivor(pid))]
        case .notRun(let code):
            guard case .running(let grant) = phase else { return gone(leftBehind: 0, at: now) }
            return conclude(grant, .commandNotRun(code))
        case .exited(let status):
            self.status = status
            return []
        case .deadline(let number):
            guard case .running(let grant) = phase else { return [] }
            phase = .ending(grant, LossReason.expired(nil).description)
            return [.message(.notRenewed(signal: number))]
        case .gone(let count): return gone(leftBehind: count, at: now)
        }
    }

    private mutating func gone(leftBehind: Int, at now: BootInstant) -> [Action] {
        let said: [Action] = leftBehind > 0 ? [.message(.leftBehind(leftBehind))] : []
        switch phase {
        case .running(let grant):
            let ended = status ?? .died(signal: SIGKILL)
            let until = electedAt + configuration.minimumHold
            if now < until {
                phase = .keeping(grant, ended, until: until)
                return said + [.message(.holding(until: until)), .timer(nextMoment)]
            }
            return said + conclude(grant, .commandEnded(ended))
        case .ending(let grant, let reason): return conclude(grant, .lost(reason))
        default: return said
        }
    }

    private mutating func conclude(_ grant: Grant, _ outcome: Outcome) -> [Action] {
        phase = .concluding(grant, outcome)
        hooksOut += 1
        return [.hooks(leaseIsOver ? .lost : .released, grant)]
    }

    private mutating func guardianEnded(at now: BootInstant) -> [Action] {
        switch phase {
        case .running(let grant):
            phase = .ending(grant, "the guardian was killed")
            return [.message(.guardianKilled), .endByForce] + gone(leftBehind: 0, at: now)
        case .ending: return [.endByForce] + gone(leftBehind: 0, at: now)
        default: return []
        }
    }

    // MARK: The operator

    private mutating func signal(_ number: Int32) -> [Action] {
        let ends = [SIGINT, SIGTERM, SIGHUP, SIGQUIT].contains(number)
        switch phase {
        case .running, .ending: return [.pass(number)]
        case .campaigning where ends:
            pendingSignal = pendingSignal ?? number
            return [.stopLease]
        case .preparing(let grant) where ends: return conclude(grant, .signalled(number))
        // The lease is left to end by itself: that it is held so long is what was asked for.
        case .keeping where ends: return exit(.signalled(number))
        default: return []
        }
    }

    private mutating func frontEnded() -> [Action] {
        guard phase == .campaigning else { return endCommand("qq was killed", softly: false, nil) }
        pendingSignal = SIGKILL
        return [.stopLease]
    }

    // MARK: Time

    /// When everything must be dead whatever the guardian does: half-way between its own SIGKILL and the end of the lease.
    private var watchdogMoment: BootInstant { deadline - timing.margin / 2 }

    private var nextMoment: BootInstant {
        if case .keeping(_, _, let until) = phase { return until }
        return watchdogMoment
    }

    private mutating func timer(at now: BootInstant) -> [Action] {
        switch phase {
        case .keeping(let grant, let status, let until):
            return now >= until ? conclude(grant, .commandEnded(status)) : [.timer(until)]
        case .running(let grant) where now >= watchdogMoment:
            phase = .ending(grant, LossReason.expired(nil).description)
            return [.endByForce] + gone(leftBehind: 0, at: now)
        case .ending where now >= watchdogMoment: return [.endByForce] + gone(leftBehind: 0, at: now)
        case .preparing(let grant) where now >= watchdogMoment: return conclude(grant, .lost(LossReason.expired(nil).description))
        case .running, .ending, .preparing: return [.timer(watchdogMoment)]
        default: return []
        }
    }
}
