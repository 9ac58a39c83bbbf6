import Glibc
import QQCore
import Synchronization

/// A place in the queue for a lease file: a thread that sleeps until it gets the queue's lock. The kernel wakes the sleepers one at a time, in the order of
/// arrival; the owner of the lock leads next. The place is kept while its owner does other things, and given up when the value is destroyed.
final class QueuePlace: Sendable {
    private let result: Result
    private let wait: any KernelWait

    private final class Result: Sendable {
        /// errno, or 0 for the lock; nil while the thread sleeps.
        let code = Mutex<CInt?>(nil)
        let bell = Bell()
    }

    /// - Parameter side: a description of `.NAME.lock` of its own; the lock goes with it.
    /// - Throws: `SystemCallError` if a thread cannot be started.
    init(_ side: Descriptor) throws(SystemCallError) {
        let result = Result()
        self.result = result
        wait = try side.waitToLock(byte: TermLivenessLock.queueByte) { code in
            result.code.withLock { $0 = code }
            result.bell.ring()
        }
        descriptor = side
    }

    private let descriptor: Descriptor

    deinit { wait.cancel() }

    /// Whether it is our turn.
    /// - Throws: `SystemCallError` if the kernel refuses the lock.
    func isFirst() throws(SystemCallError) -> Bool {
        switch result.code.withLock({ $0 }) {
        case nil: return false
        case 0: return true
        case let code?: throw SystemCallError("fcntl", code: code)
        }
    }

    /// Returns when it might be our turn, at `deadline`, or when the task is cancelled.
    func wait(until deadline: BootInstant, _ clock: any LeaseClock) async { await result.bell.wait(until: deadline, clock) }
}
