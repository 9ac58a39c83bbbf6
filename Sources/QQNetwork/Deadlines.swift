import QQCore
import Synchronization

/// Ends calls whose time is over. One task sleeps for all of them, because nearly every call is answered long before its deadline.
public final class Deadlines: Sendable {
    private struct State {
        var open: [UInt64: (deadline: BootInstant, end: @Sendable () -> Void)] = [:]
        var lastID: UInt64 = 0
        /// Time at which the sleeping task wakes; nil if none sleeps.
        var wakesAt: BootInstant?

        /// Removes the calls whose time is over at `instant`, and sets the next time to check.
        /// - Returns: the actions that end them.
        mutating func takeLate(at instant: BootInstant) -> [@Sendable () -> Void] {
            let late = open.filter { $0.value.deadline <= instant }
            for id in late.keys { open[id] = nil }
            wakesAt = open.values.map(\.deadline).min()
            return late.values.map(\.end)
        }
    }

    private let state = Mutex(State())
    private let clock: any LeaseClock
    private let executor: @Sendable () -> any TaskExecutor

    /// - Parameter executor: returns the executor of the sleeping task. Called only when there is such a task, because this can start a thread.
    public init(_ clock: any LeaseClock, on executor: @escaping @Sendable () -> any TaskExecutor) {
        self.clock = clock
        self.executor = executor
    }

    /// Calls `end` at `deadline`, on the executor.
    /// - Returns: the number by which `forget` cancels this.
    public func watch(until deadline: BootInstant, _ end: @escaping @Sendable () -> Void) -> UInt64 {
        let (id, isNext) = state.withLock { state in
            state.lastID += 1
            state.open[state.lastID] = (deadline, end)
            let isNext = deadline < state.wakesAt ?? .distantFuture
            if isNext { state.wakesAt = deadline }
            return (state.lastID, isNext)
        }
        if isNext { Task(executorPreference: executor()) { await self.keepWatch(from: deadline) } }
        return id
    }

    public func forget(_ id: UInt64) { state.withLock { $0.open[id] = nil } }

    private func keepWatch(from first: BootInstant) async {
        var next: BootInstant? = first
        while let instant = next {
            guard (try? await clock.sleep(until: instant)) != nil else { return }
            let late = state.withLock { state -> [@Sendable () -> Void] in
                // Another task sleeps, for a call with an earlier deadline.
                guard state.wakesAt == instant else {
                    next = nil
                    return []
                }
                defer { next = state.wakesAt }
                return state.takeLate(at: instant)
            }
            for end in late { end() }
        }
    }
}
