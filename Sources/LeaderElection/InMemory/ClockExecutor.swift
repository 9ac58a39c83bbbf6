internal import Dispatch
internal import Synchronization

/// Runs jobs one after the other, and knows when there are none.
final class ClockExecutor: TaskExecutor {
    private struct State {
        /// Jobs that are waiting or running.
        var jobs = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let queue = DispatchQueue(label: "LeaderElection.ManualClock")
    private let state = Mutex(State())

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        state.withLock { $0.jobs += 1 }
        queue.async {
            job.runSynchronously(on: self.asUnownedTaskExecutor())
            let waiting = self.state.withLock { state in
                state.jobs -= 1
                guard state.jobs == 0 else { return [] as [CheckedContinuation<Void, Never>] }
                defer { state.waiting = [] }
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
    }

    /// Returns when no job is waiting or running. The calling task can itself run here.
    func idle() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.jobs == 0 { return true }
                state.waiting.append(continuation)
                return false
            }
            if isIdle { continuation.resume() }
        }
    }
}
