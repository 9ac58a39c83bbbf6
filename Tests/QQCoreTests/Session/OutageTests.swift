import QQCore
import Testing

@Suite("A campaign that waits through an outage")
struct OutageTests {
    private static let begins = LeaseSession.Action.report(.outage(down, isNew: true))
    private static let goesOn = LeaseSession.Action.report(.outage(down, isNew: false))

    private func away(_ waiting: LeaseSession.Waiting = .forever) -> Play {
        var play = Play(waiting: waiting)
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.acquireFailed(down), at: 1000) == [Self.begins, .timer(at(1200))])
        return play
    }

    @Test("a waiter whose first request fails asks again far more often than retries are allowed, and reports one beginning")
    func beforeTheServerIsUp() {
        var play = away()
        var now = 1200
        for _ in 0..<50 {
            #expect(play.feed(.timer, at: now) == [.acquire(Play.request)])
            let actions = play.feed(.acquireFailed(down), at: now)
            #expect(actions.first == Self.goesOn)
            guard case .timer(let next)? = actions.last else {
                Issue.record("the waiter gave up: \(actions)")
                return
            }
            #expect(next > at(now) && next <= at(now + 5000))
            now = Int(next.nanoseconds / 1_000_000)
        }
        _ = play.feed(.timer, at: now)
        #expect(
            play.feed(.refused(theirs), at: now).prefix(2)
                == [.report(.outageOver(after: .milliseconds(now - 1000))), .report(.waiting(theirs))])
    }

    @Test("an outage is over when a request is granted") func granted() {
        var play = away()
        _ = play.feed(.timer, at: 1200)
        let actions = play.feed(.acquired(grant(until: 0)), at: 1300)
        #expect(actions.prefix(2) == [.report(.outageOver(after: .milliseconds(300))), .report(.elected(grant(until: 10_200)))])
    }

    @Test("a waiter in the queue rides out a wait that fails, and reports the next outage as a new one") func waitFails() {
        var play = Play.queueing()
        #expect(play.feed(.waitFailed(down), at: 2000) == [Self.begins, .timer(at(2200))])
        #expect(play.feed(.timer, at: 2200) == [.acquire(Play.request)])
        #expect(play.feed(.refused(theirs), at: 2200).first == .report(.outageOver(after: .milliseconds(200))))
        #expect(play.feed(.waitFailed(down), at: 9000).first == Self.begins)
    }

    @Test("a waiter asks once more when its time is over, and then gives up") func timeIsOver() {
        var play = away(.until(at(1100 + 200)))
        _ = play.feed(.timer, at: 1200)
        #expect(play.feed(.acquireFailed(down), at: 1200).last == .timer(at(1300)))
        #expect(play.feed(.timer, at: 1300) == [.acquire(Play.request)])
        #expect(play.feed(.acquireFailed(down), at: 1300) == [.end(.timedOutInOutage(down))])
    }

    @Test("a stop ends a waiter in an outage") func stopped() {
        var play = away()
        #expect(play.feed(.stop, at: 1100) == [.end(.stopped)])
    }

    @Test(
        "only what waiting cannot mend ends a wait", arguments: CoordinationError.Kind.allCases)
    func kinds(_ kind: CoordinationError.Kind) {
        let error = CoordinationError(kind, "cannot ask", because: "of this")
        var play = away()
        _ = play.feed(.timer, at: 1200)
        let isOver = play.feed(.acquireFailed(error), at: 1200) == [.end(.failed(error))]
        #expect(isOver == [.usage, .denied, .configuration, .unsupported].contains(kind))
    }

    @Test(
        "a cause that can go away by itself is ridden out, whatever its kind",
        arguments: [.configuration, .denied] as [CoordinationError.Kind])
    func canPass(_ kind: CoordinationError.Kind) {
        var error = CoordinationError(kind, "cannot use the folder", because: "No such file or directory")
        error.canPass = true
        var play = Play(waiting: .forever)
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.acquireFailed(error), at: 1000).first == .report(.outage(error, isNew: true)))
        var single = Play()
        _ = single.feed(.start, at: 1000)
        #expect(single.feed(.acquireFailed(error), at: 1000) == [.end(.failed(error))])
    }

    @Test("a cause that stays ends a wait, although its kind can pass") func stays() {
        var error = CoordinationError(.brokenData, "cannot understand the file", because: "it is some other program's")
        error.canPass = false
        var play = away()
        _ = play.feed(.timer, at: 1200)
        #expect(play.feed(.acquireFailed(error), at: 1200) == [.end(.failed(error))])
    }

    @Test("a holder that lost its lease in an outage campaigns through it") func lostInOutage() {
        var play = Play.holding(campaignsAgain: true, waiting: .forever)
        _ = play.feed(.timer, at: 4000)
        _ = play.feed(.renewFailed(down), at: 9900)
        #expect(play.feed(.timer, at: 10_000).last == .acquire(Play.request))
        for now in [10_100, 20_000, 30_000, 40_000, 50_000] {
            #expect(play.feed(.acquireFailed(down), at: now).first == (now == 10_100 ? Self.begins : Self.goesOn))
            #expect(play.feed(.timer, at: now + 5000) == [.acquire(Play.request)])
        }
    }

    @Test("an uncertain request of a waiter is read until its lease would have ended, in one outage") func uncertainRequest() {
        var play = Play(waiting: .forever)
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.acquireFailed(uncertain), at: 2000) == [.read])
        #expect(play.feed(.readFailed(down), at: 2100) == [Self.begins, .timer(at(2300))])
        #expect(play.feed(.timer, at: 2300) == [.read])
        #expect(play.feed(.readFailed(down), at: 9999) == [Self.goesOn, .timer(at(10_000))])
        _ = play.feed(.timer, at: 10_000)
        #expect(play.feed(.readFailed(down), at: 10_000).first == .report(.outage(uncertain, isNew: false)))
    }

    @Test("an uncertain request is not read beyond the end of the wait, and the outcome shows that it is uncertain")
    func uncertainAtTheEnd() {
        var play = Play(waiting: .until(at(2200)))
        _ = play.feed(.start, at: 1000)
        _ = play.feed(.acquireFailed(uncertain), at: 2000)
        #expect(play.feed(.readFailed(down), at: 2100).last == .timer(at(2200)))
        _ = play.feed(.timer, at: 2200)
        #expect(play.feed(.readFailed(down), at: 2250) == [.end(.timedOutInOutage(uncertain))])
    }

    @Test("a waiter whose grants stay uncertain pauses between its requests") func alwaysUncertain() {
        var play = Play(waiting: .forever)
        _ = play.feed(.start, at: 1000)
        var now = 1000
        for _ in 0..<20 {
            _ = play.feed(.acquireFailed(uncertain), at: now)
            _ = play.feed(.read(ours), at: now)
            guard case .timer(let next)? = play.feed(.releaseAnswered(.released), at: now).last else {
                Issue.record("the waiter asked without a pause")
                return
            }
            now = Int(next.nanoseconds / 1_000_000)
            #expect(play.feed(.timer, at: now) == [.acquire(Play.request)])
        }
        #expect(now > 20_000)
    }

    @Test("a waiter releases a useless grant until that is answered, and only then asks again") func releaseFails() {
        var play = Play(waiting: .forever)
        _ = play.feed(.start, at: 1000)
        let late = grant(until: 10_000)
        #expect(play.feed(.acquired(grant(until: 0)), at: 10_000) == [.release(late)])
        #expect(
            play.feed(.releaseFailed(uncertain), at: 10_100).prefix(2) == [
                .report(.releaseFailed(late, uncertain)), .report(.outage(uncertain, isNew: true)),
            ])
        #expect(play.feed(.timer, at: 10_300) == [.release(late)])
        #expect(play.feed(.releaseFailed(down), at: 10_400) == [Self.goesOn, .timer(at(10_800))])
        #expect(play.feed(.timer, at: 10_800) == [.release(late)])
        #expect(
            play.feed(.releaseAnswered(.notHeld(nobodys)), at: 10_900) == [
                .report(.outageOver(after: .milliseconds(800))), .report(.released(late)), .acquire(Play.request),
            ])
    }

    @Test("a stop or the end of the wait ends a waiter whose release fails") func releaseFailsAtTheEnd() {
        let late = grant(until: 10_000)
        var stopped = Play(waiting: .forever)
        _ = stopped.feed(.start, at: 1000)
        _ = stopped.feed(.acquired(grant(until: 0)), at: 10_000)
        _ = stopped.feed(.releaseFailed(down), at: 10_100)
        _ = stopped.feed(.stop, at: 10_200)
        #expect(stopped.feed(.timer, at: 10_300) == [.release(late)])
        #expect(stopped.feed(.releaseFailed(down), at: 10_400).last == .end(.stopped))
        var over = Play(waiting: .until(at(10_200)))
        _ = over.feed(.start, at: 1000)
        _ = over.feed(.acquired(grant(until: 0)), at: 10_000)
        #expect(over.feed(.releaseFailed(down), at: 10_100).last == .timer(at(10_200)))
        #expect(over.feed(.timer, at: 10_200) == [.release(late)])
        #expect(over.feed(.releaseFailed(down), at: 10_300).last == .end(.timedOutInOutage(down)))
    }
}
