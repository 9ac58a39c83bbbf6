/// Numbers in control lines.
enum DecimalText {
    /// Reads digits without a sign. Returns nil for anything else, and for numbers above 64 bits.
    static func value(_ digits: some Collection<UInt8>) -> UInt64? {
        guard !digits.isEmpty else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            let (tenfold, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tenfold.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
            if tooLarge || carry { return nil }
            value = sum
        }
        return value
    }
}
