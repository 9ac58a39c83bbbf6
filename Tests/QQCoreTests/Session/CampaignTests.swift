import QQCore
import Testing

@Suite("A campaign")
struct CampaignTests {
    @Test("a campaign requests the lease when it starts") func requestsOnStart() {
        var play = Play()
        #expect(play.feed(.start, at: 1000) == [.acquire(Play.request)])
    }

    @Test(
        "a campaign does nothing before it starts",
        arguments: [.timer, .turnCame, .observed(ours), .acquired(grant(until: 9)), .read(ours)] as [LeaseSession.Event])
    func beforeStart(event: LeaseSession.Event) {
        var play = Play()
        #expect(play.feed(event, at: 1000) == [])
        #expect(play.session.held(at: at(1000)) == nil)
    }

    @Test("a lease counts from before its request was sent") func leaseCountsFromRequest() {
        var play = Play()
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.acquired(grant(until: 77_777)), at: 3000) == [.report(.elected(grant(until: 10_000))), .timer(at(4000))])
        #expect(play.session.held(at: at(9999)) == grant(until: 10_000))
        #expect(play.session.held(at: at(10_000)) == nil)
    }

    @Test("a lease whose turn came before its request counts from then, and is renewed in time") func turnBeforeRequest() {
        for (end, expected) in [(9500, 9500), (77_777, 10_000)] {
            var play = Play()
            _ = play.feed(.start, at: 1000)
            var earlier = grant(until: end)
            earlier.endsBy = at(end)
            let granted = grant(until: expected)
            // The TTL is 9 s, and the lease is renewed every 3 s.
            #expect(play.feed(.acquired(earlier), at: 1010) == [.report(.elected(granted)), .timer(at(expected - 6000))])
            #expect(play.session.held(at: at(expected - 1)) == granted && play.session.held(at: at(expected)) == nil)
        }
    }

    @Test("a lease is renewed immediately if the grant took longer than the renewal interval") func slowGrant() {
        var play = Play()
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.acquired(grant(until: 0)), at: 8000).last == .timer(at(4000)))
        #expect(play.feed(.timer, at: 8000) == [.renew(grant(until: 10_000)), .timer(at(10_000))])
    }

    @Test("a grant that arrives after its end is released, and the lease is requested again") func grantAfterItsEnd() {
        var play = Play()
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.acquired(grant(until: 77_777)), at: 10_000) == [.release(grant(until: 10_000))])
        #expect(play.session.held(at: at(10_000)) == nil)
        #expect(
            play.feed(.releaseAnswered(.notHeld(nobodys)), at: 10_100) == [
                .report(.released(grant(until: 10_000))), .acquire(Play.request),
            ])
    }

    @Test("a refused campaign that does not wait ends") func refusedWithoutWaiting() {
        var play = Play()
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.refused(theirs), at: 1010) == [.end(.refused(theirs))])
    }

    @Test("a refused campaign waits for its turn and requests the lease again") func waitsForTurn() {
        var play = Play(waiting: .forever)
        _ = play.feed(.start, at: 1000)
        #expect(
            play.feed(.refused(theirs), at: 1010)
                == [.report(.waiting(theirs)), .waitForTurn(Play.request, behind: theirs, until: .distantFuture)])
        #expect(play.feed(.turnCame, at: 60_000) == [.acquire(Play.request)])
    }

    @Test("a campaign does not wait beyond its deadline") func waitDeadline() {
        var play = Play(waiting: .until(at(5000)))
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.refused(theirs), at: 4999).last == .waitForTurn(Play.request, behind: theirs, until: at(5000)))
        #expect(play.feed(.turnCame, at: 5000) == [.acquire(Play.request)])
        #expect(play.feed(.refused(theirs), at: 5001) == [.end(.timedOut(theirs))])
    }

    @Test("a lease that was requested when the wait ended counts if it is granted") func grantAtWaitDeadline() {
        var play = Play.queueing(.until(at(5000)))
        _ = play.feed(.turnCame, at: 5000)
        #expect(play.feed(.acquired(grant(until: 0)), at: 5001).first == .report(.elected(grant(until: 14_000))))
    }

    @Test("a campaign does not spin when the queue answers immediately") func doesNotSpin() {
        var play = Play.queueing()
        var asked: [Int] = []
        var now = 1010
        // A queue that never waits and an election that always refuses: neither takes any time.
        while now < 2010 {
            if case .timer(let until)? = play.feed(.turnCame, at: now).first {
                now = Int(until.nanoseconds / 1_000_000)
                #expect(play.feed(.timer, at: now) == [.acquire(Play.request)])
            }
            asked.append(now)
            _ = play.feed(.refused(theirs), at: now)
        }
        #expect(asked.count < 60)
    }

    @Test("a campaign accepts three immediate turns before it pauses") func immediateTurns() {
        var play = Play.queueing()
        for _ in 0..<3 {
            #expect(play.feed(.turnCame, at: 1010) == [.acquire(Play.request)])
            _ = play.feed(.refused(theirs), at: 1010)
        }
        #expect(play.feed(.turnCame, at: 1010) == [.timer(at(1030))])
        #expect(play.feed(.timer, at: 1029) == [])
        #expect(play.feed(.timer, at: 1030) == [.acquire(Play.request)])
    }

    @Test("a campaign accepts immediate turns again after a real wait") func turnsAfterARealWait() {
        var play = Play.queueing()
        for _ in 0..<3 {
            _ = play.feed(.turnCame, at: 1010)
            _ = play.feed(.refused(theirs), at: 1010)
        }
        #expect(play.feed(.turnCame, at: 2000) == [.acquire(Play.request)])
        _ = play.feed(.refused(theirs), at: 2000)
        #expect(play.feed(.turnCame, at: 2000) == [.acquire(Play.request)])
    }

    @Test("a transient failure is retried with growing pauses until the campaign fails") func retriesWithGrowingPauses() {
        var play = Play()
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.acquireFailed(down), at: 1000) == [.report(.retrying(down, after: .milliseconds(200))), .timer(at(1200))])
        #expect(play.feed(.timer, at: 1199) == [])
        #expect(play.feed(.timer, at: 1200) == [.acquire(Play.request)])
        #expect(play.feed(.acquireFailed(down), at: 1200).last == .timer(at(1600)))
        _ = play.feed(.timer, at: 1600)
        #expect(play.feed(.acquireFailed(down), at: 1600).last == .timer(at(2400)))
        _ = play.feed(.timer, at: 2400)
        #expect(play.feed(.acquireFailed(down), at: 2400) == [.end(.failed(down))])
    }

    @Test("an answer resets the retries of a campaign") func answerResetsRetries() {
        var play = Play(waiting: .forever)
        _ = play.feed(.start, at: 1000)
        _ = play.feed(.acquireFailed(down), at: 1000)
        _ = play.feed(.timer, at: 1200)
        _ = play.feed(.refused(theirs), at: 1200)
        _ = play.feed(.turnCame, at: 2000)
        #expect(play.feed(.acquireFailed(down), at: 2000).last == .timer(at(2200)))
    }

    @Test("a campaign fails immediately if a retry cannot help") func permanentFailure() {
        var play = Play()
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.acquireFailed(denied), at: 1000) == [.end(.failed(denied))])
    }

    @Test("a campaign retries after its wait has failed") func retriesFailedWait() {
        var play = Play.queueing()
        #expect(play.feed(.waitFailed(down), at: 2000).last == .timer(at(2200)))
        #expect(play.feed(.timer, at: 2200) == [.acquire(Play.request)])
    }

    @Test("a campaign that is not permitted to wait fails") func waitDenied() {
        var play = Play.queueing()
        #expect(play.feed(.waitFailed(denied), at: 2000) == [.end(.failed(denied))])
    }

    @Test("a campaign asks to resume the term that it was given") func resumesGivenTerm() {
        let term = Grant(
            name: "backup", identity: "us", token: FencingToken(7), ttl: .seconds(9), deadline: at(9000), acquiredAt: WallTime(seconds: 0),
            expiresAt: WallTime(seconds: 9))
        var play = Play(continuing: term)
        guard case .acquire(let request)? = play.feed(.start, at: 1000).first else {
            Issue.record("no lease was requested")
            return
        }
        #expect(request.continuing == term)
    }
}

@Suite("An acquire whose outcome is unknown")
struct UncertainAcquireTests {
    private func uncertainAcquire(waiting: LeaseSession.Waiting = .no) -> Play {
        var play = Play(waiting: waiting)
        _ = play.feed(.start, at: 1000)
        #expect(play.feed(.acquireFailed(uncertain), at: 2000) == [.read])
        return play
    }

    @Test("an uncertain acquire does not count as a held lease") func notHeld() {
        let play = uncertainAcquire()
        #expect(play.session.held(at: at(2000)) == nil)
    }

    @Test("an uncertain acquire that was granted is released and requested again") func grantedAfterAll() {
        var play = uncertainAcquire()
        guard case .release(let found)? = play.feed(.read(ours), at: 2100).first else {
            Issue.record("no lease was released")
            return
        }
        #expect(found.token == FencingToken(7))
        #expect(play.session.held(at: at(2100)) == nil)
        #expect(play.feed(.releaseAnswered(.released), at: 2200).last == .acquire(Play.request))
    }

    @Test(
        "an uncertain acquire that was not granted is retried",
        arguments: [theirs, nobodys, state(.expired, "us", token: 7), state(.held, "us", token: 7, alive: true)])
    func notGranted(found: ElectionState) {
        var play = uncertainAcquire()
        #expect(play.feed(.read(found), at: 2100) == [.report(.retrying(uncertain, after: .milliseconds(200))), .timer(at(2300))])
        #expect(play.feed(.timer, at: 2300) == [.acquire(Play.request)])
    }

    @Test("the read that resolves an uncertain acquire is retried when it fails") func readRetried() {
        var play = uncertainAcquire()
        #expect(play.feed(.readFailed(down), at: 2100) == [.report(.retrying(down, after: .milliseconds(200))), .timer(at(2300))])
        #expect(play.feed(.timer, at: 2299) == [])
        #expect(play.feed(.timer, at: 2300) == [.read])
    }

    @Test("an uncertain acquire is resolved by one read at a time") func oneReadAtATime() {
        var play = uncertainAcquire()
        #expect(play.feed(.timer, at: 2050) == [])
        _ = play.feed(.readFailed(down), at: 2100)
        _ = play.feed(.timer, at: 2300)
        #expect(play.feed(.timer, at: 2400) == [])
    }

    @Test("an uncertain acquire is no longer read once its lease would have ended") func leaseEnded() {
        var play = uncertainAcquire()
        #expect(play.feed(.readFailed(down), at: 10_000) == [.report(.retrying(uncertain, after: .milliseconds(200))), .timer(at(10_200))])
        #expect(play.feed(.timer, at: 10_200) == [.acquire(Play.request)])
    }

    @Test("an uncertain acquire is retried if the election cannot be read") func unreadable() {
        var play = uncertainAcquire()
        #expect(play.feed(.readFailed(denied), at: 2100).last == .timer(at(2300)))
    }

    @Test("an uncertain acquire that was granted is released after a stop") func stoppedAndGranted() {
        var play = uncertainAcquire()
        #expect(play.feed(.stop, at: 2050) == [])
        guard case .release? = play.feed(.read(ours), at: 2100).first else {
            Issue.record("no lease was released")
            return
        }
        #expect(play.feed(.releaseAnswered(.released), at: 2200).last == .end(.stopped))
    }

    @Test("a stopped session ends if its uncertain acquire was not granted") func stoppedAndNotGranted() {
        var play = uncertainAcquire()
        _ = play.feed(.stop, at: 2050)
        #expect(play.feed(.read(theirs), at: 2100) == [.end(.stopped)])
    }
}
