import QQCore
import Testing

@Suite("Stopping a session")
struct StoppingTests {
    @Test("stopping a session before its start ends it") func beforeStart() {
        var play = Play()
        #expect(play.feed(.stop, at: 1000) == [.end(.stopped)])
    }

    @Test("stopping a session that waits ends it") func whileWaiting() {
        var play = Play.queueing()
        #expect(play.feed(.stop, at: 2000) == [.end(.stopped)])
    }

    @Test("stopping a session during a retry pause ends it") func duringPause() {
        var play = Play()
        _ = play.feed(.start, at: 1000)
        _ = play.feed(.acquireFailed(down), at: 1010)
        #expect(play.feed(.stop, at: 1100) == [.end(.stopped)])
    }

    @Test("a lease that is granted after a stop is released") func grantedAfterStop() {
        var play = Play()
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.stop, at: 1005) == [])
        #expect(play.feed(.acquired(grant(until: 0)), at: 1010) == [.release(grant(until: 10_000))])
        #expect(play.session.held(at: at(1010)) == nil)
        #expect(play.feed(.releaseAnswered(.released), at: 1020) == [.report(.released(grant(until: 10_000))), .end(.stopped)])
    }

    @Test(
        "stopping a session during its request ends it when the answer is a refusal or a failure",
        arguments: [.refused(theirs), .acquireFailed(down), .acquireFailed(denied)] as [LeaseSession.Event])
    func asking(answer: LeaseSession.Event) {
        var play = Play(waiting: .forever)
        _ = play.feed(.start, at: 1000)
        _ = play.feed(.stop, at: 1005)
        #expect(play.feed(answer, at: 1010) == [.end(.stopped)])
    }

    @Test("a stopped session resolves an uncertain acquire first") func uncertainAcquire() {
        var play = Play()
        _ = play.feed(.start, at: 1000)
        _ = play.feed(.stop, at: 1005)
        #expect(play.feed(.acquireFailed(uncertain), at: 1010) == [.read])
    }

    @Test("stopping a session that holds a lease releases it") func whileHolding() {
        var play = Play.holding()
        #expect(play.feed(.stop, at: 2000) == [.release(grant(until: 10_000))])
        #expect(play.session.held(at: at(2000)) == nil)
        #expect(play.feed(.releaseAnswered(.released), at: 2010) == [.report(.released(grant(until: 10_000))), .end(.stopped)])
    }

    @Test("stopping a session during a renewal releases the renewed lease") func duringRenewal() {
        var play = Play.renewing()
        #expect(play.feed(.stop, at: 4100) == [])
        #expect(play.feed(.renewed(.renewed(grant(until: 0))), at: 4200) == [.release(grant(until: 13_000))])
    }

    @Test("stopping a session during a renewal releases the lease if the renewal fails") func duringFailingRenewal() {
        var play = Play.renewing()
        _ = play.feed(.stop, at: 4100)
        #expect(play.feed(.renewFailed(down), at: 4200) == [.release(grant(until: 10_000))])
    }

    @Test("stopping a session with an uncertain renewal releases the lease if it is still held") func uncertainRenewal() {
        var play = Play.renewing()
        _ = play.feed(.renewFailed(uncertain), at: 4100)
        #expect(play.feed(.stop, at: 4150) == [])
        #expect(play.feed(.read(ours), at: 4200) == [.release(grant(until: 10_000))])
    }

    @Test("stopping a session with an uncertain renewal releases the lease if the read fails") func uncertainRenewalUnreadable() {
        var play = Play.renewing()
        _ = play.feed(.renewFailed(uncertain), at: 4100)
        _ = play.feed(.stop, at: 4150)
        #expect(play.feed(.readFailed(down), at: 4200) == [.release(grant(until: 10_000))])
    }

    @Test("stopping a session twice is the same as once") func twice() {
        var play = Play.releasing()
        #expect(play.feed(.stop, at: 2001) == [])
    }

    @Test("a session that is stopped while it releases an expired grant does not ask again") func whileReleasingExpiredGrant() {
        var play = Play()
        _ = play.feed(.start, at: 1000)
        _ = play.feed(.acquired(grant(until: 0)), at: 10_000)
        #expect(play.feed(.stop, at: 10_001) == [])
        #expect(play.feed(.releaseAnswered(.released), at: 10_002).last == .end(.stopped))
    }

    @Test(
        "a session that has ended ignores all events",
        arguments: [
            .start, .acquired(grant(until: 0)), .refused(theirs), .acquireFailed(down), .turnCame, .waitFailed(down), .read(ours),
            .readFailed(down),
            .renewed(.renewed(grant(until: 0))), .renewFailed(down), .observed(theirs), .timer, .stop, .releaseAnswered(.released),
            .releaseFailed(down),
        ] as [LeaseSession.Event])
    func ended(event: LeaseSession.Event) {
        var play = Play.releasing()
        _ = play.feed(.releaseAnswered(.released), at: 2010)
        #expect(play.feed(event, at: 2020) == [])
        #expect(play.session.held(at: at(2020)) == nil)
    }
}

@Suite("A release")
struct ReleaseTests {
    @Test("releasing a lease that is no longer held ends the session") func notHeldAnyMore() {
        var play = Play.releasing()
        #expect(play.feed(.releaseAnswered(.notHeld(theirs)), at: 2010).last == .end(.stopped))
    }

    @Test("a release is retried after a transient failure", arguments: [down, uncertain])
    func retried(error: CoordinationError) {
        var play = Play.releasing()
        #expect(play.feed(.releaseFailed(error), at: 2010) == [.report(.retrying(error, after: .milliseconds(200))), .timer(at(2210))])
        #expect(play.feed(.timer, at: 2209) == [])
        #expect(play.feed(.timer, at: 2210) == [.release(grant(until: 10_000))])
    }

    @Test("a release is not sent again while it is in flight") func oneReleaseAtATime() {
        var play = Play.releasing()
        #expect(play.feed(.timer, at: 4000) == [])
    }

    @Test("a release is abandoned after the allowed retries") func abandonedAfterRetries() {
        var play = Play.releasing()
        _ = play.feed(.releaseFailed(down), at: 2010)
        _ = play.feed(.timer, at: 2210)
        _ = play.feed(.releaseFailed(down), at: 2210)
        _ = play.feed(.timer, at: 2610)
        _ = play.feed(.releaseFailed(down), at: 2610)
        _ = play.feed(.timer, at: 3410)
        #expect(play.feed(.releaseFailed(down), at: 3410) == [.report(.releaseFailed(grant(until: 10_000), down)), .end(.stopped)])
    }

    @Test("a release is abandoned immediately if a retry cannot help") func permanentFailure() {
        var play = Play.releasing()
        #expect(play.feed(.releaseFailed(denied), at: 2010) == [.report(.releaseFailed(grant(until: 10_000), denied)), .end(.stopped)])
    }

    @Test("a release is not retried beyond the end of the lease") func noRetryBeyondTheEnd() {
        var play = Play.releasing()
        #expect(play.feed(.releaseFailed(down), at: 9800).last == .end(.stopped))
    }

    @Test("a failed release of an expired grant ends the campaign") func expiredGrant() {
        var play = Play()
        _ = play.feed(.start, at: 1000)
        _ = play.feed(.acquired(grant(until: 0)), at: 10_000)
        #expect(play.feed(.releaseFailed(denied), at: 10_100).last == .end(.failed(denied)))
    }
}
