import Glibc
import QQLoop
import Synchronization

/// The signals that ask a command to end.
protocol StopSignals: Sendable {
    /// The number of the next signal.
    /// - Throws: `CancellationError`.
    func next() async throws -> CInt
}

extension SignalSource: StopSignals {}

/// Asks a command of a session to end, as a signal does with a process.
final class StopButton: StopSignals {
    private let presses: AsyncStream<CInt>
    private let post: AsyncStream<CInt>.Continuation
    private let listened = Atomic(false)

    /// Whether the command waits for signals. A command that does not is cancelled instead.
    var isListenedTo: Bool { listened.load(ordering: .relaxed) }

    init() { (presses, post) = AsyncStream.makeStream(of: CInt.self, bufferingPolicy: .bufferingNewest(4)) }

    func press(_ signal: CInt) { post.yield(signal) }

    func next() async throws -> CInt {
        listened.store(true, ordering: .relaxed)
        for await signal in presses { return signal }
        throw CancellationError()
    }
}
