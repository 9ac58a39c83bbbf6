import QQCore
import Testing

@testable import QQListen

@Suite("The standing of an election") struct StandingTests {
    private func leading(until end: Double = 20) -> Standing {
        var standing = Standing("web", identity: "me")
        standing.begins(.until(end))
        return standing
    }

    @Test("work is allowed until the moment at which it has to end, and never at that moment") func byTheClock() {
        let standing = leading()
        #expect(standing.mayWork(at: .at(0)))
        #expect(standing.mayWork(at: .at(14.999)))
        #expect(!standing.mayWork(at: .at(15)))
        #expect(!standing.mayWork(at: .at(1000)))
        #expect(standing.holds(at: .at(19.999)) != nil)
        #expect(standing.holds(at: .at(20)) == nil)
    }

    @Test("without a term no work is allowed") func noTerm() {
        var standing = Standing("web", identity: "me")
        #expect(!standing.mayWork(at: .at(0)))
        standing.waits(behind: .held(by: "other"), at: WallTime(seconds: 1))
        #expect(!standing.mayWork(at: .at(0)))
        #expect(standing.leaders(at: .at(0)) == ["other"])
    }

    @Test("a renewal moves the moment at which work has to end") func renewal() {
        var standing = leading()
        standing.extends(to: .until(25))
        #expect(standing.mayWork(at: .at(19)))
        #expect(!standing.mayWork(at: .at(20)))
    }

    @Test("a withdrawn term allows no work even if it is renewed; the next term does") func withdrawn() {
        var standing = leading()
        standing.withdraws()
        #expect(!standing.mayWork(at: .at(1)))
        #expect(standing.leaders(at: .at(1)) == ["me"], "the lease is still held")
        standing.extends(to: .until(30))
        #expect(!standing.mayWork(at: .at(1)))
        standing.ends(at: WallTime(seconds: 1))
        standing.begins(.until(40))
        #expect(standing.mayWork(at: .at(1)))
    }

    @Test("once closed, a term that begins allows no work until the next campaign: its lease is about to be released") func closed() {
        var standing = leading()
        standing.closes()
        standing.ends(at: WallTime(seconds: 1))
        standing.begins(.until(40))
        #expect(!standing.mayWork(at: .at(1)))
        standing.withdraws()
        standing.begins(.until(50))
        #expect(!standing.mayWork(at: .at(1)))
        standing.campaigns()
        #expect(standing.mayWork(at: .at(1)))
    }

    @Test("after a loss the new holder leads") func lost() {
        var standing = leading()
        standing.ends(.held(by: "other"), at: WallTime(seconds: 1))
        #expect(!standing.mayWork(at: .at(1)))
        #expect(standing.leaders(at: .at(1)) == ["other"])
    }

    @Test("an expired lease of another holder names no leader") func expired() {
        var standing = Standing("web", identity: "me")
        var state = ElectionState.held(by: "other")
        state.phase = .expired
        standing.waits(behind: state, at: WallTime(seconds: 1))
        #expect(standing.leaders(at: .at(1)) == [])
    }
}

@Suite("Whether the process does its duty") struct DutyTests {
    private func complaint(_ standings: [Standing] = [], beat: Double, now: Double) -> String? {
        Snapshot(standings: standings, count: standings.count, beat: .at(beat)).complaint(at: .at(now))
    }

    @Test("a loop that has not run for more than ten seconds is a complaint") func silence() {
        #expect(complaint(beat: 100, now: 100) == nil)
        #expect(complaint(beat: 100, now: 110) == nil)
        #expect(complaint(beat: 100, now: 110.1)?.contains("has not run") == true)
        // Read before the loop has written the time.
        #expect(complaint(beat: 100, now: 99) == nil)
    }

    @Test("a lease whose end nobody deals with is a complaint; one that is given up, or held by another process, is not") func overdue() {
        var standing = Standing("web", identity: "me")
        standing.begins(.until(20))
        #expect(complaint([standing], beat: 30, now: 30) == nil)
        #expect(complaint([standing], beat: 31, now: 31)?.contains("the lease of web ended") == true)
        standing.closes()
        #expect(complaint([standing], beat: 31, now: 31) == nil)
        standing.waits(behind: .held(by: "other"), at: WallTime(seconds: 1))
        standing.campaigns()
        #expect(complaint([standing], beat: 3100, now: 3100) == nil)
    }
}
