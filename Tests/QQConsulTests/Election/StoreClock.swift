import QQCore
import Synchronization

/// Time for coordinators and the store together. It moves only when a test moves it, or when something sleeps: a sleeper lets it pass.
final class StoreClock: LeaseClock {
    private let state = Mutex(BootInstant(nanoseconds: 1_000_000_000_000))

    func now() -> BootInstant { state.withLock { $0 } }

    func pass(_ time: Duration) { state.withLock { $0 = $0 + time } }

    func sleep(until deadline: BootInstant) async throws {
        if deadline != .distantFuture { state.withLock { $0 = max($0, deadline) } }
        await Task.yield()
        try Task.checkCancellation()
    }
}
