import QQCore
import Synchronization
import Testing

@Suite("A session driver", .timeLimit(.minutes(10)))
struct SessionDriverTests {
    /// The calls of an observer.
    final class Observed: Sendable {
        private let calls = Mutex<[SessionEvent?]>([])

        var all: [SessionEvent?] { calls.withLock { $0 } }

        func add(_ event: SessionEvent?) { calls.withLock { $0.append(event) } }
    }

    /// A running driver, its reports, and the objects with which the test steers it.
    final class Run: Sendable {
        let coordinator: FakeCoordinator
        let clock = ManualClock()
        let driver: SessionDriver
        let livenessLock = FakeLivenessLock()
        private let reports = Mutex<[(SessionEvent, Bool)]>([])
        /// What the observer was called with.
        let observed: Observed
        private let outcome = Mutex<SessionOutcome?>(nil)
        private let task = Mutex<Task<Void, Never>?>(nil)

        init(
            waiting: LeaseSession.Waiting = .no, campaignsAgain: Bool = false, watchesAfter: Duration = .zero,
            clearing: SessionDriver.Clearing? = nil
        ) throws {
            coordinator = FakeCoordinator()
            var configuration = Play(waiting: waiting, campaignsAgain: campaignsAgain).session.configuration
            configuration.watchesAfter = watchesAfter
            let seen = Observed()
            observed = seen
            driver = SessionDriver(configuration, coordinator: coordinator, clock: clock, clearing: clearing) { seen.add($0) }
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

        /// Timers that are due by then fire, including those set only after this call.
        func move(to milliseconds: Int) { clock.move(to: at(milliseconds)) }

        func cancel() { task.withLock { $0?.cancel() } }

        func elect() async throws {
            try await coordinator.answer(.acquire, .granted(grant(until: 0), livenessLock))
            try await reported(.elected(grant(until: 10_000)))
        }
    }

    @Test("an observer sees every event, and the end of the session") func observed() async throws {
        let run = try Run()
        try await run.elect()
        run.driver.stop()
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        #expect(try await run.ended() == .stopped)
        #expect(run.events.count == 2 && run.observed.all == run.events.map { .some($0) } + [nil])
    }

    @Test("an observer sees the end of a session that is cancelled") func observedCancellation() async throws {
        let run = try Run()
        try await run.elect()
        run.cancel()
        #expect(try await run.ended() == .stopped)
        #expect(run.observed.all.last == .some(nil))
    }

    @Test("a granted lease is released without an election while processes of an earlier term are alive")
    func clearing() async throws {
        let problem = CoordinationError(.denied, "cannot begin", because: "process 7 lives on")
        let run = try Run { _ throws(CoordinationError) in throw problem }
        try await run.coordinator.answer(.acquire, .granted(grant(until: 0), run.livenessLock))
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        #expect(try await run.ended() == .failed(problem))
        #expect(run.livenessLock.isClosed)
        #expect(!run.events.contains(.elected(grant(until: 10_000))))
    }

    @Test("a grant that was perhaps given back is read and released before the next request") func uncertainClearing() async throws {
        let run = try Run(waiting: .forever) { _ throws(CoordinationError) in throw down }
        try await run.coordinator.answer(.acquire, .granted(grant(until: 0), run.livenessLock))
        try await run.coordinator.answer(.release(token: 7), .failure(uncertain))
        try await run.coordinator.answer(.read, .state(ours))
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        run.cancel()
        #expect(run.coordinator.seen == [.acquire, .release(token: 7), .read, .release(token: 7)])
    }

    @Test("a term whose turn came before its request is watched no sooner than any other") func watchedAfterTurn() async throws {
        let run = try Run(watchesAfter: .milliseconds(250))
        var earlier = grant(until: 9500)
        earlier.endsBy = at(9500)
        try await run.coordinator.answer(.acquire, .granted(earlier, run.livenessLock))
        try await run.reported(.elected(grant(until: 9500)))
        try await eventually("the renewal and the watch are awaited") { run.clock.sleeperCount == 2 }
        #expect(run.coordinator.follows == 0)
        run.move(to: 1250)
        try await eventually("the watch") { run.coordinator.follows == 1 }
        run.cancel()
    }

    @Test("a session driver campaigns, holds, renews and releases") func wholeTerm() async throws {
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

    @Test("a session driver ends when it is refused the lease") func refused() async throws {
        let run = try Run()
        try await run.coordinator.answer(.acquire, .refused(theirs))
        #expect(try await run.ended() == .refused(theirs))
    }

    @Test("a session driver waits for its turn and requests the lease again") func waitsForTurn() async throws {
        let run = try Run(waiting: .forever)
        try await run.coordinator.answer(.acquire, .refused(theirs))
        try await run.coordinator.answer(.waitForTurn, .turn)
        try await run.elect()
        run.driver.stop()
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        #expect(try await run.ended() == .stopped)
    }

    @Test("a session driver can be stopped while it waits") func stoppedWhileWaiting() async throws {
        let run = try Run(waiting: .forever)
        try await run.coordinator.answer(.acquire, .refused(theirs))
        try await eventually("the wait") { run.coordinator.seen.last == .waitForTurn }
        run.driver.stop()
        #expect(try await run.ended() == .stopped)
        #expect(run.coordinator.queueLeft == 1)
    }

    @Test("a session driver reports that it could not leave the queue") func queueNotLeft() async throws {
        let run = try Run(waiting: .forever)
        run.coordinator.notWithdrawn = down
        try await run.coordinator.answer(.acquire, .refused(theirs))
        try await eventually("the wait") { run.coordinator.seen.last == .waitForTurn }
        run.driver.stop()
        #expect(try await run.ended() == .stopped)
        #expect(run.events == [.waiting(theirs), .notWithdrawn(down)])
    }

    @Test("a session driver can be stopped during a retry pause") func stoppedDuringPause() async throws {
        let run = try Run()
        try await run.coordinator.answer(.acquire, .failure(down))
        try await run.reported(.retrying(down, after: .milliseconds(200)))
        run.driver.stop()
        #expect(try await run.ended() == .stopped)
        #expect(run.clock.sleeperCount == 0)
    }

    @Test("a session driver releases a lease that is granted after it was stopped") func grantedAfterStop() async throws {
        let run = try Run()
        try await eventually("the request") { run.coordinator.seen == [.acquire] }
        run.driver.stop()
        try await run.coordinator.answer(.acquire, .granted(grant(until: 0), run.livenessLock))
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        #expect(try await run.ended() == .stopped)
        #expect(run.livenessLock.isClosed)
        #expect(!run.electedWithLivenessLock)
    }

    @Test("the liveness lock is kept until the release is answered") func livenessLockDuringRelease() async throws {
        let run = try Run()
        try await run.elect()
        run.driver.stop()
        try await eventually("the release") { run.coordinator.seen.last == .release(token: 7) }
        #expect(!run.livenessLock.isClosed)
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        #expect(try await run.ended() == .stopped)
        #expect(run.livenessLock.isClosed)
    }

    @Test("a lost term's liveness lock is closed before the lease is requested again") func livenessLockOfALostTerm() async throws {
        let run = try Run(campaignsAgain: true)
        try await run.elect()
        run.move(to: 4000)
        try await run.coordinator.answer(.renew(token: 7), .renewed(.lost(theirs)))
        try await eventually("the next request") { run.coordinator.seen.last == .acquire && run.coordinator.seen.count == 3 }
        #expect(run.livenessLock.isClosed)
        try await run.coordinator.answer(.acquire, .refused(theirs))
        #expect(try await run.ended() == .refused(theirs))
    }

    @Test("a session driver loses the lease at its end while the renewal hangs") func renewalHangs() async throws {
        let run = try Run()
        try await run.elect()
        run.move(to: 4000)
        try await eventually("the renewal") { run.coordinator.seen.last == .renew(token: 7) }
        run.move(to: 10_000)
        #expect(try await run.ended() == .lost(.expired(nil)))
        #expect(run.livenessLock.isClosed)
    }

    @Test("a session driver sends one request at a time") func oneRequestAtATime() async throws {
        let run = try Run(campaignsAgain: true)
        try await run.elect()
        run.coordinator.observe(theirs)
        try await run.coordinator.answer(.read, .state(ours))
        try await eventually("the renewal") {
            // Not past the end of the lease, however slowly the driver follows.
            if run.clock.now() < at(5000) { run.clock.move(to: run.clock.now() + .milliseconds(10)) }
            return run.coordinator.seen.last == .renew(token: 7)
        }
        try await run.coordinator.answer(.renew(token: 7), .failure(uncertain))
        run.coordinator.observe(nobodys)
        try await run.coordinator.answer(.read, .state(theirs))
        try await run.coordinator.answer(.acquire, .refused(theirs))
        _ = try await run.ended()
        #expect(run.coordinator.mostAtOnce == 1)
    }

    @Test("a session driver reports a request to step down") func stepDown() async throws {
        let run = try Run()
        try await run.elect()
        run.coordinator.observe(state(.held, "us", token: 7, stepDown: "admin"))
        try await run.reported(.stepDownAsked(by: "admin"))
        run.driver.stop()
        try await run.coordinator.answer(.release(token: 7), .released(.released))
        _ = try await run.ended()
    }

    @Test("a session driver can be stopped before it runs") func stoppedBeforeRunning() async throws {
        let coordinator = FakeCoordinator()
        let driver = SessionDriver(Play().session.configuration, coordinator: coordinator, clock: ManualClock())
        driver.stop()
        async let outcome = driver.run { _, _ in }
        try await coordinator.answer(.acquire, .refused(theirs))
        #expect(await outcome == .stopped)
    }

    @Test("a session driver leaves the lease to expire when its task is cancelled") func cancelled() async throws {
        let run = try Run()
        try await run.elect()
        run.cancel()
        #expect(try await run.ended() == .stopped)
        #expect(run.livenessLock.isClosed)
        #expect(run.coordinator.seen == [.acquire])
        #expect(run.clock.sleeperCount == 0)
    }
}
