import Testing

@testable import QQNATS

@Suite("INFO of a NATS server") struct ServerInfoTests {
    @Test("all members of INFO are read") func whole() throws {
        let info = try ServerInfo(
            json: Array(
                #"""
                {"server_id":"NA","server_name":"n1","version":"2.12.8","proto":1,"go":"go1.25","host":"0.0.0.0","port":4222,"headers":true,
                "max_payload":65536,"jetstream":true,"auth_required":true,"tls_required":true,"tls_verify":true,"tls_available":true,
                "nonce":"xyz","connect_urls":["10.0.0.1:4222","[::1]:4223"],"ldm":true,"cluster":"c","domain":"hub","client_id":7,"xkey":"X","api_lvl":3}
                """#.utf8))
        #expect(info.serverID == "NA" && info.serverName == "n1" && info.version == "2.12.8" && info.proto == 1)
        #expect(info.host == "0.0.0.0" && info.port == 4222 && info.clientID == 7 && info.cluster == "c" && info.domain == "hub")
        #expect(
            info.headers && info.jetStream && info.authRequired && info.tlsRequired && info.tlsVerify && info.tlsAvailable
                && info.isLameDuck)
        #expect(info.maxPayload == 65536 && info.nonce == "xyz" && info.connectURLs == ["10.0.0.1:4222", "[::1]:4223"])
    }

    @Test("missing members, null, and unimportant members of another type get defaults") func defaults() throws {
        for json in [
            "{}", #"{"nonce":null,"connect_urls":null,"headers":null,"max_payload":null}"#,
            #"{"server_id":1,"port":"x","client_id":-1,"nonce":""}"#,
        ] {
            #expect(try ServerInfo(json: Array(json.utf8)) == ServerInfo())
        }
        #expect(ServerInfo().maxPayload == 1_048_576)
    }

    @Test(
        "INFO is malformed if an important member has another type",
        arguments: [
            "[]", "", "{", "1", #"{"tls_required":"yes"}"#, #"{"auth_required":1}"#, #"{"nonce":5}"#, #"{"max_payload":"1"}"#,
            #"{"max_payload":0}"#,
            #"{"max_payload":-1}"#, #"{"max_payload":1e300}"#, #"{"connect_urls":"a:1"}"#, #"{"headers":[]}"#, #"{"ldm":{}}"#,
        ]) func malformed(_ json: String)
    {
        let error = #expect(throws: NATSError.self) { try ServerInfo(json: Array(json.utf8)) }
        #expect(error?.kind == .malformed)
    }

    @Test(
        "the numbers of the version are read",
        arguments: [
            ("2.12.8", [2, 12, 8]), ("2.11.0-RC.1", [2, 11, 0]), ("2.9", [2, 9, 0]), ("", [0, 0, 0]), ("dev", [0, 0, 0]),
            ("2.99999999999999999999.1", [2, 0, 1]),
        ])
    func version(_ text: String, _ numbers: [Int]) {
        var info = ServerInfo()
        info.version = text
        let version = info.versionNumbers
        #expect([version.major, version.minor, version.patch] == numbers)
        #expect((info.versionNumbers >= (2, 11, 0)) == (text == "2.12.8" || text.hasPrefix("2.11")))
    }
}
