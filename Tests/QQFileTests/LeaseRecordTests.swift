import QQCore
import Testing

@testable import QQFile

@Suite("A lease record")
struct LeaseRecordTests {
    static let goSample = "{\n  \"holder\": \"a\",\n  \"renewTime\": \"2026-11-21T11:30:59.123456789Z\"\n}\n"
    /// 2026-11-21T11:30:59.123456789Z
    static let goTime = WallTime(seconds: 1_795_260_659, nanoseconds: 123_456_789)

    private func parse(_ text: String) throws(LeaseRecord.Broken) -> LeaseRecord { try LeaseRecord(parsing: Array(text.utf8)) }

    @Test("a lease record is read as Go writes it") func readFromGo() throws {
        #expect(try parse(Self.goSample) == LeaseRecord(holder: "a", renewTime: Self.goTime))
    }

    @Test("a lease record is written as Go writes it") func writtenForGo() {
        #expect(String(decoding: LeaseRecord(holder: "a", renewTime: Self.goTime).encoded, as: UTF8.self) == Self.goSample)
    }

    @Test(
        "the fraction of a renewal time is written as Go writes it",
        arguments: [(0, "59Z"), (100_000_000, "59.1Z"), (120_000, "59.00012Z"), (1, "59.000000001Z"), (123_456_780, "59.12345678Z")]
            as [(Int64, String)])
    func fractions(nanoseconds: Int64, end: String) {
        let text = String(
            decoding: LeaseRecord(holder: "a", renewTime: WallTime(seconds: 1_795_260_659, nanoseconds: nanoseconds)).encoded, as: UTF8.self
        )
        #expect(text == "{\n  \"holder\": \"a\",\n  \"renewTime\": \"2026-11-21T11:30:\(end)\"\n}\n")
    }

    @Test("a lease record is written with Go's escapes") func escapes() throws {
        let record = LeaseRecord(holder: "<a&b>\u{2028}\"\\\u{1}é", renewTime: Self.goTime)
        let text = String(decoding: record.encoded, as: UTF8.self)
        #expect(text.contains("\"holder\": \"\\u003ca\\u0026b\\u003e\\u2028\\\"\\\\\\u0001é\""))
        #expect(try parse(text) == record)
    }

    @Test("a renewal time with an offset from UTC is read") func offset() throws {
        let record = try parse("{\"holder\": \"a\", \"renewTime\": \"2026-11-21T13:30:59.123456789+02:00\"}")
        #expect(record.renewTime == Self.goTime)
    }

    @Test(
        "a lease record without a holder means that the lease is free",
        arguments: [
            "", "{\"holder\": \"\"}", "{\"holder\": null, \"renewTime\": null}",
            "{\"holder\":\"\",\"renewTime\":\"0001-01-01T00:00:00Z\"}",
        ])
    func nobody(text: String) throws {
        #expect(try parse(text) == .nobody)
    }

    @Test("a lease record has qq's own fields after Go's") func ownFields() throws {
        var record = LeaseRecord(holder: "a", renewTime: Self.goTime)
        record.acquireTime = WallTime(seconds: 1_795_260_600)
        record.leaseDuration = .milliseconds(15_500)
        record.ttl = .milliseconds(15_500)
        record.token = 7
        record.host = "db1"
        record.bootID = "b007"
        record.bootDeadline = BootInstant(nanoseconds: 18_446_744_073_709_551_614)
        record.isLocked = true
        record.lockFile = 12
        record.endsByTimeAlone = true
        record.stepDown = "admin"
        let text = String(decoding: record.encoded, as: UTF8.self)
        #expect(
            text == """
                {
                  "holder": "a",
                  "renewTime": "2026-11-21T11:30:59.123456789Z",
                  "leaseDuration": 15500000000,
                  "acquireTime": "2026-11-21T11:30:00Z",
                  "ttlSeconds": 15.5,
                  "token": 7,
                  "host": "db1",
                  "bootId": "b007",
                  "bootDeadline": 18446744073709551614,
                  "locked": true,
                  "lockFile": 12,
                  "endsByTimeAlone": true,
                  "stepDown": "admin"
                }

                """)
        #expect(try parse(text) == record)
    }

    @Test("unknown fields of a lease record are ignored") func unknownFields() throws {
        let text = "{\"x\": [1, {\"holder\": 3}], \"holder\": \"a\", \"renewTime\": \"2026-11-21T11:30:59.123456789Z\", \"y\": null}"
        #expect(try parse(text) == LeaseRecord(holder: "a", renewTime: Self.goTime))
    }

    @Test("white space after a lease record is ignored") func trailingSpace() throws {
        #expect(try parse(Self.goSample + "    \n  ").holder == "a")
    }

    @Test(
        "the error about a field of the wrong type names the field",
        arguments: [
            ("holder", "1"), ("holder", "{}"), ("renewTime", "5"), ("renewTime", "\"yesterday\""), ("acquireTime", "true"),
            ("acquireTime", "\"\""),
            ("ttlSeconds", "\"15\""), ("ttlSeconds", "0"), ("ttlSeconds", "-1"), ("ttlSeconds", "1e300"), ("ttlSeconds", "1e400"),
            ("token", "1e400"), ("ttlSeconds", "1e-300"),
            ("token", "\"7\""), ("token", "-1"),
            ("token", "1.5"), ("token", "18446744073709551615"), ("token", "1e30"), ("host", "[]"), ("bootId", "7"),
            ("bootDeadline", "\"1\""),
            ("bootDeadline", "-1"), ("locked", "\"yes\""), ("locked", "1"), ("lockFile", "true"), ("stepDown", "false"),
        ])
    func wrongType(field: String, value: String) {
        let error = #expect(throws: LeaseRecord.Broken.self) { try parse("{\"holder\": \"a\", \"\(field)\": \(value)}") }
        #expect(error?.reason.hasPrefix("\"\(field)\" is ") == true)
    }

    // MARK: Recordings of the present and the previous generation of the Go package

    /// A step, and the file's content after it.
    static let recorded: [(generation: String, holder: String, nanoseconds: Int64?, text: String)] = [
        (
            "present: acquired", "node-a", 10_000_000_000,
            "{\n  \"holder\": \"node-a\",\n  \"renewTime\": \"2026-11-29T16:21:55.956332049Z\",\n  \"leaseDuration\": 10000000000\n}\n"
        ),
        (
            "present: released", "", 10_000_000_000,
            "{\n  \"holder\": \"\",\n  \"renewTime\": \"2026-11-29T16:21:57.955590981Z\",\n  \"leaseDuration\": 10000000000\n}\n"
        ),
        (
            "present: acquired what was released", "node-b", 5_000_000_000,
            "{\n  \"holder\": \"node-b\",\n  \"renewTime\": \"2026-11-29T16:22:01.561772741Z\",\n  \"leaseDuration\": 5000000000\n}\n"
        ),
        (
            "old: renewed", "old-a", nil,
            "{\n  \"holder\": \"old-a\",\n  \"renewTime\": \"2026-11-29T16:22:21.496353973Z\"\n}\n"
        ),
    ]

    @Test("records of each generation of the Go package are read, and written byte for byte", arguments: recorded)
    func generations(_ sample: (generation: String, holder: String, nanoseconds: Int64?, text: String)) throws {
        let record = try parse(sample.text)
        #expect(record.holder == sample.holder)
        #expect(record.lasts == sample.nanoseconds.map { .nanoseconds($0) })
        #expect(String(decoding: record.encoded, as: UTF8.self) == sample.text)
    }

    @Test(
        "a meaningless leaseDuration is ignored, and qq's ttlSeconds counts",
        arguments: [
            "\"10s\"", "\"10000000000\"", "-1", "0", "1.5", "10000000000.0", "1e10", "1e300", "1e400", "-1e400", "86400000000001",
            "18446744073709551615",
            "9223372036854775807", "true", "null", "{}", "[10]",
        ])
    func nonsense(value: String) throws {
        let go = "\"holder\": \"a\", \"renewTime\": \"2026-11-21T11:30:59.123456789Z\", \"leaseDuration\": \(value)"
        #expect(try parse("{\(go)}").lasts == nil)
        #expect(try parse("{\(go), \"ttlSeconds\": 15}").lasts == .seconds(15))
    }

    @Test("leaseDuration takes precedence over qq's ttlSeconds") func precedence() throws {
        let text = "{\"holder\": \"a\", \"leaseDuration\": 5000000000, \"ttlSeconds\": 15}"
        #expect(try parse(text).lasts == .seconds(5))
        #expect(try parse("{\"holder\": \"a\", \"leaseDuration\": 1}").lasts == .nanoseconds(1))
        #expect(try parse("{\"holder\": \"a\", \"leaseDuration\": 86400000000000}").lasts == .seconds(24 * 3600))
    }

    @Test("a meaningless ttlSeconds is ignored if there is a leaseDuration", arguments: ["-1", "0", "1e400", "\"15\""])
    func nonsenseOfOurs(value: String) throws {
        let record = try parse("{\"holder\": \"a\", \"leaseDuration\": 5000000000, \"ttlSeconds\": \(value)}")
        #expect(record.lasts == .seconds(5))
        #expect(record.ttl == nil)
    }

    // MARK: Fields of an earlier holder

    private static let ours = {
        var record = LeaseRecord(holder: "ours", renewTime: goTime)
        record.leaseDuration = .seconds(15)
        record.ttl = .seconds(15)
        record.acquireTime = goTime
        record.token = 7
        record.host = "db1"
        record.bootID = "b007"
        record.bootDeadline = BootInstant(nanoseconds: 1)
        record.isLocked = true
        record.lockFile = 12
        record.endsByTimeAlone = true
        record.stepDown = "admin"
        record.cleanFor = "b007 1 0"
        return record
    }()

    @Test("qq's own fields count only for the holder that qq wrote them for") func otherHolder() {
        var record = Self.ours
        record.renewTime = Self.goTime + .seconds(1)
        record.believe(after: Self.ours)
        #expect(record.bootID == "b007" && record.isLocked && record.token == 7, "the holder is the same")
        record.holder = "go"
        record.leaseDuration = .seconds(5)
        var bare = LeaseRecord(holder: "go", renewTime: record.renewTime)
        bare.leaseDuration = .seconds(5)
        record.believe(after: Self.ours)
        #expect(record == bare)
    }

    @Test("fields that another holder wrote about itself are kept") func fieldsOfAnotherHolder() {
        var record = Self.ours
        record.holder = "go"
        record.leaseDuration = nil
        record.token = 9
        record.acquireTime = Self.goTime + .seconds(1)
        record.believe(after: Self.ours)
        #expect(record.lasts == .seconds(15))
        #expect(record.token == 9)
        #expect(record.acquireTime == Self.goTime + .seconds(1))
        #expect(!record.isLocked)
    }

    @Test(
        "JSON without a holder is another program's data and not a lease",
        arguments: [
            "{}", "{\"name\": \"config\"}", "{\"Holder\": \"a\"}", "{\"leaseDuration\": 1}", "[]", "[{\"holder\": \"a\"}]", "7", "null",
            "\"a\"",
        ])
    func foreign(text: String) {
        #expect(#expect(throws: LeaseRecord.Broken.self) { try parse(text) }?.isForeign == true)
    }

    @Test(
        "a damaged lease record is not taken for another program's data",
        arguments: ["{", "{\"holder\": \"a", "{\"holder\": 1}", " ", "\u{0}"])
    func damaged(text: String) {
        #expect(#expect(throws: LeaseRecord.Broken.self) { try parse(text) }?.isForeign == false)
    }

    @Test(
        "text that is not a lease record is refused",
        arguments: ["[]", "7", "null", "\"a\"", "{", "{\"holder\": \"a\"", "{} {}", "\u{0}", " ", "{\"holder\": \"a\",}"])
    func broken(text: String) {
        #expect(throws: LeaseRecord.Broken.self) { try parse(text) }
    }
}
