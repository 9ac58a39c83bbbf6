import Glibc
import QQCore
import Testing

@testable import QQGuard

/// A guarded run, fed by hand.
struct Run {
    var session: GuardSession
    let grant: Grant
    var now = BootInstant(nanoseconds: 1_000_000_000_000)
    let start: BootInstant

    init(minimumHold: Duration = .zero, maximumRun: Duration? = nil) {
        let ttl = Duration.seconds(10)
        session = GuardSession(.init(minimumHold: minimumHold, maximumRun: maximumRun, timing: .init(ttl: ttl, grace: .seconds(3))))
        start = now
        grant = Grant(
            name: "backup", identity: "me", token: FencingToken(7), ttl: ttl, deadline: now + ttl, acquiredAt: WallTime(seconds: 0),
            expiresAt: WallTime(seconds: 10))
    }

    /// Time at which the session wants to be called back.
    private(set) var alarm: BootInstant?

    /// The actions, without the timer.
    mutating func feed(_ event: GuardSession.Event) -> [GuardSession.Action] {
        session.handle(event, at: now).filter { action in
            guard case .timer(let instant) = action else { return true }
            alarm = instant
            return false
        }
    }

    /// Time at which qq itself ends everything.
    var watchdog: BootInstant { grant.deadline - session.configuration.timing.margin / 2 }

    /// Feeds the events up to the running command.
    mutating func run() {
        _ = feed(.lease(.elected(grant)))
        _ = feed(.hooksRan)
        _ = feed(.guardian(.obeyed(1)))
        _ = feed(.guardian(.started(42)))
    }

    /// Ends the command with `status` and nothing left behind.
    mutating func end(_ status: CommandStatus) -> [GuardSession.Action] {
        _ = feed(.guardian(.exited(status)))
        return feed(.guardian(.gone(leftBehind: 0)))
    }
}

@Suite("A guarded run")
struct GuardSessionTests {
    static let someState = ElectionState(name: "backup", phase: .held)

    @Test("a command that runs too long is ended softly, its lease is released, and the outcome says so")
    func ranTooLong() {
        var run = Run(maximumRun: .seconds(4))
        run.run()
        let end = run.now + .seconds(4)
        #expect(run.alarm.map { $0 <= end } ?? false)
        run.now = end + .milliseconds(-1)
        #expect(!run.feed(.timer).contains(.message(.ranTooLong(.seconds(4)))))
        run.now = end
        let actions = run.feed(.timer)
        #expect(actions.first == .message(.ranTooLong(.seconds(4))))
        #expect(actions.contains { if case .terminate = $0 { true } else { false } })
        #expect(run.end(.died(signal: SIGTERM)) == [.hooks(.released, run.grant)])
        #expect(run.feed(.hooksRan) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.ranTooLong)])
    }

    @Test("a lease that is lost while a command is ended for running too long counts as lost") func lostAfterOverrun() {
        var run = Run(maximumRun: .seconds(4))
        run.run()
        run.now = run.now + .seconds(4)
        _ = run.feed(.timer)
        _ = run.feed(.lease(.lost(run.grant, .removed)))
        #expect(run.end(.died(signal: SIGKILL)) == [.hooks(.lost, run.grant)])
        #expect(run.feed(.hooksRan) == [.exit(.lost(LossReason.removed.description))])
    }

    @Test("a command that is being ended for another reason can outlast its time, and nothing is due at a moment that has passed")
    func outlastsWhileEnding() {
        var run = Run(maximumRun: .seconds(4))
        run.run()
        run.now = run.now + .seconds(2)
        _ = run.feed(.lease(.stepDownAsked(by: "other")))
        run.now = run.now + .seconds(2)
        for _ in 0..<3 { #expect(!run.feed(.timer).contains(.message(.ranTooLong(.seconds(4))))) }
        #expect(run.alarm.map { $0 > run.now } ?? false)
        _ = run.end(.died(signal: SIGTERM))
        _ = run.feed(.hooksRan)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("asked to step down by other"))])
    }

    @Test("a holder that is asked to step down while its command is ended for running too long does not hold the lease longer")
    func stepsDownAfterOverrun() {
        var run = Run(minimumHold: .seconds(60), maximumRun: .seconds(4))
        run.run()
        run.now = run.now + .seconds(4)
        _ = run.feed(.timer)
        _ = run.feed(.lease(.stepDownAsked(by: "other")))
        #expect(run.end(.died(signal: SIGTERM)) == [.hooks(.released, run.grant)])
    }

    @Test("a guarded run runs the hooks and the command, releases the lease, and exits as the command did")
    func wholeRun() {
        var run = Run()
        #expect(run.feed(.lease(.elected(run.grant))) == [.hooks(.elected, run.grant)])
        #expect(run.feed(.hooksRan) == [.run(run.grant, 1)])
        #expect(run.feed(.guardian(.started(42))) == [.commandRuns(42)])
        #expect(run.feed(.guardian(.exited(.exited(3)))).isEmpty)
        #expect(run.feed(.guardian(.gone(leftBehind: 0))) == [.hooks(.released, run.grant)])
        #expect(run.feed(.hooksRan) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.commandEnded(.exited(3)))])
    }

    @Test("nothing begins if the run is elected at the moment it is told to end", arguments: [SIGTERM, SIGINT, SIGHUP, SIGKILL])
    func electedWhileStopping(_ signal: Int32) {
        var run = Run()
        #expect(run.feed(signal == SIGKILL ? .frontEnded : .signal(signal)) == [.stopLease])
        #expect(run.feed(.lease(.elected(run.grant))).isEmpty)
        #expect(run.feed(.timer).isEmpty)
        #expect(run.feed(.lease(.released(run.grant))).isEmpty)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.signalled(signal))])
    }

    @Test("the lease is released only after every process has ended")
    func goneBeforeRelease() {
        var run = Run()
        run.run()
        #expect(run.feed(.guardian(.exited(.exited(0)))).isEmpty)
        #expect(run.feed(.timer).isEmpty)
        #expect(run.alarm == run.watchdog)
        #expect(run.feed(.guardian(.gone(leftBehind: 2))) == [.message(.leftBehind(2)), .hooks(.released, run.grant)])
    }

    @Test("the command is killed immediately when the lease is lost, and the exit reports the loss whatever the command returned")
    func loss() {
        var run = Run()
        run.run()
        #expect(run.feed(.lease(.lost(run.grant, .takenOver(by: "other")))) == [.kill(2)])
        #expect(run.feed(.leaseEnded(.lost(.takenOver(by: "other")))).isEmpty)
        #expect(run.end(.exited(0)) == [.hooks(.lost, run.grant)])
        #expect(run.feed(.hooksRan) == [.exit(.lost("taken over by other"))])
    }

    @Test("the command never runs if the lease is lost while the hooks run")
    func lossDuringHooks() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        #expect(run.feed(.lease(.lost(run.grant, .removed))) == [.endHooks, .hooks(.lost, run.grant)])
        #expect(run.feed(.hooksRan).isEmpty, "the hooks of the election have ended; those of the loss have not")
        #expect(run.feed(.hooksRan) == [.exit(.lost("the lease was removed"))])
    }

    @Test("the command never runs if the hooks take until the guardian would kill it")
    func hooksTooLong() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        run.now = run.grant.deadline - .milliseconds(100)
        #expect(run.feed(.hooksRan).isEmpty)
        run.now = run.grant.deadline
        #expect(run.feed(.timer) == [.endHooks, .hooks(.released, run.grant)])
    }

    @Test("each renewal moves the guardian's deadline")
    func extended() {
        var run = Run()
        run.run()
        var later = run.grant
        later.deadline = run.grant.deadline + .seconds(5)
        #expect(run.feed(.lease(.extended(later))) == [.extend(later, 2)])
        #expect(run.feed(.guardian(.obeyed(2))).isEmpty)
        #expect(run.alarm == later.deadline - run.session.configuration.timing.margin / 2)
        run.now = run.grant.deadline
        #expect(run.feed(.timer).isEmpty, "the old deadline does not count any more")
    }

    @Test("qq ends everything shortly before the lease ends if the guardian has not")
    func watchdog() throws {
        var run = Run()
        run.run()
        run.now = run.watchdog
        #expect(run.feed(.timer) == [.endByForce])
        #expect(run.feed(.forced(.init(living: 3))).isEmpty)
        run.now = try #require(run.alarm)
        #expect(run.feed(.timer) == [.endByForce])
        #expect(run.feed(.forced(.init(living: 0, isOver: true))) == [.hooks(.released, run.grant)])
        _ = run.feed(.hooksRan)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("not renewed in time"))])
    }

    @Test("qq ends everything when the guardian is killed")
    func guardianKilled() {
        var run = Run()
        run.run()
        #expect(run.feed(.guardianEnded) == [.message(.guardianKilled), .endByForce])
        #expect(run.feed(.forced(.init(living: 0, isOver: true))) == [.hooks(.released, run.grant)])
        #expect(run.feed(.hooksRan) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("its guardian was killed"))])
    }

    @Test("the guardian's end after the command's changes nothing")
    func guardianEndsAfterwards() {
        var run = Run()
        run.run()
        _ = run.end(.exited(0))
        #expect(run.feed(.guardianEnded).isEmpty)
    }

    @Test("a step-down request ends the command softly and then releases the lease")
    func stepDown() {
        var run = Run()
        run.run()
        #expect(run.feed(.lease(.stepDownAsked(by: "ops"))) == [.message(.steppingDown(by: "ops")), .terminate(2)])
        #expect(run.end(.died(signal: SIGTERM)) == [.hooks(.released, run.grant)])
        #expect(run.feed(.hooksRan) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("asked to step down by ops"))])
    }

    @Test("the command is killed immediately if the lease is lost while it is being ended softly")
    func lossWhileStepping() {
        var run = Run()
        run.run()
        _ = run.feed(.lease(.stepDownAsked(by: "ops")))
        #expect(run.feed(.lease(.lost(run.grant, .removed))) == [.kill(3)])
    }

    @Test("the run reports that the lease was not renewed in time when the guardian acts")
    func deadline() {
        var run = Run()
        run.run()
        #expect(run.feed(.guardian(.deadline(SIGTERM))) == [.message(.notRenewed(signal: SIGTERM))])
        #expect(run.feed(.guardian(.deadline(SIGKILL))).isEmpty, "reported once")
        _ = run.end(.died(signal: SIGKILL))
        _ = run.feed(.hooksRan)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("not renewed in time"))])
    }

    @Test("the loss names the error of the last renewal")
    func reason() {
        let error = CoordinationError(.unavailable, "cannot change the lease", because: "it is locked")
        var run = Run()
        run.run()
        _ = run.feed(.lease(.retrying(error, after: .seconds(1))))
        _ = run.feed(.guardian(.deadline(SIGTERM)))
        _ = run.end(.died(signal: SIGTERM))
        _ = run.feed(.hooksRan)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("not renewed in time: cannot change the lease: it is locked"))])
    }

    @Test("the loss names no error from before a successful renewal")
    func overcome() {
        var run = Run()
        run.run()
        _ = run.feed(.lease(.retrying(CoordinationError(.unavailable, "cannot", because: "locked"), after: .seconds(1))))
        _ = run.feed(.lease(.extended(run.grant)))
        _ = run.feed(.guardian(.deadline(SIGTERM)))
        _ = run.end(.died(signal: SIGTERM))
        _ = run.feed(.hooksRan)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("not renewed in time"))])
    }

    @Test("the lease is held for the minimum time after a short command")
    func minimumHold() {
        var run = Run(minimumHold: .seconds(60))
        run.run()
        run.now = run.start + .seconds(2)
        let until = run.start + .seconds(60)
        #expect(run.end(.exited(0)) == [.message(.holding(until: until))])
        #expect(run.alarm == until)
        run.now = run.start + .seconds(5)
        var later = run.grant
        later.deadline = run.now + .seconds(10)
        #expect(run.feed(.lease(.extended(later))) == [.extend(run.grant.extended(to: later.deadline), 2)], "renewed as long as it is held")
        #expect(run.alarm == until)
        run.now = until
        #expect(run.feed(.timer) == [.hooks(.released, run.grant)])
        _ = run.feed(.hooksRan)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.commandEnded(.exited(0)))])
    }

    /// Found by the simulator (`simulate --system files --seed 39`): another contender was granted the election while the hooks ran.
    @Test("the guardian, which keeps the liveness lock, hears of renewals while the last hooks run")
    func renewedWhileHooksRun() {
        var run = Run(minimumHold: .zero)
        run.run()
        #expect(run.end(.exited(0)) == [.hooks(.released, run.grant)])
        run.now = run.start + .seconds(5)
        var later = run.grant
        later.deadline = run.now + .seconds(10)
        #expect(run.feed(.lease(.extended(later))) == [.extend(run.grant.extended(to: later.deadline), 2)])
    }

    @Test("the lease is not held after a command that took longer than the minimum time")
    func minimumHoldIsOver() {
        var run = Run(minimumHold: .seconds(1))
        run.run()
        run.now = run.start + .seconds(2)
        #expect(run.end(.exited(0)) == [.hooks(.released, run.grant)])
    }

    @Test("the command's exit code is kept if the lease is lost after the command")
    func lossAfterwards() {
        var run = Run(minimumHold: .seconds(60))
        run.run()
        _ = run.end(.exited(4))
        #expect(run.feed(.lease(.lost(run.grant, .removed))) == [.hooks(.lost, run.grant)])
        #expect(run.feed(.hooksRan) == [.exit(.commandEnded(.exited(4)))])
    }

    @Test(
        "the lease is left to expire if the run is told to stop while it holds it for the minimum time",
        arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
    func stopWhileKeeping(signal: Int32) {
        var run = Run(minimumHold: .seconds(60))
        run.run()
        _ = run.end(.exited(0))
        #expect(run.feed(.signal(signal)) == [.exit(.signalled(signal))])
    }

    @Test("every signal is passed on to the running command", arguments: GuardedCommand.forwarded)
    func signals(signal: Int32) {
        var run = Run()
        run.run()
        #expect(run.feed(.signal(signal)) == [.pass(signal, 2, validUntil: run.now + .milliseconds(150))])
    }

    @Test("a signal stops the campaign, and the exit is that of a process that died of it", arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
    func signalWhileCampaigning(signal: Int32) {
        var run = Run()
        #expect(run.feed(.signal(signal)) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.signalled(signal))])
    }

    @Test("signals that do not end a process are ignored during the campaign", arguments: [SIGUSR1, SIGWINCH, SIGCONT])
    func otherSignals(signal: Int32) {
        var run = Run()
        #expect(run.feed(.signal(signal)).isEmpty)
    }

    @Test("the lease is released if a signal arrives before the command was started")
    func signalWhilePreparing() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        #expect(run.feed(.signal(SIGTERM)) == [.endHooks, .hooks(.released, run.grant)])
        #expect(run.feed(.hooksRan).isEmpty)
        #expect(run.feed(.hooksRan) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.signalled(SIGTERM))])
    }

    @Test("a command that cannot be run is reported, and the lease is released")
    func notRun() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        _ = run.feed(.hooksRan)
        #expect(run.feed(.guardian(.notRun(ENOENT))) == [.hooks(.released, run.grant)])
        _ = run.feed(.hooksRan)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.commandNotRun(ENOENT))])
    }

    @Test("the command is killed and the lease released when the front process is killed")
    func frontEnded() {
        var run = Run()
        run.run()
        #expect(run.feed(.frontEnded) == [.kill(2)])
        #expect(run.end(.died(signal: SIGKILL)) == [.hooks(.released, run.grant)])
    }

    @Test("the campaign stops when the front process is killed")
    func frontEndedEarly() {
        var run = Run()
        #expect(run.feed(.frontEnded) == [.stopLease])
    }

    @Test("the front process is notified that the command was stopped")
    func stopped() {
        var run = Run()
        run.run()
        #expect(run.feed(.guardian(.stopped(SIGTSTP))) == [.commandStopped(SIGTSTP)])
    }

    @Test("a run whose campaign ends exits as the campaign did")
    func campaignEnds() {
        let error = CoordinationError(.unavailable, "cannot", because: "so")
        for (ended, outcome) in [
            (SessionOutcome.refused(Self.someState), GuardSession.Outcome.refused(Self.someState)),
            (.timedOut(Self.someState), .timedOut(Self.someState)), (.failed(error), .failed(error)),
        ] {
            var run = Run()
            #expect(run.feed(.leaseEnded(ended)) == [.exit(outcome)])
        }
    }

    @Test("there is at least the margin between SIGKILL and the end of the lease, at any TTL", arguments: [0.1, 0.5, 1, 15, 300, 86400])
    func timing(seconds: Double) {
        let timing = Guardian.Timing(ttl: .seconds(seconds), grace: .seconds(seconds / 3))
        #expect(timing.margin >= .milliseconds(20))
        #expect(timing.margin <= .seconds(1))
        #expect(timing.margin + timing.grace < .seconds(seconds))
    }
}

@Suite("A guarded run with a guardian that is stopped or has ended")
struct GuardianFailureTests {
    private func after(_ milliseconds: Int, _ run: inout Run, _ expected: [GuardSession.Action]) {
        run.now = run.now + .milliseconds(milliseconds)
        #expect(run.feed(.timer) == expected)
    }

    @Test("qq itself carries out an order to kill that the guardian has not taken after 200 ms")
    func killNotTaken() {
        var run = Run()
        run.run()
        _ = run.feed(.lease(.lost(run.grant, .removed)))
        #expect(run.alarm == run.now + .milliseconds(200))
        after(200, &run, [.message(.guardianSilent), .endByForce])
    }

    @Test("an order that the guardian has taken is left to it")
    func killTaken() {
        var run = Run()
        run.run()
        _ = run.feed(.lease(.lost(run.grant, .removed)))
        #expect(run.feed(.guardian(.obeyed(2))).isEmpty)
        after(200, &run, [])
    }

    @Test("qq itself sends SIGTERM when asked to step down, and SIGKILL after the grace")
    func terminateNotTaken() {
        var run = Run()
        run.run()
        _ = run.feed(.lease(.stepDownAsked(by: "ops")))
        after(200, &run, [.message(.guardianSilent), .terminateByForce, .look])
        _ = run.feed(.looked(.init(living: 1)))
        after(3000, &run, [.endByForce])
    }

    @Test("qq itself passes a signal on once, however often it arrived in the meantime")
    func signalNotTaken() {
        var run = Run()
        run.run()
        #expect(run.feed(.signal(SIGTERM)).count == 1)
        #expect(run.feed(.signal(SIGTERM)).isEmpty)
        after(200, &run, [.passByForce(SIGTERM, to: 42), .look])
        #expect(run.feed(.signal(SIGTERM)).count == 1)
    }

    @Test("the run gives up if the guardian does not begin")
    func runNotTaken() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        _ = run.feed(.hooksRan)
        after(4999, &run, [])
        after(1, &run, [.message(.guardianSilent), .endByForce])
        #expect(run.feed(.forced(.init(living: 0, isOver: true))) == [.hooks(.released, run.grant)])
    }

    @Test("the campaign is called off if the guardian is killed during it, and nothing begins under a lease that is granted then")
    func killedWhileWaiting() {
        var run = Run()
        #expect(run.feed(.guardianEnded) == [.stopLease])
        #expect(run.feed(.lease(.elected(run.grant))).isEmpty)
        guard case .exit(.failed(let error))? = run.feed(.leaseEnded(.stopped)).first else {
            Issue.record("it does not fail")
            return
        }
        #expect(error.kind == .unavailable)
    }

    @Test("the lease is released if the guardian is killed while hooks run")
    func killedWhilePreparing() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        #expect(run.feed(.guardianEnded) == [.endHooks, .hooks(.released, run.grant)])
        _ = run.feed(.hooksRan)
        #expect(run.feed(.hooksRan) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("its guardian was killed"))])
    }

    @Test("the lease is kept while a process is alive that cannot be killed, and released when that has ended")
    func survivor() {
        var run = Run()
        run.run()
        _ = run.feed(.guardianEnded)
        #expect(run.feed(.forced(.init(living: 1, denied: 99))) == [.message(.survivor(99))])
        for _ in 0..<300 {
            run.now = run.alarm ?? run.now
            #expect(run.feed(.timer) == [.endByForce])
            var later = run.grant
            later.deadline = run.now + .seconds(10)
            _ = run.feed(.lease(.extended(later)))
            #expect(run.feed(.forced(.init(living: 1, denied: 99))).isEmpty, "reported once, and not released")
        }
        run.now = run.alarm ?? run.now
        _ = run.feed(.timer)
        #expect(run.feed(.forced(.init(living: 0, isOver: true))) == [.hooks(.released, run.grant)])
    }

    @Test("the lease is left to expire if the run is told to end while a process is alive that cannot be killed")
    func leavesSurvivor() {
        var run = Run()
        run.run()
        _ = run.feed(.guardianEnded)
        _ = run.feed(.forced(.init(living: 1, denied: 99)))
        #expect(run.feed(.signal(SIGTERM)) == [.message(.leftAlive(99)), .exit(.lost("its guardian was killed"))])
    }

    @Test("a guardian that does not die is waited for only for a limited time once nothing else is alive")
    func guardianDoesNotDie() {
        var run = Run()
        run.run()
        _ = run.feed(.guardianEnded)
        for _ in 1..<50 {
            #expect(run.feed(.forced(.init(living: 0))).isEmpty)
            run.now = run.alarm ?? run.now
            #expect(run.feed(.timer) == [.endByForce])
        }
        #expect(run.now < run.start + .milliseconds(200))
        #expect(run.feed(.forced(.init(living: 0))) == [.hooks(.released, run.grant)])
    }

    @Test("qq itself notices the command's end if the guardian is silent, and exits as the command did")
    func endNotTold() {
        var run = Run()
        run.run()
        var later = run.grant
        later.deadline = run.grant.deadline + .seconds(60)
        #expect(run.feed(.lease(.extended(later))) == [.extend(later, 2)])
        after(200, &run, [.look])
        #expect(run.feed(.looked(.init(living: 2))).isEmpty)
        after(250, &run, [.look])
        #expect(run.feed(.looked(.init(living: 0))).isEmpty)
        after(250, &run, [.look])
        #expect(run.feed(.looked(.init(living: 0))) == [.endByForce])
        #expect(run.feed(.guardianEnded).isEmpty, "it was ended by qq")
        #expect(run.feed(.forced(.init(living: 0, isOver: true, status: .exited(5)))) == [.hooks(.released, later)])
        _ = run.feed(.hooksRan)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.commandEnded(.exited(5)))])
    }

    @Test("qq stops checking for live processes once the guardian answers again")
    func answersAgain() {
        var run = Run()
        run.run()
        _ = run.feed(.signal(SIGUSR1))
        after(200, &run, [.passByForce(SIGUSR1, to: 42), .look])
        _ = run.feed(.looked(.init(living: 0)))
        #expect(run.feed(.guardian(.obeyed(2))).isEmpty)
        after(250, &run, [])
        #expect(run.feed(.looked(.init(living: 0))).isEmpty)
    }

    @Test("a process that does not die although it can be killed, because it is frozen or hangs in the kernel, is reported")
    func doesNotDie() {
        var run = Run()
        run.run()
        _ = run.feed(.guardianEnded)
        for _ in 0..<200 {
            #expect(run.feed(.forced(.init(living: 1, first: 77))).isEmpty)
            run.now = run.now + .milliseconds(3)
            _ = run.feed(.timer)
        }
        #expect(run.feed(.forced(.init(living: 1, first: 77))) == [.message(.survivor(77))])
        #expect(run.feed(.lease(.lost(run.grant, .removed))) == [.message(.leftAlive(77)), .exit(.lost("its guardian was killed"))])
    }

    @Test("the command starts once the lease is renewed if there was no time left when the hooks ended")
    func beginsLate() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        run.now = run.grant.deadline - .milliseconds(300)
        #expect(run.feed(.hooksRan).isEmpty)
        var later = run.grant
        later.deadline = run.grant.deadline + .seconds(9)
        #expect(run.feed(.lease(.extended(later))) == [.run(later, 1)])
    }

    @Test("the lease is renewed for confirmation when the wall clock jumps ahead")
    func clock() {
        var run = Run()
        run.run()
        #expect(run.feed(.guardian(.clockJumped(.seconds(30)))) == [.message(.clockJumped(.seconds(30))), .renewNow])
    }

    @Test("a signal during the last hooks ends the running hook, and the rest follows as usual")
    func signalWhileConcluding() {
        var run = Run()
        run.run()
        _ = run.end(.exited(3))
        #expect(run.feed(.signal(SIGTERM)) == [.endHook])
        #expect(run.feed(.hooksRan) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.commandEnded(.exited(3)))])
    }
}

@Suite("Hooks")
struct HooksTests {
    let hooks = Hooks(onElected: ["e"], onLost: ["l"], onChange: ["c"])

    @Test("hooks run for their event, and those for changes run for every event")
    func commands() {
        #expect(hooks.commands(for: .elected) == ["e", "c"])
        #expect(hooks.commands(for: .lost) == ["l", "c"])
        #expect(hooks.commands(for: .released) == ["l", "c"])
        #expect(hooks.commands(for: .changed) == ["c"])
    }
}

@Suite("A command's status")
struct CommandStatusTests {
    @Test("a command's exit code is the one that a shell reports")
    func exitCodes() {
        #expect(CommandStatus(waitStatus: 0).exitCode == 0)
        #expect(CommandStatus(waitStatus: 7 << 8).exitCode == 7)
        #expect(CommandStatus(waitStatus: SIGKILL).exitCode == 137)
    }
}

@Suite("The mark of a term")
struct TermMarkTests {
    @Test("a mark contains the election, its kind and the term, followed by the marks that qq was started with")
    func value() {
        let outer = TermMark(election: "a", kind: "b", inherited: nil, unique: 1)
        #expect(outer.value.hasSuffix("-0000000000000001"))
        #expect(outer.value.utf8.count == 50)
        let inner = TermMark(election: "c", kind: "d", inherited: outer.value, unique: 2)
        #expect(inner.value == inner.text + "," + outer.text)
        #expect(inner.text.prefix(16) != outer.text.prefix(16))
    }

    @Test("a mark without the kind is otherwise the same")
    func withoutKind() {
        let mark = TermMark(election: "a", kind: "b", inherited: nil, unique: 1)
        #expect(mark.withoutKind().text == mark.text.prefix(17) + "0000000000000000-0000000000000001")
    }

    @Test("a mark's value is limited in size, and texts that are not marks are dropped")
    func bounds() {
        var mark = TermMark(election: "a", kind: "b", inherited: "junk," + String(repeating: "x", count: 9999))
        #expect(mark.value == mark.text)
        for _ in 0..<20 { mark = TermMark(election: "a", kind: "b", inherited: mark.value) }
        #expect(mark.value.split(separator: ",").count == 8)
    }
}
