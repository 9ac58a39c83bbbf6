/// Random numbers of 64 bits. What draws them takes them from a function, so that a simulation can repeat them.
enum RandomNumber {
    /// The number as a fraction in 0..<1.
    static func fraction(_ number: UInt64) -> Double { Double(number >> 11) / 9_007_199_254_740_992 }
}
