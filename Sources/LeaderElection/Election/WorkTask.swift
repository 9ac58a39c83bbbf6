internal import Synchronization

/// The task of the work, which can be cancelled from any thread: the executor of the work, which would cancel it otherwise, can be busy with
/// the work itself.
final class WorkTask: Sendable {
    // Used only while the task runs, and only for what every task can do with another one.
    private struct Handle: @unchecked Sendable { let task: UnsafeCurrentTask }

    private struct State {
        /// Nil before the task runs, and after.
        var handle: Handle?
        var isCancelled = false
    }

    private let state = Mutex(State())
    /// Opens when a cancellation has been carried out.
    private let done = Gate()

    /// Makes the current task the task of the work while `body` runs.
    func run<Result: Sendable>(_ body: () async -> Result) async -> Result {
        begin()
        let result = await body()
        await end()
        return result
    }

    private func begin() {
        withUnsafeCurrentTask { task in
            guard let task else { return }
            let handle = Handle(task: task)
            state.withLock { $0.handle = handle }
        }
    }

    /// Cancels the task, if it runs. Calls the handlers of the work for its cancellation.
    func cancel() {
        let handle = state.withLock { state -> Handle? in
            if state.isCancelled { return nil }
            state.isCancelled = state.handle != nil
            return state.handle
        }
        guard let handle else { return }
        handle.task.cancel()
        done.open()
    }

    /// The task must not end while another thread cancels it.
    private func end() async {
        let isCancelled = state.withLock { state in
            state.handle = nil
            return state.isCancelled
        }
        if isCancelled { await done.wait() }
    }
}
