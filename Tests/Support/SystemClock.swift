import Glibc
import QQCore

/// The kernel's clock, for what is tested within the process of the tests.
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
