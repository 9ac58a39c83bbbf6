import Glibc

/// An instant of the wall clock, to the nanosecond, in the years 1 to 9999 (UTC), the range of RFC 3339.
///
/// Only for display and for exchange with other programs. Lease deadlines are counted on ``BootInstant``, because the wall clock can be stepped.
public struct WallTime: Sendable, Hashable, Comparable {
    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down, without leap seconds (POSIX time).
    public let seconds: Int64
    /// The nanoseconds after `seconds`, 0 to 999 999 999.
    public let nanoseconds: Int32

    /// 0001-01-01T00:00:00Z, the first instant; Go's zero time, which Go programs write for "never".
    public static let goZero = WallTime(uncheckedSeconds: -62_135_596_800, nanoseconds: 0)
    /// 9999-12-31T23:59:59.999999999Z, the last instant.
    public static let latest = WallTime(uncheckedSeconds: 253_402_300_799, nanoseconds: 999_999_999)

    /// The instant `seconds` and `nanoseconds` (of any size and sign) after 1970 began, clamped to the range from ``goZero`` to ``latest``.
    public init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.init(wideNanoseconds: Int128(seconds) * 1_000_000_000 + Int128(nanoseconds))
    }

    /// The present time, from CLOCK_REALTIME.
    public static func now() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    /// Whether `one` is earlier.
    public static func < (one: WallTime, other: WallTime) -> Bool {
        (one.seconds, one.nanoseconds) < (other.seconds, other.nanoseconds)
    }

    /// The instant `duration` later, clamped to the range from ``goZero`` to ``latest``. Parts of a nanosecond are cut off.
    public static func + (time: WallTime, duration: Duration) -> WallTime {
        WallTime(wideNanoseconds: time.wideNanoseconds + duration.wideNanoseconds)
    }

    /// The instant `duration` earlier, clamped to the range from ``goZero`` to ``latest``. Parts of a nanosecond are cut off.
    public static func - (time: WallTime, duration: Duration) -> WallTime {
        WallTime(wideNanoseconds: time.wideNanoseconds - duration.wideNanoseconds)
    }

    /// The duration from `earlier` to `time`; negative if `earlier` is later.
    public static func - (time: WallTime, earlier: WallTime) -> Duration {
        .seconds(time.seconds - earlier.seconds) + .nanoseconds(Int64(time.nanoseconds) - Int64(earlier.nanoseconds))
    }

    private init(uncheckedSeconds: Int64, nanoseconds: Int32) {
        seconds = uncheckedSeconds
        self.nanoseconds = nanoseconds
    }

    private init(wideNanoseconds: Int128) {
        let held = min(max(wideNanoseconds, Self.goZero.wideNanoseconds), Self.latest.wideNanoseconds)
        let (quotient, remainder) = held.quotientAndRemainder(dividingBy: 1_000_000_000)
        let borrow: Int128 = remainder < 0 ? 1 : 0
        self.init(uncheckedSeconds: Int64(quotient - borrow), nanoseconds: Int32(remainder + borrow * 1_000_000_000))
    }

    private var wideNanoseconds: Int128 { Int128(seconds) * 1_000_000_000 + Int128(nanoseconds) }
}
