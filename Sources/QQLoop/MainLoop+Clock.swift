import CKernel
import Glibc
import QQCore

extension MainLoop: LeaseClock {
    public func now() -> BootInstant { BootInstant(nanoseconds: qq_boot_now()) }

    public func sleep(until deadline: BootInstant) async throws {
        let id = newWaiterID()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let cancelled = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.timers.insert(Waiter(id: id, continuation: continuation), at: deadline)
                    return false
                }
                if cancelled { continuation.resume(throwing: CancellationError()) }
                // A loop that is already asleep does not know of this deadline.
                if !isOwnThread { wakeUp() }
            }
        } onCancel: {
            let waiter = state.withLock { $0.timers.remove(id: id) }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }
}

extension MainLoop {
    func newWaiterID() -> UInt64 {
        state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
    }

    /// Returns when `descriptor` has something to read, or its other end is closed. Only one task at a time can wait on a descriptor.
    /// - Throws: `CancellationError`, or `SystemCallError` if the descriptor cannot be waited on.
    public func readable(_ descriptor: CInt) async throws { try await wait(for: descriptor, EPOLLIN.rawValue) }

    /// Returns when the other end of `descriptor`, a pipe or a socket, is closed. Only one task at a time can wait on a descriptor.
    /// - Throws: `CancellationError`, or `SystemCallError` if the descriptor cannot be waited on.
    public func disconnected(_ descriptor: CInt) async throws { try await wait(for: descriptor, 0) }

    /// - Parameter events: in addition to an error and a closed end, which are always waited for.
    private func wait(for descriptor: CInt, _ events: UInt32) async throws {
        let id = newWaiterID()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let problem: (any Error)? = state.withLock { state in
                    if Task.isCancelled { return CancellationError() }
                    do throws(SystemCallError) { try watch(descriptor, events, once: true) } catch { return error }
                    state.readers[descriptor] = Waiter(id: id, continuation: continuation)
                    return nil
                }
                if let problem { continuation.resume(throwing: problem) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.readers[descriptor]?.id == id ? state.readers.removeValue(forKey: descriptor) : nil
            }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Forgets a descriptor that is about to be closed.
    public func forget(_ descriptor: CInt) { _ = epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil) }
}
