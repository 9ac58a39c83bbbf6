import QQCore
import Testing

@testable import QQListen

@Suite("Answers") struct RoutesTests {
    private static let leading: Standing = {
        var standing = Standing("web", identity: "me")
        standing.begins(.until(20))
        return standing
    }()
    private static let waiting: Standing = {
        var standing = Standing("db/main", identity: "me")
        standing.waits(behind: .held(by: "other"), at: WallTime(seconds: 2000))
        return standing
    }()

    private func answer(
        _ target: String, _ standings: [Standing] = [leading], method: String = "GET", hasBody: Bool = false, at now: Double = 1
    ) -> Answer {
        Routes(snapshot: Snapshot(standings: standings, count: standings.count, beat: .at(0)), now: .at(now))
            .answer(to: Request(method, target, hasBody: hasBody)) { "qq_calls 1\n" }
    }

    private func object(_ answer: Answer) throws -> JSONObject {
        #expect(answer.type == "application/json")
        return try #require(try JSONValue.parse(answer.body[...]).objectValue)
    }

    @Test("/leader is 200 until work has to end, and 503 from then on, with the same object as /") func leader() throws {
        #expect(answer("/leader").status == 200)
        #expect(answer("/leader", at: 14.9).status == 200)
        #expect(answer("/leader", at: 15).status == 503)
        #expect(answer("/leader", at: 21).status == 503)
        #expect(answer("/leader").body == answer("/").body)
        #expect(try object(answer("/leader"))["leading"]?.boolValue == true)
        // The lease is still held, but its time for work is over.
        let late = try object(answer("/leader", at: 16))
        #expect(late["leading"]?.boolValue == false && late["name"]?.stringValue == "me")
        #expect(answer("/leader", [Self.waiting]).status == 503)
    }

    @Test("/ begins with the leader as the leader-elector sidecar gives it") func sidecar() throws {
        let body = String(decoding: answer("/").body, as: UTF8.self)
        #expect(body.hasPrefix(#"{"name":"me","#) && body.hasSuffix("}\n"))
        let own = try object(answer("/"))
        #expect(own["election"]?.stringValue == "web" && own["id"]?.stringValue == "me" && own["token"]?.uint64Value == 7)
        #expect(own["expires_in"]?.doubleValue == 19)
        #expect(own["acquired_at"]?.stringValue == "1970-01-01T00:16:40.000Z")
        #expect(own["slots"] == nil)
        let other = try object(answer("/", [Self.waiting]))
        #expect(other["name"]?.stringValue == "other" && other["leading"]?.boolValue == false && other["token"]?.uint64Value == 6)
        #expect(other["seen_at"]?.stringValue == "1970-01-01T00:33:20.000Z")
        #expect(try object(answer("/", [Standing("x", identity: "me")]))["name"]?.stringValue == "")
    }

    @Test("with several elections / lists all, and ?election= chooses one") func several() throws {
        let both = [Self.leading, Self.waiting]
        let all = try #require(try object(answer("/", both))["elections"]?.arrayValue)
        #expect(all.compactMap { $0.objectValue?["election"]?.stringValue } == ["web", "db/main"])
        #expect(try object(answer("/?election=db/main", both))["name"]?.stringValue == "other")
        #expect(answer("/leader", both).status == 400)
        #expect(answer("/leader?election=web", both).status == 200)
        #expect(answer("/leader?x=1&election=web&y", both).status == 200)
        #expect(answer("/leader?election=db%2Fmain", both).status == 503)
        #expect(answer("/leader?election=nothing", both).status == 404)
    }

    @Test(
        "a name that is empty or cannot be decoded is refused, and is not taken for none",
        arguments: ["?election=%zz", "?election=", "?election", "?x&election"])
    func unreadableName(query: String) {
        #expect(answer("/leader" + query).status == 400)
        #expect(answer("/" + query, [Self.leading, Self.waiting]).status == 400)
        #expect(answer("/leader?elections&xelection=%zz").status == 200)
    }

    @Test("with slots the object has the slot and all known holders") func slots() throws {
        var standing = Standing("web", identity: "me", slots: 2)
        var state = ElectionState(name: "web", slots: [.held(by: "a"), .held(by: "b")])
        state.name = "web"
        standing.waits(behind: state, at: WallTime(seconds: 1))
        let waiting = try object(answer("/", [standing]))
        #expect(waiting["leaders"]?.arrayValue?.compactMap(\.stringValue) == ["a", "b"])
        #expect(waiting["slot"] == JSONValue.null && waiting["slots"]?.int64Value == 2)
        standing.begins(Standing.Term(.until(20, name: "web-slot-2-of-2"), slot: 2, workEnds: .at(15)))
        let held = try object(answer("/leader", [standing]))
        #expect(held["slot"]?.int64Value == 2 && held["election"]?.stringValue == "web")
    }

    @Test("other methods, bodies and paths are refused", arguments: ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"])
    func refused(method: String) {
        let answer = answer("/leader", method: method)
        #expect(answer.status == 405 && answer.listsMethods)
        #expect(self.answer("/leader", hasBody: true).status == 413)
        for path in ["/leader/", "/x", "//", "/leader%20", "*", "leader", "/../leader"] {
            #expect(self.answer(path).status == 404, "\(path)")
        }
    }

    @Test("a whole URL is understood as its path") func absoluteForm() {
        #expect(answer("http://host:80/leader?election=web").status == 200)
        #expect(answer("http://host").status == 200)
        #expect(answer("http://host?election=web").status == 200)
        #expect(answer("http://host/x").status == 404)
    }

    @Test("/livez says what is wrong, and /metrics has the type of Prometheus") func others() {
        #expect(answer("/livez").status == 200)
        let dead = answer("/livez", at: 100)
        #expect(dead.status == 503 && String(decoding: dead.body, as: UTF8.self).contains("has not run"))
        let metrics = answer("/metrics")
        #expect(metrics.status == 200 && metrics.type.hasPrefix("text/plain; version=0.0.4") && metrics.body == Array("qq_calls 1\n".utf8))
    }

    @Test("dates have the form that HTTP demands") func dates() {
        #expect(Conversation.date(WallTime(seconds: 784_111_777)) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(Conversation.date(WallTime(seconds: 0)) == "Thu, 01 Jan 1970 00:00:00 GMT")
    }
}
