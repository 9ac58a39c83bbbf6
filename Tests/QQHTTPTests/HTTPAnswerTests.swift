import QQHTTP
import Testing

@Suite struct HTTPAnswerTests {
    @Test func `fields are found in whatever case they are written`() {
        let answer = HTTPAnswer(status: 429, fields: [.init("retry-after", "1"), .init("Retry-After", "2")])
        #expect(answer.field("Retry-After") == "1")
        #expect(answer.field("Warning") == nil)
    }
}
