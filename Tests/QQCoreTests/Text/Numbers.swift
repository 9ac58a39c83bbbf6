import QQCore

/// A repeatable sequence of random numbers (SplitMix64), so that a failure can be reproduced.
struct Numbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// Edge cases for arithmetic.
enum Extremes {
    static let signed: [Int64] = [.min, .min + 1, -(1 << 53) - 1, -1_000_000_000, -1, 0, 1, 499_999, 500_000, 1 << 53 + 1, .max - 1, .max]
    static let unsigned: [UInt64] = [0, 1, 999_999_999, UInt64(Int64.max) - 1, UInt64(Int64.max), 1 << 63, .max - 1, .max]
    static let doubles: [Double] = [
        .nan, .signalingNaN, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude,
        .leastNormalMagnitude, -0.0, 0, 1e-300, 1e-9, 0.5, 1, 9_223_372_036.854_775, 9_223_372_036.854_777, 1e10, -1e10, 1e300,
    ]
    /// Durations up to the limits of the type, far beyond the range of `nanoseconds`.
    static let durations: [Duration] =
        [Duration(attoseconds: .max), Duration(attoseconds: .min), Duration(attoseconds: 1), Duration(attoseconds: -1)]
        + signed.map { Duration.nanoseconds($0) } + signed.map { Duration.seconds($0) }
    static let times: [WallTime] = [
        .goZero, .goZero + .nanoseconds(1), WallTime(seconds: -1), WallTime(seconds: 0), .latest - .nanoseconds(1), .latest,
    ]
}
