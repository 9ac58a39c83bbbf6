import QQCore
import Synchronization
import Testing

@Suite("A session driver", .timeLimit(.minutes(1)))
struct SessionDriverTests {
    /// One driver at work, what it reported, and what the test steers it with.
    final class Run: Sendable {
        let coordinator: FakeCoordinator
        let clock = ManualClock()
        let driver: SessionDriver
        let livenessLock = FakeLivenessLock()
        private let reports = Mutex<[(SessionEvent, Bool)]>([])
        private let outcome = Mutex<SessionOutcome?>(nil)
        private let task = Mutex<Task<Void, Never>?>(nil)

        init(waiting: LeaseSession.Waiting = .no, campaignsAgain: Bool = false, clearing: SessionDriver.Clearing? = nil) throws {
            coordinator = FakeCoordinator()
            driver = SessionDriver(
                Play(waiting: waiting, campaignsAgain: campaignsAgain).session.configuration, coordinator: coordinator, clock: clock,
                clearing: clearing)
            task.withLock {
                $0 = Task {
                    let outcome = await driver.run { event, livenessLock in
                        self.reports.withLock { $0.append((event, livenessLock != nil)) }
                    }
                    self.outcome.withLock { $0 = outcome }
                }
            }
        }

        var events: [SessionEvent] { reports.withLock { $0.map { $0.0 } } }
        var electedWithLivenessLock: Bool { reports.withLock { $0.contains { if case .elected = $0.0 { $0.1 } else { false } } } }

        func ended() async throws -> SessionOutcome? {
            try await eventually("the end") { outcome.withLock { $0 != nil } }
            return outcome.withLock { $0 }
        }

        func reported(_ event: SessionEvent) async throws { try await eventually("\(event)") { events.contains(event) } }

        /// A timer that is set only after this fires at once.
        func move(to milliseconds: Int) { clock.move(to: at(milliseconds)) }

        func cancel() { task.withLock { $0?.cancel() } }

        func elect() async throws {
            try await coordinator.answer(.acquire, .granted(grant(until: 0), livenessLock))
            try await reported(.elected(grant(until: 10_000)))
        }
    }

    @Test("gives a grant back, and elects nobody, while processes of an earlier term live")
    func clearing() async throws {
        let problem = CoordinationError(.denied, "cannot begin", because: "process 7 lives on")
        let run = try Run { _ throws(CoordinationError) in throw problem }
        try await run.coordinator.answer(.acquire, .granted(grant(until: 0), run.livenessLock))
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        #expect(try await run.ended() == .failed(problem))
        #expect(run.livenessLock.isClosed)
        #expect(!run.events.contains(.elected(grant(until: 10_000))))
    }

    @Test func campaignsHoldsRenewsAndReleases() async throws {
        let run = try Run()
        try await run.elect()
        #expect(run.electedWithLivenessLock)
        run.move(to: 4000)
        try await run.coordinator.answer(.renew(token: 7), .renewed(.renewed(grant(until: 0))))
        try await run.reported(.extended(grant(until: 13_000)))
        #expect(!run.livenessLock.isClosed)
        run.driver.stop()
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        #expect(try await run.ended() == .stopped)
        #expect(run.livenessLock.isClosed)
        #expect(run.events == [.elected(grant(until: 10_000)), .extended(grant(until: 13_000)), .released(grant(until: 13_000))])
        #expect(run.coordinator.seen == [.acquire, .renew(token: 7), .release(token: 7)])
        #expect(run.coordinator.queueLeft == 1)
    }

    @Test func endsWhenRefused() async throws {
        let run = try Run()
        try await run.coordinator.answer(.acquire, .refused(theirs))
        #expect(try await run.ended() == .refused(theirs))
    }

    @Test func waitsForItsTurnAndAsksAgain() async throws {
        let run = try Run(waiting: .forever)
        try await run.coordinator.answer(.acquire, .refused(theirs))
        try await run.coordinator.answer(.waitForTurn, .turn)
        try await run.elect()
        run.driver.stop()
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        #expect(try await run.ended() == .stopped)
    }

    @Test func stopsWhileItWaits() async throws {
        let run = try Run(waiting: .forever)
        try await run.coordinator.answer(.acquire, .refused(theirs))
        try await eventually("the wait") { run.coordinator.seen.last == .waitForTurn }
        run.driver.stop()
        #expect(try await run.ended() == .stopped)
        #expect(run.coordinator.queueLeft == 1)
    }

    @Test func tellsWhatItCannotTakeBack() async throws {
        let run = try Run(waiting: .forever)
        run.coordinator.notWithdrawn = down
        try await run.coordinator.answer(.acquire, .refused(theirs))
        try await eventually("the wait") { run.coordinator.seen.last == .waitForTurn }
        run.driver.stop()
        #expect(try await run.ended() == .stopped)
        #expect(run.events == [.waiting(theirs), .notWithdrawn(down)])
    }

    @Test func stopsWhileItPauses() async throws {
        let run = try Run()
        try await run.coordinator.answer(.acquire, .failure(down))
        try await run.reported(.retrying(down, after: .milliseconds(200)))
        run.driver.stop()
        #expect(try await run.ended() == .stopped)
        #expect(run.clock.sleeperCount == 0)
    }

    @Test func givesUpWhatIsGrantedAfterItWasStopped() async throws {
        let run = try Run()
        try await eventually("the request") { run.coordinator.seen == [.acquire] }
        run.driver.stop()
        try await run.coordinator.answer(.acquire, .granted(grant(until: 0), run.livenessLock))
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        #expect(try await run.ended() == .stopped)
        #expect(run.livenessLock.isClosed)
        #expect(!run.electedWithLivenessLock)
    }

    @Test func closesTheLivenessLockOnlyOnceTheReleaseIsAnswered() async throws {
        let run = try Run()
        try await run.elect()
        run.driver.stop()
        try await eventually("the release") { run.coordinator.seen.last == .release(token: 7) }
        #expect(!run.livenessLock.isClosed)
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        #expect(try await run.ended() == .stopped)
        #expect(run.livenessLock.isClosed)
    }

    @Test func closesTheLivenessLockOfALostTermBeforeItAsksAgain() async throws {
        let run = try Run(campaignsAgain: true)
        try await run.elect()
        run.move(to: 4000)
        try await run.coordinator.answer(.renew(token: 7), .renewed(.lost(theirs)))
        try await eventually("the next request") { run.coordinator.seen.last == .acquire && run.coordinator.seen.count == 3 }
        #expect(run.livenessLock.isClosed)
        try await run.coordinator.answer(.acquire, .refused(theirs))
        #expect(try await run.ended() == .refused(theirs))
    }

    @Test func losesTheLeaseAtItsEndWhileTheRenewalHangs() async throws {
        let run = try Run()
        try await run.elect()
        run.move(to: 4000)
        try await eventually("the renewal") { run.coordinator.seen.last == .renew(token: 7) }
        run.move(to: 10_000)
        #expect(try await run.ended() == .lost(.expired(nil)))
        #expect(run.livenessLock.isClosed)
    }

    @Test func asksOneThingAtATime() async throws {
        let run = try Run(campaignsAgain: true)
        try await run.elect()
        run.coordinator.observe(theirs)
        try await run.coordinator.answer(.read, .state(ours))
        try await eventually("the renewal") {
            run.clock.move(to: run.clock.now() + .milliseconds(10))
            return run.coordinator.seen.last == .renew(token: 7)
        }
        try await run.coordinator.answer(.renew(token: 7), .failure(uncertain))
        run.coordinator.observe(nobodys)
        try await run.coordinator.answer(.read, .state(theirs))
        try await run.coordinator.answer(.acquire, .refused(theirs))
        _ = try await run.ended()
        #expect(run.coordinator.mostAtOnce == 1)
    }

    @Test func tellsOfAStepDown() async throws {
        let run = try Run()
        try await run.elect()
        run.coordinator.observe(state(.held, "us", token: 7, stepDown: "admin"))
        try await run.reported(.stepDownAsked(by: "admin"))
        run.driver.stop()
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        _ = try await run.ended()
    }

    @Test func canBeStoppedBeforeItRuns() async throws {
        let coordinator = FakeCoordinator()
        let driver = SessionDriver(Play().session.configuration, coordinator: coordinator, clock: ManualClock())
        driver.stop()
        async let outcome = driver.run { _, _ in }
        try await coordinator.answer(.acquire, .refused(theirs))
        #expect(await outcome == .stopped)
    }

    @Test func leavesTheLeaseToRunOutWhenItsTaskIsCancelled() async throws {
        let run = try Run()
        try await run.elect()
        run.cancel()
        #expect(try await run.ended() == .stopped)
        #expect(run.livenessLock.isClosed)
        #expect(run.coordinator.seen == [.acquire])
        #expect(run.clock.sleeperCount == 0)
    }
}
