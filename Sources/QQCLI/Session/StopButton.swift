import Glibc
import QQLoop
import Synchronization

/// Where a command hears that it is to end.
protocol StopSignals: Sendable {
    /// The number of the next signal.
    /// - Throws: `CancellationError`.
    func next() async throws -> CInt
}

extension SignalSource: StopSignals {}

/// Tells a command of a session to end, as a signal tells one that is a process.
final class StopButton: StopSignals {
    private let presses: AsyncStream<CInt>
    private let post: AsyncStream<CInt>.Continuation
    private let listened = Atomic(false)

    /// Whether the command has asked for it: one that never does is ended without being told.
    var isListenedTo: Bool { listened.load(ordering: .relaxed) }

    init() { (presses, post) = AsyncStream.makeStream(of: CInt.self, bufferingPolicy: .bufferingNewest(4)) }

    func press(_ signal: CInt) { post.yield(signal) }

    func next() async throws -> CInt {
        listened.store(true, ordering: .relaxed)
        for await signal in presses { return signal }
        throw CancellationError()
    }
}
