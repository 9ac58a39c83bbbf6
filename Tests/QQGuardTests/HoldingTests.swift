import Glibc
import QQCore
import Testing

@testable import QQGuard

/// What others are told of a guarded run.
@Suite("The term that a guarded run holds") struct HoldingTests {
    @Test("work is allowed from the election to the moment at which the guardian sends SIGTERM, and a renewal moves that moment")
    func renewal() {
        var run = Run()
        #expect(run.session.holding == nil)
        _ = run.feed(.lease(.elected(run.grant)))
        // Ten seconds of lease, half a second of margin, three seconds of grace.
        #expect(run.session.holding?.workEnds == run.start + .milliseconds(6500))
        _ = run.feed(.hooksRan)
        _ = run.feed(.lease(.extended(run.grant.extended(to: run.start + .seconds(15)))))
        #expect(run.session.holding?.workEnds == run.start + .milliseconds(11_500))
        #expect(run.session.holding?.grant.deadline == run.start + .seconds(15))
    }

    @Test("no work is allowed from the event that ends the command on, before any action is carried out", arguments: [0, 1, 2])
    func ending(_ way: Int) {
        var run = Run()
        run.run()
        switch way {
        case 0: _ = run.feed(.lease(.stepDownAsked(by: "you")))
        case 1: _ = run.feed(.guardian(.deadline(SIGTERM)))
        default: _ = run.feed(.guardianEnded)
        }
        #expect(run.session.holding != nil && run.session.holding?.workEnds == nil)
    }

    @Test("once the command is asked to end no work is allowed, even if it goes on and the lease is renewed", arguments: [SIGTERM, SIGINT])
    func asked(_ signal: Int32) {
        var run = Run()
        run.run()
        _ = run.feed(.signal(signal))
        #expect(run.session.holding != nil && run.session.holding?.workEnds == nil)
        _ = run.feed(.lease(.extended(run.grant.extended(to: run.start + .seconds(15)))))
        #expect(run.session.holding != nil && run.session.holding?.workEnds == nil)
    }

    @Test("signals that do not ask the command to end change nothing", arguments: [SIGHUP, SIGUSR1, SIGWINCH])
    func otherSignals(_ signal: Int32) {
        var run = Run()
        run.run()
        _ = run.feed(.signal(signal))
        #expect(run.session.holding?.workEnds == run.start + .milliseconds(6500))
    }

    @Test("a renewal that comes after work had to end counts only once the guardian has taken it") func lateRenewal() throws {
        var run = Run()
        run.run()
        run.now = run.start + .milliseconds(6600)
        let actions = run.feed(.lease(.extended(run.grant.extended(to: run.start + .seconds(15)))))
        #expect(run.session.holding?.workEnds == run.start + .milliseconds(6500))
        #expect(run.session.holding?.grant.deadline == run.start + .seconds(15))
        let order = try #require(actions.compactMap { if case .extend(_, let number) = $0 { number } else { nil } }.first)
        _ = run.feed(.guardian(.obeyed(order - 1)))
        #expect(run.session.holding?.workEnds == run.start + .milliseconds(6500))
        _ = run.feed(.guardian(.obeyed(order)))
        #expect(run.session.holding?.workEnds == run.start + .milliseconds(11_500))
    }

    @Test("a lost lease is not held any more") func lost() {
        var run = Run()
        run.run()
        _ = run.feed(.lease(.lost(run.grant, .takenOver(by: "other"))))
        #expect(run.session.holding == nil)
    }

    @Test("while the lease is only kept after the command no work is allowed, and nothing is held once it is being released")
    func keeping() {
        var run = Run(minimumHold: .seconds(60))
        run.run()
        _ = run.end(.exited(0))
        #expect(run.session.holding != nil && run.session.holding?.workEnds == nil)
        run.now = run.start + .seconds(60)
        _ = run.feed(.timer)
        #expect(run.session.holding?.workEnds == nil && run.session.holding != nil, "the hooks run")
        #expect(run.feed(.hooksRan).contains(.stopLease))
        #expect(run.session.holding == nil)
    }

    @Test("an election during a stop allows no work: its lease is released at once") func stopping() {
        var run = Run()
        _ = run.feed(.signal(SIGTERM))
        _ = run.feed(.lease(.elected(run.grant)))
        #expect(run.session.holding == nil)
    }
}
