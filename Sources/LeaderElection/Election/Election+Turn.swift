internal import QQCore

/// How a turn ended.
enum TurnEnd<Result: Sendable>: Sendable {
    /// The campaign ended without a term; nil if it was not begun.
    case neverLed(SessionOutcome?)
    /// There was a term, but no work under it: why not, or nil if the calling task was cancelled.
    case notWorked(LeadershipLost.Reason?)
    /// The result of the work, and why leadership had ended before it returned; nil if it had not.
    case worked(Swift.Result<Result, any Error>, LeadershipLost.Reason?)
}

extension Election {
    /// Campaigns once, runs the work if it wins, and releases the lease when the work has returned.
    /// - Parameter stopTime: the time that the work has to stop.
    func turn<Result: Sendable>(
        _ waiting: LeaseSession.Waiting, stopTime: Duration, _ work: @escaping @Sendable (Lease) async throws -> Result
    ) async -> TurnEnd<Result> {
        let request = AcquireRequest(
            name: name, identity: identity, ttl: timing.ttl, wantsLivenessLock: true,
            // Work in this process ends with this process.
            guardsWork: false, note: options.note)
        let driver = SessionDriver(
            LeaseSession.Configuration(
                request: request, renewEvery: timing.renewEvery, retry: options.retry.applied(to: system.retry), waiting: waiting),
            coordinator: system.coordinator, clock: system.clock)
        var timing = timing
        timing.stopTime = stopTime
        let turn = Turn(name: name, identity: identity, driver: driver, timing: timing, clock: system.clock, hub: hub, news: news)
        guard !Task.isCancelled, begin(turn) else { return .neverLed(nil) }
        defer { end(turn) }
        hub.post(.campaigning)
        // The cancellation of the calling task must not reach the session: it would leave the lease to expire, and stop renewing while the
        // work still runs. The task is waited for below in every case, so that it does not outlive this call.
        let session = Task(executorPreference: system.executor) {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await turn.watch() }
                turn.sessionEnded(await driver.run { event, _ in turn.take(event) })
            }
        }
        let term = await withTaskCancellationHandler {
            await turn.waitForTerm()
        } onCancel: {
            turn.callOff()
        }
        guard let term else {
            await session.value
            return .neverLed(turn.outcome)
        }
        let result = await Self.run(work, Lease(term: term), turn)
        let reason = turn.endWork()
        await session.value
        return result.map { .worked($0, reason) } ?? .notWorked(reason)
    }

    /// Runs the work in a task of its own, which is cancelled when the work has to stop.
    /// - Returns: nil if the work did not begin.
    private static func run<Result: Sendable>(
        _ work: @escaping @Sendable (Lease) async throws -> Result, _ lease: Lease, _ turn: Turn
    ) async -> Swift.Result<Result, any Error>? {
        await withTaskGroup(of: Swift.Result<Result, any Error>?.self) { group in
            group.addTask {
                await turn.workTask.run {
                    // Here and not before the task was made: it can have waited for its executor until the lease was over.
                    guard !Task.isCancelled, turn.beginsWork() else { return nil }
                    do { return .success(try await work(lease)) } catch { return .failure(error) }
                }
            }
            group.addTask {
                await turn.stopsWork.waitUnlessCancelled()
                return nil
            }
            var result: Swift.Result<Result, any Error>?
            for await ended in group {
                // Either the work has ended, and nothing has to stop it, or it has to stop.
                group.cancelAll()
                if let ended { result = ended }
            }
            return result
        }
    }
}
