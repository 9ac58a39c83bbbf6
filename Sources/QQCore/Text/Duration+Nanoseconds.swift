extension Duration {
    /// The length in whole nanoseconds, rounded towards zero and held within `Int64` (about 292 years).
    public var nanoseconds: Int64 { Int64(clamping: wideNanoseconds) }

    /// The length in seconds, to the nanosecond and the precision of `Double`: what was given as 9751510 s is not 9751509.999999998.
    public var seconds: Double { Double(wideNanoseconds) / 1e9 }

    /// `count` nanoseconds, held within `Int64` (about 292 years).
    public static func nanoseconds(saturating count: some BinaryInteger) -> Duration {
        .nanoseconds(Int64(clamping: count))
    }

    /// The length in whole nanoseconds, rounded towards zero; no duration is too long.
    var wideNanoseconds: Int128 { attoseconds / 1_000_000_000 }
}
