import QQCore
import Testing

@testable import Support

@Suite("Who led by right")
struct LeaseHistoryTests {
    private static let second: UInt64 = 1_000_000_000

    /// A state stored this many tenths of a second after the start.
    private func entry(_ tenths: UInt64, _ holder: String, _ duration: Int64 = 4, by user: String? = nil) -> LeaseHistory.Entry {
        LeaseHistory.Entry(
            at: tenths * Self.second / 10, user: user, holder: holder, durationSeconds: duration,
            renewed: WallTime(seconds: Int64(tenths / 10)),
            version: tenths)
    }

    private func reigns(_ entries: LeaseHistory.Entry...) -> [String] {
        LeaseHistory(entries).reigns.map { "\($0.holder) \($0.from * 10 / Self.second)-\($0.to * 10 / Self.second)" }
    }

    @Test("a reign lasts until the duration after the last renewal with a new second has passed") func renewals() {
        #expect(reigns(entry(10, "a"), entry(12, "a")) == ["a 10-50"])
        #expect(reigns(entry(10, "a"), entry(12, "a"), entry(21, "a")) == ["a 10-61"])
        #expect(reigns(entry(10, "a", 1), entry(31, "a", 1)) == ["a 10-20", "a 31-41"])
    }

    @Test("a reign ends with another state") func ends() {
        #expect(reigns(entry(10, "a"), entry(20, ""), entry(21, "b")) == ["a 10-20", "b 21-61"])
        #expect(reigns(entry(10, "a"), entry(20, "b")) == ["a 10-20", "b 20-60"])
        #expect(reigns(entry(10, "a", 1), entry(30, ""), entry(31, "b", 1)) == ["a 10-20", "b 31-41"])
        #expect(reigns(entry(10, "a", 0)) == ["a 10-10"])
    }

    private func violations(_ entries: [LeaseHistory.Entry], _ first: UInt64, _ last: UInt64) -> Int {
        let term = Stamps.Term(token: 7, first: first * Self.second / 10, last: last * Self.second / 10)
        return LeaseHistory(entries).violations([term], peers: ["peer"], user: "qq").count
    }

    @Test("a command that runs while a peer leads by right is a violation") func overlap() {
        #expect(violations([entry(10, "qq"), entry(60, "peer")], 11, 49) == 0)
        #expect(violations([entry(10, "qq"), entry(60, "peer")], 11, 61) == 1)
        #expect(violations([entry(10, "peer"), entry(45, "qq", by: "qq")], 46, 49) == 1, "the peer's lease has not ended")
        #expect(violations([entry(10, "peer"), entry(51, "qq")], 52, 60) == 0)
        #expect(violations([entry(10, "peer"), entry(20, "")], 15, 16) == 1)
    }

    @Test("a command that was deposed may run until its own lease would have ended, and no longer") func deposed() {
        let wiped = [entry(10, "qq"), entry(20, ""), entry(21, "peer")]
        #expect(violations(wiped, 11, 25) == 0)
        #expect(violations(wiped, 11, 49) == 0)
        #expect(violations(wiped, 11, 51) == 1)
        #expect(violations([entry(10, "qq"), entry(20, "peer")], 11, 25) == 0)
        #expect(violations([entry(10, "qq"), entry(20, "", by: "qq"), entry(21, "peer")], 11, 25) == 1, "qq released it too soon")
    }
}
