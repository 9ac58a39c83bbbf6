/// Conversions that never trap, because numbers from a file or a server can have any value.
extension Duration {
    /// The length in whole nanoseconds, rounded towards zero and clamped to `Int64` (about 292 years).
    public var nanoseconds: Int64 { Int64(clamping: wideNanoseconds) }

    /// The length in milliseconds, rounded to the nearest (halves away from zero) and clamped to `Int64`.
    public var milliseconds: Int64 {
        let half: Int128 = wideNanoseconds < 0 ? -500_000 : 500_000
        return Int64(clamping: (wideNanoseconds + half) / 1_000_000)
    }

    /// The length in seconds, to the nanosecond and the precision of `Double`. 9751510 s therefore do not become 9751509.999999998.
    public var seconds: Double {
        let count = wideNanoseconds
        let short = Int64(truncatingIfNeeded: count)
        // The same number, but the conversion of 128 bits takes a hundred times as long.
        return (Int128(short) == count ? Double(short) : Double(count)) / 1e9
    }

    /// `count` nanoseconds, clamped to `Int64` (about 292 years).
    public static func nanoseconds(saturating count: some BinaryInteger) -> Duration {
        .nanoseconds(Int64(clamping: count))
    }

    /// `count` milliseconds, clamped to `Int64` nanoseconds (about 292 years).
    public static func milliseconds(saturating count: Int64) -> Duration { .nanoseconds(saturating: Int128(count) * 1_000_000) }

    /// `count` seconds and `nanoseconds`, of any size and sign, their sum clamped to `Int64` nanoseconds (about 292 years).
    public static func seconds(saturating count: Int64, nanoseconds: Int64 = 0) -> Duration {
        .nanoseconds(saturating: Int128(count) * 1_000_000_000 + Int128(nanoseconds))
    }

    /// `count` seconds, rounded to the nearest nanosecond and clamped to `Int64` nanoseconds (about 292 years); zero for NaN.
    public static func seconds(saturating count: Double) -> Duration {
        let nanoseconds = (count * 1e9).rounded()
        if nanoseconds.isNaN { return .zero }
        return .nanoseconds(Int64(exactly: nanoseconds) ?? (nanoseconds < 0 ? .min : .max))
    }

    /// The length in whole nanoseconds, rounded towards zero. Every duration fits.
    var wideNanoseconds: Int128 { attoseconds / 1_000_000_000 }
}
