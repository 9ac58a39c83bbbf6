import QQCore
import QQNetwork
import Testing

@testable import QQNATS

@Suite("Requests to JetStream") struct JetStreamRequestTests {
    @Test(
        "a bucket is created as Go nodes create it",
        arguments: [("cluster-demo", 6, JetStreamSamples.createV1, 406), ("KV_CLUSTER_demo", 3, JetStreamSamples.createV2, 412)])
    func createsBucket(bucket: String, seconds: Int, recorded: String, size: Int) throws {
        let request = StreamConfiguration.bucket(bucket, maxAge: .seconds(seconds), replicas: 1).creation
        #expect(try JSONValue.parse(request) == JSONValue.parse(recorded.utf8))
        // Go needs five more bytes for ">".
        #expect(request.count + 5 == size)
    }

    @Test("the duplicate window is at most two minutes", arguments: [(119, 119), (120, 120), (121, 120), (3600, 120)])
    func duplicateWindow(maxAge: Int64, window: Int64) throws {
        let request = StreamConfiguration.bucket("b", maxAge: .seconds(maxAge), replicas: 3).creation
        let value = try JSONValue.parse(request)
        #expect(value["max_age"] == .integer(maxAge * 1_000_000_000))
        #expect(value["duplicate_window"] == .integer(window * 1_000_000_000))
        #expect(value["num_replicas"] == 3)
    }

    @Test("a watch is created as Go nodes create it") func createsConsumer() throws {
        let request = ConsumerConfiguration(
            stream: "KV_KV_CLUSTER_demo", name: "k3qHnGIs", filter: "$KV.KV_CLUSTER_demo.leader",
            deliverSubject: "_INBOX.fi0eMoCZbkGIRcSzYodbcH", heartbeat: .seconds(5)
        ).creation
        #expect(try JSONValue.parse(request) == JSONValue.parse(JetStreamSamples.consumerCreate.utf8))
        #expect(request.count == 351)
    }

    @Test("requests use the same subjects as Go nodes") func subjects() {
        let api = JetStreamAPI()
        #expect(api.accountInfo == "$JS.API.INFO")
        #expect(api.streamCreate("KV_cluster-demo") == "$JS.API.STREAM.CREATE.KV_cluster-demo")
        #expect(api.streamInfo("KV_x") == "$JS.API.STREAM.INFO.KV_x")
        #expect(
            api.directGet("KV_KV_CLUSTER_demo", subject: JetStreamAPI.keySubject(bucket: "KV_CLUSTER_demo", key: "leader"))
                == "$JS.API.DIRECT.GET.KV_KV_CLUSTER_demo.$KV.KV_CLUSTER_demo.leader")
        #expect(
            api.consumerCreate("KV_KV_CLUSTER_demo", consumer: "k3qHnGIs", filter: "$KV.KV_CLUSTER_demo.leader")
                == "$JS.API.CONSUMER.CREATE.KV_KV_CLUSTER_demo.k3qHnGIs.$KV.KV_CLUSTER_demo.leader")
        #expect(api.consumerDelete("s", consumer: "c") == "$JS.API.CONSUMER.DELETE.s.c")
        #expect(api.messageGet("s") == "$JS.API.STREAM.MSG.GET.s")
        #expect(api.keyWrite(bucket: "cluster-demo", key: "lease") == "$KV.cluster-demo.lease")
    }

    @Test("requests use the prefix of a domain or an imported API") func prefixes() {
        #expect(JetStreamAPI(domain: "hub").streamNames == "$JS.hub.API.STREAM.NAMES")
        #expect(JetStreamAPI(domain: "hub").keyWrite(bucket: "b", key: "k") == "$JS.hub.API.$KV.b.k")
        #expect(JetStreamAPI(prefix: "imported.js.").streamList == "imported.js.STREAM.LIST")
    }

    @Test("requests for messages and pages are JSON") func payloads() {
        #expect(String(decoding: JetStreamRequest.lastMessage(under: "$KV.b.k"), as: UTF8.self) == #"{"last_by_subj":"$KV.b.k"}"#)
        #expect(String(decoding: JetStreamRequest.streams(offset: 256), as: UTF8.self) == #"{"offset":256,"subject":"$KV.*.>"}"#)
    }

    @Test("keys are written with the headers that Go nodes send") func writes() {
        #expect(KeyValueWrite.put("lease", [1], over: 0).headers.lines == ["Nats-Expected-Last-Subject-Sequence: 0"])
        #expect(KeyValueWrite.put("lease", [1], over: 8).headers.lines == ["Nats-Expected-Last-Subject-Sequence: 8"])
        #expect(KeyValueWrite.delete("cooldown-node-a").headers.lines == ["KV-Operation: DEL"])
        #expect(KeyValueWrite.delete("lease").value.isEmpty)
        #expect(KeyValueWrite.put("k", []).headers.isEmpty)
    }

    @Test("keys are written with the headers that qq adds") func ourWrites() {
        #expect(
            KeyValueWrite.put("lease", [], over: 7, id: "qq:x").headers.lines == [
                "Nats-Expected-Last-Subject-Sequence: 7", "Nats-Msg-Id: qq:x",
            ])
        #expect(KeyValueWrite.delete("lease", at: 9).headers.lines == ["KV-Operation: DEL", "Nats-Expected-Last-Subject-Sequence: 9"])
        #expect(
            KeyValueWrite.purge("lease", at: 9).headers.lines == [
                "KV-Operation: PURGE", "Nats-Rollup: sub", "Nats-Expected-Last-Subject-Sequence: 9",
            ])
    }
}

@Suite("Names of buckets and keys") struct KeyNameTests {
    @Test("valid bucket names are accepted", arguments: ["demo", "cluster-demo", "KV_CLUSTER_x", "0", "A-_"]) func buckets(name: String) {
        #expect(KeyName.isValid(bucket: name))
    }

    @Test("invalid bucket names are refused", arguments: ["", "a.b", "a b", "ü", "a/b", "a*", ">", "a\n"]) func noBuckets(name: String) {
        #expect(!KeyName.isValid(bucket: name))
    }

    @Test("valid keys are accepted", arguments: ["lease", "cooldown.node-a", "a/b=c_d", "a.b.c", "/", "="]) func keys(name: String) {
        #expect(KeyName.isValid(key: name))
    }

    @Test("invalid keys are refused", arguments: ["", ".", ".a", "a.", "a..b", "a b", "*", "a.>", "ä", "a\r\nb", "a:b"]) func noKeys(
        name: String
    ) {
        #expect(!KeyName.isValid(key: name))
    }
}

@Suite("Base64") struct Base64Tests {
    @Test(
        "base64 is read as in RFC 4648",
        arguments: [
            ("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("Zm9vYmE=", "fooba"), ("Zm9vYmFy", "foobar"),
        ])
    func samples(text: String, plain: String) {
        #expect(Base64.decode(text) == Array(plain.utf8))
    }

    @Test("the whole alphabet of base64 is read") func everyByte() {
        #expect(Base64.decode("APv/+g==") == [0, 251, 255, 250])
    }

    @Test(
        "invalid base64 is refused",
        arguments: ["Z", "Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm 9", "Zg==Zg==", "Zm9v\n", "Zm-_", "=AAA"])
    func broken(text: String) {
        #expect(Base64.decode(text) == nil)
    }
}
