/// Drives one `LeaseSession`: carries out its actions on a system, and feeds the results back to it.
public final class SessionDriver: Sendable {
    /// Called for every event, in order. It must not block, because renewals wait for it. The liveness lock comes with `.elected`.
    public typealias Report = @Sendable (SessionEvent, (any LivenessLock)?) -> Void

    /// Called with a grant before it takes effect. If it throws, the lease is released.
    public typealias Clearing = @Sendable (Grant) async throws(CoordinationError) -> Void

    /// Called with every event before it is reported, and with nil when the session has ended. It must not block either.
    public typealias Observer = @Sendable (SessionEvent?) -> Void

    private let coordinator: any Campaigning
    private let clearing: Clearing?
    private let observer: Observer?
    private let clock: any LeaseClock
    private let configuration: LeaseSession.Configuration
    private let mailbox: AsyncStream<Input>
    private let post: AsyncStream<Input>.Continuation

    private indirect enum Input: Sendable {
        case event(LeaseSession.Event)
        case granted(Grant, (any LivenessLock)?)
        /// A state that a watch saw, and the bell that rings when it has been processed.
        case observed(ElectionState, Bell)
        /// A sleep until this moment has ended.
        case timer(BootInstant)
        case nothing
    }

    /// - Parameters:
    ///   - clearing: makes sure that no processes of an earlier term are left on this machine.
    ///   - observer: follows the session, for metrics.
    public init(
        _ configuration: LeaseSession.Configuration, coordinator: any Campaigning, clock: any LeaseClock, clearing: Clearing? = nil,
        observer: Observer? = nil
    ) {
        self.configuration = configuration
        self.coordinator = coordinator
        self.clearing = clearing
        self.observer = observer
        self.clock = clock
        (mailbox, post) = AsyncStream.makeStream(of: Input.self)
    }

    /// Stops campaigning or releases the lease; `run` returns when that is done.
    public func stop() { post.yield(.event(.stop)) }

    /// Renews now, and again if a renewal is under way: the machine might have been paused.
    public func renewNow() { post.yield(.event(.clockJumped)) }

    /// Campaigns, holds and renews until the session ends. Run it once.
    ///
    /// To end it, call `stop` once the work under the lease has ended. Cancelling the task ends it without a release: the lease expires.
    public func run(report: @escaping Report) async -> SessionOutcome {
        // Discarding: a group that keeps the results of its tasks grows with every renewal.
        await withDiscardingTaskGroup { group in
            var session = LeaseSession(configuration)
            var livenessLock: (any LivenessLock)?
            var isWatching = false
            var left = Bell()
            var watched = configuration.request.name
            var alarm = Alarm()
            var inputs = mailbox.makeAsyncIterator()
            var actions = session.handle(.start, at: clock.now())
            defer {
                livenessLock?.close()
                group.cancelAll()
                observer?(nil)
            }
            while true {
                for action in actions {
                    switch action {
                    case .end(let outcome):
                        group.cancelAll()
                        let left = await coordinator.leaveQueue(configuration.request)
                        // A campaign that failed with an uncertain request reports that itself.
                        if let left, !outcome.isUncertain {
                            observer?(.notWithdrawn(left))
                            report(.notWithdrawn(left), nil)
                        }
                        return outcome
                    case .report(let event):
                        observer?(event)
                        report(event, livenessLock)
                        switch event {
                        case .elected(let grant) where !isWatching || grant.name != watched:
                            isWatching = true
                            watched = grant.name
                            left.ring()
                            left = Bell()
                            let begin = clock.now() + configuration.watchesAfter
                            if grant.name == configuration.request.name {
                                group.addTask { await self.watch(grant.name, from: begin) }
                            } else {
                                group.addTask { [left] in await self.watch(grant.name, from: begin, until: left) }
                            }
                        case .lost, .released, .releaseFailed:
                            livenessLock?.close()
                            livenessLock = nil
                        default: break
                        }
                    case .timer(let instant):
                        if let sleep = alarm.set(to: instant) {
                            group.addTask { if (try? await self.clock.sleep(until: sleep)) != nil { self.post.yield(.timer(sleep)) } }
                        }
                    case .acquire, .waitForTurn, .read, .renew, .release:
                        group.addTask { self.post.yield(await self.answer(to: action)) }
                    }
                }
                guard let input = await inputs.next() else {
                    // This task was cancelled. The work under the lease might still run, so the lease is left to expire.
                    return .stopped
                }
                switch input {
                case .timer(let instant):
                    let now = clock.now()
                    switch alarm.woke(from: instant, at: now) {
                    case .rings: actions = session.handle(.timer, at: now)
                    case .sleepsOn(let sleep): actions = sleep.map { [.timer($0)] } ?? []
                    }
                case .nothing: actions = []
                case .granted(let grant, let given):
                    livenessLock?.close()
                    livenessLock = given
                    actions = session.handle(.acquired(grant), at: clock.now())
                case .observed(let state, let processed):
                    actions = session.handle(.observed(state), at: clock.now())
                    processed.ring()
                case .event(let event): actions = session.handle(event, at: clock.now())
                }
            }
        }
    }

    private func answer(to action: LeaseSession.Action) async -> Input {
        switch action {
        case .acquire(let request):
            do throws(CoordinationError) {
                switch try await coordinator.acquire(request) {
                case .granted(let grant, let livenessLock): return await cleared(grant, livenessLock)
                case .refused(let state): return .event(.refused(state))
                }
            } catch { return .event(.acquireFailed(error)) }
        case .waitForTurn(let request, let blocker, let deadline):
            do throws(CoordinationError) {
                try await coordinator.waitForTurn(request, behind: blocker, until: deadline)
                return .event(.turnCame)
            } catch { return .event(.waitFailed(error)) }
        case .read:
            do throws(CoordinationError) { return .event(.read(try await coordinator.read(configuration.request.name))) } catch {
                return .event(.readFailed(error))
            }
        case .renew(let grant):
            do throws(CoordinationError) { return .event(.renewed(try await coordinator.renew(grant))) } catch {
                return .event(.renewFailed(error))
            }
        case .release(let grant):
            do throws(CoordinationError) { return .event(.releaseAnswered(try await coordinator.release(grant))) } catch {
                return .event(.releaseFailed(error))
            }
        case .timer, .report, .end: return .nothing
        }
    }

    private func cleared(_ grant: Grant, _ livenessLock: (any LivenessLock)?) async -> Input {
        do throws(CoordinationError) { try await clearing?(grant) } catch {
            livenessLock?.close()
            var told = error
            var uncleared = grant
            uncleared.leavesProcesses = true
            do throws(CoordinationError) { _ = try await coordinator.release(uncleared) } catch let failure {
                told.reason += "; the lease could not be given back and expires by itself: \(failure)"
                // A release that can still be carried out must not end the lease that the next request would be granted: it is resolved first.
                if failure.isUncertain { told.isUncertain = true }
            }
            return .event(.acquireFailed(told))
        }
        return .granted(grant, livenessLock)
    }

    /// Watches a slot until another one is held.
    private func watch(_ slot: String, from begin: BootInstant, until left: Bell) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.watch(slot, from: begin) }
            group.addTask { await left.wait(until: .distantFuture, self.clock) }
            await group.next()
            group.cancelAll()
        }
    }

    /// - Parameter name: the election that is held. With slots, it is another one than the one that was asked for.
    private func watch(_ name: String, from begin: BootInstant) async {
        let processed = Bell()
        try? await clock.sleep(until: begin)
        while !Task.isCancelled {
            // Watching only shows a loss earlier; renewals show it as well.
            _ = try? await coordinator.follow([name], on: clock, pause: configuration.renewEvery) { _ in
                post.yield(.event(.watchFailed))
            } take: { state -> Bool? in
                post.yield(.observed(state, processed))
                // One at a time: an election can change faster than its states are processed.
                await processed.wait(until: .distantFuture, clock)
                return nil
            }
            try? await clock.sleep(for: configuration.renewEvery)
        }
    }
}
