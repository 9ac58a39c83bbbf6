import CKernel
import Glibc
import QQCore

/// Starts a thread of its own for work that can block in the kernel. It has a small stack and every signal blocked, and keeps what `body` refers to alive.
/// - Throws: `SystemCallError` of pthread_create(3).
public func startThread(_ body: @escaping @Sendable () -> Void) throws(SystemCallError) {
    final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let work = Unmanaged.passRetained(Work(body))
    let problem = qq_thread_start(
        { argument in
            guard let argument else { return nil }
            Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
            return nil
        }, work.toOpaque())
    guard problem != 0 else { return }
    work.release()
    throw SystemCallError("pthread_create", code: problem)
}

/// Runs `body` on a thread of its own and waits for its result, while the caller's executor continues.
/// - Returns: nil if the task is cancelled first. The thread then runs on, and its result is dropped.
/// - Throws: `SystemCallError` of pthread_create(3).
public func resultOfThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async throws(SystemCallError) -> Result? {
    let (results, result) = AsyncStream.makeStream(of: Result.self)
    try startThread {
        result.yield(body())
        result.finish()
    }
    for await result in results { return result }
    return nil
}
