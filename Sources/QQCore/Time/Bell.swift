import Synchronization

/// A signal from several senders to one waiting task. A ring without a waiter is kept for the next one.
public final class Bell: Sendable {
    private struct State {
        var hasRung = false
        /// Whether the present wait has lasted long enough.
        var isLate = false
        var waiting: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    public init() {}

    public func ring() {
        let waiting = state.withLock { state in
            defer { state.waiting = nil }
            if state.waiting == nil { state.hasRung = true }
            return state.waiting
        }
        waiting?.resume()
    }

    /// Returns when the bell rings, at `deadline`, or when the task is cancelled.
    public func wait(until deadline: BootInstant, _ clock: any LeaseClock) async {
        if deadline == .distantFuture { return await wait() }
        // One task beside this one, and not two: there can be thousands of waiters, and each task costs kilobytes.
        await withTaskGroup(of: Void.self) { group in
            group.addTask { if (try? await clock.sleep(until: deadline)) != nil { self.end() } }
            await self.wait()
            group.cancelAll()
        }
        state.withLock { $0.isLate = false }
    }

    private func end() {
        let waiting = state.withLock { state in
            defer { state.waiting = nil }
            if state.waiting == nil { state.isLate = true }
            return state.waiting
        }
        waiting?.resume()
    }

    private func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.hasRung || state.isLate || Task.isCancelled {
                        state.hasRung = false
                        return true
                    }
                    state.waiting = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                defer { state.waiting = nil }
                return state.waiting
            }
            waiting?.resume()
        }
    }
}
