import Foundation
import LeaderElection

/// The largest token that has written to the queue, in a locked file.
///
/// A database would do the same in one statement: `UPDATE … WHERE token <= $1`.
struct Fence: ~Copyable {
    private let descriptor: CInt

    /// Waits until no other process has the file locked; at most until the task is cancelled.
    static func lock(_ path: String) async throws -> Fence {
        let fence = Fence(descriptor: open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644))
        guard fence.descriptor >= 0 else { throw CannotWrite(what: path, code: errno) }
        // Not `LOCK_EX` alone: it would block a thread that other tasks need.
        while flock(fence.descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw CannotWrite(what: path, code: errno) }
            try await Task.sleep(for: .milliseconds(5))
        }
        return fence
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Remembers a token.
    /// - Throws: ``Refused`` if a larger one was here before.
    func pass(_ token: FencingToken) throws {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count >= 0 else { throw CannotWrite(what: "fence", code: errno) }
        let last = UInt64(String(decoding: bytes.prefix(count), as: UTF8.self).prefix { $0.isNumber }) ?? 0
        guard token.value >= last else { throw Refused(token: token, last: last) }
        guard token.value > last else { return }
        // Tokens only grow, so the new number is at least as long as the old one and covers it.
        let text = Array("\(token.value)\n".utf8)
        guard pwrite(descriptor, text, text.count, 0) == text.count else { throw CannotWrite(what: "fence", code: errno) }
    }
}

/// Another worker has begun since this one was elected.
struct Refused: Error, CustomStringConvertible {
    var token: FencingToken
    var last: UInt64

    var description: String { "token \(token) is refused: a worker with token \(last) has written" }
}
