import QQCore
import Testing

@Suite("Durations as text")
struct DurationTextTests {
    @Test(
        "durations are read with their units",
        arguments: [
            ("500ms", .milliseconds(500)), ("15s", .seconds(15)), ("2m", .seconds(120)), ("1h30m", .seconds(5400)),
            ("1.5s", .milliseconds(1500)), ("1d2h", .seconds(26 * 3600)), ("0s", .zero), ("007s", .seconds(7)),
            ("1h500us", .seconds(3600) + .microseconds(500)),
            ("10µs", .microseconds(10)), ("10\u{3BC}s", .microseconds(10)), ("3ns", .nanoseconds(3)), ("0.5m", .seconds(30)),
            ("1.500000000000000000000s", .milliseconds(1500)), ("0.000000001s", .nanoseconds(1)),
            ("0.0000152587890625d", .nanoseconds(1_318_359_375)),
            ("3650d", .seconds(3650 * 86400)), ("1.5h30m", .seconds(7200)),
        ] as [(String, Duration)])
    func parse(text: String, duration: Duration) throws {
        #expect(try DurationText.parse(text) == duration)
    }

    @Test(
        "malformed durations are refused with a reason",
        arguments: [
            ("", "is empty; give a duration, as in 15s"), ("15", "needs a unit, as in 15s"), ("1m30", "needs a unit, as in 15s"),
            ("0", "needs a unit, as in 15s"),
            ("1.5", "needs a unit, as in 15s"), ("-15s", "must not be negative"), ("+15s", "is not a duration, as in 15s, 500ms or 1h30m"),
            ("s", "is not a duration, as in 15s, 500ms or 1h30m"), (".5s", "is not a duration, as in 15s, 500ms or 1h30m"),
            ("1.s", "is not a duration, as in 15s, 500ms or 1h30m"), (" 1s", "is not a duration, as in 15s, 500ms or 1h30m"),
            ("1.2.3s", "needs a unit, as in 15s"), ("1 s", "has an unknown unit; the units are ns, us, ms, s, m, h and d"),
            ("1S", "has an unknown unit; the units are ns, us, ms, s, m, h and d"),
            ("1w", "has an unknown unit; the units are ns, us, ms, s, m, h and d"),
            ("30m1h", "must have its units from large to small, each once"), ("1s1s", "must have its units from large to small, each once"),
            ("1us1µs", "must have its units from large to small, each once"), ("0.5ns", "is finer than a nanosecond"),
            ("0.0000000001s", "is finer than a nanosecond"),
            ("0.0000000000000000000000000000000000000000001s", "is finer than a nanosecond"),
            ("3650d1ns", "is longer than ten years (3650d)"), ("9223372036854775807d", "is longer than ten years (3650d)"),
            ("99999999999999999999999999999999s", "is longer than ten years (3650d)"),
            ("½s", "is not a duration, as in 15s, 500ms or 1h30m"),
        ])
    func invalid(text: String, reason: String) {
        #expect(throws: DurationText.Invalid(reason: reason)) { try DurationText.parse(text) }
    }

    @Test(
        "durations are written to the nanosecond",
        arguments: [
            (.zero, "0s"), (.seconds(90), "1m30s"), (.milliseconds(500), "500ms"), (.milliseconds(1500), "1.5s"), (.seconds(3600), "1h"),
            (.seconds(86400 + 61), "1d1m1s"), (.microseconds(1500), "1.5ms"), (.nanoseconds(1), "1ns"),
            (.nanoseconds(1_000_000_001), "1.000000001s"),
            (.seconds(60) + .milliseconds(500), "1m500ms"), (.seconds(-90), "-1m30s"),
            (.nanoseconds(Int64.min), "-106751d23h47m16.854775808s"),
            (Duration(secondsComponent: 0, attosecondsComponent: 1), "0s"),
        ] as [(Duration, String)])
    func format(duration: Duration, text: String) {
        #expect(DurationText.format(duration) == text)
    }

    @Test("written durations are read back unchanged")
    func roundTrip() throws {
        var numbers = Numbers(seed: 6)
        for _ in 0..<5000 {
            let scale = Int64.random(in: 0...8, using: &numbers)
            let unit: Int64 = [1, 1000, 1_000_000, 100_000_000, 1_000_000_000, 60_000_000_000, 3_600_000_000_000, 7, 86_400_000_000_000][
                Int(scale)]
            let duration = Duration.nanoseconds(.random(in: 0...(315_360_000_000_000_000 / unit), using: &numbers) * unit)
            #expect(try DurationText.parse(DurationText.format(duration)) == duration)
        }
    }

    @Test(
        "durations are short when they are shown to users",
        arguments: [
            (.zero, "0s"), (.milliseconds(850), "850ms"), (.milliseconds(12_390), "12.3s"), (.seconds(15), "15s"),
            (.milliseconds(15_040), "15s"),
            (.seconds(245), "4m05s"), (.seconds(300), "5m"), (.milliseconds(59_999), "59.9s"), (.seconds(7800), "2h10m"),
            (.seconds(7500), "2h05m"),
            (.seconds(7259), "2h"), (.seconds(3 * 86400 + 4 * 3600 + 59), "3d4h"), (.seconds(86400), "1d"), (.microseconds(120), "120us"),
            (.nanoseconds(15), "15ns"), (.seconds(-245), "-4m05s"),
        ] as [(Duration, String)])
    func brief(duration: Duration, text: String) {
        #expect(DurationText.brief(duration) == text)
    }

    @Test("parsing a damaged duration never traps")
    func mutations() {
        var numbers = Numbers(seed: 7)
        let pool = Array("0123456789.nuµmshd-+ \0\u{FF}".unicodeScalars)
        for _ in 0..<5000 {
            var text = ""
            for _ in 0..<Int.random(in: 0...30, using: &numbers) { text.unicodeScalars.append(pool.randomElement(using: &numbers) ?? "0") }
            if let duration = try? DurationText.parse(text) { #expect(duration >= .zero && duration <= DurationText.maximum) }
        }
    }
}

@Suite("Durations as numbers")
struct DurationNumbersTests {
    @Test("a duration in nanoseconds is clamped to 64 bits")
    func nanoseconds() {
        #expect(Duration.milliseconds(-3).nanoseconds == -3_000_000)
        #expect((Duration(secondsComponent: .max, attosecondsComponent: 0) * 10).nanoseconds == .max)
        #expect((Duration(secondsComponent: .min, attosecondsComponent: 0) * 10).nanoseconds == .min)
        #expect(Duration.nanoseconds(saturating: UInt64.max) == .nanoseconds(Int64.max))
        #expect(Duration.nanoseconds(saturating: 5 as UInt8) == .nanoseconds(5))
    }

    @Test("a duration in milliseconds is rounded and clamped to 64 bits")
    func milliseconds() {
        #expect(Duration.nanoseconds(1_499_999).milliseconds == 1)
        #expect(Duration.nanoseconds(1_500_000).milliseconds == 2)
        #expect(Duration.nanoseconds(-1_500_000).milliseconds == -2)
        #expect(Duration.nanoseconds(Int64.max).milliseconds == 9_223_372_036_855)
        #expect(Duration(attoseconds: .max).milliseconds == .max)
        #expect(Duration(attoseconds: .min).milliseconds == .min)
    }

    @Test("a duration can be made from any number of seconds or milliseconds")
    func saturation() {
        #expect(Duration.seconds(saturating: 1.5) == .milliseconds(1500))
        #expect(Duration.seconds(saturating: 1e-300) == .zero)
        #expect(Duration.seconds(saturating: .nan) == .zero)
        for count in [Double.infinity, 1e300, 9_223_372_037] { #expect(Duration.seconds(saturating: count) == .nanoseconds(Int64.max)) }
        for count in [-Double.infinity, -1e300] { #expect(Duration.seconds(saturating: count) == .nanoseconds(Int64.min)) }
        #expect(Duration.seconds(saturating: 1, nanoseconds: -1) == .nanoseconds(999_999_999))
        #expect(Duration.seconds(saturating: .max, nanoseconds: .max) == .nanoseconds(Int64.max))
        #expect(Duration.seconds(saturating: .min, nanoseconds: .min) == .nanoseconds(Int64.min))
        #expect(Duration.milliseconds(saturating: -5) == .milliseconds(-5))
        #expect(Duration.milliseconds(saturating: .max) == .nanoseconds(Int64.max))
    }

    @Test("every duration has finite numbers and a text, however long it is")
    func extremes() {
        let made = Extremes.doubles.map { Duration.seconds(saturating: $0) } + Extremes.signed.map { Duration.milliseconds(saturating: $0) }
        for duration in Extremes.durations + made {
            #expect(duration.seconds.isFinite)
            #expect(!DurationText.format(duration).isEmpty)
            #expect(!DurationText.brief(duration).isEmpty)
            #expect((duration.milliseconds <= 0) == (duration.nanoseconds < 500_000))
        }
    }

    @Test("a duration in seconds keeps its fraction")
    func seconds() {
        #expect(Duration.milliseconds(1500).seconds == 1.5)
        #expect(Duration.milliseconds(-100).seconds == -0.1)
    }
}

@Suite("FNV-1a")
struct FNVTests {
    @Test(
        "FNV-1a matches the published test vectors",
        arguments: [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)] as [(String, UInt64)])
    func vectors(text: String, hash: UInt64) {
        #expect(fnv1a64(text.utf8) == hash)
    }
}
