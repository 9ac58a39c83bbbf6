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

    init(minimumHold: Duration = .zero) {
        let ttl = Duration.seconds(10)
        session = GuardSession(.init(minimumHold: minimumHold, timing: .init(ttl: ttl, grace: .seconds(3))))
        start = now
        grant = Grant(
            name: "backup", identity: "me", token: FencingToken(7), ttl: ttl, deadline: now + ttl, acquiredAt: WallTime(seconds: 0),
            expiresAt: WallTime(seconds: 10))
    }

    /// What the session wants to be called back at.
    private(set) var alarm: BootInstant?

    /// What is to be done, but for the timer.
    mutating func feed(_ event: GuardSession.Event) -> [GuardSession.Action] {
        session.handle(event, at: now).filter { action in
            guard case .timer(let instant) = action else { return true }
            alarm = instant
            return false
        }
    }

    /// When qq ends everything itself.
    var watchdog: BootInstant { grant.deadline - session.configuration.timing.margin / 2 }

    /// Elected, hooks through, command running.
    mutating func run() {
        _ = feed(.lease(.elected(grant)))
        _ = feed(.hooksRan)
        _ = feed(.guardian(.obeyed(1)))
        _ = feed(.guardian(.started(42)))
    }

    /// The command ended with `status`, and left nothing behind.
    mutating func end(_ status: CommandStatus) -> [GuardSession.Action] {
        _ = feed(.guardian(.exited(status)))
        return feed(.guardian(.gone(leftBehind: 0)))
    }
}

@Suite("A guarded run")
struct GuardSessionTests {
    static let someState = ElectionState(name: "backup", phase: .held)

    @Test("runs the hooks, then the command, then releases, and exits as the command did")
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

    @Test("begins nothing when it is elected at the moment it is told to end", arguments: [SIGTERM, SIGINT, SIGHUP, SIGKILL])
    func electedWhileStopping(_ signal: Int32) {
        var run = Run()
        #expect(run.feed(signal == SIGKILL ? .frontEnded : .signal(signal)) == [.stopLease])
        #expect(run.feed(.lease(.elected(run.grant))).isEmpty)
        #expect(run.feed(.timer).isEmpty)
        #expect(run.feed(.lease(.released(run.grant))).isEmpty)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.signalled(signal))])
    }

    @Test("waits for everything to be gone before it gives the lease up")
    func goneBeforeRelease() {
        var run = Run()
        run.run()
        #expect(run.feed(.guardian(.exited(.exited(0)))).isEmpty)
        #expect(run.feed(.timer).isEmpty)
        #expect(run.alarm == run.watchdog)
        #expect(run.feed(.guardian(.gone(leftBehind: 2))) == [.message(.leftBehind(2)), .hooks(.released, run.grant)])
    }

    @Test("kills at once when the lease is lost, and exits with the loss whatever the command says")
    func loss() {
        var run = Run()
        run.run()
        #expect(run.feed(.lease(.lost(run.grant, .takenOver(by: "other")))) == [.kill(2)])
        #expect(run.feed(.leaseEnded(.lost(.takenOver(by: "other")))).isEmpty)
        #expect(run.end(.exited(0)) == [.hooks(.lost, run.grant)])
        #expect(run.feed(.hooksRan) == [.exit(.lost("taken over by other"))])
    }

    @Test("never runs the command when the lease is lost while the hooks run")
    func lossDuringHooks() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        #expect(run.feed(.lease(.lost(run.grant, .removed))) == [.endHooks, .hooks(.lost, run.grant)])
        #expect(run.feed(.hooksRan).isEmpty, "the hooks of the election are through; those of the loss are not")
        #expect(run.feed(.hooksRan) == [.exit(.lost("the lease was removed"))])
    }

    @Test("never runs the command when the hooks took until the guardian would kill it")
    func hooksTooLong() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        run.now = run.grant.deadline - .milliseconds(100)
        #expect(run.feed(.hooksRan).isEmpty)
        run.now = run.grant.deadline
        #expect(run.feed(.timer) == [.endHooks, .hooks(.released, run.grant)])
    }

    @Test("moves the guardian's deadline with each renewal")
    func extended() {
        var run = Run()
        run.run()
        var later = run.grant
        later.deadline = run.grant.deadline + .seconds(5)
        #expect(run.feed(.lease(.extended(later))) == [.extend(later, 2)])
        #expect(run.feed(.guardian(.obeyed(2))).isEmpty)
        #expect(run.alarm == later.deadline - run.session.configuration.timing.margin / 2)
        run.now = run.grant.deadline
        #expect(run.feed(.timer).isEmpty, "the old deadline is of no concern any more")
    }

    @Test("ends everything itself when the guardian has not, shortly before the lease ends")
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

    @Test("ends everything itself when the guardian is killed")
    func guardianKilled() {
        var run = Run()
        run.run()
        #expect(run.feed(.guardianEnded) == [.message(.guardianKilled), .endByForce])
        #expect(run.feed(.forced(.init(living: 0, isOver: true))) == [.hooks(.released, run.grant)])
        #expect(run.feed(.hooksRan) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("its guardian was killed"))])
    }

    @Test("takes the guardian's end after the command's for what it is")
    func guardianEndsAfterwards() {
        var run = Run()
        run.run()
        _ = run.end(.exited(0))
        #expect(run.feed(.guardianEnded).isEmpty)
    }

    @Test("ends the command softly when asked to step down, then gives the lease up")
    func stepDown() {
        var run = Run()
        run.run()
        #expect(run.feed(.lease(.stepDownAsked(by: "ops"))) == [.message(.steppingDown(by: "ops")), .terminate(2)])
        #expect(run.end(.died(signal: SIGTERM)) == [.hooks(.released, run.grant)])
        #expect(run.feed(.hooksRan) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("asked to step down by ops"))])
    }

    @Test("kills at once when the lease is lost while the command is being ended softly")
    func lossWhileStepping() {
        var run = Run()
        run.run()
        _ = run.feed(.lease(.stepDownAsked(by: "ops")))
        #expect(run.feed(.lease(.lost(run.grant, .removed))) == [.kill(3)])
    }

    @Test("says that the lease was not renewed in time when the guardian acts")
    func deadline() {
        var run = Run()
        run.run()
        #expect(run.feed(.guardian(.deadline(SIGTERM))) == [.message(.notRenewed(signal: SIGTERM))])
        #expect(run.feed(.guardian(.deadline(SIGKILL))).isEmpty, "once is enough")
        _ = run.end(.died(signal: SIGKILL))
        _ = run.feed(.hooksRan)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("not renewed in time"))])
    }

    @Test("says what kept the lease from being renewed")
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

    @Test("does not say what was overcome since")
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

    @Test("holds the lease for the minimum time after a short command")
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

    @Test("does not hold longer than the command took, where that is longer")
    func minimumHoldIsOver() {
        var run = Run(minimumHold: .seconds(1))
        run.run()
        run.now = run.start + .seconds(2)
        #expect(run.end(.exited(0)) == [.hooks(.released, run.grant)])
    }

    @Test("keeps the command's exit code when the lease is lost after it")
    func lossAfterwards() {
        var run = Run(minimumHold: .seconds(60))
        run.run()
        _ = run.end(.exited(4))
        #expect(run.feed(.lease(.lost(run.grant, .removed))) == [.hooks(.lost, run.grant)])
        #expect(run.feed(.hooksRan) == [.exit(.commandEnded(.exited(4)))])
    }

    @Test("leaves the lease to its time when told to stop while it is held for the minimum", arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
    func stopWhileKeeping(signal: Int32) {
        var run = Run(minimumHold: .seconds(60))
        run.run()
        _ = run.end(.exited(0))
        #expect(run.feed(.signal(signal)) == [.exit(.signalled(signal))])
    }

    @Test("passes every signal on to the running command", arguments: GuardedCommand.forwarded)
    func signals(signal: Int32) {
        var run = Run()
        run.run()
        #expect(run.feed(.signal(signal)) == [.pass(signal, 2, validUntil: run.now + .milliseconds(150))])
    }

    @Test("stops campaigning on a signal, and exits as one that died of it", arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
    func signalWhileCampaigning(signal: Int32) {
        var run = Run()
        #expect(run.feed(.signal(signal)) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.signalled(signal))])
    }

    @Test("ignores signals that end nothing while it campaigns", arguments: [SIGUSR1, SIGWINCH, SIGCONT])
    func otherSignals(signal: Int32) {
        var run = Run()
        #expect(run.feed(.signal(signal)).isEmpty)
    }

    @Test("gives the lease up when a signal comes before the command was started")
    func signalWhilePreparing() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        #expect(run.feed(.signal(SIGTERM)) == [.endHooks, .hooks(.released, run.grant)])
        #expect(run.feed(.hooksRan).isEmpty)
        #expect(run.feed(.hooksRan) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.signalled(SIGTERM))])
    }

    @Test("says what kept the command from running, and gives the lease up")
    func notRun() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        _ = run.feed(.hooksRan)
        #expect(run.feed(.guardian(.notRun(ENOENT))) == [.hooks(.released, run.grant)])
        _ = run.feed(.hooksRan)
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.commandNotRun(ENOENT))])
    }

    @Test("kills and gives up when the process on the terminal is killed")
    func frontEnded() {
        var run = Run()
        run.run()
        #expect(run.feed(.frontEnded) == [.kill(2)])
        #expect(run.end(.died(signal: SIGKILL)) == [.hooks(.released, run.grant)])
    }

    @Test("stops campaigning when the process on the terminal is killed")
    func frontEndedEarly() {
        var run = Run()
        #expect(run.feed(.frontEnded) == [.stopLease])
    }

    @Test("tells the process on the terminal that the command was stopped")
    func stopped() {
        var run = Run()
        run.run()
        #expect(run.feed(.guardian(.stopped(SIGTSTP))) == [.commandStopped(SIGTSTP)])
    }

    @Test("ends as the campaign did")
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

    @Test("leaves at least the margin between SIGKILL and the end of the lease, at any TTL", arguments: [0.1, 0.5, 1, 15, 300, 86400])
    func timing(seconds: Double) {
        let timing = Guardian.Timing(ttl: .seconds(seconds), grace: .seconds(seconds / 3))
        #expect(timing.margin >= .milliseconds(20))
        #expect(timing.margin <= .seconds(1))
        #expect(timing.margin + timing.grace < .seconds(seconds))
    }
}

/// What happens when the guardian does not do its work.
@Suite("A guarded run with a guardian that is stopped or gone")
struct GuardianFailureTests {
    private func after(_ milliseconds: Int, _ run: inout Run, _ expected: [GuardSession.Action]) {
        run.now = run.now + .milliseconds(milliseconds)
        #expect(run.feed(.timer) == expected)
    }

    @Test("carries out the order to kill itself, 200 ms after the guardian did not take it")
    func killNotTaken() {
        var run = Run()
        run.run()
        _ = run.feed(.lease(.lost(run.grant, .removed)))
        #expect(run.alarm == run.now + .milliseconds(200))
        after(200, &run, [.message(.guardianSilent), .endByForce])
    }

    @Test("leaves to the guardian what it has taken")
    func killTaken() {
        var run = Run()
        run.run()
        _ = run.feed(.lease(.lost(run.grant, .removed)))
        #expect(run.feed(.guardian(.obeyed(2))).isEmpty)
        after(200, &run, [])
    }

    @Test("sends SIGTERM itself when asked to step down, and SIGKILL after the grace")
    func terminateNotTaken() {
        var run = Run()
        run.run()
        _ = run.feed(.lease(.stepDownAsked(by: "ops")))
        after(200, &run, [.message(.guardianSilent), .terminateByForce, .look])
        _ = run.feed(.looked(.init(living: 1)))
        after(3000, &run, [.endByForce])
    }

    @Test("passes a signal on itself, once, however often it came meanwhile")
    func signalNotTaken() {
        var run = Run()
        run.run()
        #expect(run.feed(.signal(SIGTERM)).count == 1)
        #expect(run.feed(.signal(SIGTERM)).isEmpty)
        after(200, &run, [.passByForce(SIGTERM, to: 42), .look])
        #expect(run.feed(.signal(SIGTERM)).count == 1)
    }

    @Test("gives up when the guardian does not begin")
    func runNotTaken() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        _ = run.feed(.hooksRan)
        after(4999, &run, [])
        after(1, &run, [.message(.guardianSilent), .endByForce])
        #expect(run.feed(.forced(.init(living: 0, isOver: true))) == [.hooks(.released, run.grant)])
    }

    @Test("calls the campaign off when the guardian is killed while it waits, and begins nothing with what is granted then")
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

    @Test("gives the lease back when the guardian is killed while hooks run")
    func killedWhilePreparing() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        #expect(run.feed(.guardianEnded) == [.endHooks, .hooks(.released, run.grant)])
        _ = run.feed(.hooksRan)
        #expect(run.feed(.hooksRan) == [.stopLease])
        #expect(run.feed(.leaseEnded(.stopped)) == [.exit(.lost("its guardian was killed"))])
    }

    @Test("keeps the lease while a process lives that may not be killed, and gives it up when that has ended")
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
            #expect(run.feed(.forced(.init(living: 1, denied: 99))).isEmpty, "told of once, and not released")
        }
        run.now = run.alarm ?? run.now
        _ = run.feed(.timer)
        #expect(run.feed(.forced(.init(living: 0, isOver: true))) == [.hooks(.released, run.grant)])
    }

    @Test("leaves the lease to expire when told to end while a process lives that may not be killed")
    func leavesSurvivor() {
        var run = Run()
        run.run()
        _ = run.feed(.guardianEnded)
        _ = run.feed(.forced(.init(living: 1, denied: 99)))
        #expect(run.feed(.signal(SIGTERM)) == [.message(.leftAlive(99)), .exit(.lost("its guardian was killed"))])
    }

    @Test("waits for a guardian that does not die only so long, once nothing else lives")
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

    @Test("sees itself that the command has ended, where the guardian says nothing, and exits as the command did")
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

    @Test("looks no more once the guardian answers again")
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

    @Test("names what does not die, though it may be killed: frozen, or hanging in the kernel")
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

    @Test("begins once the lease is extended, where there was no time left when the hooks were through")
    func beginsLate() {
        var run = Run()
        _ = run.feed(.lease(.elected(run.grant)))
        run.now = run.grant.deadline - .milliseconds(300)
        #expect(run.feed(.hooksRan).isEmpty)
        var later = run.grant
        later.deadline = run.grant.deadline + .seconds(9)
        #expect(run.feed(.lease(.extended(later))) == [.run(later, 1)])
    }

    @Test("has the lease confirmed when the wall clock went ahead")
    func clock() {
        var run = Run()
        run.run()
        #expect(run.feed(.guardian(.clockJumped(.seconds(30)))) == [.message(.clockJumped(.seconds(30))), .renewNow])
    }

    @Test("ends the hook that runs after the command when told to end, and what follows follows")
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

    @Test("run for their event, and those for changes at every event")
    func commands() {
        #expect(hooks.commands(for: .elected) == ["e", "c"])
        #expect(hooks.commands(for: .lost) == ["l", "c"])
        #expect(hooks.commands(for: .released) == ["l", "c"])
        #expect(hooks.commands(for: .changed) == ["c"])
    }
}

@Suite("A command's status")
struct CommandStatusTests {
    @Test("is told as a shell tells it")
    func exitCodes() {
        #expect(CommandStatus(waitStatus: 0).exitCode == 0)
        #expect(CommandStatus(waitStatus: 7 << 8).exitCode == 7)
        #expect(CommandStatus(waitStatus: SIGKILL).exitCode == 137)
    }
}

@Suite("The mark of a term")
struct TermMarkTests {
    @Test("has the election, its kind and the term, and the marks that it was started with")
    func value() {
        let outer = TermMark(election: "a", kind: "b", inherited: nil, unique: 1)
        #expect(outer.value.hasSuffix("-0000000000000001"))
        #expect(outer.value.utf8.count == 50)
        let inner = TermMark(election: "c", kind: "d", inherited: outer.value, unique: 2)
        #expect(inner.value == inner.text + "," + outer.text)
        #expect(inner.text.prefix(16) != outer.text.prefix(16))
    }

    @Test("can be without the kind, and is the same else")
    func withoutKind() {
        let mark = TermMark(election: "a", kind: "b", inherited: nil, unique: 1)
        #expect(mark.withoutKind().text == mark.text.prefix(17) + "0000000000000000-0000000000000001")
    }

    @Test("does not grow without end, nor pass on what is no mark")
    func bounds() {
        var mark = TermMark(election: "a", kind: "b", inherited: "junk," + String(repeating: "x", count: 9999))
        #expect(mark.value == mark.text)
        for _ in 0..<20 { mark = TermMark(election: "a", kind: "b", inherited: mark.value) }
        #expect(mark.value.split(separator: ",").count == 8)
    }
}
