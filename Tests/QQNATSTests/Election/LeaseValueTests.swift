import QQCore
import Testing

@testable import QQNATS

@Suite("The format of a lease") struct LeaseFormatTests {
    @Test("a format names buckets, streams and keys as go-cluster does") func names() {
        #expect(LeaseFormat.v1.bucket(cluster: "demo") == "cluster-demo")
        #expect(LeaseFormat.v1.stream(cluster: "demo") == "KV_cluster-demo")
        #expect(LeaseFormat.v1.leaseKey == "lease")
        #expect(LeaseFormat.v1.cooldownKey(node: "node-a") == "cooldown-node-a")
        #expect(LeaseFormat.v2.bucket(cluster: "demo") == "KV_CLUSTER_demo")
        #expect(LeaseFormat.v2.stream(cluster: "demo") == "KV_KV_CLUSTER_demo")
        #expect(LeaseFormat.v2.leaseKey == "leader")
        #expect(LeaseFormat.v2.cooldownKey(node: "node-a") == "cooldown.node-a")
    }

    @Test("a format is recognised by the bucket's name", arguments: LeaseFormat.allCases) func found(format: LeaseFormat) {
        let election = LeaseFormat.election(inBucket: format.bucket(cluster: "a-b_c"))
        #expect(election?.format == format && election?.cluster == "a-b_c")
    }

    @Test("other buckets have no format", arguments: ["cluster-", "KV_CLUSTER_", "cluster", "orders", "cluster-a.b", "CLUSTER-a"])
    func others(bucket: String) {
        #expect(LeaseFormat.election(inBucket: bucket) == nil)
    }

    @Test("a format converts a TTL to a bucket's maximum age, and back", arguments: LeaseFormat.allCases) func ages(format: LeaseFormat) {
        #expect(format.maxAge(ttl: .seconds(3)) == .seconds(format == .v1 ? 6 : 3))
        #expect(format.ttl(maxAge: format.maxAge(ttl: .milliseconds(2500))) == .milliseconds(2500))
        #expect(format.ttl(maxAge: nil) == nil)
    }

    @Test("valid cluster names are accepted", arguments: ["demo", "a", "A-1_b", String(repeating: "x", count: 241)]) func clusters(
        id: String
    ) {
        #expect(LeaseFormat.problem(withCluster: id) == nil)
    }

    @Test("invalid cluster names are refused", arguments: ["", "a.b", "a b", "a*", "ä", "a/b", String(repeating: "x", count: 242)])
    func noClusters(id: String) {
        #expect(LeaseFormat.problem(withCluster: id) != nil)
    }

    @Test("valid node names are accepted", arguments: ["node-a", "db1.example.org", "a/b", "x=y", "0"]) func nodes(id: String) {
        #expect(LeaseFormat.problem(withNode: id) == nil)
    }

    @Test(
        "invalid node names are refused",
        arguments: ["", ".a", "a.", "a..b", "a b", "*", ">", "a:b", "ä", String(repeating: "x", count: 257)])
    func noNodes(id: String) {
        #expect(LeaseFormat.problem(withNode: id) != nil)
    }
}

@Suite("The value of a lease") struct LeaseValueTests {
    /// Values as the nodes wrote them, without spaces.
    static let recordedV1 =
        #"{"node_id":"node-a","epoch":1,"expires_at":"2026-11-21T00:37:13.702363263Z","acquired_at":"2026-11-21T00:37:09.699873909Z"}"#
    static let recordedV2 = #"{"node_id":"node-a","epoch":1,"acquired_at":1795221413506}"#

    private func parse(_ text: String, _ format: LeaseFormat) throws(LeaseValue.Junk) -> LeaseValue {
        try LeaseValue(parsing: Array(text.utf8), as: format)
    }

    @Test("a value in v1 is read and written as Go nodes do") func v1() throws {
        let value = try parse(Self.recordedV1, .v1)
        #expect(value.nodeID == "node-a" && value.epoch == 1)
        #expect(try value.acquiredAt == JetStreamSamples.time("2026-11-21T00:37:09.699873909Z"))
        #expect(try value.expiresAt == JetStreamSamples.time("2026-11-21T00:37:13.702363263Z"))
        #expect(String(decoding: value.encoded(as: .v1), as: UTF8.self) == Self.recordedV1)
        #expect(value.encoded(as: .v1).count == 175 - 52)
    }

    @Test("a note comes last in a value, and is no part of what Go nodes read", arguments: LeaseFormat.allCases)
    func note(format: LeaseFormat) throws {
        let plain = format == .v1 ? Self.recordedV1 : Self.recordedV2
        var value = try parse(plain, format)
        #expect(value.note == nil)
        value.note = "build 417"
        let text = String(decoding: value.encoded(as: format), as: UTF8.self)
        #expect(text == plain.dropLast() + #","note":"build 417"}"#)
        #expect(try parse(text, format) == value)
        value.note = nil
        #expect(String(decoding: value.encoded(as: format), as: UTF8.self) == plain)
    }

    @Test(
        "a note that is no text is no junk, and one from a server is bounded and printable", arguments: ["7", "null", "{}", "[]", "\"\""])
    func foreignNote(text: String) throws {
        #expect(try parse(#"{"node_id":"a","epoch":1,"acquired_at":1,"note":\#(text)}"#, .v2).note == nil)
        #expect(try parse(#"{"node_id":"a","epoch":1,"acquired_at":1,"note":"x\u001b[2J"}"#, .v2).note == "x\\x1b[2J")
        let long = String(repeating: "n", count: 10_000)
        #expect(try parse(#"{"node_id":"a","epoch":1,"acquired_at":1,"note":"\#(long)"}"#, .v2).note?.utf8.count == Note.maximumLength)
    }

    @Test("a value in v2 is read and written as Go nodes do") func v2() throws {
        let value = try parse(Self.recordedV2, .v2)
        #expect(value == LeaseValue(nodeID: "node-a", epoch: 1, acquiredAt: WallTime(seconds: 1_795_221_413, nanoseconds: 506_000_000)))
        #expect(String(decoding: value.encoded(as: .v2), as: UTF8.self) == Self.recordedV2)
        #expect(value.encoded(as: .v2).count == 110 - 52)
    }

    @Test("times are written without trailing zeros, as in Go") func trimmed() {
        let value = LeaseValue(
            nodeID: "a", epoch: 2, acquiredAt: WallTime(seconds: 1_795_221_413),
            expiresAt: WallTime(seconds: 1_795_221_416, nanoseconds: 500_000_000))
        #expect(
            String(decoding: value.encoded(as: .v1), as: UTF8.self)
                == #"{"node_id":"a","epoch":2,"expires_at":"2026-11-21T00:36:56.5Z","acquired_at":"2026-11-21T00:36:53Z"}"#)
    }

    @Test("a value can have unknown members, any order and case, and times with offsets") func lenient() throws {
        let value = try parse(
            #" {"x":[{"epoch":9}],"NODE_ID":"a","Acquired_At":"2026-11-21T01:36:53+01:00","epoch":1,"Epoch":2,"epoch":null} "#, .v1)
        #expect(value == LeaseValue(nodeID: "a", epoch: 2, acquiredAt: WallTime(seconds: 1_795_221_413), expiresAt: .goZero))
        // The additional members of v1 are ignored in v2.
        #expect(try parse(#"{"node_id":"a","expires_at":7}"#, .v2) == LeaseValue(nodeID: "a", epoch: 0, acquiredAt: .goZero))
        #expect(try parse(#"{"node_id":"a","epoch":-9223372036854775808,"acquired_at":-9223372036854775808}"#, .v2).epoch == .min)
    }

    @Test(
        "malformed values are junk in both formats",
        arguments: [
            "", "junk", "{", "[]", "null", "7", "{}", #"{"node_id":""}"#, #"{"node_id":null}"#, #"{"node_id":7}"#,
            #"{"node_id":"a","epoch":"1"}"#,
            #"{"node_id":"a","epoch":1.0}"#, #"{"node_id":"a","epoch":1e3}"#, #"{"node_id":"a","epoch":9223372036854775808}"#,
            #"{"node_id":"a","acquired_at":true}"#, #"{"node_id":"a"} x"#,
        ])
    func junk(text: String) {
        for format in LeaseFormat.allCases {
            #expect(throws: LeaseValue.Junk.self) { try parse(text, format) }
        }
    }

    @Test("a value of the other format is junk") func mixed() {
        #expect(throws: LeaseValue.Junk.self) { try parse(Self.recordedV1, .v2) }
        #expect(throws: LeaseValue.Junk.self) { try parse(Self.recordedV2, .v1) }
    }

    @Test("milliseconds are rounded down") func milliseconds() {
        #expect(WallTime(seconds: 1, nanoseconds: 999_999_999).milliseconds == 1999)
        #expect(WallTime(seconds: -1, nanoseconds: 1).milliseconds == -1000)
        #expect(WallTime(milliseconds: -1) == WallTime(seconds: -1, nanoseconds: 999_000_000))
        #expect(WallTime(milliseconds: .max) == .latest && WallTime(milliseconds: .min) == .goZero)
    }
}

@Suite("The message ID of a lease write") struct MessageIDTests {
    private let termID = LeaseSamples.termID

    @Test("a message ID is written and read") func both() {
        #expect(MessageID(termID: termID).description == "qq:\(termID)")
        #expect(MessageID("qq:\(termID)") == MessageID(termID: termID))
        let renewal = MessageID(termID: termID, renewal: .init(token: 42, count: .max))
        #expect(renewal.description == "qq:\(termID):42:18446744073709551615")
        #expect(MessageID(renewal.description) == renewal)
    }

    @Test(
        "text in another form is not a message ID of qq",
        arguments: [
            "", "qq", "qq:", "qq:0123456789abcdefghijK", "qq:0123456789abcdefghijKLM", "qq:0123456789abcdefghij-L",
            "QQ:0123456789abcdefghijKL",
            "qq:0123456789abcdefghijKL:", "qq:0123456789abcdefghijKL:1", "qq:0123456789abcdefghijKL:1:", "qq:0123456789abcdefghijKL:0:1",
            "qq:0123456789abcdefghijKL:1:0", "qq:0123456789abcdefghijKL:01:1", "qq:0123456789abcdefghijKL:+1:1",
            "qq:0123456789abcdefghijKL:-1:1",
            "qq:0123456789abcdefghijKL:1:18446744073709551616", "qq:0123456789abcdefghijKL:1:1:1", "qq:0123456789abcdefghijK\u{E9}",
        ])
    func others(text: String) {
        #expect(MessageID(text) == nil)
    }

    @Test("each term ID is new") func termIDs() {
        let termIDs = (0..<1000).map { _ in MessageID.newTermID() }
        #expect(Set(termIDs).count == 1000)
        for termID in termIDs { #expect(MessageID("qq:" + termID)?.termID == termID) }
        // All digits are used.
        #expect(Set(termIDs.joined()).count == 62)
    }
}
