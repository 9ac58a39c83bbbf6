import QQCore
import QQLoop
import Synchronization

/// Batches of hooks, which run one after another, whatever happens in the meantime.
final class HookQueue: Sendable {
    private struct Batch: Sendable {
        let number: Int
        let event: HookEvent
        let environment: [(name: String, value: String)]
    }

    private struct State {
        /// Numbers of the batch that was added last, and of the last batch to be skipped.
        var added = 0
        var ended = 0
        var running: Task<String?, Never>?
    }

    private let hooks: Hooks
    private let loop: MainLoop
    private let failed: @Sendable (String, String) -> Void
    private let batches: AsyncStream<Batch>
    private let post: AsyncStream<Batch>.Continuation
    private let state = Mutex(State())

    /// - Parameter failed: called with a failed command and the reason.
    init(_ hooks: Hooks, on loop: MainLoop, failed: @escaping @Sendable (String, String) -> Void) {
        self.hooks = hooks
        self.loop = loop
        self.failed = failed
        (batches, post) = AsyncStream.makeStream(of: Batch.self)
    }

    func add(_ event: HookEvent, environment: [(name: String, value: String)]) {
        let number = state.withLock { state in
            state.added += 1
            return state.added
        }
        post.yield(Batch(number: number, event: event, environment: environment))
    }

    /// Ends the running hook.
    /// - Parameter withBatches: whether the batches that were added so far are skipped as well.
    func endHook(withBatches: Bool) {
        let running = state.withLock { state in
            if withBatches { state.ended = state.added }
            return state.running
        }
        running?.cancel()
    }

    /// Runs batches as they come, until the task is cancelled.
    /// - Parameter ran: called after each batch.
    func run(ran: @Sendable () -> Void) async {
        for await batch in batches {
            for command in hooks.commands(for: batch.event) {
                guard let task = start(command, of: batch) else { break }
                if let problem = await task.value { failed(command, problem) }
                state.withLock { $0.running = nil }
            }
            ran()
        }
    }

    private func start(_ command: String, of batch: Batch) -> Task<String?, Never>? {
        let (loop, limit) = (loop, hooks.timeLimit)
        return state.withLock { state in
            guard batch.number > state.ended else { return nil }
            let task = Task(executorPreference: loop) {
                await ShellCommand(command, environment: batch.environment).run(timeLimit: limit, on: loop)
            }
            state.running = task
            return task
        }
    }
}
