import QQCore
import Testing

@Suite("Details of an election") struct StatusDetailTests {
    @Test("details keep the order in which they were set") func order() {
        var details: [StatusDetail] = []
        details["epoch"] = 3
        details["revision"] = 12
        details["epoch"] = 4
        #expect(details == [StatusDetail("epoch", 4), StatusDetail("revision", 12)])
        #expect(details["epoch"] == 4 && details["host"] == nil)
    }

    @Test("a detail is removed by nil") func removal() {
        var details = [StatusDetail("epoch", 3), StatusDetail("revision", 12)]
        details["epoch"] = nil
        details["host"] = nil
        #expect(details == [StatusDetail("revision", 12)])
    }
}
