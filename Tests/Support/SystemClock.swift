import Glibc
import QQCore
import Synchronization

/// The kernel's clock, for code that is tested within the test process.
public struct SystemClock: LeaseClock {
    public init() {}

    public func now() -> BootInstant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return BootInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    public func sleep(until deadline: BootInstant) async throws {
        let left = deadline.duration(since: now())
        if left > .zero { try await Task.sleep(for: min(left, .seconds(600))) }
        try Task.checkCancellation()
    }
}

/// The kernel's clock with time skipped, so that a test need not wait for the end of a long lease. Short leases would end too soon on a busy machine.
public final class SkippingClock: LeaseClock {
    private let kernel = SystemClock()
    private let skipped = Mutex(Duration.zero)

    public init() {}

    public func now() -> BootInstant { kernel.now() + skipped.withLock { $0 } }

    public func sleep(until deadline: BootInstant) async throws { try await kernel.sleep(until: deadline - skipped.withLock { $0 }) }

    /// Advances the clock to that moment. Tasks that already sleep are not woken.
    public func skip(to moment: BootInstant) {
        skipped.withLock { $0 += max(moment.duration(since: kernel.now() + $0), .zero) }
    }
}
