import QQCore
import Testing

@testable import QQCLI

@Suite("Saved grants")
struct GrantStoreTests {
    private static let wall = WallTime(seconds: 1_795_260_659)
    private static let now = BootInstant(nanoseconds: 5_000_000_000_000)

    private func parse(deadline: String, boot: String?, expires: String? = nil, ttl: String = "15", on clock: String = "b007") -> Grant? {
        let text =
            "{\"name\": \"x\", \"id\": \"me\", \"token\": 7, \"ttl\": \(ttl), \"acquired_at\": \"2026-11-21T11:30:00Z\", \"deadline\": \(deadline)"
            + (boot.map { ", \"boot\": \"\($0)\"" } ?? "") + (expires.map { ", \"expires_at\": \"\($0)\"" } ?? "") + "}"
        return GrantStore.parse(Array(text.utf8)[...], boot: BootIdentity(clock), now: Self.now, wall: Self.wall)
    }

    @Test("a saved grant ends by the boot clock of its kernel") func bootClock() {
        for boot in ["b007", nil] {
            let grant = parse(deadline: "5010000000000", boot: boot, expires: "2000-01-01T00:00:00Z")
            #expect(grant?.deadline == Self.now + .seconds(10))
            #expect(grant?.expiresAt == Self.wall + .seconds(10))
        }
    }

    @Test("a saved grant from another boot or time namespace ends by the wall clock", arguments: ["b007/20.0", "cafe"])
    func another(boot: String) {
        // Six seconds from now.
        #expect(parse(deadline: "9000000000000000", boot: boot, expires: "2026-11-21T11:31:05Z")?.deadline == Self.now + .seconds(6))
        #expect(parse(deadline: "9000000000000000", boot: boot, expires: "2026-11-21T11:30:00Z")?.deadline == Self.now)
        #expect(parse(deadline: "9000000000000000", boot: boot)?.deadline == Self.now)
    }

    @Test(
        "a saved grant does not last longer than its TTL, whatever its numbers", arguments: ["18446744073709551615", "9223372036854775807"])
    func large(deadline: String) {
        #expect(parse(deadline: deadline, boot: "b007")?.deadline == Self.now + .seconds(15))
        #expect(parse(deadline: deadline, boot: "cafe", expires: "9999-12-31T23:59:59Z")?.deadline == Self.now + .seconds(15))
        #expect(parse(deadline: "0", boot: "b007")?.deadline == BootInstant(nanoseconds: 0))
    }

    @Test("a saved grant with a meaningless TTL is ignored", arguments: ["0", "-1", "1e-300", "1e300", "\"15\""])
    func broken(ttl: String) { #expect(parse(deadline: "1", boot: nil, ttl: ttl) == nil) }
}
