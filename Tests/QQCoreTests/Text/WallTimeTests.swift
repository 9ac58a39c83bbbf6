import Foundation
import QQCore
import Testing

@Suite("Wall times")
struct WallTimeTests {
    @Test(
        "wall times are read from RFC 3339",
        arguments: [
            ("1970-01-01T00:00:00Z", 0, 0), ("2026-03-01T12:00:00.25Z", 1_772_366_400, 250_000_000),
            ("2026-03-01t14:00:00+02:00", 1_772_366_400, 0), ("2026-03-01T11:59:60.5-00:01", nil, 0),
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
            ("9999-12-31T23:59:59.9999999999Z", 253_402_300_799, 999_999_999), ("2024-02-29T00:00:00z", 1_709_164_800, 0),
            ("1969-12-31T23:59:59.000000001Z", -1, 1), ("2016-12-31T23:59:60Z", 1_483_228_799, 999_999_999),
            ("2017-01-01T00:59:60.25+01:00", 1_483_228_799, 999_999_999), ("2026-03-01T12:00:00-00:00", 1_772_366_400, 0),
        ] as [(String, Int64?, Int32)])
    func parse(text: String, seconds: Int64?, nanoseconds: Int32) throws {
        guard let seconds else {
            #expect(throws: WallTime.Invalid(reason: "has a leap second other than at the end of a month")) {
                try WallTime.parse(rfc3339: text)
            }
            return
        }
        let time = try WallTime.parse(rfc3339: text)
        #expect(time.seconds == seconds)
        #expect(time.nanoseconds == nanoseconds)
    }

    @Test(
        "wall times with wrong syntax or an impossible date are refused",
        arguments: [
            ("", "is not an RFC 3339 time, as in 2026-03-01T12:00:00Z"),
            ("2026-03-01", "is not an RFC 3339 time, as in 2026-03-01T12:00:00Z"),
            ("2026-03-01 12:00:00Z", "is not an RFC 3339 time, as in 2026-03-01T12:00:00Z"),
            ("2026-03-01T12:00:00.Z", "is not an RFC 3339 time, as in 2026-03-01T12:00:00Z"),
            ("2026-03-01T12:00:00Zx", "is not an RFC 3339 time, as in 2026-03-01T12:00:00Z"),
            ("2026-3-01T12:00:00Z", "is not an RFC 3339 time, as in 2026-03-01T12:00:00Z"),
            ("2026-03-01T12:00:00+0200", "is not an RFC 3339 time, as in 2026-03-01T12:00:00Z"),
            ("2026-03-01T12:00:00", "has no offset from UTC, as in 2026-03-01T12:00:00Z"), ("2026-02-29T00:00:00Z", "has no such day"),
            ("1900-02-29T00:00:00Z", "has no such day"), ("2026-13-01T00:00:00Z", "has no such day"),
            ("2026-04-31T00:00:00Z", "has no such day"),
            ("2026-00-10T00:00:00Z", "has no such day"), ("2026-01-00T00:00:00Z", "has no such day"),
            ("2026-01-01T24:00:00Z", "has no such time of day"), ("2026-01-01T00:60:00Z", "has no such time of day"),
            ("2026-01-01T00:00:61Z", "has no such time of day"),
            ("2026-01-15T23:59:60Z", "has a leap second other than at the end of a month"),
            ("2026-01-01T00:00:00+24:00", "has no such offset from UTC"), ("2026-01-01T00:00:00+01:60", "has no such offset from UTC"),
            ("0000-12-31T23:59:59Z", "is outside the years 1 to 9999"), ("0001-01-01T00:00:00+00:01", "is outside the years 1 to 9999"),
            ("9999-12-31T23:59:59-00:01", "is outside the years 1 to 9999"),
        ])
    func invalid(text: String, reason: String) {
        #expect(throws: WallTime.Invalid(reason: reason)) { try WallTime.parse(rfc3339: text) }
    }

    @Test("wall times are written with the requested digits, and further digits are cut off")
    func fractions() {
        let time = WallTime(seconds: -1, nanoseconds: 120_999_000)
        #expect(time.rfc3339() == "1969-12-31T23:59:59Z")
        #expect(time.rfc3339(fractionDigits: 3) == "1969-12-31T23:59:59.120Z")
        #expect(time.rfc3339(fractionDigits: 12) == "1969-12-31T23:59:59.120999000Z")
        #expect(time.rfc3339(fractionDigits: -1) == "1969-12-31T23:59:59Z")
        #expect(time.rfc3339Nano == "1969-12-31T23:59:59.120999Z")
        #expect(WallTime.goZero.rfc3339Nano == "0001-01-01T00:00:00Z")
        #expect(WallTime.latest.rfc3339Nano == "9999-12-31T23:59:59.999999999Z")
        #expect("\(WallTime(seconds: 0))" == "1970-01-01T00:00:00Z")
    }

    @Test("random wall times agree with Foundation and are read back unchanged")
    func foundation() throws {
        let style = Date.ISO8601FormatStyle()
        var numbers = Numbers(seed: 4)
        // Foundation's calendar is Julian before 1582; this one, like Go's, is not.
        for _ in 0..<3000 {
            let seconds = Int64.random(in: -12_219_000_000...253_402_300_799, using: &numbers)
            let time = WallTime(seconds: seconds, nanoseconds: .random(in: 0..<1_000_000_000, using: &numbers))
            #expect(time.rfc3339() == style.format(Date(timeIntervalSince1970: Double(seconds))))
            #expect(try WallTime.parse(rfc3339: time.rfc3339Nano) == time)
        }
        for _ in 0..<3000 {
            let time = WallTime(seconds: .random(in: -62_135_596_800 ... -12_219_000_000, using: &numbers))
            #expect(try WallTime.parse(rfc3339: time.rfc3339()) == time)
        }
    }

    @Test("adding durations to wall times is exact across 1970 and the ends of a second")
    func arithmetic() {
        let start = WallTime(seconds: 0, nanoseconds: 250_000_000)
        #expect(start - .milliseconds(500) == WallTime(seconds: -1, nanoseconds: 750_000_000))
        #expect(start + .milliseconds(750) == WallTime(seconds: 1))
        #expect(start + .seconds(-1) == WallTime(seconds: -1, nanoseconds: 250_000_000))
        #expect(start - WallTime(seconds: -2) == .milliseconds(2250))
        #expect(WallTime(seconds: -2) - start == .milliseconds(-2250))
        #expect(WallTime(seconds: 1, nanoseconds: -1) == WallTime(seconds: 0, nanoseconds: 999_999_999))
        #expect(WallTime.latest - .goZero == .nanoseconds(999_999_999) + .seconds(315_537_897_599))
        #expect(WallTime(seconds: -1, nanoseconds: 5) < WallTime(seconds: 0))
    }

    @Test("wall times stay within the years 1 to 9999")
    func saturation() {
        let longest = Duration(secondsComponent: .max, attosecondsComponent: 0) * 10
        #expect(WallTime.latest + .nanoseconds(1) == .latest)
        #expect(WallTime.goZero - .nanoseconds(1) == .goZero)
        #expect(WallTime(seconds: 0) + longest == .latest)
        #expect(WallTime(seconds: 0) - longest == .goZero)
        #expect(WallTime(seconds: .max, nanoseconds: .max) == .latest)
        #expect(WallTime(seconds: .min, nanoseconds: .min) == .goZero)
    }

    @Test("wall times accept every number and every duration and can always be written")
    func extremes() throws {
        let made = Extremes.signed.flatMap { seconds in Extremes.signed.map { WallTime(seconds: seconds, nanoseconds: $0) } }
        let moved = Extremes.times.flatMap { time in Extremes.durations.flatMap { [time + $0, time - $0] } }
        for time in Extremes.times + made + moved {
            #expect(try WallTime.parse(rfc3339: time.rfc3339Nano) == time)
            for other in Extremes.times {
                #expect((time - other >= .zero) == (time >= other))
                #expect(!DurationText.brief(time - other).isEmpty)
            }
        }
    }

    @Test("the current wall time agrees with Foundation to the minute")
    func present() {
        let before = Date()
        let now = WallTime.now()
        #expect(abs(before.timeIntervalSince1970 - Double(now.seconds)) < 60)
    }

    @Test("parsing a damaged wall time never traps")
    func mutations() {
        var numbers = Numbers(seed: 5)
        let pool = Array("0123456789-:.TtZz+ é\0".utf8)
        for _ in 0..<5000 {
            var text = Array("2026-12-31T23:59:60.123456789+14:00".utf8)
            for _ in 0..<Int.random(in: 1...4, using: &numbers) {
                text[Int.random(in: 0..<text.count, using: &numbers)] = pool.randomElement(using: &numbers) ?? 0
            }
            if let time = try? WallTime.parse(rfc3339: String(decoding: text, as: UTF8.self)) {
                #expect(time >= .goZero && time <= .latest)
            }
        }
    }
}
