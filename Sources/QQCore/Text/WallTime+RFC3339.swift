extension WallTime: CustomStringConvertible {
    /// The reason why a text is not an RFC 3339 time.
    public struct Invalid: Error, Sendable, Hashable, CustomStringConvertible {
        /// The reason, worded to follow the name of the value: "has no such day".
        public let reason: String

        public init(reason: String) {
            self.reason = reason
        }

        /// The reason.
        public var description: String { reason }
    }

    /// Reads a time such as `2026-03-01T12:00:00.25Z` or `2026-03-01t14:00:00+02:00` (RFC 3339, section 5.6).
    ///
    /// Digits beyond nanoseconds are cut off. A leap second, which only the end of a month in UTC can have, counts as the last nanosecond
    /// before it.
    ///
    /// - Throws: ``Invalid`` for anything else, dates that do not exist, and instants outside the years 1 to 9999 in UTC.
    public static func parse(rfc3339 text: String) throws(Invalid) -> WallTime {
        var reader = RFC3339Reader(text)
        return try reader.time()
    }

    /// This instant in UTC as RFC 3339, with `fractionDigits` digits of fraction, clamped to 0 to 9. Further digits are cut off.
    public func rfc3339(fractionDigits: Int = 0) -> String {
        let date = CivilDate(daysSince1970: Int(seconds.floorDivided(by: 86400)))
        let second = Int(seconds - seconds.floorDivided(by: 86400) * 86400)
        var text: [UInt8] = []
        text.reserveCapacity(30)
        append(date.year, 4, to: &text)
        append(date.month, 2, after: "-", to: &text)
        append(date.day, 2, after: "-", to: &text)
        append(second / 3600, 2, after: "T", to: &text)
        append(second / 60 % 60, 2, after: ":", to: &text)
        append(second % 60, 2, after: ":", to: &text)
        if fractionDigits > 0 {
            append(Int(nanoseconds), 9, after: ".", to: &text)
            text.removeLast(max(0, 9 - fractionDigits))
        }
        text.append(UInt8(ascii: "Z"))
        return String(decoding: text, as: UTF8.self)
    }

    /// This instant in UTC as Go's `time.RFC3339Nano` writes it: no zeros at the end of the fraction, and no empty fraction.
    public var rfc3339Nano: String {
        var digits = 9
        var fraction = nanoseconds
        while digits > 0, fraction % 10 == 0 {
            fraction /= 10
            digits -= 1
        }
        return rfc3339(fractionDigits: digits)
    }

    /// As `rfc3339Nano`.
    public var description: String { rfc3339Nano }
}

private struct RFC3339Reader {
    typealias Invalid = WallTime.Invalid

    private var rest: ArraySlice<UInt8>

    init(_ text: String) {
        rest = Array(text.utf8)[...]
    }

    mutating func time() throws(Invalid) -> WallTime {
        let date = CivilDate(year: try number(4), month: try number(2, after: "-"), day: try number(2, after: "-"))
        guard date.isValid else { throw Invalid(reason: "has no such day") }
        guard take("T") || take("t") else { throw malformed }
        let (hour, minute, second) = (try number(2), try number(2, after: ":"), try number(2, after: ":"))
        guard hour < 24, minute < 60, second <= 60 else { throw Invalid(reason: "has no such time of day") }
        let nanoseconds = try fraction()
        let offset = try offset()
        guard rest.isEmpty else { throw malformed }

        let start = date.daysSince1970 * 86400 + hour * 3600 + minute * 60 - offset
        let moment = Int64(start + min(second, 59))
        if second == 60, !CivilDate.monthBegins(atSecond: start + 60) {
            throw Invalid(reason: "has a leap second other than at the end of a month")
        }
        guard moment >= WallTime.goZero.seconds, moment <= WallTime.latest.seconds else {
            throw Invalid(reason: "is outside the years 1 to 9999")
        }
        return WallTime(seconds: moment, nanoseconds: second == 60 ? 999_999_999 : nanoseconds)
    }

    private mutating func fraction() throws(Invalid) -> Int64 {
        guard take(".") else { return 0 }
        var value: Int64 = 0
        var digits = 0
        while let digit = takeDigit() {
            if digits < 9 { value = value * 10 + Int64(digit) }
            digits += 1
        }
        guard digits > 0 else { throw malformed }
        while digits < 9 {
            value *= 10
            digits += 1
        }
        return value
    }

    /// Seconds east of Greenwich.
    private mutating func offset() throws(Invalid) -> Int {
        if take("Z") || take("z") { return 0 }
        let west = take("-")
        guard west || take("+") else { throw Invalid(reason: "has no offset from UTC, as in 2026-03-01T12:00:00Z") }
        let (hours, minutes) = (try number(2), try number(2, after: ":"))
        guard hours < 24, minutes < 60 else { throw Invalid(reason: "has no such offset from UTC") }
        return (hours * 3600 + minutes * 60) * (west ? -1 : 1)
    }

    private mutating func number(_ digits: Int, after separator: Unicode.Scalar? = nil) throws(Invalid) -> Int {
        if let separator, !take(separator) { throw malformed }
        var value = 0
        for _ in 0..<digits {
            guard let digit = takeDigit() else { throw malformed }
            value = value * 10 + digit
        }
        return value
    }

    private mutating func takeDigit() -> Int? {
        guard let byte = rest.first, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
        rest.removeFirst()
        return Int(byte - UInt8(ascii: "0"))
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    private var malformed: Invalid { Invalid(reason: "is not an RFC 3339 time, as in 2026-03-01T12:00:00Z") }
}

/// Appends a number with zeros in front of it.
private func append(_ value: Int, _ width: Int, after separator: Unicode.Scalar? = nil, to text: inout [UInt8]) {
    if let separator { text.append(UInt8(ascii: separator)) }
    let digits = String(value).utf8
    for _ in digits.count..<max(width, digits.count) { text.append(UInt8(ascii: "0")) }
    text.append(contentsOf: digits)
}
