import QQCore
import Testing

@testable import QQCLI

@Suite("Outages of several elections")
struct OutagesTests {
    private let refused = CoordinationError(.unavailable, "cannot acquire a", because: "Connection refused", at: "nats://h:1")
    private let refusedToo = CoordinationError(.unavailable, "cannot acquire b", because: "Connection refused", at: "nats://h:1")
    private let broken = CoordinationError(.brokenData, "cannot read c", because: "not JSON", at: "/leases/c.json")

    @Test("an outage of several elections is reported at its first beginning and its last end") func shared() {
        var outages = Outages()
        let told1 = outages.begins(refused, of: "a")
        #expect(told1)
        let told2 = outages.begins(refusedToo, of: "b")
        #expect(!told2)
        let told3 = outages.ends(of: "a")
        #expect(!told3)
        let told4 = outages.ends(of: "b")
        #expect(told4)
        let told5 = outages.begins(refused, of: "a")
        #expect(told5)
    }

    @Test("another cause is another outage") func anotherCause() {
        var outages = Outages()
        let told6 = outages.begins(refused, of: "a")
        #expect(told6)
        let told7 = outages.begins(broken, of: "c")
        #expect(told7)
        let told8 = outages.ends(of: "c")
        #expect(told8)
        let told9 = outages.ends(of: "a")
        #expect(told9)
    }

    @Test("an outage that the connection has reported is not reported again") func reportedByTheConnection() {
        var outages = Outages()
        outages.take(ConnectionEvent(.disconnected, "h:1"))
        let told10 = outages.begins(refused, of: "a")
        #expect(!told10)
        let told11 = outages.ends(of: "a")
        #expect(!told11)
        outages.take(ConnectionEvent(.connected, "h:1"))
        let told12 = outages.begins(refused, of: "a")
        #expect(told12)
    }

    @Test("the end of an outage that never began is not reported") func neverBegan() {
        var outages = Outages()
        let told13 = outages.ends(of: "a")
        #expect(!told13)
    }
}
