/// Durations as people write them: `500ms`, `15s`, `1h30m`, `1.5s`, `1d2h`.
///
/// The grammar is that of Go's `time.ParseDuration` with days added. It is stricter: units must go from large to small, each at most once, there is
/// no sign, and nothing can be finer than a nanosecond. A day is 24 hours.
public enum DurationText {
    /// The reason why a text is not a duration.
    public struct Invalid: Error, Sendable, Hashable, CustomStringConvertible {
        /// The reason, worded to follow the name of the value: "needs a unit, as in 15s".
        public let reason: String

        public init(reason: String) {
            self.reason = reason
        }

        /// The reason.
        public var description: String { reason }
    }

    /// The longest duration that `parse` accepts: ten years of 365 days.
    public static let maximum = Duration.seconds(3650 * 86400)

    /// Reads a duration: numbers, each with one of the units ns, us (µs), ms, s, m, h and d.
    ///
    /// - Throws: ``Invalid`` for anything else, negative durations and those above ``maximum``.
    public static func parse(_ text: String) throws(Invalid) -> Duration {
        var rest = Array(text.utf8)[...]
        if rest.isEmpty { throw Invalid(reason: "is empty; give a duration, as in 15s") }
        if rest.first == UInt8(ascii: "-") { throw Invalid(reason: "must not be negative") }
        var total: Int128 = 0
        var last: Unit?
        while !rest.isEmpty {
            let integer = takeDigits(&rest)
            var fraction: ArraySlice<UInt8> = []
            var complete = !integer.isEmpty
            if complete, rest.first == UInt8(ascii: ".") {
                rest.removeFirst()
                fraction = takeDigits(&rest)
                complete = !fraction.isEmpty
            }
            guard complete else { throw Invalid(reason: "is not a duration, as in 15s, 500ms or 1h30m") }
            let unit = try takeUnit(&rest)
            if let last, unit.nanoseconds >= last.nanoseconds {
                throw Invalid(reason: "must have its units from large to small, each once")
            }
            last = unit
            total += try length(integer, fraction, unit)
            guard total <= maximum.wideNanoseconds else { throw Invalid(reason: tooLong) }
        }
        return .nanoseconds(saturating: total)
    }

    /// The exact form that `parse` reads back, to the nanosecond: `1m30s`, `1.5s`, `500ms`, `0s`.
    ///
    /// Values that `parse` refuses are written, too: negative ones with a leading `-`, long ones with many days (up to 292 years).
    public static func format(_ duration: Duration) -> String {
        let total = duration.nanoseconds
        if total == 0 { return "0s" }
        var text = total < 0 ? "-" : ""
        var rest = total.magnitude
        for unit in [Unit.day, .hour, .minute] where rest >= unit.nanoseconds {
            text += "\(rest / unit.nanoseconds)\(unit.rawValue)"
            rest %= unit.nanoseconds
        }
        for unit in [Unit.second, .millisecond, .microsecond, .nanosecond] where rest >= unit.nanoseconds {
            return text + decimal(rest, in: unit) + unit.rawValue
        }
        return text
    }

    /// A short form for users, rounded towards zero, with at most two units or one decimal: `850ms`, `12.3s`, `4m05s`, `2h10m`, `3d4h`.
    ///
    /// A second unit that is zero is left out (`5m`). Below a millisecond: `120us`, `15ns`; zero: `0s`; negative: `-4m05s`.
    public static func brief(_ duration: Duration) -> String {
        let total = duration.nanoseconds
        let sign = total < 0 ? "-" : ""
        let length = total.magnitude
        for (unit, next) in [(Unit.day, Unit.hour), (.hour, .minute), (.minute, .second)] where length >= unit.nanoseconds {
            let count = length % unit.nanoseconds / next.nanoseconds
            let padding = count < 10 && unit != .day ? "0" : ""
            return sign + "\(length / unit.nanoseconds)\(unit.rawValue)" + (count == 0 ? "" : "\(padding)\(count)\(next.rawValue)")
        }
        if length >= Unit.second.nanoseconds {
            let tenth = Unit.second.nanoseconds / 10
            return sign + decimal(length / tenth * tenth, in: .second) + "s"
        }
        for unit in [Unit.millisecond, .microsecond, .nanosecond] where length >= unit.nanoseconds {
            return sign + "\(length / unit.nanoseconds)\(unit.rawValue)"
        }
        return "0s"
    }
}

extension DurationText {
    private enum Unit: String {
        case day = "d"
        case hour = "h"
        case minute = "m"
        case second = "s"
        case millisecond = "ms"
        case microsecond = "us"
        case nanosecond = "ns"

        var nanoseconds: UInt64 {
            switch self {
            case .day: 86_400_000_000_000
            case .hour: 3_600_000_000_000
            case .minute: 60_000_000_000
            case .second: 1_000_000_000
            case .millisecond: 1_000_000
            case .microsecond: 1_000
            case .nanosecond: 1
            }
        }
    }

    private static let tooLong = "is longer than ten years (3650d)"

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func takeDigits(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let digits = rest.prefix(while: isDigit)
        rest = rest[digits.endIndex...]
        return digits
    }

    private static func takeUnit(_ rest: inout ArraySlice<UInt8>) throws(Invalid) -> Unit {
        let name = rest.prefix { !isDigit($0) && $0 != UInt8(ascii: ".") }
        rest = rest[name.endIndex...]
        if name.isEmpty { throw Invalid(reason: "needs a unit, as in 15s") }
        let text = String(decoding: name, as: UTF8.self)
        if text == "\u{B5}s" || text == "\u{3BC}s" { return .microsecond }
        guard let unit = Unit(rawValue: text) else { throw Invalid(reason: "has an unknown unit; the units are ns, us, ms, s, m, h and d") }
        return unit
    }

    /// The nanoseconds of one number with its unit. The digits of a fraction beyond a nanosecond must be zeros.
    private static func length(_ integer: ArraySlice<UInt8>, _ fraction: ArraySlice<UInt8>, _ unit: Unit) throws(Invalid) -> Int128 {
        guard let count = Int64(String(decoding: integer, as: UTF8.self)) else { throw Invalid(reason: tooLong) }
        var total = Int128(count) * Int128(unit.nanoseconds)
        var scale = Int128(unit.nanoseconds)
        var divisor: Int128 = 1
        var numerator: Int128 = 0
        var significant = fraction
        while significant.last == UInt8(ascii: "0") { significant.removeLast() }
        guard significant.count <= 18 else { throw Invalid(reason: "is finer than a nanosecond") }
        for digit in significant {
            numerator = numerator * 10 + Int128(digit - UInt8(ascii: "0"))
            divisor *= 10
        }
        scale *= numerator
        guard scale % divisor == 0 else { throw Invalid(reason: "is finer than a nanosecond") }
        total += scale / divisor
        return total
    }

    /// `length` nanoseconds in `unit`, with as many decimals as needed.
    private static func decimal(_ length: UInt64, in unit: Unit) -> String {
        let (whole, rest) = length.quotientAndRemainder(dividingBy: unit.nanoseconds)
        guard rest > 0 else { return "\(whole)" }
        var fraction = String(String(unit.nanoseconds + rest).dropFirst())
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(whole).\(fraction)"
    }
}
