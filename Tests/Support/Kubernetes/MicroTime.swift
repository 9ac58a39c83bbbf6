import QQCore

/// The time of a lease: microseconds, read and written as Kubernetes' `MicroTime` is.
struct MicroTime: Sendable, Hashable {
    /// nil is Go's zero time, which is written as null.
    var time: WallTime?

    var json: JSONValue { time.map { .string($0.rfc3339(fractionDigits: 6)) } ?? .null }

    /// The error of Go's `time.Parse`.
    struct Malformed: Error, Hashable {
        let message: String
    }

    init(_ time: WallTime?) { self.time = time }

    init(parsing text: String) throws(Malformed) {
        var reader = MicroTimeReader(text)
        let read = try reader.read()
        time = read == .goZero ? nil : read
    }
}

/// Reads the layout element by element, so that each fault is named as Go names it (source: `parse` in package time).
private struct MicroTimeReader {
    private static let layout = "2006-01-02T15:04:05.000000Z07:00"
    private let text: String
    private var rest: ArraySlice<UInt8>

    init(_ text: String) {
        self.text = text
        rest = Array(text.utf8)[...]
    }

    mutating func read() throws(MicroTime.Malformed) -> WallTime {
        let year = try number(4, "2006")
        try skip("-")
        let month = try number(2, "01", in: 1...12, "month")
        try skip("-")
        let day = try number(2, "02")
        try skip("T")
        let hour = try number(2, "15", in: 0...23, "hour")
        try skip(":")
        let minute = try number(2, "04", in: 0...59, "minute")
        try skip(":")
        let second = try number(2, "05", in: 0...59, "second")
        let microsecond = try fraction()
        let offset = try zone()
        guard rest.isEmpty else { throw fault("extra text: \(goQuoted(String(decoding: rest, as: UTF8.self)))") }
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T00:00:00Z"
        guard year > 0, let midnight = try? WallTime.parse(rfc3339: date) else { throw fault("day out of range") }
        return midnight + .seconds(hour * 3600 + minute * 60 + second - offset) + .microseconds(microsecond)
    }

    private mutating func number(
        _ digits: Int, _ element: String, in range: ClosedRange<Int> = 0...9999, _ name: String = ""
    ) throws(MicroTime.Malformed) -> Int {
        let read = rest.prefix(digits)
        guard read.count == digits, let value = decimal(read) else { throw unlike(element) }
        rest.removeFirst(digits)
        guard range.contains(value) else { throw fault("\(name) out of range") }
        return value
    }

    private mutating func skip(_ literal: Character) throws(MicroTime.Malformed) {
        guard let first = rest.first, first == literal.asciiValue else { throw unlike(String(literal)) }
        rest.removeFirst()
    }

    /// Go takes a comma for a point.
    private mutating func fraction() throws(MicroTime.Malformed) -> Int {
        let read = rest.prefix(7)
        guard read.count == 7, read.first == UInt8(ascii: ".") || read.first == UInt8(ascii: ","), let value = decimal(read.dropFirst())
        else { throw unlike(".000000") }
        rest.removeFirst(7)
        return value
    }

    /// Seconds east of Greenwich.
    private mutating func zone() throws(MicroTime.Malformed) -> Int {
        if rest.first == UInt8(ascii: "Z") {
            rest.removeFirst()
            return 0
        }
        let read = Array(rest.prefix(6))
        guard read.count == 6, read[0] == UInt8(ascii: "+") || read[0] == UInt8(ascii: "-"), read[3] == UInt8(ascii: ":"),
            let hours = decimal(read[1...2]), let minutes = decimal(read[4...5])
        else { throw unlike("Z07:00") }
        rest.removeFirst(6)
        guard hours <= 24 else { throw fault("time zone offset hour out of range") }
        guard minutes <= 60 else { throw fault("time zone offset minute out of range") }
        return (hours * 3600 + minutes * 60) * (read[0] == UInt8(ascii: "-") ? -1 : 1)
    }

    private func decimal(_ digits: ArraySlice<UInt8>) -> Int? {
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return Int(String(decoding: digits, as: UTF8.self))
    }

    private func padded(_ value: Int, _ width: Int) -> String {
        String(repeating: "0", count: max(0, width - String(value).count)) + String(value)
    }

    private func unlike(_ element: String) -> MicroTime.Malformed {
        MicroTime.Malformed(
            message: "parsing time \(goQuoted(text)) as \(goQuoted(Self.layout)): cannot parse "
                + "\(goQuoted(String(decoding: rest, as: UTF8.self))) as \(goQuoted(element))")
    }

    private func fault(_ reason: String) -> MicroTime.Malformed {
        MicroTime.Malformed(message: "parsing time \(goQuoted(text)): \(reason)")
    }
}
