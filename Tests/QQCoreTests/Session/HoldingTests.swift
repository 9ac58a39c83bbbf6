import QQCore
import Testing

@Suite("A held lease")
struct HoldingTests {
    @Test("a held lease is renewed when due and not before") func renewedWhenDue() {
        var play = Play.holding()
        #expect(play.feed(.timer, at: 3999) == [.timer(at(4000))])
        #expect(play.feed(.timer, at: 4000) == [.renew(grant(until: 10_000)), .timer(at(10_000))])
    }

    @Test("a renewal is early by up to the jitter and never late", arguments: [(0.0, 4000), (0.5, 3700), (0.999, 3401)])
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

    @Test("a renewal extends the lease from before it was sent") func extendedFromRequest() {
        var play = Play.renewing()
        #expect(
            play.feed(.renewed(.renewed(grant(until: 77_777))), at: 5000) == [.report(.extended(grant(until: 13_000))), .timer(at(7000))])
        #expect(play.session.held(at: at(12_999)) == grant(until: 13_000))
        #expect(play.session.held(at: at(13_000)) == nil)
    }

    @Test("a lease is held until its own end while a renewal is in flight") func heldDuringRenewal() {
        let play = Play.renewing()
        #expect(play.session.held(at: at(9999)) != nil)
        #expect(play.session.held(at: at(10_000)) == nil)
    }

    @Test("a renewal that others do not see extends the lease only as far as they count") func unseenRenewal() {
        for (end, expected) in [(11_000, 11_000), (77_777, 13_000), (5000, 10_000)] {
            var play = Play.renewing()
            var unseen = grant(until: 0)
            unseen.endsBy = at(end)
            _ = play.feed(.renewed(.renewed(unseen)), at: 4100)
            #expect(play.session.held(at: at(9999)) == grant(until: expected))
        }
    }

    @Test("a renewal never shortens the lease") func neverShortened() {
        var play = Play.renewing()
        var shorter = grant(until: 0)
        shorter.ttl = .seconds(1)
        _ = play.feed(.renewed(.renewed(shorter)), at: 4100)
        #expect(play.session.held(at: at(9999))?.deadline == at(10_000))
    }

    @Test("a failed renewal is retried soon") func failedRenewal() {
        var play = Play.renewing()
        #expect(play.feed(.renewFailed(down), at: 4100) == [.report(.retrying(down, after: .milliseconds(200))), .timer(at(4300))])
        #expect(play.feed(.timer, at: 4300) == [.renew(grant(until: 10_000)), .timer(at(10_000))])
        #expect(play.feed(.renewFailed(down), at: 4400).last == .timer(at(4800)))
    }

    @Test("a lease is renewed immediately if the machine might have been paused")
    func clockJumped() {
        var play = Play.holding()
        #expect(play.feed(.clockJumped, at: 2000) == [.renew(grant(until: 10_000)), .timer(at(10_000))])
    }

    @Test("a renewal is repeated if the machine might have been paused while it was in flight")
    func clockJumpedWhileRenewing() {
        var play = Play.renewing()
        #expect(play.feed(.clockJumped, at: 4100).isEmpty)
        #expect(play.feed(.renewed(.renewed(grant(until: 0))), at: 4200).last == .timer(at(4200)))
        #expect(play.feed(.timer, at: 4200).first == .renew(grant(until: 13_000)))
        #expect(play.feed(.renewed(.renewed(grant(until: 0))), at: 4300).last == .timer(at(7200)), "one repetition is enough")
    }

    @Test("a failed renewal is retried however few retries are allowed") func renewedRegardlessOfRetries() {
        var retry = Play.retry
        retry.maximumRetries = 0
        var play = Play.holding(retry: retry)
        _ = play.feed(.timer, at: 4000)
        #expect(play.feed(.renewFailed(denied), at: 4100).last == .timer(at(4300)))
    }

    @Test("a failed renewal is retried within the lease's remaining time") func retriedBeforeTheEnd() {
        var play = Play.renewing()
        // A quarter of the remaining 400 ms is less than the pause.
        #expect(play.feed(.renewFailed(down), at: 9600).last == .timer(at(9700)))
    }

    @Test("a lease is lost exactly at its end if every renewal fails") func lostWhenRenewalsFail() {
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

    @Test("a lease is lost at its end if the renewal is not answered") func lostWithoutAnswer() {
        var play = Play.renewing()
        #expect(play.feed(.timer, at: 9999) == [.timer(at(10_000))])
        #expect(play.feed(.timer, at: 10_000) == [.report(.lost(grant(until: 10_000), .expired(nil))), .end(.lost(.expired(nil)))])
    }

    @Test("a lease is lost at its end even if the renewal succeeds too late") func lostDespiteLateRenewal() {
        var play = Play.renewing()
        #expect(play.feed(.renewed(.renewed(grant(until: 0))), at: 10_000).last == .end(.lost(.expired(nil))))
    }

    @Test(
        "a lease is lost when the answer to a renewal shows another holder or none",
        arguments: [(theirs, .takenOver(by: "them")), (nobodys, .removed), (state(.expired, "them", token: 8), .takenOver(by: "them"))]
            as [(ElectionState, LossReason)])
    func lost(found: ElectionState, reason: LossReason) {
        var play = Play.renewing()
        #expect(play.feed(.renewed(.lost(found)), at: 4100) == [.report(.lost(grant(until: 10_000), reason)), .end(.lost(reason))])
        #expect(play.session.held(at: at(4100)) == nil)
    }

    @Test("an uncertain renewal is resolved by a read and repeated if the term is still held") func uncertainAndHeld() {
        var play = Play.renewing()
        #expect(play.feed(.renewFailed(uncertain), at: 4100) == [.read])
        #expect(play.session.held(at: at(4100))?.deadline == at(10_000))
        #expect(play.feed(.read(ours), at: 4200) == [.report(.retrying(uncertain, after: .milliseconds(200))), .timer(at(4400))])
        #expect(play.feed(.timer, at: 4400).first == .renew(grant(until: 10_000)))
    }

    @Test(
        "a lease is lost if the read after an uncertain renewal does not find its term",
        arguments: [theirs, nobodys, state(.held, "us", token: 8)])
    func uncertainAndLost(found: ElectionState) {
        var play = Play.renewing()
        _ = play.feed(.renewFailed(uncertain), at: 4100)
        guard case .end(.lost)? = play.feed(.read(found), at: 4200).last else {
            Issue.record("the lease was not lost")
            return
        }
    }

    @Test("an uncertain renewal is repeated if the read after it fails") func uncertainAndUnreadable() {
        var play = Play.renewing()
        _ = play.feed(.renewFailed(uncertain), at: 4100)
        #expect(play.feed(.readFailed(down), at: 4200) == [.report(.retrying(down, after: .milliseconds(200))), .timer(at(4400))])
    }

    @Test("a lease is lost at its end while an uncertain renewal is being resolved") func lostWhileUncertain() {
        var play = Play.renewing()
        _ = play.feed(.renewFailed(uncertain), at: 4100)
        #expect(play.feed(.timer, at: 9000) == [.timer(at(10_000))])
        #expect(play.feed(.timer, at: 10_000).last == .end(.lost(.expired(uncertain))))
    }

    @Test(
        "a held lease ignores events that do not concern it",
        arguments: [
            .start, .turnCame, .waitFailed(down), .refused(theirs), .releaseAnswered(.released), .renewed(.lost(theirs)), .read(theirs),
        ] as [LeaseSession.Event])
    func others(event: LeaseSession.Event) {
        var play = Play.holding()
        #expect(play.feed(event, at: 2000) == [])
        #expect(play.session.held(at: at(2000)) != nil)
    }
}

@Suite("Observed changes")
struct ObservedTests {
    @Test("observing the session's own term changes nothing") func ownTerm() {
        var play = Play.holding()
        #expect(play.feed(.observed(ours), at: 2000) == [])
    }

    @Test("observing another term or none leads to a read", arguments: [theirs, nobodys, state(.held, "us", token: 6)])
    func foreign(found: ElectionState) {
        var play = Play.holding()
        #expect(play.feed(.observed(found), at: 2000) == [.read])
        #expect(play.session.held(at: at(2000)) != nil)
    }

    @Test("a change from before the grant does not end the term") func outdatedObservation() {
        var play = Play.holding()
        _ = play.feed(.observed(nobodys), at: 2000)
        #expect(play.feed(.read(ours), at: 2010) == [.timer(at(2210))])
        #expect(play.feed(.timer, at: 2210).first == .renew(grant(until: 10_000)))
    }

    @Test("an observed change of holder ends the term once a read confirms it") func confirmedLoss() {
        var play = Play.holding()
        _ = play.feed(.observed(theirs), at: 2000)
        #expect(
            play.feed(.read(theirs), at: 2010) == [
                .report(.lost(grant(until: 10_000), .takenOver(by: "them"))), .end(.lost(.takenOver(by: "them"))),
            ])
    }

    @Test("an observed change starts no read while a request is in flight") func noReadDuringRequest() {
        var play = Play.renewing()
        #expect(play.feed(.observed(theirs), at: 4100) == [])
    }

    @Test("an observed change starts no second read") func oneRead() {
        var play = Play.holding()
        _ = play.feed(.observed(theirs), at: 2000)
        #expect(play.feed(.observed(theirs), at: 2001) == [])
    }

    @Test("a failed watch leads to an immediate renewal") func watchFailed() {
        var play = Play.holding()
        #expect(play.feed(.watchFailed, at: 2000).first == .renew(grant(until: 10_000)))
        #expect(play.feed(.watchFailed, at: 2001) == [], "one request at a time")
    }

    @Test("a request to step down is reported once") func stepDownReportedOnce() {
        var play = Play.holding()
        let asked = state(.held, "us", token: 7, stepDown: "admin")
        #expect(play.feed(.observed(asked), at: 2000) == [.report(.stepDownAsked(by: "admin"))])
        #expect(play.feed(.observed(asked), at: 2001) == [])
        let other = state(.held, "us", token: 7, stepDown: "boss")
        #expect(play.feed(.observed(other), at: 2002) == [.report(.stepDownAsked(by: "boss"))])
    }

    @Test("a request to step down is reported during a renewal") func stepDownDuringRenewal() {
        var play = Play.renewing()
        #expect(play.feed(.observed(state(.held, "us", token: 7, stepDown: "admin")), at: 4100) == [.report(.stepDownAsked(by: "admin"))])
    }

    @Test("a request to step down is reported when the read after an uncertain renewal finds it") func stepDownFoundByRead() {
        var play = Play.renewing()
        _ = play.feed(.renewFailed(uncertain), at: 4100)
        #expect(play.feed(.read(state(.held, "us", token: 7, stepDown: "admin")), at: 4200).first == .report(.stepDownAsked(by: "admin")))
    }

    @Test("observed changes are ignored while no lease is held", arguments: [theirs, ours, nobodys])
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

@Suite("Campaigning again after a loss")
struct CampaignAgainTests {
    @Test("a session that campaigns again requests the lease after a loss") func requestsAgain() {
        var play = Play.renewing(campaignsAgain: true)
        #expect(
            play.feed(.renewed(.lost(theirs)), at: 4100) == [
                .report(.lost(grant(until: 10_000), .takenOver(by: "them"))), .acquire(Play.request),
            ])
        #expect(play.session.held(at: at(4100)) == nil)
    }

    @Test("the next term counts from its own request") func nextTerm() {
        var play = Play.renewing(campaignsAgain: true)
        _ = play.feed(.renewed(.lost(nobodys)), at: 4100)
        #expect(play.feed(.acquired(grant(until: 0, token: 8)), at: 4200).first == .report(.elected(grant(until: 13_100, token: 8))))
    }

    @Test(
        "a lease that ends with a request in flight is not requested before the answer",
        arguments: [.renewed(.renewed(grant(until: 0))), .renewed(.lost(theirs)), .renewFailed(uncertain)] as [LeaseSession.Event])
    func lapsed(answer: LeaseSession.Event) {
        var play = Play.renewing(campaignsAgain: true)
        #expect(play.feed(.timer, at: 10_000) == [.report(.lost(grant(until: 10_000), .expired(nil)))])
        #expect(play.feed(.timer, at: 10_500) == [])
        #expect(play.feed(.observed(theirs), at: 10_600) == [])
        #expect(play.feed(answer, at: 11_000) == [.acquire(Play.request)])
        #expect(play.session.held(at: at(11_000)) == nil)
    }

    @Test("an answer to the old term's renewal does not extend the next term") func oldAnswer() {
        var play = Play.renewing(campaignsAgain: true)
        _ = play.feed(.timer, at: 10_000)
        _ = play.feed(.renewed(.renewed(grant(until: 0))), at: 11_000)
        _ = play.feed(.acquired(grant(until: 0, token: 8)), at: 11_100)
        #expect(play.session.held(at: at(11_100)) == grant(until: 20_000, token: 8))
        #expect(play.feed(.renewed(.renewed(grant(until: 0))), at: 11_200) == [])
    }

    @Test("a lease that ends with no request in flight is requested immediately") func lapsedWhileIdle() {
        var play = Play.holding(campaignsAgain: true)
        #expect(play.feed(.timer, at: 10_000).last == .acquire(Play.request))
    }

    @Test("stopping ends a session that awaits the answer to an old request") func stopWhileAwaitingOldAnswer() {
        var play = Play.renewing(campaignsAgain: true)
        _ = play.feed(.timer, at: 10_000)
        #expect(play.feed(.stop, at: 10_100) == [.end(.stopped)])
    }

    @Test("a stopped session does not request a lost lease again") func lostAfterStop() {
        var play = Play.renewing(campaignsAgain: true)
        _ = play.feed(.stop, at: 4100)
        #expect(play.feed(.renewed(.lost(theirs)), at: 4200).last == .end(.lost(.takenOver(by: "them"))))
    }
}
