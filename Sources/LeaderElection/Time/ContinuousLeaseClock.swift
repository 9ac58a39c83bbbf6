internal import Glibc
package import QQCore

/// The kernel's CLOCK_BOOTTIME, which runs while the machine sleeps and is never stepped. Sleeps on Swift's own executors.
package struct ContinuousLeaseClock: LeaseClock {
    /// A sleep is divided into parts of this length, so that the addition to the present moment cannot overflow.
    private static let longestSleep: Duration = .seconds(86_400)

    package init() {}

    package func now() -> BootInstant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return BootInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    package func sleep(until deadline: BootInstant) async throws {
        try Task.checkCancellation()
        while true {
            let left = deadline.duration(since: now())
            guard left > .zero else { return }
            // No tolerance: work is cancelled by this clock.
            try await Task.sleep(for: min(left, Self.longestSleep), tolerance: .zero, clock: .continuous)
        }
    }
}
