import Glibc

/// A moment on CLOCK_BOOTTIME: nanoseconds since the machine started. The clock runs during suspend and is never stepped.
///
/// Lease deadlines are counted only on this clock, because the wall clock can be stepped, and CLOCK_MONOTONIC stops while a machine sleeps.
public struct BootInstant: Sendable, Hashable, Comparable {
    /// Nanoseconds since boot.
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// Later than every moment that can occur.
    public static let distantFuture = BootInstant(nanoseconds: .max)

    public static func < (left: BootInstant, right: BootInstant) -> Bool { left.nanoseconds < right.nanoseconds }

    /// Saturates at both ends.
    public static func + (instant: BootInstant, duration: Duration) -> BootInstant {
        BootInstant(wideNanoseconds: Int128(instant.nanoseconds) + Int128(duration.nanoseconds))
    }

    /// Saturates at both ends.
    public static func - (instant: BootInstant, duration: Duration) -> BootInstant {
        BootInstant(wideNanoseconds: Int128(instant.nanoseconds) - Int128(duration.nanoseconds))
    }

    private init(wideNanoseconds: Int128) { nanoseconds = UInt64(clamping: wideNanoseconds) }

    /// The duration from `earlier` to this moment, clamped to `Int64` nanoseconds (about 292 years); negative if `earlier` is later.
    public func duration(since earlier: BootInstant) -> Duration {
        if self >= earlier { return .nanoseconds(saturating: nanoseconds - earlier.nanoseconds) }
        return .zero - .nanoseconds(saturating: earlier.nanoseconds - nanoseconds)
    }
}

/// The clock on which leases are counted. It is injected, so that tests can set the time.
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
