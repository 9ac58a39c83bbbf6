import QQCore
import QQGuard

/// A process `qq keepalive NAME`: the real lease session, as `ElectionHolder` drives it, without a guardian. Nothing is ended when it loses
/// the lease, so its work is what it says of itself: it leads while its lease is in force by its clock.
final class KeepaliveRun: @unchecked Sendable {
    // Used on the world's thread only.
    private let process: SimProcess
    private let world: World
    private var configuration: LeaseSession.Configuration
    private let timing: Guardian.Timing
    private let coordinator: any Campaigning
    private let watched: WatchedCoordinator
    private var driver: SessionDriver
    private var term: Term?
    /// The newest term, held or not.
    private var newest: Term?
    private var isStopping = false
    private var cooldown: Duration?
    /// A grant that an earlier process has saved.
    private let saved: Grant?
    /// Saves a grant for the next process, or forgets it.
    private let save: (Grant?) -> Void

    init(
        _ process: SimProcess, _ configuration: LeaseSession.Configuration, _ timing: Guardian.Timing, _ coordinator: any Campaigning,
        saved: Grant?, save: @escaping (Grant?) -> Void
    ) {
        self.saved = saved
        self.save = save
        self.process = process
        self.configuration = configuration
        self.timing = timing
        self.coordinator = coordinator
        world = process.world
        watched = WatchedCoordinator(coordinator, process)
        driver = SessionDriver(configuration, coordinator: watched, clock: process.clock)
    }

    func begin() {
        world.note("keeps the lease alive", process)
        process.onEnd { [weak self] in self?.endTerm() }
        process.start { [self] in
            if let saved { await resume(saved) }
            while true {
                _ = await driver.run { [self] event, _ in follow(event) }
                endTerm()
                if !process.isDead, !watched.hasAskedToRelease, let newest { world.checker.leaves(newest) }
                guard !isStopping, !process.isDead, let pause = cooldown else { break }
                cooldown = nil
                try? await process.clock.sleep(for: pause)
                if isStopping || process.isDead { break }
                configuration.request.continuing = nil
                driver = SessionDriver(configuration, coordinator: watched, clock: process.clock)
            }
            process.post { [process] in process.end() }
        }
    }

    /// Resumes the term of the saved grant, unless it has ended.
    private func resume(_ saved: Grant) async {
        var retry = 0
        while !isStopping, !process.isDead {
            do throws(CoordinationError) {
                let state = try await coordinator.read(saved.name)
                guard state.isLed, state.isTerm(of: saved), !isStopping else { return }
                world.note("goes on with the term of a saved grant", process)
                configuration.request.continuing = saved
                driver = SessionDriver(configuration, coordinator: watched, clock: process.clock)
                return
            } catch {
                guard error.isRiddenOut else { return }
                retry += 1
                let pause = configuration.retry.pause(before: retry, random: process.random.fraction())
                guard (try? await process.clock.sleep(for: pause)) != nil else { return }
            }
        }
    }

    func stop() {
        process.post { [weak self] in
            guard let self, !isStopping else { return }
            isStopping = true
            world.note("is told to stop", process)
            endTerm()
            world.checker.stops(process)
            driver.stop()
        }
    }

    private func follow(_ event: SessionEvent) {
        switch event {
        case .elected(let grant), .extended(let grant): save(grant)
        case .lost, .released, .releaseFailed: save(nil)
        default: break
        }
        switch event {
        case .elected(let grant):
            // Elected while stopping: the lease is being released.
            guard !isStopping else { return }
            term = world.checker.elected(
                process, election: grant.name, identity: grant.identity, token: grant.token, deadline: grant.deadline, ttl: grant.ttl,
                margin: timing.fitting(grant.ttl).margin)
            newest = term
        case .extended(let grant): if let term { world.checker.extended(term, to: grant.deadline, ttl: grant.ttl) }
        case .stepDownAsked:
            // As ElectionHolder: it does not campaign again at once.
            world.note("is asked to step down", process)
            cooldown = configuration.request.ttl
            endTerm()
            driver.stop()
        case .lost(_, let reason):
            if let term { world.checker.lost(term, reason) }
            switch reason {
            case .expired: world.note("has lost the lease: not renewed in time", process)
            case .takenOver: world.note("has lost the lease: taken over", process)
            case .removed: world.note("has lost the lease: removed", process)
            }
            endTerm()
        case .released:
            if let newest { world.checker.released(newest) }
            endTerm()
        case .releaseFailed: endTerm()
        case .waiting: world.note("waits", process)
        case .retrying(let error, _), .outage(let error, _):
            world.note(error.isUncertain ? "a request failed, and might be carried out" : "a request failed", process)
        case .outageOver, .notWithdrawn: break
        }
    }

    private func endTerm() {
        guard let ended = term else { return }
        term = nil
        world.checker.ended(ended)
    }
}
