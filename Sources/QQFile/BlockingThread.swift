import CKernel
import Glibc
import QQCore
import QQLoop

/// A thread of its own for work that blocks in the kernel until `cancel` ends it.
///
/// Only calls of CKernel that take a `qq_blocking_wait` can be ended.
final class BlockingThread: KernelWait {
    private let wait: Wait

    /// - Throws: `SystemCallError` if no thread can be started.
    init(_ body: @escaping @Sendable (OpaquePointer) -> Void) throws(SystemCallError) {
        guard let wait = Wait() else { throw SystemCallError("pthread_create", code: ENOMEM) }
        self.wait = wait
        try startThread { body(wait.pointer) }
    }

    /// Ends the present blocking call and all later ones with ECANCELED. Returns when the thread has left the kernel.
    func cancel() { qq_blocking_wait_cancel(wait.pointer) }

    /// Runs `body` on a thread of its own, and ends its blocking calls if the task is cancelled.
    /// - Returns: the result of `body`, which is 0 or an errno; ECANCELED if the task is cancelled first; the errno of pthread_create(3) if no thread starts.
    static func run(_ body: @escaping @Sendable (OpaquePointer) -> CInt) async -> CInt {
        guard let wait = Wait() else { return ENOMEM }
        return await withTaskCancellationHandler {
            do throws(SystemCallError) { return try await resultOfThread { body(wait.pointer) } ?? ECANCELED } catch { return error.code }
        } onCancel: {
            qq_blocking_wait_cancel(wait.pointer)
        }
    }

    private final class Wait: Sendable {
        // The C side guards its own state with atomics and a mutex, which the compiler cannot see.
        nonisolated(unsafe) let pointer: OpaquePointer

        init?() {
            guard let pointer = qq_blocking_wait_create() else { return nil }
            self.pointer = pointer
        }

        deinit { qq_blocking_wait_destroy(pointer) }
    }
}
