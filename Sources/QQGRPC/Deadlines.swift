import QQCore
import Synchronization

/// Ends calls whose time is over. One task sleeps for all of them, because nearly every call is answered long before its deadline.
final class Deadlines: Sendable {
    private struct State {
        var open: [UInt64: (deadline: BootInstant, answer: FirstAnswer)] = [:]
        var lastID: UInt64 = 0
        /// Time at which the sleeping task wakes; nil if none sleeps.
        var wakesAt: BootInstant?

        /// Removes and returns the calls whose time is over at `instant`, and sets the next time to check.
        mutating func takeLate(at instant: BootInstant) -> [FirstAnswer] {
            let late = open.filter { $0.value.deadline <= instant }
            for id in late.keys { open[id] = nil }
            wakesAt = open.values.map(\.deadline).min()
            return late.values.map(\.answer)
        }
    }

    private let state = Mutex(State())
    private let clock: any LeaseClock
    private let executor: @Sendable () -> any TaskExecutor
    private let failure: any Error

    /// - Parameters:
    ///   - executor: returns the executor of the sleeping task. Called only when there is such a task, because this can start a thread.
    ///   - failure: the answer to a call whose time is over.
    init(_ clock: any LeaseClock, on executor: @escaping @Sendable () -> any TaskExecutor, failure: any Error) {
        self.clock = clock
        self.executor = executor
        self.failure = failure
    }

    /// Gives `failure` as the `answer` at `deadline`.
    /// - Returns: the number by which `forget` cancels this.
    func watch(_ answer: FirstAnswer, until deadline: BootInstant) -> UInt64 {
        let (id, isNext) = state.withLock { state in
            state.lastID += 1
            state.open[state.lastID] = (deadline, answer)
            let isNext = deadline < state.wakesAt ?? .distantFuture
            if isNext { state.wakesAt = deadline }
            return (state.lastID, isNext)
        }
        if isNext { Task(executorPreference: executor()) { await self.keepWatch(from: deadline) } }
        return id
    }

    func forget(_ id: UInt64) { state.withLock { $0.open[id] = nil } }

    private func keepWatch(from first: BootInstant) async {
        var next: BootInstant? = first
        while let instant = next {
            guard (try? await clock.sleep(until: instant)) != nil else { return }
            let late = state.withLock { state -> [FirstAnswer] in
                // Another task sleeps, for a call with an earlier deadline.
                guard state.wakesAt == instant else {
                    next = nil
                    return []
                }
                defer { next = state.wakesAt }
                return state.takeLate(at: instant)
            }
            for answer in late { answer.give(.failure(failure)) }
        }
    }
}
