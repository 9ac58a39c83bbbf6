extension Duration {
    /// The length in whole nanoseconds, rounded towards zero and held within `Int64` (about 292 years).
    public var nanoseconds: Int64 { Int64(clamping: wideNanoseconds) }

    /// The length in seconds, to the precision of `Double`.
    public var seconds: Double { Double(attoseconds) / 1e18 }

    /// `count` nanoseconds, held within `Int64` (about 292 years).
    public static func nanoseconds(saturating count: some BinaryInteger) -> Duration {
        .nanoseconds(Int64(clamping: count))
    }

    /// The length in whole nanoseconds, rounded towards zero; no duration is too long.
    var wideNanoseconds: Int128 { attoseconds / 1_000_000_000 }
}
