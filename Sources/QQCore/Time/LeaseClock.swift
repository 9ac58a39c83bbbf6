import Glibc

/// A moment on CLOCK_BOOTTIME: nanoseconds since the machine started, running through suspend, never stepped.
///
/// Lease deadlines are counted on this clock only: the wall clock can be stepped, and CLOCK_MONOTONIC stands still while a machine sleeps.
public struct BootInstant: Sendable, Hashable, Comparable {
    /// Nanoseconds since boot.
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// Later than every moment that will be met.
    public static let distantFuture = BootInstant(nanoseconds: .max)

    public static func < (left: BootInstant, right: BootInstant) -> Bool { left.nanoseconds < right.nanoseconds }

    /// Saturates at both ends.
    public static func + (instant: BootInstant, duration: Duration) -> BootInstant {
        let delta = duration.nanoseconds
        if delta >= 0 {
            let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(UInt64(delta))
            return BootInstant(nanoseconds: overflow ? .max : sum)
        }
        let (difference, overflow) = instant.nanoseconds.subtractingReportingOverflow(delta.magnitude)
        return BootInstant(nanoseconds: overflow ? 0 : difference)
    }

    /// Saturates at both ends.
    public static func - (instant: BootInstant, duration: Duration) -> BootInstant { instant + (.zero - duration) }

    /// How long from `earlier` to this moment; negative if `earlier` is later.
    public func duration(since earlier: BootInstant) -> Duration {
        if self >= earlier { return .nanoseconds(Int64(clamping: nanoseconds - earlier.nanoseconds)) }
        return .nanoseconds(-Int64(clamping: earlier.nanoseconds - nanoseconds))
    }
}

/// The clock that leases are counted on. Injected, so that tests decide what time it is.
public protocol LeaseClock: Sendable {
    /// The present moment on CLOCK_BOOTTIME.
    func now() -> BootInstant
    /// Returns at `deadline` or a little later; throws `CancellationError` when the task is cancelled.
    func sleep(until deadline: BootInstant) async throws
}

extension LeaseClock {
    /// Sleeps for a duration from now.
    public func sleep(for duration: Duration) async throws { try await sleep(until: now() + duration) }
}
