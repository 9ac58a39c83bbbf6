/// A seeded generator of random numbers: xoshiro256** (Blackman and Vigna), seeded by SplitMix64. Integers only, so that every machine
/// draws the same.
public struct Generator: Sendable {
    private var a: UInt64
    private var b: UInt64
    private var c: UInt64
    private var d: UInt64

    /// - Parameter stream: distinguishes generators of one seed. Each part of a world draws from its own, so that leaving a fault out
    ///   changes little else.
    public init(seed: UInt64, stream: UInt64 = 0) {
        var state = seed &* 0xd134_2543_de82_ef95 &+ stream &* 0x9e37_79b9_7f4a_7c15
        func mix() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
            return z ^ z >> 31
        }
        (a, b, c, d) = (mix(), mix(), mix(), mix())
    }

    public mutating func next() -> UInt64 {
        let multiplied = b &* 5
        let result = (multiplied << 7 | multiplied >> 57) &* 9
        let shifted = b << 17
        c ^= a
        d ^= b
        b ^= c
        a ^= d
        c ^= shifted
        d = d << 45 | d >> 19
        return result
    }

    /// A number in 0..<`bound`; 0 if `bound` is not positive.
    public mutating func below(_ bound: Int64) -> Int64 {
        bound > 0 ? Int64(next().multipliedFullWidth(by: UInt64(bound)).high) : 0
    }

    /// A number in the range.
    public mutating func within(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + below(range.upperBound - range.lowerBound + 1)
    }

    /// A number in the range of which small ones are as likely as large ones: each doubling has the same share.
    public mutating func spread(_ range: ClosedRange<Int64>) -> Int64 {
        let low = max(range.lowerBound, 1)
        guard range.upperBound > low else { return range.upperBound }
        let first = Int64(63 - low.leadingZeroBitCount)
        let last = Int64(63 - range.upperBound.leadingZeroBitCount)
        let power = within(first...last)
        let floor = Int64(1) << power
        return min(max(within(floor...(floor &* 2 - 1)), low), range.upperBound)
    }

    /// True in `part` of a million cases.
    public mutating func chance(_ part: Int64) -> Bool { below(1_000_000) < part }

    /// A fraction in 0..<1 for what asks for a `Double`; exact on every machine.
    public mutating func fraction() -> Double { Double(next() >> 11) / 9_007_199_254_740_992 }

    /// One element; nil if there is none.
    public mutating func element<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[Int(below(Int64(elements.count)))]
    }
}
