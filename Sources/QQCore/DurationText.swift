/// Stand-in until the real one is merged.
public enum DurationText {
    /// Why a text is no duration.
    public struct Invalid: Error, Sendable {
        public var reason: String
    }

    /// Reads `500ms`, `15s`, `2m`, `1h30m`, `1d`.
    public static func parse(_ text: String) throws(Invalid) -> Duration {
        let units: [(String, Int64)] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
        var rest = Substring(text)
        var total: Int64 = 0
        var next = 0
        guard !rest.isEmpty else { throw Invalid(reason: "it is empty") }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard let number = Int64(digits), number < 1_000_000_000 else { throw Invalid(reason: "a number is missing") }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            guard !unit.isEmpty else { throw Invalid(reason: "the unit is missing") }
            rest = rest.dropFirst(unit.count)
            guard let found = units.firstIndex(where: { $0.0 == unit }), found >= next else { throw Invalid(reason: "unknown unit") }
            next = found + 1
            total += number * units[found].1
        }
        return .milliseconds(total)
    }

    /// Writes what `parse` reads.
    public static func format(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        if seconds == 0 { return milliseconds == 0 ? "0s" : "\(milliseconds)ms" }
        return milliseconds == 0 ? "\(seconds)s" : "\(seconds)s\(milliseconds)ms"
    }
}
