import CKernel
import Glibc
import QQCore

/// A thread of its own for work that blocks in the kernel, which `cancel` ends.
///
/// The calls that it blocks in are those of CKernel that take a `qq_blocking_wait`.
final class BlockingThread: Sendable {
    private let wait: Wait

    /// - Throws: `SystemCallError` where there is no thread to be had.
    init(_ body: @escaping @Sendable (OpaquePointer) -> Void) throws(SystemCallError) {
        guard let wait = Wait() else { throw SystemCallError("pthread_create", code: ENOMEM) }
        self.wait = wait
        // The thread keeps what it uses alive, whatever becomes of us.
        let work = Unmanaged.passRetained(Work { body(wait.pointer) })
        let problem = qq_thread_start(
            { argument in
                guard let argument else { return nil }
                Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        if problem != 0 {
            work.release()
            throw SystemCallError("pthread_create", code: problem)
        }
    }

    /// Wakes it from what it blocks in, with ECANCELED, now and from now on. Returns when it has left the kernel.
    func cancel() { qq_blocking_wait_cancel(wait.pointer) }

    /// Runs `body` on a thread as a task that can be cancelled: what it returned, 0 or an errno.
    static func run(_ body: @escaping @Sendable (OpaquePointer) -> CInt) async -> CInt {
        let (results, result) = AsyncStream.makeStream(of: CInt.self)
        do {
            let thread = try BlockingThread { wait in
                result.yield(body(wait))
                result.finish()
            }
            return await withTaskCancellationHandler {
                // The stream ends on cancellation by itself; what the thread says then is of no interest.
                for await code in results { return code }
                return ECANCELED
            } onCancel: {
                thread.cancel()
            }
        } catch { return error.code }
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
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
