import QQCore
import Testing

@Suite("A held lease")
struct HoldingTests {
    @Test func isRenewedWhenDueAndNotBefore() {
        var play = Play.holding()
        #expect(play.feed(.timer, at: 3999) == [.timer(at(4000))])
        #expect(play.feed(.timer, at: 4000) == [.renew(grant(until: 10_000)), .timer(at(10_000))])
    }

    @Test("is renewed early by up to the jitter and never late", arguments: [(0.0, 4000), (0.5, 3700), (0.999, 3401)])
    func jitter(random: Double, due: Int) {
        var retry = Play.retry
        retry.jitter = 0.2
        var play = Play(retry: retry, random: random)
        _ = play.feed(.start, at: 1000)
        guard case .timer(let instant)? = play.feed(.acquired(grant(until: 0)), at: 1010).last else {
            Issue.record("no timer was set")
            return
        }
        #expect(instant <= at(4000))
        #expect(abs(Int(instant.nanoseconds / 1_000_000) - due) <= 1)
    }

    @Test func isExtendedFromBeforeTheRenewalWasSent() {
        var play = Play.renewing()
        #expect(
            play.feed(.renewed(.renewed(grant(until: 77_777))), at: 5000) == [.report(.extended(grant(until: 13_000))), .timer(at(7000))])
        #expect(play.session.held(at: at(12_999)) == grant(until: 13_000))
        #expect(play.session.held(at: at(13_000)) == nil)
    }

    @Test func staysHeldToItsOwnEndWhileARenewalIsInFlight() {
        let play = Play.renewing()
        #expect(play.session.held(at: at(9999)) != nil)
        #expect(play.session.held(at: at(10_000)) == nil)
    }

    @Test func isNeverShortenedByARenewal() {
        var play = Play.renewing()
        var shorter = grant(until: 0)
        shorter.ttl = .seconds(1)
        _ = play.feed(.renewed(.renewed(shorter)), at: 4100)
        #expect(play.session.held(at: at(9999))?.deadline == at(10_000))
    }

    @Test func isRenewedAgainSoonAfterAFailure() {
        var play = Play.renewing()
        #expect(play.feed(.renewFailed(down), at: 4100) == [.report(.retrying(down, after: .milliseconds(200))), .timer(at(4300))])
        #expect(play.feed(.timer, at: 4300) == [.renew(grant(until: 10_000)), .timer(at(10_000))])
        #expect(play.feed(.renewFailed(down), at: 4400).last == .timer(at(4800)))
    }

    @Test("is renewed at once when the machine may have been paused")
    func clockJumped() {
        var play = Play.holding()
        #expect(play.feed(.clockJumped, at: 2000) == [.renew(grant(until: 10_000)), .timer(at(10_000))])
    }

    @Test("is renewed again when the machine may have been paused while a renewal was under way: its answer says nothing")
    func clockJumpedWhileRenewing() {
        var play = Play.renewing()
        #expect(play.feed(.clockJumped, at: 4100).isEmpty)
        #expect(play.feed(.renewed(.renewed(grant(until: 0))), at: 4200).last == .timer(at(4200)))
        #expect(play.feed(.timer, at: 4200).first == .renew(grant(until: 13_000)))
        #expect(play.feed(.renewed(.renewed(grant(until: 0))), at: 4300).last == .timer(at(7200)), "once is enough")
    }

    @Test func isRenewedAgainHoweverFewRetriesAreAllowed() {
        var retry = Play.retry
        retry.maximumRetries = 0
        var play = Play.holding(retry: retry)
        _ = play.feed(.timer, at: 4000)
        #expect(play.feed(.renewFailed(denied), at: 4100).last == .timer(at(4300)))
    }

    @Test func isTriedForAgainInsideWhatIsLeft() {
        var play = Play.renewing()
        // A quarter of the 400 ms that are left is less than the pause.
        #expect(play.feed(.renewFailed(down), at: 9600).last == .timer(at(9700)))
    }

    @Test func isLostExactlyAtItsEndWhenEveryRenewalFails() {
        var play = Play.holding()
        var now = at(4000)
        var renewals = 0
        while now < at(10_000) {
            #expect(play.session.held(at: now) != nil)
            for action in play.session.handle(.timer, at: now) {
                if case .renew = action {
                    renewals += 1
                    guard case .timer(let next)? = play.session.handle(.renewFailed(down), at: now).last else {
                        Issue.record("no timer")
                        return
                    }
                    #expect(next > now || next >= at(9999))
                    now = max(next, now + .nanoseconds(1))
                } else if case .timer(let next) = action, next == at(10_000), renewals > 200 {
                    Issue.record("too many renewals")
                    return
                }
            }
        }
        #expect(play.session.held(at: at(10_000)) == nil)
        #expect(play.feed(.timer, at: 10_000) == [.report(.lost(grant(until: 10_000), .expired(down))), .end(.lost(.expired(down)))])
        #expect((4...100).contains(renewals))
    }

    @Test func isLostAtItsEndWhenTheRenewalIsNotAnswered() {
        var play = Play.renewing()
        #expect(play.feed(.timer, at: 9999) == [.timer(at(10_000))])
        #expect(play.feed(.timer, at: 10_000) == [.report(.lost(grant(until: 10_000), .expired(nil))), .end(.lost(.expired(nil)))])
    }

    @Test func isLostAtItsEndEvenIfTheRenewalSucceededTooLate() {
        var play = Play.renewing()
        #expect(play.feed(.renewed(.renewed(grant(until: 0))), at: 10_000).last == .end(.lost(.expired(nil))))
    }

    @Test(
        "is lost when the answer says whose it is",
        arguments: [(theirs, .takenOver(by: "them")), (nobodys, .removed), (state(.expired, "them", token: 8), .takenOver(by: "them"))]
            as [(ElectionState, LossReason)])
    func lost(found: ElectionState, reason: LossReason) {
        var play = Play.renewing()
        #expect(play.feed(.renewed(.lost(found)), at: 4100) == [.report(.lost(grant(until: 10_000), reason)), .end(.lost(reason))])
        #expect(play.session.held(at: at(4100)) == nil)
    }

    @Test func isReadWhenARenewalIsUncertainAndRenewedAgainIfStillOurs() {
        var play = Play.renewing()
        #expect(play.feed(.renewFailed(uncertain), at: 4100) == [.read])
        #expect(play.session.held(at: at(4100))?.deadline == at(10_000))
        #expect(play.feed(.read(ours), at: 4200) == [.report(.retrying(uncertain, after: .milliseconds(200))), .timer(at(4400))])
        #expect(play.feed(.timer, at: 4400).first == .renew(grant(until: 10_000)))
    }

    @Test(
        "a lease is lost when a renewal is uncertain and the term is not ours any more",
        arguments: [theirs, nobodys, state(.held, "us", token: 8)])
    func uncertainAndLost(found: ElectionState) {
        var play = Play.renewing()
        _ = play.feed(.renewFailed(uncertain), at: 4100)
        guard case .end(.lost)? = play.feed(.read(found), at: 4200).last else {
            Issue.record("it was not lost")
            return
        }
    }

    @Test func isRenewedAgainWhenTheResolvingReadFails() {
        var play = Play.renewing()
        _ = play.feed(.renewFailed(uncertain), at: 4100)
        #expect(play.feed(.readFailed(down), at: 4200) == [.report(.retrying(down, after: .milliseconds(200))), .timer(at(4400))])
    }

    @Test func isLostAtItsEndWhileARenewalIsResolved() {
        var play = Play.renewing()
        _ = play.feed(.renewFailed(uncertain), at: 4100)
        #expect(play.feed(.timer, at: 9000) == [.timer(at(10_000))])
        #expect(play.feed(.timer, at: 10_000).last == .end(.lost(.expired(uncertain))))
    }

    @Test(
        "pays no heed to what does not concern it",
        arguments: [
            .start, .turnCame, .waitFailed(down), .refused(theirs), .releaseAnswered(.released), .renewed(.lost(theirs)), .read(theirs),
        ] as [LeaseSession.Event])
    func others(event: LeaseSession.Event) {
        var play = Play.holding()
        #expect(play.feed(event, at: 2000) == [])
        #expect(play.session.held(at: at(2000)) != nil)
    }
}

@Suite("What a watch shows")
struct ObservedTests {
    @Test func ofOurTermChangesNothing() {
        var play = Play.holding()
        #expect(play.feed(.observed(ours), at: 2000) == [])
    }

    @Test("of another's is settled by a read", arguments: [theirs, nobodys, state(.held, "us", token: 6)])
    func foreign(found: ElectionState) {
        var play = Play.holding()
        #expect(play.feed(.observed(found), at: 2000) == [.read])
        #expect(play.session.held(at: at(2000)) != nil)
    }

    @Test func fromBeforeOurGrantDoesNotEndOurTerm() {
        var play = Play.holding()
        _ = play.feed(.observed(nobodys), at: 2000)
        #expect(play.feed(.read(ours), at: 2010) == [.timer(at(2210))])
        #expect(play.feed(.timer, at: 2210).first == .renew(grant(until: 10_000)))
    }

    @Test func endsOurTermOnceTheReadSaysSo() {
        var play = Play.holding()
        _ = play.feed(.observed(theirs), at: 2000)
        #expect(
            play.feed(.read(theirs), at: 2010) == [
                .report(.lost(grant(until: 10_000), .takenOver(by: "them"))), .end(.lost(.takenOver(by: "them"))),
            ])
    }

    @Test func doesNotStartAReadWhileARequestIsInFlight() {
        var play = Play.renewing()
        #expect(play.feed(.observed(theirs), at: 4100) == [])
    }

    @Test func doesNotStartASecondRead() {
        var play = Play.holding()
        _ = play.feed(.observed(theirs), at: 2000)
        #expect(play.feed(.observed(theirs), at: 2001) == [])
    }

    @Test func renewsAtOnceWhenTheWatchFails() {
        var play = Play.holding()
        #expect(play.feed(.watchFailed, at: 2000).first == .renew(grant(until: 10_000)))
        #expect(play.feed(.watchFailed, at: 2001) == [], "one request at a time")
    }

    @Test func tellsOnceThatWeAreAskedToStepDown() {
        var play = Play.holding()
        let asked = state(.held, "us", token: 7, stepDown: "admin")
        #expect(play.feed(.observed(asked), at: 2000) == [.report(.stepDownAsked(by: "admin"))])
        #expect(play.feed(.observed(asked), at: 2001) == [])
        let other = state(.held, "us", token: 7, stepDown: "boss")
        #expect(play.feed(.observed(other), at: 2002) == [.report(.stepDownAsked(by: "boss"))])
    }

    @Test func tellsOfAStepDownDuringARenewal() {
        var play = Play.renewing()
        #expect(play.feed(.observed(state(.held, "us", token: 7, stepDown: "admin")), at: 4100) == [.report(.stepDownAsked(by: "admin"))])
    }

    @Test func tellsOfAStepDownThatTheResolvingReadFinds() {
        var play = Play.renewing()
        _ = play.feed(.renewFailed(uncertain), at: 4100)
        #expect(play.feed(.read(state(.held, "us", token: 7, stepDown: "admin")), at: 4200).first == .report(.stepDownAsked(by: "admin")))
    }

    @Test("is passed over where nothing is held", arguments: [theirs, ours, nobodys])
    func notHeld(found: ElectionState) {
        var asking = Play()
        _ = asking.feed(.start, at: 1000)
        #expect(asking.feed(.observed(found), at: 1001) == [])
        var queueing = Play.queueing()
        #expect(queueing.feed(.observed(found), at: 1100) == [])
        var releasing = Play.releasing()
        #expect(releasing.feed(.observed(found), at: 2100) == [])
    }
}

@Suite("After a loss")
struct CampaignAgainTests {
    @Test func theElectionIsAskedForAgainWhereThatIsWanted() {
        var play = Play.renewing(campaignsAgain: true)
        #expect(
            play.feed(.renewed(.lost(theirs)), at: 4100) == [
                .report(.lost(grant(until: 10_000), .takenOver(by: "them"))), .acquire(Play.request),
            ])
        #expect(play.session.held(at: at(4100)) == nil)
    }

    @Test func theNextTermCountsFromItsOwnRequest() {
        var play = Play.renewing(campaignsAgain: true)
        _ = play.feed(.renewed(.lost(nobodys)), at: 4100)
        #expect(play.feed(.acquired(grant(until: 0, token: 8)), at: 4200).first == .report(.elected(grant(until: 13_100, token: 8))))
    }

    @Test(
        "at its end with a request in flight, nothing is asked before that is answered",
        arguments: [.renewed(.renewed(grant(until: 0))), .renewed(.lost(theirs)), .renewFailed(uncertain)] as [LeaseSession.Event])
    func lapsed(answer: LeaseSession.Event) {
        var play = Play.renewing(campaignsAgain: true)
        #expect(play.feed(.timer, at: 10_000) == [.report(.lost(grant(until: 10_000), .expired(nil)))])
        #expect(play.feed(.timer, at: 10_500) == [])
        #expect(play.feed(.observed(theirs), at: 10_600) == [])
        #expect(play.feed(answer, at: 11_000) == [.acquire(Play.request)])
        #expect(play.session.held(at: at(11_000)) == nil)
    }

    @Test func anAnswerToTheOldTermsRenewalDoesNotExtendTheNextTerm() {
        var play = Play.renewing(campaignsAgain: true)
        _ = play.feed(.timer, at: 10_000)
        _ = play.feed(.renewed(.renewed(grant(until: 0))), at: 11_000)
        _ = play.feed(.acquired(grant(until: 0, token: 8)), at: 11_100)
        #expect(play.session.held(at: at(11_100)) == grant(until: 20_000, token: 8))
        #expect(play.feed(.renewed(.renewed(grant(until: 0))), at: 11_200) == [])
    }

    @Test func atItsEndWithNothingInFlightTheElectionIsAskedForAtOnce() {
        var play = Play.holding(campaignsAgain: true)
        #expect(play.feed(.timer, at: 10_000).last == .acquire(Play.request))
    }

    @Test func stoppingEndsASessionThatAwaitsAnOldAnswer() {
        var play = Play.renewing(campaignsAgain: true)
        _ = play.feed(.timer, at: 10_000)
        #expect(play.feed(.stop, at: 10_100) == [.end(.stopped)])
    }

    @Test func nothingIsAskedAgainOnceStopped() {
        var play = Play.renewing(campaignsAgain: true)
        _ = play.feed(.stop, at: 4100)
        #expect(play.feed(.renewed(.lost(theirs)), at: 4200).last == .end(.lost(.takenOver(by: "them"))))
    }
}
