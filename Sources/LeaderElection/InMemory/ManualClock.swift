internal import QQCore
internal import Synchronization

/// A clock that is turned by hand, for tests: an hour passes as fast as the work that it causes.
///
/// The elections of an ``InMemoryElections`` run on this clock and on an executor of its own, one job after the other. ``advance(by:)``
/// goes from one sleeping task to the next in the order of their times, and waits before each step until everything that was caused by the
/// last one has been done. The same test therefore always sees the same events.
public final class ManualClock: Sendable {
    private struct State {
        var now = BootInstant(nanoseconds: 1_000_000_000_000)
        var nextID: UInt64 = 0
        /// In the order in which they wake.
        var sleepers: [Sleeper] = []
    }

    private struct Sleeper {
        let deadline: BootInstant
        let id: UInt64
        let continuation: CheckedContinuation<Void, any Error>
    }

    private let state = Mutex(State())
    let executor = ClockExecutor()
    private let start: BootInstant

    /// A clock at its start.
    public init() { start = state.withLock { $0.now } }

    /// The time that has passed since the clock was made.
    public var elapsed: Duration { now().duration(since: start) }

    /// The number of tasks that sleep on this clock.
    public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

    /// Lets `duration` pass. Returns when all that happens in that time has been done, except what runs on other executors, such as the
    /// main actor.
    public func advance(by duration: Duration) async {
        let end = now() + Self.whole(duration)
        while true {
            await executor.idle()
            let next: Sleeper? = state.withLock { state in
                guard let first = state.sleepers.first, first.deadline <= end else {
                    state.now = max(state.now, end)
                    return nil
                }
                state.sleepers.removeFirst()
                state.now = max(state.now, first.deadline)
                return first
            }
            guard let next else { return }
            next.continuation.resume()
        }
    }

    /// Lets `duration` pass as it passes for a process that is stopped: no sleeping task is woken. The next ``advance(by:)`` wakes those
    /// whose time has come.
    public func jump(by duration: Duration) { state.withLock { $0.now = $0.now + Self.whole(duration) } }

    /// Returns when everything has been done that can be done without time passing.
    public func settle() async { await executor.idle() }

    /// Runs `body` and its child tasks on the clock's executor. ``advance(by:)`` then waits for them as well, until they sleep on this
    /// clock or wait for the election.
    /// - Parameters:
    ///   - isolation: the actor that the caller, and therefore `body`, runs on.
    ///   - body: work of the test.
    public func run<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async rethrows -> Result {
        try await withTaskExecutorPreference(executor, isolation: isolation) { try await body() }
    }

    /// Sleeps on this clock.
    /// - Throws: `CancellationError` when the task is cancelled.
    public func sleep(for duration: Duration) async throws { try await sleep(until: now() + Self.whole(duration)) }

    /// In whole nanoseconds, rounded: 19.9 and 0.1 seconds are 20 together, which they are not as `Double`.
    private static func whole(_ duration: Duration) -> Duration {
        .nanoseconds(saturating: max(duration.attoseconds + 500_000_000, 0) / 1_000_000_000)
    }
}

extension ManualClock {
    func now() -> BootInstant { state.withLock { $0.now } }

    func sleep(until deadline: BootInstant) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Swift.Result<Void, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if deadline <= state.now { return .success(()) }
                    let index = state.sleepers.firstIndex { $0.deadline > deadline } ?? state.sleepers.endIndex
                    state.sleepers.insert(Sleeper(deadline: deadline, id: id, continuation: continuation), at: index)
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                state.sleepers.firstIndex { $0.id == id }.map { state.sleepers.remove(at: $0) }
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }
}

/// A manual clock as the core uses clocks.
struct ManualLeaseClock: LeaseClock {
    let clock: ManualClock

    func now() -> BootInstant { clock.now() }

    func sleep(until deadline: BootInstant) async throws { try await clock.sleep(until: deadline) }
}
