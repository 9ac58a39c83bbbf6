import QQCore
import Synchronization

/// A coordinator whose requests wait until the test answers them.
final class FakeCoordinator: Campaigning {
    enum Request: Sendable, Hashable {
        case acquire
        case renew(token: UInt64?)
        case release(token: UInt64?)
        case read, waitForTurn
    }

    enum Answer: Sendable {
        case granted(Grant, (any LivenessLock)?)
        case refused(ElectionState)
        case renewed(RenewAnswer)
        case released(ReleaseAnswer)
        case state(ElectionState)
        case turn
        case failure(CoordinationError)
    }

    private struct State {
        var seen: [Request] = []
        var pending: (request: Request, continuation: CheckedContinuation<Answer, Never>)?
        var mostAtOnce = 0
        var atOnce = 0
        var queueLeft = 0
        var follows = 0
        var notWithdrawn: CoordinationError?
    }

    private let state = Mutex(State())
    private let watch = AsyncThrowingStream.makeStream(of: ElectionState.self)

    var seen: [Request] { state.withLock { $0.seen } }
    var mostAtOnce: Int { state.withLock { $0.mostAtOnce } }
    var queueLeft: Int { state.withLock { $0.queueLeft } }
    /// How often the election was watched.
    var follows: Int { state.withLock { $0.follows } }
    /// The error that leaving the queue returns.
    var notWithdrawn: CoordinationError? {
        get { state.withLock { $0.notWithdrawn } }
        set { state.withLock { $0.notWithdrawn = newValue } }
    }

    func observe(_ state: ElectionState) { watch.continuation.yield(state) }

    /// Answers the next request, which has to be `expected`.
    func answer(_ expected: Request, _ answer: Answer) async throws {
        try await eventually("\(expected) to be asked") { self.state.withLock { $0.pending?.request == expected } }
        let pending = state.withLock { state in
            defer { state.pending = nil }
            return state.pending
        }
        pending?.continuation.resume(returning: answer)
    }

    private func ask(_ request: Request, cancelled: Answer) async -> Answer {
        state.withLock { state in
            state.seen.append(request)
            state.atOnce += 1
            state.mostAtOnce = max(state.mostAtOnce, state.atOnce)
        }
        defer { state.withLock { $0.atOnce -= 1 } }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isCancelled = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.pending = (request, continuation)
                    return false
                }
                if isCancelled { continuation.resume(returning: cancelled) }
            }
        } onCancel: {
            let pending = state.withLock { state in
                defer { state.pending = nil }
                return state.pending
            }
            pending?.continuation.resume(returning: cancelled)
        }
    }

    func validate(name: String, identity: String, ttl: Duration) {}

    func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        switch await ask(.acquire, cancelled: .failure(down)) {
        case .granted(let grant, let livenessLock): return .granted(grant, livenessLock)
        case .refused(let state): return .refused(state)
        case .failure(let error): throw error
        default: throw denied
        }
    }

    func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
        switch await ask(.renew(token: grant.token?.value), cancelled: .failure(down)) {
        case .renewed(let answer): return answer
        case .failure(let error): throw error
        default: throw denied
        }
    }

    func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        switch await ask(.release(token: grant.token?.value), cancelled: .failure(down)) {
        case .released(let answer): return answer
        case .failure(let error): throw error
        default: throw denied
        }
    }

    func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        switch await ask(.read, cancelled: .failure(down)) {
        case .state(let state): return state
        case .failure(let error): throw error
        default: throw denied
        }
    }

    func waitForTurn(_ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant) async throws(CoordinationError)
    {
        if case .failure(let error) = await ask(.waitForTurn, cancelled: .turn) { throw error }
    }

    func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        state.withLock { state in
            state.queueLeft += 1
            return state.notWithdrawn
        }
    }

    func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        state.withLock { $0.follows += 1 }
        return watch.stream
    }

}

/// A liveness lock that knows whether it was closed.
final class FakeLivenessLock: LivenessLock {
    let descriptor: Int32 = -1
    private let closed = Mutex(false)

    var isClosed: Bool { closed.withLock { $0 } }

    func close() { closed.withLock { $0 = true } }
}

struct NeverHappened: Error, CustomStringConvertible {
    var description: String
}

/// Waits until `condition` holds, for at most two minutes.
func eventually(_ what: String, _ condition: () -> Bool) async throws {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(120)
    while !condition() {
        if clock.now >= end { throw NeverHappened(description: "waited in vain for " + what) }
        try await Task.sleep(for: .microseconds(200))
    }
}
