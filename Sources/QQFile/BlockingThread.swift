import CSystem
import Glibc

/// Work that blocks in the kernel, on a thread of its own, awaited as a task and ended by its cancellation.
enum BlockingThread {
    /// What `body` returned: 0 or an errno; ECANCELED where the task was cancelled.
    static func run(_ body: @escaping @Sendable (OpaquePointer) -> CInt) async -> CInt {
        guard let wait = Wait() else { return ENOMEM }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let work = Unmanaged.passRetained(Work { continuation.resume(returning: body(wait.pointer)) })
                let problem = qq_thread_start(
                    { argument in
                        guard let argument else { return nil }
                        Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                        return nil
                    }, work.toOpaque())
                if problem != 0 {
                    work.release()
                    continuation.resume(returning: problem)
                }
            }
        } onCancel: {
            qq_blocking_wait_cancel(wait.pointer)
        }
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private final class Wait: Sendable {
        // The C side guards its own state with atomics and a mutex.
        nonisolated(unsafe) let pointer: OpaquePointer

        init?() {
            guard let pointer = qq_blocking_wait_create() else { return nil }
            self.pointer = pointer
        }

        deinit { qq_blocking_wait_destroy(pointer) }
    }
}
