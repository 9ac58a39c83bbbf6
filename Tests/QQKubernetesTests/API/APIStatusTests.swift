import QQCore
import QQHTTP
import Testing

@testable import QQKubernetes

@Suite struct APIStatusTests {
    private func failure(_ status: Int, _ body: String, _ fields: [HTTPRequest.Field] = []) -> APIFailure {
        APIFailure(HTTPAnswer(status: status, fields: fields, body: Array(body.utf8)), endpoint: "h:6443", credential: "no credential")
    }

    @Test func `a Status object gives reason, message, kind and causes`() {
        let found = failure(
            404,
            #"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"namespaces \"x\" not found","reason":"NotFound","details":{"name":"x","kind":"namespaces","causes":[{"reason":"A","message":"b"},{"message":"c"},{"reason":"D"}]},"code":404}"#
        )
        #expect(found.status == 404 && found.reason == "NotFound" && found.message == "namespaces \"x\" not found")
        #expect(found.kind == "namespaces" && found.causes == ["A", "D"] && found.retryAfter == nil)
        #expect(found.endpoint == "h:6443" && found.transport == nil && found.preparation == nil)
    }

    @Test func `a Status object without kind, reason or message is taken as it is`() {
        let timeout = failure(504, #"{"metadata":{},"status":"Failure","message":"Timeout: not completed","reason":"Timeout","code":504}"#)
        #expect(timeout.message == "Timeout: not completed" && timeout.reason == "Timeout" && timeout.isUncertain)
        let found = failure(500, #"{"message":"rpc error: code = Unavailable","reason":"","code":500}"#)
        #expect(found.reason == nil && found.message == "rpc error: code = Unavailable")
        #expect(failure(500, "{}").message == "" && failure(500, "").message == "")
        #expect(failure(500, #"{"message":7,"reason":[],"details":"x","code":"y"}"#) == failure(500, "{}"))
    }

    @Test func `a plain text is the message`() {
        #expect(failure(429, "Too many requests, please try again later.\n").message == "Too many requests, please try again later.")
        #expect(failure(404, "404 page not found\n").message == "404 page not found")
        #expect(failure(500, "{broken").message == "{broken")
        #expect(failure(502, "<html><body>Bad Gateway</body></html>").message == "")
    }

    @Test func `texts of the server are made printable and are bounded`() {
        #expect(failure(500, "\u{1b}[2Jbad\u{202e}").message == "\\x1b[2Jbad\\u202e")
        #expect(failure(500, #"{"message":"a\nb\u001b"}"#).message == "a b\\x1b")
        #expect(failure(500, #"{"message":"\#(String(repeating: "x", count: 5000))"}"#).message.count == APIFailure.longestMessage + 1)
        #expect(failure(500, String(repeating: "x", count: 50_000)).message.count <= 4 * APIFailure.longestMessage)
        #expect(
            APIFailure(HTTPAnswer(status: 500, body: [0xff, 0xfe, 0x41]), endpoint: "", credential: "").message == "\\xff\\xfeA")
    }

    @Test func `the pause that the server asks for is clamped`() {
        #expect(failure(429, "", [.init("Retry-After", "2")]).retryAfter == .seconds(2))
        #expect(failure(429, #"{"details":{"retryAfterSeconds":3}}"#, [.init("retry-after", "2")]).retryAfter == .seconds(3))
        #expect(failure(504, #"{"details":{"retryAfterSeconds":0}}"#, [.init("Retry-After", "1")]).retryAfter == .seconds(1))
        for text in ["4000000000", "301"] {
            #expect(failure(429, "", [.init("Retry-After", text)]).retryAfter == .seconds(300))
        }
        for text in ["-1", "soon", "", "1.5", "99999999999999999999"] {
            #expect(failure(429, "", [.init("Retry-After", text)]).retryAfter == nil)
        }
    }

    @Test func `a query is percent-encoded`() {
        #expect(APIRequest(method: .get, path: "/apis/x").target == "/apis/x")
        let request = APIRequest(
            method: .get, path: "/l",
            query: [.init("labelSelector", "a=b,c in (d)"), .init("watch", "1"), .init("fieldSelector", "metadata.name=web")])
        #expect(request.target == "/l?labelSelector=a%3Db%2Cc%20in%20%28d%29&watch=1&fieldSelector=metadata.name%3Dweb")
    }
}
