import Glibc
import QQCore
import QQFile
import Synchronization

/// The lock under which the file of contexts is changed. Released by `close`, or with the last reference.
final class ContextsLock: Sendable {
    private let descriptor: Mutex<CInt>
    private let path: String

    init(_ descriptor: CInt, path: String) {
        self.descriptor = Mutex(descriptor)
        self.path = path
    }

    deinit { close() }

    func close() {
        descriptor.withLock { descriptor in
            if descriptor >= 0 { Glibc.close(descriptor) }
            descriptor = -1
        }
    }

    /// Tries to acquire the lock, without waiting.
    /// - Returns: whether this process has the lock.
    /// - Throws: `CoordinationError` if the file system has no locks.
    func isTaken() throws(CoordinationError) -> Bool {
        let result = descriptor.withLock { flock($0, LOCK_EX | LOCK_NB) == 0 ? 0 : errno }
        switch result {
        case 0: return true
        case EWOULDBLOCK, EINTR: return false
        default:
            throw CoordinationError(
                .unavailable, "cannot change the contexts", because: SystemCallError("flock", code: result).reason, at: path)
        }
    }

    /// The error if another process has kept the lock for the whole wait. Names that process if it is known.
    func refusal(after patience: Duration) -> CoordinationError {
        let holder = descriptor.withLock { flockHolder(of: $0) }
        return CoordinationError(
            .unavailable, "cannot change the contexts",
            because: "\(holder?.description ?? "another process") has kept them locked for \(DurationText.brief(patience))", at: path,
            hint: holder.map { "have it release the lock, or end it: kill \($0.pid)" } ?? "find that process: fuser -v \(path).lock")
    }
}
