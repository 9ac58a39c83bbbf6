import QQCore
import Testing

@testable import QQNATS

@Suite("Answers of JetStream") struct JetStreamAnswerTests {
    @Test("the answer about a stream is read") func stream() throws {
        let info = try StreamInfo(JetStreamSamples.answer(JetStreamSamples.streamCreated))
        #expect(info.configuration == .bucket("cluster-demo", maxAge: .seconds(6), replicas: 1))
        #expect(info.configuration.bucket == "cluster-demo")
        #expect(try info.created == JetStreamSamples.time("2026-11-21T00:37:09.697070224Z"))
        #expect(try info.timestamp == JetStreamSamples.time("2026-11-21T00:37:11.699234171Z"))
        #expect(info.state.messages == 2)
        #expect(info.state.firstSequence == 1)
        #expect(info.state.lastSequence == 3)
        #expect(try info.state.lastTime == JetStreamSamples.time("2026-11-21T00:37:10.702577145Z"))
        #expect(info.cluster == nil)
    }

    @Test("the answer about a stream in a cluster of newer servers is read") func cluster() throws {
        let info = try StreamInfo(
            JetStreamSamples.answer(
                #"""
                {"config":{"name":"KV_b","subjects":["$KV.b.>"],"max_age":0,"max_msgs_per_subject":-1,"num_replicas":3,
                "subject_delete_marker_ttl":60000000000,"allow_msg_ttl":true},
                "state":{"last_seq":18446744073709551615,"last_ts":"0001-01-01T00:00:00Z"},
                "cluster":{"name":"C1","leader":"n1","replicas":[{"name":"n2","current":true,"active":1,"lag":2},
                {"name":"n3","current":false,"offline":true}]}}
                """#))
        #expect(info.configuration.maxAge == nil)
        #expect(info.configuration.maxMessagesPerSubject == nil)
        #expect(info.configuration.subjectDeleteMarkerTTL == .seconds(60))
        #expect(!info.configuration.allowDirect)
        #expect(info.timestamp == nil)
        #expect(info.state.lastSequence == .max)
        #expect(info.state.lastTime == nil)
        #expect(info.cluster?.leader == "n1")
        #expect(
            info.cluster?.replicas == [
                .init(name: "n2", isCurrent: true, isOffline: false, lag: 2), .init(name: "n3", isCurrent: false, isOffline: true, lag: 0),
            ])
    }

    @Test("the answer about a stream without a stream leader is read") func leaderless() throws {
        let info = try StreamInfo(
            JetStreamSamples.answer(#"{"config":{"name":"s"},"state":{"last_seq":0},"cluster":{"name":"C1","leader":"","replicas":null}}"#))
        #expect(info.cluster?.leader == nil)
        #expect(info.cluster?.name == "C1")
        #expect(info.configuration.bucket == nil)
    }

    @Test("a stream is a bucket only if its subjects fit or it is a copy") func buckets() throws {
        func bucket(_ configuration: String) throws -> String? {
            try StreamInfo(JetStreamSamples.answer(#"{"config":\#(configuration),"state":{"last_seq":0}}"#)).configuration.bucket
        }
        #expect(try bucket(#"{"name":"KV_a","subjects":["$KV.a.>"]}"#) == "a")
        #expect(try bucket(#"{"name":"KV_a","subjects":["$KV.b.>"]}"#) == nil)
        #expect(try bucket(#"{"name":"KV_a","mirror":{"name":"KV_b"}}"#) == "a")
        #expect(try bucket(#"{"name":"KV_","subjects":["$KV..>"]}"#) == nil)
        #expect(try bucket(#"{"name":"ORDERS","subjects":["$KV.a.>"]}"#) == nil)
    }

    @Test("lists of streams are read in pages") func pages() throws {
        let first = try StreamPage<String>(names: JetStreamSamples.answer(#"{"total":3,"offset":0,"limit":2,"streams":["KV_a","X"]}"#))
        #expect(first.buckets == ["a"])
        #expect(first.nextOffset == 2)
        let last = try StreamPage<String>(names: JetStreamSamples.answer(#"{"total":3,"offset":2,"limit":2,"streams":["KV_c"]}"#))
        #expect(last.nextOffset == nil)
        let none = try StreamPage<String>(names: JetStreamSamples.answer(#"{"total":0,"offset":0,"limit":1024,"streams":null}"#))
        #expect(none.streams.isEmpty)
        // A server that gives a total above the number of its streams must not cause endless requests.
        #expect(try StreamPage<String>(names: JetStreamSamples.answer(#"{"total":9,"offset":2,"streams":[]}"#)).nextOffset == nil)
        let infos = try StreamPage<StreamInfo>(
            infos: JetStreamSamples.answer(#"{"total":1,"offset":0,"streams":[\#(JetStreamSamples.streamCreated)]}"#))
        #expect(infos.buckets.map(\.bucket) == ["cluster-demo"])
        #expect(infos.nextOffset == nil)
    }

    @Test("the acknowledgement of a write is read") func acknowledgement() throws {
        let plain = try PublishAcknowledgement(JetStreamSamples.answer(#"{"stream": "KV_KV_CLUSTER_demo", "seq": 10}"#))
        #expect(plain.stream == "KV_KV_CLUSTER_demo" && plain.sequence == 10 && !plain.isDuplicate && plain.domain == nil)
        let again = try PublishAcknowledgement(JetStreamSamples.answer(#"{"stream":"s","domain":"hub","seq":10,"duplicate":true}"#))
        #expect(again.isDuplicate && again.domain == "hub")
    }

    @Test("the refusal of a write over another revision is read") func wrongLastSequence() {
        let error = JetStreamSamples.failure { () throws(JetStreamFailure) in
            try PublishAcknowledgement(JetStreamSamples.answer(JetStreamSamples.wrongLastSequence))
        }
        #expect(error?.refusal == JetStreamError(code: 400, errorCode: 10071, description: "wrong last sequence: 11"))
        #expect(error?.refusal?.isWrongLastSequence == true)
        #expect(error?.isTransient == false)
        #expect(error?.isUncertain == false)
    }

    @Test("the answer about a consumer is read") func consumer() throws {
        let info = try ConsumerInfo(JetStreamSamples.answer(JetStreamSamples.consumerCreated))
        #expect(info == ConsumerInfo(name: "8NIc70MJ", pending: 1, delivered: 0))
    }

    @Test(
        "answers that cannot be parsed are malformed",
        arguments: [
            "", "{", "[]", "7", "{}", #"{"config":{},"state":{"last_seq":1}}"#, #"{"config":{"name":"s"},"state":{}}"#,
            #"{"config":{"name":"s"}}"#,
            #"{"config":{"name":7},"state":{"last_seq":1}}"#, #"{"config":{"name":"s"},"state":{"last_seq":-1}}"#,
            #"{"config":{"name":"s","max_age":"1s"},"state":{"last_seq":1}}"#,
            #"{"config":{"name":"s"},"state":{"last_seq":1},"ts":"now"}"#,
        ])
    func malformed(payload: String) {
        let error = JetStreamSamples.failure { () throws(JetStreamFailure) in try StreamInfo(JetStreamSamples.answer(payload)) }
        guard case .failed(let problem) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(problem.kind == .malformed)
    }

    @Test(
        "an answer without a sequence is not an acknowledgement",
        arguments: ["{}", #"{"stream":"s","seq":0}"#, #"{"stream":"s"}"#, #"{"seq":1}"#, "+OK"])
    func noSequence(payload: String) {
        #expect(
            JetStreamSamples.failure { () throws(JetStreamFailure) in try PublishAcknowledgement(JetStreamSamples.answer(payload)) } != nil)
    }

    @Test("a missing answer is distinguished from a refusal") func statuses() {
        let nobody = NATSMessage(subject: "_INBOX.x.1", headers: NATSHeaders(status: 503))
        guard case .failed(let problem) = JetStreamSamples.failure(of: { () throws(JetStreamFailure) in try StreamInfo(nobody) }) else {
            Issue.record("no failure")
            return
        }
        #expect(problem.kind == .noResponders)
        let busy = NATSMessage(subject: "_INBOX.x.1", headers: NATSHeaders(status: 408, statusText: "Bad Request"))
        #expect(JetStreamSamples.failure { () throws(JetStreamFailure) in try StreamInfo(busy) }?.refusal?.code == 408)
    }
}

@Suite("An error of JetStream") struct JetStreamErrorTests {
    private func error(_ code: Int, _ errorCode: Int) -> JetStreamError {
        JetStreamError(code: code, errorCode: errorCode, description: "")
    }

    @Test("errors are recognised by their codes") func known() {
        #expect(error(404, 10059).isStreamNotFound)
        #expect(error(404, 10014).isConsumerNotFound)
        #expect(error(404, 10037).isMessageNotFound)
        #expect(error(400, 10058).isStreamNameInUse)
        #expect(error(503, 10076).isNotEnabled && error(503, 10039).isNotEnabled)
        #expect(error(400, 10071).isWrongLastSequence && error(400, 10164).isWrongLastSequence)
        #expect(!error(400, 10070).isWrongLastSequence)
    }

    @Test("transient errors are distinguished from permanent ones") func passing() {
        for transient in [
            (503, 10008), (500, 10009), (503, 10023), (500, 10028), (500, 10047), (503, 10004), (500, 10118), (503, 10163), (429, 10167),
            (503, 0),
        ] {
            #expect(error(transient.0, transient.1).isTransient, "\(transient)")
        }
        for lasting in [
            (503, 10076), (503, 10039), (503, 10035), (404, 10059), (400, 10058), (400, 10071), (400, 10026), (400, 10027), (400, 10003),
            (0, 0),
        ] {
            #expect(!error(lasting.0, lasting.1).isTransient, "\(lasting)")
        }
    }

    @Test("the fate of a message in progress is uncertain") func uncertain() {
        #expect(error(409, 10158).isUncertain && error(503, 10077).isUncertain)
        #expect(!error(400, 10071).isUncertain)
    }

    @Test("the text of an error cannot move a terminal's cursor") func printable() {
        #expect(JetStreamError(code: 1, errorCode: 1, description: "a\u{1B}[2Jb").description == "a\\x1b[2Jb")
    }

    @Test("errors with any content are read") func lenient() {
        #expect(JetStreamError(in: ["error": [:]]) == JetStreamError(code: 0, errorCode: 0, description: "refused without a reason"))
        #expect(JetStreamError(in: ["error": ["code": "x", "err_code": 1e300, "description": 7]])?.errorCode == 0)
        #expect(JetStreamError(in: ["error": .null]) == nil)
        #expect(JetStreamError(in: [:]) == nil)
    }
}
