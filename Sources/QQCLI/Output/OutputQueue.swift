import CKernel
import Glibc
import QQCore
import QQLoop
import Synchronization

/// Output for a file that can block, such as a pipe without a reader or a stopped terminal. The caller never waits.
///
/// Text that the file takes immediately is written immediately. The rest is queued, in order and up to a bound, for a thread that lives until all of it is
/// written; most processes never need one. (O_NONBLOCK is not an option: it would apply to every process that shares the open file.)
final class OutputQueue: Sendable {
    /// The outcome of writing a text.
    enum Outcome: Equatable {
        /// Written, or queued.
        case taken
        /// Left out: the queue is full.
        case left
    }

    private struct Piece {
        let bytes: [UInt8]
        let descriptor: CInt
    }

    private struct State {
        /// The pieces before `next` are written, and that one is being written.
        var waiting: [Piece] = []
        var next = 0
        /// Size of the queue, in bytes.
        var count = 0
        var isWriting = false
        var left: [CInt: Int] = [:]
        var problems: [CInt: SystemCallError] = [:]
    }

    /// Size up to which text that can be left out is queued, in bytes.
    static let limit = 1 << 20

    private let state = Mutex(State())
    private let limit: Int
    /// Whether writes never block: a regular file, or a memory device such as /dev/null.
    private let isImmediate: Bool

    /// - Parameter descriptor: a descriptor of the file.
    init(_ descriptor: CInt, limit: Int = OutputQueue.limit) {
        self.limit = limit
        var information = stat()
        isImmediate =
            fstat(descriptor, &information) == 0
            && (information.st_mode & S_IFMT == S_IFREG || (information.st_mode & S_IFMT == S_IFCHR && information.st_rdev >> 8 == 1))
    }

    // MARK: Writing

    /// Writes a text, or queues it.
    /// - Parameters:
    ///   - mayLeave: whether the text belongs to an endless stream and can be left out. An answer cannot.
    ///   - mayStart: whether a thread can be started already.
    /// - Throws: `SystemCallError` if the file cannot be written. A failure of queued text is thrown at the next call.
    func write(_ bytes: [UInt8], to descriptor: CInt, mayLeave: Bool, mayStart: Bool = true) throws(SystemCallError) -> Outcome {
        let result = state.withLock { state -> Result<Outcome, SystemCallError> in
            if let problem = state.problems.removeValue(forKey: descriptor) { return .failure(problem) }
            var rest = bytes
            if state.count == 0, !state.isWriting {
                do throws(SystemCallError) { rest = try writeNow(bytes, to: descriptor) } catch { return .failure(error) }
                if rest.isEmpty { return .success(.taken) }
            } else if mayLeave, state.count + bytes.count > (state.left[descriptor] == nil ? limit : limit / 2) {
                state.left[descriptor, default: 0] += max(bytes.count { $0 == 10 }, 1)
                return .success(.left)
            }
            state.waiting.append(Piece(bytes: rest, descriptor: descriptor))
            state.count += rest.count
            return .success(.taken)
        }
        if mayStart { start() }
        return try result.get()
    }

    /// - Returns: the bytes that the file does not take now.
    private func writeNow(_ bytes: [UInt8], to descriptor: CInt) throws(SystemCallError) -> [UInt8] {
        if isImmediate {
            try writeAll(bytes, to: descriptor)
            return []
        }
        let count = bytes.withUnsafeBytes { qq_write_now(descriptor, $0.baseAddress, bytes.count) }
        if count >= 0 { return Array(bytes[Int(count)...]) }
        guard errno == EAGAIN else { throw SystemCallError("write") }
        return bytes
    }

    /// The number of lines to a descriptor that were left out since the last call; 0 as long as the queue has no room for more.
    func takeLeft(_ descriptor: CInt) -> Int {
        state.withLock { state in
            guard state.left[descriptor] != nil, state.count <= limit / 2 else { return 0 }
            return state.left.removeValue(forKey: descriptor) ?? 0
        }
    }

    // MARK: The thread

    private func start() {
        let isNeeded = state.withLock { state in
            guard !state.isWriting, state.next < state.waiting.count else { return false }
            state.isWriting = true
            return true
        }
        guard isNeeded else { return }
        do throws(SystemCallError) { try startThread { self.work() } } catch {
            // The next text, and the end of the process, try again.
            state.withLock { $0.isWriting = false }
        }
    }

    private func work() {
        while let piece = current() {
            let isBroken = state.withLock { $0.problems[piece.descriptor] != nil }
            var problem: SystemCallError?
            if !isBroken { do throws(SystemCallError) { try writeAll(piece.bytes, to: piece.descriptor) } catch { problem = error } }
            state.withLock { state in
                state.count -= piece.bytes.count
                state.next += 1
                if let problem { state.problems[piece.descriptor] = problem }
                guard state.next == state.waiting.count || state.next >= 1024 else { return }
                state.waiting.removeFirst(state.next)
                state.next = 0
            }
        }
    }

    /// The piece to write next; nil if there is none, and the thread ends.
    private func current() -> Piece? {
        state.withLock { state in
            if state.next < state.waiting.count { return state.waiting[state.next] }
            state.isWriting = false
            return nil
        }
    }

    // MARK: The end

    /// Whether the queue is empty and nothing is being written.
    var isEmpty: Bool { state.withLock { $0.count == 0 && !$0.isWriting } }

    /// The failure of queued text. Each is returned once.
    func takeProblem(_ descriptor: CInt) -> SystemCallError? { state.withLock { $0.problems.removeValue(forKey: descriptor) } }

    /// Waits until all text is written, or the time is over.
    /// - Returns: whether all is written.
    func finish(within limit: Duration) -> Bool {
        let deadline = qq_boot_now() + UInt64(max(limit.nanoseconds, 0))
        var pause: UInt32 = 50
        while !isEmpty {
            start()
            if qq_boot_now() >= deadline { return false }
            usleep(pause)
            pause = min(pause * 2, 5000)
        }
        return true
    }

    /// The number of lines to a descriptor that are lost if the process ends now: those left out, and those queued.
    func lost(_ descriptor: CInt) -> Int {
        state.withLock { state in
            let waiting = state.waiting[state.next...].filter { $0.descriptor == descriptor }.reduce(0) { $0 + $1.bytes.count { $0 == 10 } }
            return waiting + (state.left[descriptor] ?? 0)
        }
    }
}
