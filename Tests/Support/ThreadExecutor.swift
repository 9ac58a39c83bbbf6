import Foundation
import Synchronization

/// Runs the tasks of one test on threads of its own. Swift's pool has one thread for each processor, and some tests block the thread that they run on, or need
/// it for seconds: on a machine with two processors, two of them would stop all other tests.
public final class ThreadExecutor: TaskExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var isOver = false
    }

    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)
    private let count: Int

    /// - Parameter threads: more than one if the test blocks in one of its tasks, and what it waits for happens in another.
    public init(threads: Int = 3) {
        count = threads
        for _ in 0..<threads { Thread.detachNewThread { [self] in serve() } }
    }

    private func serve() {
        while true {
            bell.wait()
            let (job, isOver) = state.withLock { state in (state.jobs.isEmpty ? nil : state.jobs.removeFirst(), state.isOver) }
            if let job { job.runSynchronously(on: asUnownedTaskExecutor()) } else if isOver { return }
        }
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        state.withLock { $0.jobs.append(job) }
        bell.signal()
    }

    /// Ends the threads once all jobs have run. None must come after this.
    private func end() {
        state.withLock { $0.isOver = true }
        for _ in 0..<count { bell.signal() }
    }

    /// Runs `body`, and all tasks that are its children, on threads of their own.
    public static func run<Value>(threads: Int = 3, _ body: () async throws -> Value) async throws -> Value {
        let executor = ThreadExecutor(threads: threads)
        defer { executor.end() }
        return try await withTaskExecutorPreference(executor) { try await body() }
    }
}
