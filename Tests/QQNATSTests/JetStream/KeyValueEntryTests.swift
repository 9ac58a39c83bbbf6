import QQCore
import Testing

@testable import QQNATS

@Suite("An entry of a bucket") struct KeyValueEntryTests {
    private let value = #"{"node_id":"node-a","epoch":1,"acquired_at":1795221418505}"#

    private func direct(_ lines: [String], _ payload: String = "", bucket: String = "KV_CLUSTER_demo") throws(JetStreamFailure)
        -> KeyValueEntry?
    {
        try KeyValueEntry.direct(JetStreamSamples.message("_INBOX.x.1", headers: lines, payload: payload), bucket: bucket)
    }

    @Test("an entry is read from a direct get") func direct() throws {
        let entry = try #require(
            try direct(
                [
                    "NATS/1.0", "Nats-Expected-Last-Subject-Sequence: 7", "Nats-Stream: KV_KV_CLUSTER_demo",
                    "Nats-Subject: $KV.KV_CLUSTER_demo.leader", "Nats-Sequence: 8", "Nats-Time-Stamp: 2026-11-21T00:36:58.505954701Z",
                ], value))
        #expect(entry.bucket == "KV_CLUSTER_demo" && entry.key == "leader" && entry.revision == 8 && entry.operation == .put)
        #expect(entry.value == Array(value.utf8))
        #expect(try entry.written == JetStreamSamples.time("2026-11-21T00:36:58.505954701Z"))
        #expect(entry.pending == nil && entry.messageID == nil)
    }

    @Test("a deleted entry is a tombstone with a revision") func tombstone() throws {
        let entry = try #require(
            try direct([
                "NATS/1.0", "KV-Operation: DEL", "Nats-Stream: KV_KV_CLUSTER_demo", "Nats-Subject: $KV.KV_CLUSTER_demo.cooldown.node-b",
                "Nats-Sequence: 4", "Nats-Time-Stamp: 2026-11-21T00:36:55.498695298Z",
            ]))
        #expect(entry.operation == .delete && entry.key == "cooldown.node-b" && entry.revision == 4)
    }

    @Test("a direct get of a missing key returns no entry") func missing() throws {
        #expect(try direct(["NATS/1.0 404 Message Not Found"]) == nil)
    }

    @Test("a direct get fails with the server's status") func statuses() {
        let unanswered = JetStreamSamples.failure { () throws(JetStreamFailure) in try direct(["NATS/1.0 503"]) }
        #expect(unanswered == .failed(NATSError(.noResponders, "JetStream does not answer")))
        #expect(unanswered?.isTransient == true)
        #expect(
            JetStreamSamples.failure { () throws(JetStreamFailure) in try direct(["NATS/1.0 408 Empty Request"]) }?.refusal?.code == 408)
    }

    @Test("an entry has the server's revision and time, not those forged by its writer") func forged() throws {
        let entry = try #require(
            try direct(
                [
                    "NATS/1.0 404 Message Not Found", "Nats-Sequence: 999", "Nats-Subject: $KV.KV_CLUSTER_demo.other",
                    "Nats-Time-Stamp: 2000-01-01T00:00:00Z", "Nats-Stream: KV_KV_CLUSTER_demo", "Nats-Subject: $KV.KV_CLUSTER_demo.leader",
                    "Nats-Sequence: 8", "Nats-Time-Stamp: 2026-11-21T00:36:58Z",
                ], "junk"))
        #expect(entry.revision == 8 && entry.key == "leader")
        #expect(try entry.written == JetStreamSamples.time("2026-11-21T00:36:58Z"))
    }

    @Test(
        "a direct get with a broken header is refused",
        arguments: [
            [], ["Nats-Sequence: 0", "Nats-Subject: $KV.b.k", "Nats-Time-Stamp: 2026-11-21T00:36:58Z"],
            ["Nats-Sequence: x", "Nats-Subject: $KV.b.k", "Nats-Time-Stamp: 2026-11-21T00:36:58Z"],
            ["Nats-Sequence: 1", "Nats-Subject: $KV.c.k", "Nats-Time-Stamp: 2026-11-21T00:36:58Z"],
            ["Nats-Sequence: 1", "Nats-Subject: $KV.b.", "Nats-Time-Stamp: 2026-11-21T00:36:58Z"],
            ["Nats-Sequence: 1", "Nats-Time-Stamp: 2026-11-21T00:36:58Z"], ["Nats-Sequence: 1", "Nats-Subject: $KV.b.k"],
            ["Nats-Sequence: 1", "Nats-Subject: $KV.b.k", "Nats-Time-Stamp: yesterday"],
        ])
    func broken(lines: [String]) {
        #expect(JetStreamSamples.failure { () throws(JetStreamFailure) in try direct(["NATS/1.0"] + lines, bucket: "b") } != nil)
    }

    @Test(
        "the operation of an entry is read from its headers",
        arguments: [
            (["KV-Operation: DEL"], .delete), (["KV-Operation: PURGE", "Nats-Rollup: sub"], .purge),
            (["Nats-Marker-Reason: MaxAge"], .expired),
            (["Nats-Marker-Reason: Purge"], .purge), (["Nats-Marker-Reason: Remove"], .delete), (["KV-Operation: PUT"], .put),
            (["Nats-Marker-Reason: Whim"], .put), ([], .put),
        ] as [([String], KeyValueEntry.Operation)])
    func operations(lines: [String], operation: KeyValueEntry.Operation) throws {
        let added = ["Nats-Subject: $KV.b.k", "Nats-Sequence: 1", "Nats-Time-Stamp: 2026-11-21T00:36:58Z"]
        let entry = try #require(try direct(["NATS/1.0"] + lines + added, "v", bucket: "b"))
        #expect(entry.operation == operation)
        #expect(entry.value == (operation == .put ? Array("v".utf8) : []))
    }

    // MARK: STREAM.MSG.GET

    private func stored(_ payload: String, bucket: String = "b") throws(JetStreamFailure) -> KeyValueEntry? {
        try KeyValueEntry.stored(JetStreamSamples.answer(payload), bucket: bucket)
    }

    @Test("an entry is read from the stream leader") func stored() throws {
        // "NATS/1.0\r\nNats-Msg-Id: qq:x\r\nKV-Operation: DEL\r\n\r\n" and "hi"
        let entry = try #require(
            try stored(
                #"{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","message":{"subject":"$KV.b.k.l","seq":5,"#
                    + #""hdrs":"TkFUUy8xLjANCk5hdHMtTXNnLUlkOiBxcTp4DQpLVi1PcGVyYXRpb246IERFTA0KDQo=","data":"aGk=","time":"2026-11-21T00:36:58.5Z"}}"#
            ))
        #expect(entry.key == "k.l" && entry.revision == 5 && entry.operation == .delete && entry.messageID == "qq:x")
        #expect(try entry.written == JetStreamSamples.time("2026-11-21T00:36:58.5Z"))
        let plain = try #require(try stored(#"{"message":{"subject":"$KV.b.k","seq":6,"data":"aGk=","time":"2026-11-21T00:36:58Z"}}"#))
        #expect(plain.value == Array("hi".utf8) && plain.headers.isEmpty)
    }

    @Test("a key missing at the stream leader returns no entry") func notStored() throws {
        #expect(try stored(#"{"error":{"code":404,"err_code":10037,"description":"no message found"}}"#) == nil)
        let gone = JetStreamSamples.failure { () throws(JetStreamFailure) in
            try stored(#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#)
        }
        #expect(gone?.refusal?.isStreamNotFound == true)
    }

    @Test(
        "a broken answer of the stream leader is refused",
        arguments: [
            #"{}"#, #"{"message":{"seq":5,"time":"2026-11-21T00:36:58Z"}}"#,
            #"{"message":{"subject":"$KV.b.k","time":"2026-11-21T00:36:58Z"}}"#,
            #"{"message":{"subject":"$KV.b.k","seq":5}}"#,
            #"{"message":{"subject":"$KV.b.k","seq":5,"data":"!","time":"2026-11-21T00:36:58Z"}}"#,
            #"{"message":{"subject":"$KV.c.k","seq":5,"time":"2026-11-21T00:36:58Z"}}"#,
        ])
    func brokenStored(payload: String) {
        #expect(JetStreamSamples.failure { () throws(JetStreamFailure) in try stored(payload) } != nil)
    }

    @Test("an entry can be read whatever its writer put into the headers") func junkHeaders() {
        let headers = NATSHeaders(
            stored: Array("NATS/1.0 200\r\n: x\r\nno colon\r\nA:1\r\nB: \t2 \r\nC:\r\n\r\n".utf8) + [0xFF, 0x3A, 0xFF])
        #expect(headers.fields.prefix(3) == [.init("A", "1"), .init("B", "2 "), .init("C", "")])
        #expect(NATSHeaders(stored: []).isEmpty)
        #expect(NATSHeaders(stored: [0, 13, 10, 58, 10]).isEmpty)
    }

    // MARK: Deliveries

    @Test("an entry is read from a watch's delivery") func delivered() throws {
        let message = JetStreamSamples.message(
            "$KV.KV_CLUSTER_demo.leader", reply: "$JS.ACK.KV_KV_CLUSTER_demo.8NIc70MJ.1.11.7.1795221420454559676.3",
            headers: ["NATS/1.0", "KV-Operation: DEL"])
        let reply = try #require(DeliveryReply(message.reply ?? ""))
        let entry = try #require(KeyValueEntry.delivered(message, as: reply, bucket: "KV_CLUSTER_demo"))
        #expect(entry.revision == 11 && entry.operation == .delete && entry.pending == 3)
        #expect(try entry.written == JetStreamSamples.time("2026-11-21T00:37:00.454559676Z"))
        #expect(KeyValueEntry.delivered(message, as: reply, bucket: "KV_CLUSTER_dem") == nil)
    }
}

@Suite("The reply subject of a delivery") struct DeliveryReplyTests {
    @Test("a reply subject with nine tokens is read") func old() throws {
        let reply = try #require(DeliveryReply("$JS.ACK.KV_KV_CLUSTER_demo.k3qHnGIs.1.12.9.1795221420456695625.0"))
        #expect(reply.domain == nil && reply.stream == "KV_KV_CLUSTER_demo" && reply.consumer == "k3qHnGIs")
        #expect(reply.deliveries == 1 && reply.streamSequence == 12 && reply.consumerSequence == 9 && reply.pending == 0)
        #expect(reply.stored == WallTime(seconds: 1_795_221_420, nanoseconds: 456_695_625))
    }

    @Test("a reply subject with a domain and an account is read", arguments: ["", ".rand", ".rand.more"]) func new(end: String) throws {
        let reply = try #require(DeliveryReply("$JS.ACK.hub.ACC123.s.c.1.12.9.1795221420456695625.4" + end))
        #expect(reply.domain == "hub" && reply.stream == "s" && reply.consumer == "c" && reply.pending == 4 && reply.streamSequence == 12)
        #expect(try #require(DeliveryReply("$JS.ACK._.ACC123.s.c.1.12.9.1.4.x")).domain == nil)
    }

    @Test(
        "other subjects are not reply subjects of deliveries",
        arguments: [
            "", "_INBOX.x", "$JS.FC.s.c.x", "$JS.ACK.s.c.1.2.3.4", "$JS.ACK.s.c.1.2.3.4.5.6", "$JS.ACK.s.c.1.2.3.4.x",
            "$JS.ACK.s.c.1.-2.3.4.5",
            "$JS.API.s.c.1.2.3.4.5", "$JS.ACK.s.c.1.99999999999999999999.3.4.5",
        ])
    func others(subject: String) {
        #expect(DeliveryReply(subject) == nil)
    }
}
