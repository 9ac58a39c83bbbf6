import QQCore
import Testing

@testable import QQHTTP

@Suite struct HTTPDateTests {
    @Test func `a server's time is read`() {
        #expect(HTTPDate.parse("Sun, 06 Nov 1994 08:49:37 GMT") == (try? WallTime.parse(rfc3339: "1994-11-06T08:49:37Z")))
        #expect(HTTPAnswer(status: 200, fields: [.init("date", "Mon, 30 Nov 2026 02:00:00 GMT")]).date?.rfc3339() == "2026-11-30T02:00:00Z")
        #expect(HTTPAnswer(status: 200).date == nil)
    }

    @Test(arguments: [
        "", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 8:49:37 GMT",
    ]) func `other texts are not`(text: String) { #expect(HTTPDate.parse(text) == nil) }
}
