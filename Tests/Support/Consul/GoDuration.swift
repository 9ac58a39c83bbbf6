import QQCore

/// Lengths of time as Go's `time.ParseDuration` reads them: `10s`, `15000ms`, `1h30m`.
enum GoDuration {
    struct Malformed: Error {
        /// As Go words it.
        var text: String
    }

    private static let units: [String: Double] = [
        "ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9,
    ]

    /// In nanoseconds, clamped.
    static func parse(_ text: String) throws(Malformed) -> Int64 {
        let invalid = Malformed(text: "time: invalid duration \(goQuoted(text))")
        var rest = Substring(text)
        let isNegative = rest.first == "-"
        if isNegative || rest.first == "+" { rest.removeFirst() }
        if rest == "0" { return 0 }
        guard !rest.isEmpty else { throw invalid }
        var sum = 0.0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            rest = rest.dropFirst(number.count)
            guard let value = Double(number) else { throw invalid }
            let name = rest.prefix { $0 != "." && !($0.isASCII && $0.isNumber) }
            rest = rest.dropFirst(name.count)
            if name.isEmpty { throw Malformed(text: "time: missing unit in duration \(goQuoted(text))") }
            guard let unit = units[String(name)] else {
                throw Malformed(text: "time: unknown unit \(goQuoted(String(name))) in duration \(goQuoted(text))")
            }
            sum += value * unit
        }
        let count = Duration.seconds(saturating: sum / 1e9).nanoseconds
        return isNegative ? -count : count
    }
}
